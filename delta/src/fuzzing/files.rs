//! Patches of files.

use super::pairs::pair;
use super::script::{applied, edit, patch, sample, take, take_part};
use crate::Effort;

/// The patch between any two files makes the second.
///
/// # Panics
/// When it does not.
pub fn round_trip(mut data: &[u8]) {
    let effort = effort(take(&mut data));
    let old = take_part(&mut data);
    check(old, data, effort);
}

/// So does the patch between versions of the samples in which anything may be wrong.
///
/// # Panics
/// When it does not.
pub fn round_trip_edited(mut data: &[u8]) {
    let sample = sample(take(&mut data));
    let effort = effort(take(&mut data));
    let (mut old, mut new) = (sample.pair.old.clone(), sample.pair.new.clone());
    edit(&mut old, take_part(&mut data));
    edit(&mut new, data);
    check(&old, &new, effort);
}

/// So does the patch between two versions as updates have them, of any kind.
///
/// # Panics
/// When it does not.
pub fn round_trip_pair(mut data: &[u8]) {
    let effort = effort(take(&mut data));
    let pair = pair(data);
    check(&pair.old, &pair.new, effort);
}

fn check(old: &[u8], new: &[u8], effort: Effort) {
    let patch = patch(old, new, effort);
    let made = applied(old, &patch).expect("a patch makes its new file");
    assert_eq!(made, new, "a patch made another file");
}

fn effort(choice: u8) -> Effort {
    if choice.is_multiple_of(2) { Effort::Fast } else { Effort::Best }
}

/// A patch that was changed makes its new file or none. So it does from another old file.
///
/// # Panics
/// When it makes another one.
pub fn changed_patch(mut data: &[u8]) {
    let which = take(&mut data);
    let old = &sample(which.wrapping_add(take(&mut data))).pair.old;
    let sample = sample(which);
    let mut changed = sample.patch.clone();
    edit(&mut changed, data);
    let _ = crate::inspect::inspect(&changed, Some(old));
    if let Some(made) = applied(old, &changed) {
        assert_eq!(made, sample.pair.new, "a changed patch made another file");
    }
}
