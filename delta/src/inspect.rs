//! What is in a delta: where its bytes go, and what each part of the new file is made of.
//!
//! Two doors: [`inspect()`] for a delta between files, [`inspect_tree`] for one between trees. They give an [`Inspection`], plain figures for people; nothing here decides anything. All
//! sizes are bytes. [`Map`] says what the new file is made of, in [`MAP_PARTS`] equal parts, whatever its size.

use crate::access::{ReadAt, ReadTree};
use crate::blob;
use crate::error::{ApplyError, Reason};
use crate::patch;
use crate::tree::Tree;

/// Equal parts that a [`Map`] divides the new file into.
pub const MAP_PARTS: usize = 512;

/// How far from the end of the stretch before it, in the old file, one may begin and still follow it: what was
/// inserted or removed there moves nothing else.
pub const NEAR_BYTES: u64 = 64 << 10;

/// What a delta leads between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Two files.
    File,
    /// Two trees; how each file of the new one is made.
    Tree {
        /// Files with the bytes of an old file.
        same: u64,
        /// Files made from old ones.
        patched: u64,
        /// Files that travel whole.
        whole: u64,
    },
}

/// Everything that is known about a delta without following it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The engine that made it, for people.
    pub engine: String,
    /// Its format's number.
    pub format: u16,
    /// Files or trees.
    pub subject: Subject,
    /// Size of the delta: the packed bytes of all streams and [`framing_bytes`](Self::framing_bytes).
    pub delta_bytes: u64,
    /// Size of the old file or files, where the delta says so.
    pub old_bytes: Option<u64>,
    /// Size of the new file or files; of those that are the same too.
    pub new_bytes: u64,
    /// What is in no stream: header, digests, tables.
    pub framing_bytes: u64,
    /// Memory that whoever follows the delta needs, as it declares.
    pub apply_memory_bytes: u64,
    /// Where its bytes go, in the order of the format.
    pub streams: Vec<Stream>,
    /// The windows that it can be followed by, each by itself, in order.
    pub windows: Vec<Window>,
    /// What the new file is made of. `None` where that cannot be told without the old file.
    pub map: Option<Map>,
    /// References that were found in the new file, by kind.
    pub references: Vec<References>,
    /// Containers that were opened, by kind.
    pub containers: Vec<Containers>,
}

/// Bytes of one sort, over all windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What it holds, in a word or two: `literals`, `gaps`.
    pub name: String,
    /// Size before packing.
    pub raw_bytes: u64,
    /// Size in the delta.
    pub packed_bytes: u64,
    /// What packed it: `zstd`, `plain`. Windows that differ are named together: `zstd, plain`.
    pub method: String,
}

/// A part of the new file that is followed and verified by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its size in the new file.
    pub new_bytes: u64,
    /// Its size in the delta.
    pub packed_bytes: u64,
    /// Stretches of the old file that it is made of.
    pub regions: u64,
}

/// Fields that name a place: the target of a call, an address in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    /// What they are: `x86-64 calls`, `relocations`.
    pub kind: String,
    /// Their value was predicted, and right.
    pub predicted: u64,
    /// Their value was predicted, and is corrected by the delta.
    pub wrong: u64,
}

/// Files around other, packed files, that were unpacked to be compared and are packed again to the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containers {
    /// How they are packed: `deflate`, `xz`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What they hold, unpacked.
    pub bytes: u64,
}

/// What a byte of the new file is made of. Every byte is of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An unchanged old byte, of a stretch that begins near where the one before it ended in the old file.
    Copied,
    /// An unchanged old byte, of a stretch from elsewhere: more than [`NEAR_BYTES`] away.
    Moved,
    /// A byte of a reference that was predicted: it differs from the old byte and costs nothing.
    Predicted,
    /// An old or predicted byte that the delta corrects.
    Corrected,
    /// A byte that the delta brings.
    Literal,
}

impl Origin {
    /// All of them, from the cheapest to the dearest.
    pub const ALL: [Self; 5] = [Self::Copied, Self::Moved, Self::Predicted, Self::Corrected, Self::Literal];
}

