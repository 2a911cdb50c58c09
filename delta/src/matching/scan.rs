//! Following the files along diagonals, and leaving one for a better.

use super::Region;
use super::agree::{Overlay, common};
use super::grow::grow;

/// A diagonal is left for an exact match in which it would have so many bytes wrong. Bsdiff asks for nine; as regions
/// are priced afterwards, seven gave smaller deltas of programs.
const BETTER_BYTES: usize = 7;

/// Bytes of both files that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) old: usize,
    pub(super) new: usize,
}

impl Place {
    pub(super) fn diagonal(self) -> isize {
        self.old.cast_signed() - self.new.cast_signed()
    }
}

/// An old file, searchable.
pub(super) trait Index: Sync {
    /// The length of the shortest matches that are sought.
    const SHORTEST: usize;

    /// The first start, from `from` on, of an exact match that reaches up to `end`, which is at least
    /// [`SHORTEST`](Self::SHORTEST) further. A shorter end than from `fresh` on has been sought in vain.
    fn reaching(&self, new: &[u8], from: usize, fresh: usize, end: usize) -> Option<Place>;

    /// The place in the old file that resembles best what begins at a place found.
    fn best(&self, new: &[u8], place: Place, diagonal: isize) -> Place;
}

/// Finds the regions of a part of the new file.
pub(super) fn scan(old: &[u8], new: &[u8], index: &impl Index, from: usize, end: usize) -> Vec<Region> {
    let new = &new[..end];
    let mut regions = Vec::new();
    let mut anchor = Place { old: from.min(old.len()), new: from };
    let mut at = from;
    loop {
        let next = leave(old, new, index, anchor, at);
        let (forward, backward) = grow(old, new, anchor, next);
        if forward > 0 {
            regions.push(region(anchor, forward));
        }
        let Some(next) = next else { return regions };
        at = next.new + common(&old[next.old..], &new[next.new..]);
        anchor = Place { old: next.old - backward, new: next.new - backward };
    }
}

fn region(place: Place, bytes: usize) -> Region {
    let short = |number: usize| u32::try_from(number).expect("BUG: a file of 4 GiB or more to match");
    Region { old: short(place.old), new: short(place.new), bytes: short(bytes) }
}

/// The first place from `at` on where another diagonal is clearly better than that of the anchor.
fn leave(old: &[u8], new: &[u8], index: &impl Index, anchor: Place, at: usize) -> Option<Place> {
    let diagonal = anchor.diagonal();
    let mut trail = Trail::new(Overlay { old, new, diagonal }, at);
    let (mut from, mut fresh) = (at, at);
    let mut end = trail.end(from)?.max(from + shortest(index));
    while end <= new.len() {
        match index.reaching(new, from, fresh, end) {
            None => {
                fresh = end - shortest(index) + 1;
                from = fresh;
            }
            Some(place) => {
                from = place.new;
                if trail.end(from)?.max(from + shortest(index)) == end {
                    return Some(index.best(new, place, diagonal));
                }
            }
        }
        end = trail.end(from)?.max(from + shortest(index));
    }
    None
}

fn shortest<I: Index>(_: &I) -> usize {
    I::SHORTEST
}

/// The next places where a diagonal is wrong.
struct Trail<'a> {
    overlay: Overlay<'a>,
    wrong: [usize; BETTER_BYTES],
    /// Which of them is the first.
    first: usize,
    /// How many places are known.
    known: usize,
    /// Places before this one have been looked at.
    done: usize,
}

impl<'a> Trail<'a> {
    fn new(overlay: Overlay<'a>, at: usize) -> Self {
        Self { overlay, wrong: [0; BETTER_BYTES], first: 0, known: 0, done: at }
    }

    /// Where a stretch from `at` on ends that is wrong in [`BETTER_BYTES`]. Never asked for an earlier place than before.
    fn end(&mut self, at: usize) -> Option<usize> {
        while self.known > 0 && self.wrong[self.first] < at {
            self.first = (self.first + 1) % BETTER_BYTES;
            self.known -= 1;
        }
        self.done = self.done.max(at);
        while self.known < BETTER_BYTES {
            let wrong = self.overlay.next_wrong(self.done, self.overlay.new.len())?;
            self.wrong[(self.first + self.known) % BETTER_BYTES] = wrong;
            self.known += 1;
            self.done = wrong + 1;
        }
        Some(self.done)
    }
}
