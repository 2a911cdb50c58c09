//! The regions of a window as four streams: how long each is, how much new comes before it, how it follows from those
//! before it, and how far the alignment moves where it follows from none. Each kind packs better in its own company.
//!
//! A region usually goes on where an earlier one ended in the old file (something was inserted between), or in an earlier
//! one's alignment (something was replaced), after an excursion or two. A *turn* says which, counted back.

use crate::error::Reason;
use crate::matching::Region;
use crate::numbers;

/// How many regions back a turn may point.
const TURNS_BACK: usize = 8;
/// The turn of a region that follows from none before it.
const AWAY: u8 = 16;
const _: () = assert!(AWAY as usize == 2 * TURNS_BACK);

/// The four streams, unpacked.
#[derive(Default)]
pub(super) struct Control {
    pub(super) lengths: Vec<u8>,
    pub(super) gaps: Vec<u8>,
    pub(super) turns: Vec<u8>,
    pub(super) shifts: Vec<u8>,
}

/// The latest regions, and where in the old file one after them would begin.
struct Recent {
    regions: [Region; TURNS_BACK],
}

impl Recent {
    fn new() -> Self {
        Self { regions: [Region { old: 0, new: 0, bytes: 0 }; TURNS_BACK] }
    }

    /// Where a region that begins at `new` is in the old file, by each turn.
    fn places(&self, new: i64) -> impl Iterator<Item = i64> + '_ {
        self.regions.iter().flat_map(move |region| {
            let alignment = i64::from(region.old) - i64::from(region.new);
            let end = i64::from(region.old) + i64::from(region.bytes);
            [new + alignment, end]
        })
    }

    fn push(&mut self, region: Region) {
        self.regions.rotate_right(1);
        self.regions[0] = region;
    }
}

impl Control {
    /// The regions are in the new file's order and do not overlap there.
    pub(super) fn encode(regions: &[Region]) -> Self {
        let mut control = Self::default();
        let mut recent = Recent::new();
        let mut done = 0;
        for region in regions {
            numbers::put(&mut control.lengths, u64::from(region.bytes));
            numbers::put(&mut control.gaps, u64::from(region.new - done));
            let old = i64::from(region.old);
            let new = i64::from(region.new);
            match (0..AWAY).zip(recent.places(new)).find(|(_, place)| *place == old) {
                Some((turn, _)) => control.turns.push(turn),
                None => {
                    control.turns.push(AWAY);
                    let straight = recent.places(new).next().unwrap_or_default();
                    numbers::put_signed(&mut control.shifts, old - straight);
                }
            }
            done = region.new + region.bytes;
            recent.push(*region);
        }
        control
    }

    /// Reads so many regions, each of which must lie within the windows.
    pub(super) fn decode(&self, count: usize, old_bytes: u32, new_bytes: u32) -> Result<Vec<Region>, Reason> {
        const OUTSIDE: Reason = Reason::Malformed("a region lies outside its window");
        let (mut lengths, mut gaps, mut shifts) = (&self.lengths[..], &self.gaps[..], &self.shifts[..]);
        let mut turns = self.turns.iter();
        // Every region takes at least a byte of each stream: the count is no larger than what was read.
        let mut regions = Vec::with_capacity(count.min(lengths.len()));
        let mut recent = Recent::new();
        let mut done = 0_u64;
        for _ in 0..count {
            let bytes = numbers::take(&mut lengths)?;
            let new = done.checked_add(numbers::take(&mut gaps)?).ok_or(OUTSIDE)?;
            let turn = *turns.next().ok_or(Reason::Malformed("there are fewer turns than regions"))?;
            let mut places = recent.places(i64::try_from(new).map_err(|_| OUTSIDE)?);
            let old = if turn == AWAY {
                let straight = places.next().unwrap_or_default();
                straight.checked_add(numbers::take_signed(&mut shifts)?)
            } else {
                places.nth(usize::from(turn))
            };
            drop(places);
            let old = old.and_then(|old| u64::try_from(old).ok()).ok_or(OUTSIDE)?;
            let fits =
                |at: u64, window: u32| at.checked_add(bytes).is_some_and(|end| end <= u64::from(window));
            if bytes == 0 || !fits(new, new_bytes) || !fits(old, old_bytes) {
                return Err(OUTSIDE);
            }
            done = new + bytes;
            let short = |number: u64| u32::try_from(number).map_err(|_| OUTSIDE);
            let region = Region { old: short(old)?, new: short(new)?, bytes: short(bytes)? };
            recent.push(region);
            regions.push(region);
        }
        if !(lengths.is_empty() && gaps.is_empty() && turns.len() == 0 && shifts.is_empty()) {
            return Err(Reason::Malformed("there are more numbers than regions"));
        }
        Ok(regions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD_BYTES: u32 = 5000;
    const NEW_BYTES: u32 = 100_000;

    fn regions() -> impl Strategy<Value = Vec<Region>> {
        let region = (0_u32..500, 0..OLD_BYTES, 1_u32..200);
        proptest::collection::vec(region, 0..100).prop_map(|parts| {
            let mut done = 0;
            let regions = parts.into_iter().map(|(gap, old, bytes)| {
                let region = Region { old, new: done + gap, bytes: bytes.min(OLD_BYTES - old) };
                done = region.new + region.bytes;
                region
            });
            regions.collect()
        })
    }

    proptest! {
        #[test]
        fn regions_read_back_as_written(regions in regions()) {
            let control = Control::encode(&regions);
            prop_assert_eq!(control.decode(regions.len(), OLD_BYTES, NEW_BYTES).unwrap(), regions);
        }

        #[test]
        fn what_is_read_lies_within_the_windows(
            lengths in proptest::collection::vec(any::<u8>(), 0..40),
            gaps in proptest::collection::vec(any::<u8>(), 0..40),
            turns in proptest::collection::vec(0..=AWAY + 1, 0..40),
            shifts in proptest::collection::vec(any::<u8>(), 0..40),
            count in 0_usize..40,
        ) {
            let control = Control { lengths, gaps, turns, shifts };
            if let Ok(regions) = control.decode(count, OLD_BYTES, NEW_BYTES) {
                let mut done = 0;
                for region in regions {
                    prop_assert!(region.new >= done && region.bytes > 0);
                    done = region.new + region.bytes;
                    prop_assert!(done <= NEW_BYTES && region.old + region.bytes <= OLD_BYTES);
                }
            }
        }
    }
}