/// One of the equal parts of the new file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapPart {
    by_origin: [u64; Origin::ALL.len()],
    /// Bytes of it that lie in an opened container, whatever their origin.
    pub opened: u64,
}

impl MapPart {
    /// Its bytes of this origin.
    #[must_use]
    pub fn of(&self, origin: Origin) -> u64 {
        self.by_origin.get(origin as usize).copied().unwrap_or(0)
    }

    /// All its bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.by_origin.iter().sum()
    }
}

/// What the new file is made of, by offset, in at most [`MAP_PARTS`] equal parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    new_bytes: u64,
    filled: u64,
    parts: Vec<MapPart>,
}

impl Map {
    /// The map of a new file of this size, of which nothing is known yet.
    #[must_use]
    pub fn new(new_bytes: u64) -> Self {
        let parts = usize::try_from(new_bytes).map_or(MAP_PARTS, |bytes| bytes.min(MAP_PARTS));
        Self { new_bytes, filled: 0, parts: vec![MapPart::default(); parts] }
    }

    /// Says what the file's next bytes are made of. Bytes beyond its end are left out.
    pub fn add(&mut self, origin: Origin, bytes: u64) {
        let from = self.filled;
        self.filled = from.saturating_add(bytes).min(self.new_bytes);
        self.spread(from, self.filled, |part, bytes| {
            if let Some(of_origin) = part.by_origin.get_mut(origin as usize) {
                *of_origin += bytes;
            }
        });
    }

    /// Says that a container was opened here. Bytes beyond the file's end are left out.
    pub fn open(&mut self, offset: u64, bytes: u64) {
        let to = offset.saturating_add(bytes).min(self.new_bytes);
        self.spread(offset, to, |part, bytes| part.opened += bytes);
    }

    /// How many of its bytes are known.
    pub(crate) fn filled(&self) -> u64 {
        self.filled
    }

    /// The parts, by offset.
    #[must_use]
    pub fn parts(&self) -> &[MapPart] {
        &self.parts
    }

    /// Where a part begins in the new file; where the last ends, for the number of parts.
    #[must_use]
    pub fn offset(&self, part: usize) -> u64 {
        let offset = u128::from(self.new_bytes) * part as u128 / self.parts.len().max(1) as u128;
        u64::try_from(offset).unwrap_or(u64::MAX)
    }

    /// Bytes of this origin in the whole file.
    #[must_use]
    pub fn of(&self, origin: Origin) -> u64 {
        self.parts.iter().map(|part| part.of(origin)).sum()
    }

    /// Bytes in opened containers in the whole file.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.parts.iter().map(|part| part.opened).sum()
    }

    /// Hands each part its share of the bytes from `from` to `to`.
    fn spread(&mut self, from: u64, to: u64, mut hand: impl FnMut(&mut MapPart, u64)) {
        let mut at = from;
        let mut number = self.part_at(from);
        while at < to {
            let end = self.offset(number + 1).min(to);
            let Some(part) = self.parts.get_mut(number) else { return };
            hand(part, end.saturating_sub(at));
            at = end;
            number += 1;
        }
    }

    /// The part that holds a byte.
    fn part_at(&self, offset: u64) -> usize {
        let parts = self.parts.len();
        let guess = u128::from(offset) * parts as u128 / u128::from(self.new_bytes.max(1));
        let mut part = usize::try_from(guess).unwrap_or(parts);
        // The guess is rounded down, and so is where a part begins.
        while part < parts && self.offset(part + 1) <= offset {
            part += 1;
        }
        part
    }
}

/// Looks at a delta between two files. Takes some MiB of memory, and the time to unpack the delta.
///
/// With the old file, references are told from other bytes, and the delta is followed to count them. Nothing is verified
/// but the delta's form: digests are for whoever applies it.
///
/// # Errors
/// When the bytes are no delta, or are malformed.
pub fn inspect(delta: &dyn ReadAt, old: Option<&dyn ReadAt>) -> Result<Inspection, ApplyError> {
    Ok(patch::inspect(delta, old)?)
}

