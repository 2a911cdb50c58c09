//! One component: which slot is active, which it goes back to, and the switch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use groundswell_delta::{ChunkRef, EntryKind, TREE_ENCODING_BYTES_MAX, Tree, verify};
use groundswell_protocol::digest::Digest;
use groundswell_protocol::trust::names::ComponentName;

use super::disk;
use super::error::SlotError;
use super::files::Directory;
use super::inventory::{ChunkPlace, Inventory};
use super::layout::{Layout, Link, short};

/// A complete slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The tree in it.
    pub tree: Digest,
    /// Its directory: the slot's own, not a link to it, so that it stays what it is when a link moves on.
    pub path: PathBuf,
}

/// The slots of one component. Clones share them.
#[derive(Clone, Debug)]
pub struct Component(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: ComponentName,
    pub(super) layout: Layout,
    pub(super) state: Mutex<State>,
    /// Held while a slot is built: one at a time.
    pub(super) staging: Mutex<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Complete slots by short name.
    pub(super) complete: BTreeMap<String, Arc<Inventory>>,
    /// The slot that a delta is being applied to.
    pub(super) in_use: Option<Digest>,
}

impl Component {
    /// The component's name.
    #[must_use]
    pub fn name(&self) -> &ComponentName {
        &self.0.name
    }

    /// The slot to run.
    #[must_use]
    pub fn active(&self) -> Option<Slot> {
        self.linked(Link::Active)
    }

    /// The slot that was active before. After a revert it is the active one itself.
    #[must_use]
    pub fn previous(&self) -> Option<Slot> {
        self.linked(Link::Previous)
    }

    /// The newest slot that completed fleet-wide.
    #[must_use]
    pub fn anchor(&self) -> Option<Slot> {
        self.linked(Link::Anchor)
    }

    /// The slot to start with: the active one or, should this disk have lost it, the previous one or the anchor. Changes
    /// nothing.
    #[must_use]
    pub fn to_start(&self) -> Option<Slot> {
        self.active().or_else(|| self.previous()).or_else(|| self.anchor())
    }

    /// Whether a complete slot holds the tree.
    #[must_use]
    pub fn has(&self, tree: &Digest) -> bool {
        self.inventory(tree).is_some()
    }

