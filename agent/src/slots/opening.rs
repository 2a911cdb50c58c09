//! Opening a component: what a crash left over is swept, what is complete is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use groundswell_delta::scan;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::trust::names::ComponentName;

use super::component::{Component, Shared, State, read_tree};
use super::disk;
use super::error::SlotError;
use super::files::Directory;
use super::inventory::Inventory;
use super::layout::{Found, Layout, Link, judge, short};

/// What is in the directory of slots.
#[derive(Debug, Default)]
struct Contents {
    slots: BTreeSet<String>,
    indexes: BTreeSet<String>,
    leftovers: Vec<PathBuf>,
}

/// Opens a component in its directory, making what is not there.
pub(super) fn open(name: &ComponentName, directory: PathBuf) -> Result<Component, SlotError> {
    let layout = Layout::new(directory);
    for path in [&layout.directory, &layout.slots] {
        disk::ensure_directory(path).map_err(SlotError::disk("make", path))?;
    }
    let mut contents = list(&layout).map_err(SlotError::disk("list", &layout.slots))?;
    contents.leftovers.extend(Link::ALL.map(|link| layout.new_link(link)));
    let orphans = contents.indexes.difference(&contents.slots);
    contents.leftovers.extend(orphans.map(|short| layout.index(short)));
    sweep(&contents.leftovers);

    let linked: BTreeSet<String> = Link::ALL.into_iter().filter_map(|link| layout.read_link(link)).collect();
    let component = Component(Arc::new(Shared {
        name: name.clone(),
        layout,
        state: Mutex::default(),
        staging: Mutex::default(),
    }));
    let complete = find_complete(&component, &contents.slots, &linked);
    *component.lock() = State { complete, in_use: None };
    Ok(component)
}

fn list(layout: &Layout) -> io::Result<Contents> {
    let mut contents = Contents::default();
    for entry in fs::read_dir(&layout.slots)? {
        let entry = entry?;
        match judge(&entry.file_name().to_string_lossy()) {
            Found::Slot(short) => _ = contents.slots.insert(short),
            Found::Index(short) => _ = contents.indexes.insert(short),
            Found::Leftover => contents.leftovers.push(entry.path()),
            Found::Foreign => {}
        }
    }
    Ok(contents)
}

/// Removes leftovers. One that resists costs room and nothing else, so that it must not keep the component from starting.
fn sweep(leftovers: &[PathBuf]) {
    for path in leftovers {
        if let Err(error) = disk::remove(path) {
            tracing::warn!(path = %path.display(), %error, "A leftover of an interrupted change could not be removed.");
        }
    }
}

/// Reads the indexes. A slot without a right one was interrupted and goes; but never one that a link points to.
fn find_complete(
    component: &Component,
    slots: &BTreeSet<String>,
    linked: &BTreeSet<String>,
) -> BTreeMap<String, Arc<Inventory>> {
    let mut complete = BTreeMap::new();
    for short in slots {
        let found = match take_stock(&component.0.layout, short) {
            Err(error) if linked.contains(short) => {
                tracing::warn!(component = %component.name(), slot = short, %error, "The index of a slot in use is damaged; its files are read instead.");
                restore_index(&component.0.layout, short)
            }
            found => found,
        };
        match found {
            Ok(inventory) => _ = complete.insert(short.clone(), Arc::new(inventory)),
            Err(error) => {
                let is_linked = linked.contains(short);
                tracing::warn!(component = %component.name(), slot = short, %error, kept = is_linked, "A slot is not complete and will not be used.");
                if !is_linked && let Ok(trash) = component.discard(short) {
                    sweep(&[trash]);
                }
            }
        }
    }
    complete
}

fn take_stock(layout: &Layout, slot: &str) -> io::Result<Inventory> {
    let (digest, tree) = read_tree(&layout.index(slot))?;
    if short(&digest) != slot {
        return Err(io::Error::other("its index is of another version"));
    }
    if !layout.slot(slot).symlink_metadata()?.is_dir() {
        return Err(io::Error::other("it is no directory"));
    }
    Ok(Inventory::new(&tree, digest, layout.slot(slot)))
}

/// Makes a slot's index of its files: if they are unchanged, it has the digest that the slot is named after.
fn restore_index(layout: &Layout, slot: &str) -> io::Result<Inventory> {
    let tree = scan(&Directory::open(&layout.slot(slot))?).map_err(io::Error::other)?;
    let encoding = tree.encode();
    let digest = Digest::of(&encoding);
    if short(&digest) != slot {
        return Err(io::Error::other("its files were changed, too"));
    }
    disk::write_whole(&layout.index(slot), &layout.staging_index(slot), &encoding)?;
    Ok(Inventory::new(&tree, digest, layout.slot(slot)))
}