/// Looks at a delta between two trees, and follows it to count references, as [`inspect()`] does. It can be read with the
/// old tree only.
///
/// # Errors
/// When the bytes are no delta, lead from another tree, or are malformed.
pub fn inspect_tree(
    delta: &dyn ReadAt,
    old: &Tree,
    old_files: &impl ReadTree,
) -> Result<Inspection, ApplyError> {
    blob::inspect(delta, old, old_files)
}

impl Inspection {
    /// Bytes that the streams take in the delta.
    #[must_use]
    pub fn packed_bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.packed_bytes).sum()
    }

    /// What the streams and the framing come to must be the delta: whoever fills this checks itself with it.
    ///
    /// # Errors
    /// When a byte of the delta is in no stream, or in two.
    pub(crate) fn balanced(self) -> Result<Self, Reason> {
        if self.packed_bytes().checked_add(self.framing_bytes) == Some(self.delta_bytes) {
            Ok(self)
        } else {
            Err(Reason::Malformed("its parts do not add up to its size"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use proptest::prelude::*;

    fn origin() -> impl Strategy<Value = Origin> {
        proptest::sample::select(Origin::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn a_map_holds_every_byte_once(
            runs in proptest::collection::vec((origin(), 0_u64..5_000), 0..60),
        ) {
            let total = runs.iter().map(|(_, bytes)| bytes).sum();
            let mut map = Map::new(total);
            for (origin, bytes) in &runs {
                map.add(*origin, *bytes);
            }
            for (number, part) in map.parts().iter().enumerate() {
                prop_assert_eq!(part.bytes(), map.offset(number + 1) - map.offset(number));
            }
            for origin in Origin::ALL {
                let expected: u64 = runs.iter().filter(|(of, _)| *of == origin).map(|(_, bytes)| bytes).sum();
                prop_assert_eq!(map.of(origin), expected);
            }
        }

        #[test]
        fn any_size_and_any_place_are_taken(size: u64, offset: u64, bytes: u64) {
            let mut map = Map::new(size);
            map.open(offset, bytes);
            map.add(Origin::Literal, bytes);
            map.add(Origin::Copied, u64::MAX);
            prop_assert!(map.opened() <= bytes.min(size));
            prop_assert_eq!(map.of(Origin::Literal), bytes.min(size));
            prop_assert_eq!(map.parts().iter().map(MapPart::bytes).sum::<u64>(), size);
        }
    }

    #[test]
    fn a_delta_is_told_by_what_it_does() {
        let noise: Vec<u8> =
            (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut new = noise[100_000..].to_vec();
        new.extend_from_slice(&noise[..100_000]);
        new[100] ^= 1;
        let brought: Vec<u8> = (0..3_000_u32).map(|n| n.wrapping_mul(n).to_le_bytes()[1]).collect();
        new.extend_from_slice(&brought);
        let mut delta = Vec::new();
        crate::diff(&noise, &new, &Options::default(), &mut |_| {}, &mut delta).unwrap();
        let found = inspect(&delta, None).unwrap();
        assert_eq!((found.old_bytes, found.new_bytes), (Some(160_000), 163_000));
        assert_eq!(found.delta_bytes, delta.len() as u64);
        let map = found.map.unwrap();
        assert!((1..=20).contains(&map.of(Origin::Corrected)), "{}", map.of(Origin::Corrected));
        assert!(map.of(Origin::Moved) >= 159_000 && map.of(Origin::Literal) >= 2_900);
    }

    #[test]
    fn what_is_no_delta_is_refused() {
        let mut delta = Vec::new();
        crate::diff(
            &&b"one two three"[..],
            &&b"one two four"[..],
            &Options::default(),
            &mut |_| {},
            &mut delta,
        )
        .unwrap();
        for end in 0..delta.len() {
            assert!(inspect(&delta[..end].to_vec(), None).is_err(), "{end}");
        }
        assert!(inspect(&vec![0xff; 1000], None).is_err());
    }
}
