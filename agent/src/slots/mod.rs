//! Places on disk for the versions of a component, and the switch between them.
//!
//! The one door is [`Slots`], and for each component [`Component`]. On disk:
//!
//! ```text
//! DIRECTORY/NAME/active, previous, anchor     symbolic links into slots/
//! DIRECTORY/NAME/slots/0123456789abcdef/      a slot: the files of the tree whose digest begins so
//! DIRECTORY/NAME/slots/0123456789abcdef.tree  its index; written last, removed first: it marks the slot complete
//! DIRECTORY/NAME/slots/staging-…, trash-…     being built, being removed; swept when the component is opened
//! ```
//!
//! # What holds, wherever the process is killed or the power fails
//! - A slot is seen only when all its files were verified and synced; a half-built or half-removed one never.
//! - A link points to a whole slot or is not there; it is replaced by a rename, and synced before success is reported.
//! - What a link points to is never removed.
//!
//! Every call may wait for the disk, staging for long: call from a thread that may. Staging never makes a switch wait.
//! One process has the directory: the agent's journal, which it opens before, is locked.
//! Deliberately absent: which version should be active (the core), and the processes in it (the service room).

mod building;
mod component;
mod disk;
mod error;
pub mod files;
mod inventory;
mod layout;
mod opening;
pub(crate) mod scratch;
mod staging;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use groundswell_protocol::bounds::COMPONENTS_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::trust::names::ComponentName;

pub use building::{NewFile, NewFiles, Progress};
pub use component::{Component, Slot};
pub use error::{SlotError, StageError};
pub use inventory::ChunkPlace;
pub use staging::{DeltaSource, Source, Staged};

/// The slots of all components.
#[derive(Debug)]
pub struct Slots {
    directory: PathBuf,
    components: Mutex<BTreeMap<ComponentName, Component>>,
}

impl Slots {
    /// Opens the directory of all components, making it if it is not there. Its parent must exist.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, SlotError> {
        disk::ensure_directory(directory).map_err(SlotError::disk("make", directory))?;
        Ok(Self { directory: directory.to_owned(), components: Mutex::default() })
    }

    /// A component's slots. The first call for a name opens them: sweeps what was interrupted and reads the indexes.
    ///
    /// # Errors
    /// When the name breaks the rules of [`ComponentName`], or the disk fails.
    pub fn component(&self, name: &str) -> Result<Component, SlotError> {
        let name =
            ComponentName::new(name).map_err(|error| SlotError::Name { name: name.to_owned(), error })?;
        let mut components = self.lock();
        if let Some(component) = components.get(&name) {
            return Ok(component.clone());
        }
        if components.len() >= COMPONENTS_MAX {
            return Err(SlotError::TooMany);
        }
        let component = opening::open(&name, self.directory.join(name.as_str()))?;
        components.insert(name, component.clone());
        Ok(component)
    }

    /// Where a chunk lies, in any slot of any component opened so far.
    #[must_use]
    pub fn locate_chunk(&self, digest: &Digest) -> Option<ChunkPlace> {
        self.opened().iter().find_map(|component| component.locate_chunk(digest))
    }

    /// A chunk's bytes from any slot of any component opened so far, verified.
    #[must_use]
    pub fn read_chunk(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.opened().iter().find_map(|component| component.read_chunk(digest))
    }

    /// The encoding of a tree that is in a slot of any component opened so far, verified.
    #[must_use]
    pub fn read_index(&self, tree: &Digest) -> Option<Vec<u8>> {
        self.opened().iter().find_map(|component| Some(component.tree(tree).ok()?.encode()))
    }

    fn opened(&self) -> Vec<Component> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ComponentName, Component>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
