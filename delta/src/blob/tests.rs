use crate::memory::Memory;
use crate::{Limits, Tree, apply_tree, diff_trees, scan, verify};

pub(super) fn make(old: &Memory, new: &Memory) -> (Tree, Tree, Vec<u8>) {
    let (old_tree, new_tree) = (scan(old).unwrap(), scan(new).unwrap());
    let mut delta = Vec::new();
    let summary = diff_trees(&old_tree, old, &new_tree, new, &mut delta, &mut |_| {}).unwrap();
    assert_eq!(summary.bytes, delta.len() as u64);
    (old_tree, new_tree, delta)
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn a_delta_leads_from_the_old_tree_to_the_new() {
    let binary = noise(1, 300_000);
    let mut edited = binary.clone();
    edited.splice(1000..1000, noise(2, 50));
    edited[200_000] ^= 1;
    let old = Memory::default()
        .with("bin/tool-1.2", binary.clone())
        .with("lib/same", noise(3, 5000))
        .with("gone", "x");
    let new = Memory::default()
        .with("bin/tool-1.3", edited)
        .with("lib/moved", noise(3, 5000))
        .with("text", "hello")
        .with("empty", "")
        .with_link("bin/tool", "tool-1.3");
    let (old_tree, new_tree, delta) = make(&old, &new);
    assert!(delta.len() < 1500, "{} bytes", delta.len());
    let mut made = Memory::default();
    let tree =
        apply_tree(&old_tree, &old, &delta[..], &new_tree.digest(), &mut made, &Limits::default()).unwrap();
    assert_eq!(tree, new_tree);
    assert_eq!(made.things, new.things);
    verify(&tree, &made).unwrap();
}