    /// All complete slots, in no order that means anything.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        self.lock().complete.values().map(|inventory| slot_of(inventory)).collect()
    }

    /// Switches to a staged tree: `previous` becomes what is active now, `active` the tree. On return it is durable. If
    /// the tree is active already, nothing changes.
    ///
    /// # Errors
    /// When the tree is in no complete slot, or the disk fails; see [`SlotError`] for what is active then.
    pub fn activate(&self, tree: &Digest) -> Result<PathBuf, SlotError> {
        let state = self.lock();
        let target = self.require(&state, tree)?;
        let active = self.linked_in(&state, Link::Active);
        if let Some(active) = active.filter(|active| active.tree != *tree) {
            self.point(Link::Previous, &active.tree)?;
        }
        self.point(Link::Active, tree)?;
        Ok(target.path.clone())
    }

    /// Switches back to the slot that the trial began from: the previous one, else the anchor. Needs nothing but
    /// this disk; on return it is durable. Doing it twice changes nothing more.
    ///
    /// # Errors
    /// When there is neither, or the disk fails.
    pub fn revert(&self) -> Result<Slot, SlotError> {
        let Some(target) = self.previous().or_else(|| self.anchor()) else {
            return Err(SlotError::NothingToRevertTo { component: self.0.name.to_string() });
        };
        self.revert_to(&target.tree)?;
        Ok(target)
    }

    /// Switches back to a tree in a slot, leaving `previous` as it is. On return it is durable.
    ///
    /// # Errors
    /// When the tree is in no complete slot, or the disk fails.
    pub fn revert_to(&self, tree: &Digest) -> Result<PathBuf, SlotError> {
        let state = self.lock();
        let target = self.require(&state, tree)?;
        self.point(Link::Active, tree)?;
        Ok(target.path.clone())
    }

    /// Makes nothing active: there is no version left that may run. Slots stay.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn deactivate(&self) -> Result<(), SlotError> {
        let _state = self.lock();
        let link = self.0.layout.link(Link::Active);
        disk::remove(&link)
            .and_then(|()| disk::sync_directory(&self.0.layout.directory))
            .map_err(SlotError::disk("remove", &link))
    }

    /// Makes a tree the anchor. On return it is durable.
    ///
    /// # Errors
    /// When the tree is in no complete slot, or the disk fails.
    pub fn set_anchor(&self, tree: &Digest) -> Result<(), SlotError> {
        let state = self.lock();
        self.require(&state, tree)?;
        self.point(Link::Anchor, tree)
    }

    /// Removes all slots but those of a link, those in `keep`, and one that a delta is being applied to. Gives the bytes of
    /// files freed.
    ///
    /// # Errors
    /// When the disk fails; what was not removed yet is removed when the component is next opened.
    pub fn collect(&self, keep: &[Digest]) -> Result<u64, SlotError> {
        let mut state = self.lock();
        let mut kept: BTreeSet<String> = keep.iter().chain(&state.in_use).map(short).collect();
        kept.extend(Link::ALL.into_iter().filter_map(|link| self.0.layout.read_link(link)));
        let doomed: Vec<String> =
            state.complete.keys().filter(|short| !kept.contains(*short)).cloned().collect();
        let mut trash = Vec::new();
        let mut bytes = 0;
        for short in doomed {
            bytes += state.complete.remove(&short).map_or(0, |inventory| inventory.bytes);
            trash.push(self.discard(&short)?);
        }
        drop(state);
        for path in trash {
            disk::remove(&path).map_err(SlotError::disk("remove", &path))?;
        }
        Ok(bytes)
    }

    /// Reads every file of a slot and compares it with its tree. If they differ the slot counts as complete no more, even if
    /// it is active: it can be staged again, which replaces its files.
    ///
    /// # Errors
    /// [`SlotError::Changed`] names the first difference.
    pub fn verify(&self, tree: &Digest) -> Result<(), SlotError> {
        let index = self.tree(tree)?;
        let path = self.require(&self.lock(), tree)?.path.clone();
        let compared = Directory::open(&path)
            .map_err(groundswell_delta::VerifyError::List)
            .and_then(|files| verify(&index, &files));
        compared.map_err(|error| {
            self.lock().complete.remove(&short(tree));
            SlotError::Changed { component: self.0.name.to_string(), tree: *tree, error }
        })
    }

    /// The tree in a complete slot.
    ///
    /// # Errors
    /// When it is in none, or its index cannot be read.
    pub fn tree(&self, tree: &Digest) -> Result<Tree, SlotError> {
        self.require(&self.lock(), tree)?;
        let path = self.0.layout.index(&short(tree));
        read_tree(&path)
            .and_then(|(found, index)| {
                if found == *tree { Ok(index) } else { Err(io::Error::other("it is of another version")) }
            })
            .map_err(SlotError::disk("read", &path))
    }

    /// Where a chunk lies in a complete slot.
    #[must_use]
    pub fn locate_chunk(&self, digest: &Digest) -> Option<ChunkPlace> {
        self.inventories().iter().find_map(|inventory| inventory.locate(digest))
    }

    /// A chunk's bytes from a complete slot, verified.
    #[must_use]
    pub fn read_chunk(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.inventories().iter().find_map(|inventory| inventory.read(digest))
    }

    /// The chunks of a tree that are in no complete slot, each once, in the tree's order.
    #[must_use]
    pub fn missing_chunks(&self, tree: &Tree) -> Vec<ChunkRef> {
        let inventories = self.inventories();
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for entry in tree.entries() {
            let EntryKind::File { chunks, .. } = &entry.kind else { continue };
            for chunk in chunks {
                let digest = Digest(*chunk.digest.as_bytes());
                let is_here = || inventories.iter().any(|inventory| inventory.locate(&digest).is_some());
                if seen.insert(digest) && !is_here() {
                    missing.push(*chunk);
                }
            }
        }
        missing
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn inventory(&self, tree: &Digest) -> Option<Arc<Inventory>> {
        self.lock().get(tree).cloned()
    }

    fn inventories(&self) -> Vec<Arc<Inventory>> {
        self.lock().complete.values().cloned().collect()
    }

    fn require<'a>(&self, state: &'a State, tree: &Digest) -> Result<&'a Inventory, SlotError> {
        let found = state.get(tree).filter(|inventory| inventory.path.is_dir());
        found
            .map(Arc::as_ref)
            .ok_or_else(|| SlotError::NotHere { component: self.0.name.to_string(), tree: *tree })
    }

    fn linked(&self, link: Link) -> Option<Slot> {
        self.linked_in(&self.lock(), link)
    }

    fn linked_in(&self, state: &State, link: Link) -> Option<Slot> {
        let short = self.0.layout.read_link(link)?;
        state.complete.get(&short).filter(|inventory| inventory.path.is_dir()).map(|found| slot_of(found))
    }

    fn point(&self, link: Link, tree: &Digest) -> Result<(), SlotError> {
        let layout = &self.0.layout;
        let path = layout.link(link);
        disk::point(&path, &layout.new_link(link), &Layout::link_target(&short(tree)))
            .map_err(SlotError::disk("switch", &path))
    }

    /// Makes a slot incomplete and moves its files out of the way; gives where they are.
    pub(super) fn discard(&self, short: &str) -> Result<PathBuf, SlotError> {
        let layout = &self.0.layout;
        let (slot, index, trash) = (layout.slot(short), layout.index(short), layout.trash(short));
        disk::remove(&index)
            .and_then(|()| disk::rename(&slot, &trash))
            .and_then(|()| disk::sync_directory(&layout.slots))
            .map_err(SlotError::disk("remove", &slot))?;
        Ok(trash)
    }
}

impl State {
    fn get(&self, tree: &Digest) -> Option<&Arc<Inventory>> {
        self.complete.get(&short(tree)).filter(|inventory| inventory.tree == *tree)
    }
}

fn slot_of(inventory: &Inventory) -> Slot {
    Slot { tree: inventory.tree, path: inventory.path.clone() }
}

/// Reads an index of any origin; gives its digest too.
pub(super) fn read_tree(path: &Path) -> io::Result<(Digest, Tree)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(TREE_ENCODING_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let tree = Tree::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((Digest::of(&bytes), tree))
}
