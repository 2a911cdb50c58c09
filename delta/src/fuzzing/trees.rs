//! Deltas between trees.

use std::sync::OnceLock;

use super::pairs::KINDS;
use super::script::{edit, sample, take, take_part};
use crate::memory::Memory;
use crate::numbers;
use crate::{Limits, Options, ScratchMemory, Tree, apply_tree, diff_trees, scan, verify};

/// Two trees and the delta between.
struct Release {
    old: Memory,
    old_tree: Tree,
    new: Memory,
    new_tree: Tree,
    delta: Vec<u8>,
}

const RELEASES: usize = 4;

fn release(which: u8) -> &'static Release {
    static SAMPLES: [OnceLock<Release>; RELEASES] = [const { OnceLock::new() }; RELEASES];
    let which = usize::from(which) % RELEASES;
    SAMPLES[which].get_or_init(|| make(which))
}

/// A release of a few of the samples: changed, as they were, moved, gone and new.
fn make(which: usize) -> Release {
    let (mut old, mut new) = (Memory::default(), Memory::default());
    for part in 0..5 {
        let number = (which * KINDS.len() + part * 2) % 256;
        let pair = &sample(u8::try_from(number).unwrap_or_default()).pair;
        old = old.with(&format!("lib/{part}"), pair.old.clone());
        new = match part {
            0 | 1 => new.with(&format!("lib/{part}"), pair.new.clone()),
            2 => new.with("moved/2", pair.new.clone()),
            3 => new.with("moved/3", pair.old.clone()).with_link("lib/3", "../moved/3"),
            _ => new.with("fresh", pair.new.get(..300).unwrap_or_default()).with("empty", ""),
        };
    }
    let (old_tree, new_tree) = (scan(&old).expect("memory"), scan(&new).expect("memory"));
    let mut delta = Vec::new();
    let options = Options::default();
    diff_trees(&old_tree, &old, &new_tree, &new, &options, &mut delta, &mut |_| {}).expect("memory");
    Release { old, old_tree, new, new_tree, delta }
}

impl Release {
    /// What is finished is right, whatever the delta is; all of it if it succeeds.
    fn check(&self, delta: &Vec<u8>) {
        let mut made = Memory::default();
        let expected = self.new_tree.digest();
        let (old, limits) = (&self.old_tree, Limits::default());
        let done = apply_tree(old, &self.old, delta, &expected, &mut made, &ScratchMemory, &limits);
        for (path, thing) in &made.things {
            assert_eq!(self.new.things.get(path), Some(thing), "a wrong file was finished");
        }
        if done.is_ok() {
            verify(&self.new_tree, &made).expect("what a delta made is its new tree");
        }
    }
}

/// A delta that was changed makes its new tree or an error, and no wrong file.
///
/// # Panics
/// When it makes one.
pub fn changed_delta(mut data: &[u8]) {
    let release = release(take(&mut data));
    let mut delta = release.delta.clone();
    // Half of all places are counted from the end, where the plan is.
    if take(&mut data).is_multiple_of(2) {
        edit(&mut delta, data);
    } else {
        delta.reverse();
        edit(&mut delta, data);
        delta.reverse();
    }
    release.check(&delta);
}

/// A delta whose ends are right, with any plan and any bodies.
///
/// # Panics
/// When it makes a wrong file.
pub fn delta_parts(mut data: &[u8]) {
    /// As in `blob/mod.rs`.
    const HEADER_BYTES: usize = 6 + 2 + 32 + 32;
    const TRAILER_BYTES: usize = 4 * 4;
    let release = release(take(&mut data));
    let Some((front, trailer)) = release.delta.split_last_chunk::<TRAILER_BYTES>() else { return };
    let size = |at: usize| {
        let bytes: [u8; 4] = std::array::from_fn(|byte| trailer[4 * at + byte]);
        u32::from_le_bytes(bytes) as usize
    };
    let (index_bytes, packed_bytes) = (size(1), size(3));
    let index_end = front.len() - packed_bytes;
    let plan = take_part(&mut data);
    // A body that is whole, of a stream that is stored.
    let mut packed = vec![0, 0];
    numbers::put(&mut packed, plan.len() as u64);
    packed.extend_from_slice(plan);
    let mut delta = front[..HEADER_BYTES].to_vec();
    delta.extend_from_slice(data);
    delta.extend_from_slice(&front[index_end - index_bytes..index_end]);
    delta.extend_from_slice(&packed);
    delta.extend_from_slice(&trailer[..8]);
    for part in [plan, &packed[..]] {
        delta.extend(u32::try_from(part.len()).unwrap_or_default().to_le_bytes());
    }
    release.check(&delta);
}
