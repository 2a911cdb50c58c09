//! The budgets of releases, kept over restarts in one file that is written when something was sent.
//!
//! A crash loses the sends of the last few seconds, never a budget: those pieces may then be sent once more.

use std::path::PathBuf;

use groundswell_protocol::transfer::egress::{EgressRecord, EgressReport};

use crate::release::disk::{read_bounded, write_atomic};
use crate::transfer::Transfer;

/// Bytes of the file: as many blobs as budgets may name, with their accounts.
const FILE_BYTES_MAX: usize = 256 << 20;

/// Keeps the budgets in a file.
pub(super) struct Ledger {
    path: PathBuf,
    written: Vec<EgressReport>,
    transfer: Transfer,
}

impl Ledger {
    /// Takes up what an earlier run left. A file that cannot be read is said and written anew.
    pub(super) fn open(path: PathBuf, transfer: Transfer) -> Self {
        if path.exists() {
            match read(&path) {
                Ok(records) => {
                    if transfer.restore_budgets(records).is_err() {
                        tracing::warn!("The budgets of an earlier run were not taken up.");
                    }
                }
                Err(why) => tracing::warn!(
                    path = %path.display(),
                    "The budgets of an earlier run cannot be read, so published releases have none: {why}."
                ),
            }
        }
        Self { path, written: Vec::new(), transfer }
    }

    /// Writes the budgets down, beside the loop, if they stand otherwise than when they were last written.
    pub(super) fn keep(&mut self) {
        if let Some(kept) = self.changed() {
            tokio::spawn(kept);
        }
    }

    /// The same, waited for: at the agent's end.
    pub(super) async fn end(mut self) {
        if let Some(kept) = self.changed() {
            kept.await;
        }
    }

    fn changed(&mut self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let budgets = self.transfer.budgets();
        if budgets == self.written {
            return None;
        }
        self.written = budgets;
        let (transfer, path) = (self.transfer.clone(), self.path.clone());
        Some(async move {
            // The transfer has ended if this fails; what it knew was written a moment ago.
            let Ok(records) = transfer.budget_records().await else { return };
            let written = tokio::task::spawn_blocking(move || write(&path, &records)).await;
            if let Ok(Err(why)) = written {
                tracing::warn!("The budgets of releases were not written down: {why}.");
            }
        })
    }
}

fn read(path: &std::path::Path) -> Result<Vec<EgressRecord>, String> {
    let bytes = read_bounded(path, FILE_BYTES_MAX).map_err(|problem| problem.why)?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

fn write(path: &std::path::Path, records: &[EgressRecord]) -> Result<(), String> {
    let bytes = serde_json::to_vec(records).map_err(|error| error.to_string())?;
    write_atomic(path, &bytes, 0o600).map_err(|problem| problem.why)
}
