//! Which stretches of the new file resemble which stretches of the old one.
//!
//! The matching of bsdiff (Percival, "Naive differences of executable code", 2003): exact matches that are clearly
//! better than going on as before start a new stretch, and stretches grow in both directions as long as more
//! than half of the bytes agree. One thing is added: where going on as before is nearly as good as a very long match,
//! the search moves on by half of the match and not by a byte, without which long runs take quadratic time.

use super::suffix::{Found, Suffixes};

/// A match must agree in this many bytes more than the stretch before it would, carried on (as in bsdiff).
const BETTER_BYTES: isize = 8;
/// From this length on, a match that is not better is passed in steps of half its length.
const LONG_BYTES: usize = 512;

/// A stretch of the new file that resembles one of the old file, though not in every byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) old: usize,
    pub(super) new: usize,
    pub(super) bytes: usize,
}

/// Finds them: in the new file's order, without overlap there, none empty.
pub(super) fn matches(old: &[u8], new: &[u8]) -> Vec<Match> {
    let suffixes = Suffixes::new(old);
    let files = Files { old, new };
    let mut stretches = Vec::new();
    // Where the stretch in work is anchored.
    let mut anchor = Anchor::default();
    let mut at = 0;
    loop {
        let (next, skip) = next_anchor(&files, &suffixes, anchor, at);
        let (forward, backward) = files.grow(anchor, next);
        if forward > 0 {
            stretches.push(Match { old: anchor.old, new: anchor.new, bytes: forward });
        }
        if next.new == new.len() {
            return stretches;
        }
        at = next.new + skip;
        anchor = Anchor { old: next.old - backward, new: next.new - backward };
    }
}

/// A place in both files that belongs together.
#[derive(Clone, Copy, Debug, Default)]
struct Anchor {
    old: usize,
    new: usize,
}

/// The next place from `at` on where another alignment is clearly better, with the length of its exact match; at the
/// end of the new file, that.
fn next_anchor(files: &Files<'_>, suffixes: &Suffixes<'_>, anchor: Anchor, mut at: usize) -> (Anchor, usize) {
    // How many bytes of new[at..counted] agree with the stretch in work, carried on.
    let mut score = 0_isize;
    let mut counted = at;
    while at < files.new.len() {
        let found = suffixes.longest(&files.new[at..]);
        let end = at + found.bytes;
        if counted < end {
            score += files.agreeing(anchor, counted, end);
            counted = end;
        }
        let bytes = found.bytes.cast_signed();
        if bytes > score + BETTER_BYTES {
            return (anchor_of(found, at), found.bytes);
        }
        let step = if found.bytes > 0 && bytes == score {
            found.bytes
        } else if found.bytes >= LONG_BYTES {
            found.bytes / 2
        } else {
            1
        };
        score -= files.agreeing(anchor, at, at + step);
        at += step;
    }
    let end = Anchor { old: 0, new: files.new.len() };
    (end, 0)
}

fn anchor_of(found: Found, at: usize) -> Anchor {
    Anchor { old: found.at, new: at }
}

struct Files<'a> {
    old: &'a [u8],
    new: &'a [u8],
}

impl Files<'_> {
    /// How many bytes of a part of the new file, at or after the anchor, agree with the old file in its alignment.
    fn agreeing(&self, anchor: Anchor, from: usize, to: usize) -> isize {
        let old_at = anchor.old + (from - anchor.new);
        let old = self.old.get(old_at..).unwrap_or_default();
        let new = &self.new[from..to];
        let agreeing = old.iter().zip(new).filter(|(old, new)| old == new).count();
        agreeing.cast_signed()
    }

    /// How far the stretch at the anchor goes on, and how far the one at the next anchor reaches back, without overlap.
    fn grow(&self, anchor: Anchor, next: Anchor) -> (usize, usize) {
        let between = &self.new[anchor.new..next.new];
        let forward = growth(self.old[anchor.old..].iter().zip(between));
        let backward = growth(self.old[..next.old].iter().rev().zip(between.iter().rev()));
        let overlap = (forward + backward).saturating_sub(between.len());
        if overlap == 0 {
            return (forward, backward);
        }
        let begin = between.len() - backward;
        let disputed = &between[begin..begin + overlap];
        let ours = &self.old[anchor.old + begin..];
        let theirs = &self.old[next.old - backward..];
        let kept = border(disputed, ours, theirs);
        (forward - overlap + kept, backward - kept)
    }
}

/// The length at which the agreeing bytes most outnumber the others.
fn growth<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut best, mut best_length) = (0_isize, 0, 0);
    for (length, (old, new)) in (1..).zip(pairs) {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, best_length) = (score, length);
        }
    }
    best_length
}

/// How much of disputed bytes goes to the first of two old stretches, for most bytes to agree.
fn border(disputed: &[u8], first: &[u8], second: &[u8]) -> usize {
    let (mut score, mut best, mut best_length) = (0_isize, 0, 0);
    for (length, ((new, first), second)) in (1..).zip(disputed.iter().zip(first).zip(second)) {
        score += isize::from(new == first) - isize::from(new == second);
        if score > best {
            (best, best_length) = (score, length);
        }
    }
    best_length
}
