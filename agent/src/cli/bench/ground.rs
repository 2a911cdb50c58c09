//! What benches in network namespaces need before they begin.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::failure::{Code, Failure};

/// Memory as a folder, so that disks are not measured.
const MEMORY: &str = "/dev/shm";

/// Network namespaces are for root alone.
pub(super) fn needs_root() -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Local,
        "cannot build network namespaces",
        "that is for root alone",
        "run it with sudo, in a virtual machine if you like",
    ))
}

/// The file of this program, which nodes of a bench run.
pub(super) fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::new(Code::Local, "cannot find this program", error.to_string(), "run it from its file")
    })
}

/// Where blobs are kept: where it was said, else in memory if that can be.
pub(super) fn blob_directory(said: Option<&PathBuf>) -> PathBuf {
    let memory = PathBuf::from(MEMORY);
    said.cloned().unwrap_or_else(|| if memory.is_dir() { memory } else { std::env::temp_dir() })
}

/// Set when the run is to end early.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let runtime = crate::cli::run::runtime("wait for signals")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut end)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! { _ = interrupt.recv() => {} _ = end.recv() => {} }
            told.store(true, Ordering::Relaxed);
        });
    });
    Ok(stop)
}
