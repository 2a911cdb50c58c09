use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_entry_has_a_target_and_seeds() {
    let entries: BTreeSet<String> = ENTRIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(&fuzz().join("targets")), entries);
    assert_eq!(names_in(&fuzz().join("seeds")), entries);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in entries {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} is not built");
        assert!(!seeds(&name).is_empty(), "{name} has no seeds");
    }
}

#[test]
fn no_stored_seed_breaks_a_law() {
    for (name, entry) in ENTRIES {
        for seed in fs::read_dir(fuzz().join("seeds").join(name)).unwrap() {
            let path = seed.unwrap().path();
            println!("{}", path.display());
            entry(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn nothing_at_all_breaks_no_law() {
    for (_, entry) in ENTRIES {
        entry(&[]);
    }
}
