//! Groups: the parts of a piece that are verified and passed on before the piece is whole.
//!
//! A group is a subtree of BLAKE3's tree within its piece, so the chaining values of all groups of a piece merge to
//! the piece's own value, which the outline has. Whoever has those values checks each group by itself, whoever sent it.
//! Bao and its kin do the same with proofs along the way; four values a piece are fewer bytes than four proofs.

use std::collections::BTreeMap;

use blake3::hazmat::ChainingValue;
use wincode::{SchemaRead, SchemaWrite};

use super::outline::{Outline, PIECE_BYTES, piece_range, subtree_value};
use super::upload::Serve;
use super::wire::Answer;

/// Bytes of every group but the last: a power of two times BLAKE3's chunk, as small as a message is worth.
pub const GROUP_BYTES: u32 = 16 * 1024;

/// Groups of a piece, at most.
pub const GROUPS_MAX: u8 = 4;

/// Pieces of which some groups are kept although nobody is asked for the rest, at most: 4 MiB.
const PARTS_MAX: usize = 64;

const _: () = assert!(PIECE_BYTES == GROUP_BYTES * GROUPS_MAX as u32);

/// Some of the groups of one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct GroupSet(u8);

impl GroupSet {
    /// No group.
    pub const NONE: Self = Self(0);

    /// All groups of a piece of `bytes`.
    pub fn all(bytes: u32) -> Self {
        Self((1 << group_count(bytes)) - 1)
    }

    /// From bits, group 0 being the lowest; `None` if there is one of a group that no piece has.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits < 1 << GROUPS_MAX).then_some(Self(bits))
    }

    /// The bits, group 0 being the lowest.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether `group` is one of them.
    pub fn contains(self, group: u8) -> bool {
        group < GROUPS_MAX && self.0 & (1 << group) != 0
    }

    /// These and that one; itself for a number that no group has.
    #[must_use]
    pub fn with(self, group: u8) -> Self {
        if group < GROUPS_MAX { Self(self.0 | 1 << group) } else { self }
    }

    /// These and the others.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These but the others.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Their numbers, rising.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..GROUPS_MAX).filter(move |group| self.contains(*group))
    }

    /// Their bytes, of a piece of `bytes`.
    pub fn bytes(self, bytes: u32) -> u32 {
        self.iter().filter_map(|group| group_range(bytes, group)).map(|(_, length)| length).sum()
    }
}

/// A piece of which some is here and not all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Begun {
    /// The piece.
    pub piece: u32,
    /// What of it, at least one group.
    pub here: GroupSet,
}

impl Begun {
    /// Whether it is of a group at least, and of none that no piece has.
    pub(super) fn is_within_bounds(self) -> bool {
        GroupSet::from_bits(self.here.bits()).is_some_and(|here| !here.is_empty())
    }
}

/// What of a piece goes to who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// These groups, of which there is one at least.
    pub groups: GroupSet,
    /// With these the asker has the whole piece; else it hears that there is no more for it now.
    pub completes: bool,
    /// The asker has some of it already, and so the values of all of its groups.
    pub begun: bool,
}

impl Share {
    /// Of a piece of `bytes` of which `here` is here and `there` is with the asker; `None` if that is nothing.
    pub fn of(here: GroupSet, there: GroupSet, bytes: u32) -> Option<Self> {
        let groups = here.without(there);
        let completes = groups.union(there) == GroupSet::all(bytes);
        (!groups.is_empty()).then_some(Self { groups, completes, begun: !there.is_empty() })
    }
}

/// How many groups a piece of `bytes` has: 1 to [`GROUPS_MAX`].
pub fn group_count(bytes: u32) -> u8 {
    let groups = bytes.min(PIECE_BYTES).div_ceil(GROUP_BYTES).max(1);
    u8::try_from(groups).unwrap_or(GROUPS_MAX)
}

/// Where `group` begins within a piece of `bytes`, and its length; `None` if the piece has no such group.
pub fn group_range(bytes: u32, group: u8) -> Option<(u32, u32)> {
    let from = u32::from(group) * GROUP_BYTES;
    let in_piece = group < group_count(bytes);
    in_piece.then(|| (from, bytes.saturating_sub(from).min(GROUP_BYTES)))
}

/// The values of all groups of a piece that begins at `offset` of its blob.
pub fn group_values(offset: u64, piece: &[u8]) -> Vec<ChainingValue> {
    let groups = piece.chunks(GROUP_BYTES as usize).zip((offset..).step_by(GROUP_BYTES as usize));
    groups.map(|(group, at)| subtree_value(at, group)).collect()
}

/// What goes out for a granted request: the piece, or its groups that were asked for. `data` is all of the piece, as long
/// as those groups are right; `values` makes the values of all of its groups.
pub fn answers(
    serve: &Serve,
    data: Vec<u8>,
    values: impl FnOnce(&[u8]) -> Vec<ChainingValue>,
) -> Vec<Answer> {
    let (blob, piece) = serve.piece;
    let bytes = u32::try_from(data.len()).unwrap_or(PIECE_BYTES);
    if serve.share.groups == GroupSet::all(bytes) && !serve.apart {
        return vec![Answer::Piece { blob, piece, data }];
    }
    let mut values = if serve.share.begun { Vec::new() } else { values(&data) };
    let mut answers: Vec<Answer> = Vec::with_capacity(usize::from(GROUPS_MAX) + 1);
    for group in serve.share.groups.iter() {
        let Some((from, length)) = group_range(bytes, group) else { continue };
        let Some(data) = data.get(from as usize..(from + length) as usize) else { continue };
        let values = std::mem::take(&mut values);
        answers.push(Answer::Group { blob, piece, group, values, data: data.to_vec() });
    }
    if !serve.share.completes {
        answers.push(Answer::NoMore { blob, piece });
    }
    answers
}

/// Some groups of one piece, verified.
pub(super) struct Part {
    offset: u64,
    values: Vec<ChainingValue>,
    here: GroupSet,
    data: Vec<u8>,
}

/// What a group that came is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// New, and kept.
    New,
    /// Here already.
    Known,
    /// Not what the outline says: its sender is to blame.
    Wrong,
    /// Of a piece whose values are not here: nobody can say.
    Unknown,
}

/// The pieces of one blob of which some groups are here.
#[derive(Default)]
pub(super) struct Parts(BTreeMap<u32, Part>);

impl Parts {
    /// Which groups of `piece` are here.
    pub(super) fn here(&self, piece: u32) -> GroupSet {
        self.0.get(&piece).map_or(GroupSet::NONE, |part| part.here)
    }

    /// The groups of `piece` that are here, with its values, or nothing.
    pub(super) fn get(&self, piece: u32) -> Option<&Part> {
        self.0.get(&piece)
    }

    /// Their numbers, rising.
    pub(super) fn pieces(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// How many pieces there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the values of a piece's groups from anybody, if they are those of the outline. Where there are some already
    /// they must be the same. `is_wanted`: whether a piece is asked for; others make room. False if they are wrong.
    pub(super) fn take_values(
        &mut self,
        outline: &Outline,
        piece: u32,
        values: Vec<ChainingValue>,
        is_wanted: impl Fn(u32) -> bool,
    ) -> bool {
        if let Some(part) = self.0.get(&piece) {
            return part.values == values;
        }
        let Some((offset, length)) = piece_range(outline.bytes(), piece) else { return false };
        if !outline.verify_groups(piece, &values) {
            return false;
        }
        if self.0.len() >= PARTS_MAX {
            let unwanted = self.0.keys().copied().find(|other| !is_wanted(*other));
            if let Some(unwanted) = unwanted {
                self.0.remove(&unwanted);
            } else if !is_wanted(piece) {
                return true;
            }
        }
        let data = vec![0; length as usize];
        self.0.insert(piece, Part { offset, values, here: GroupSet::NONE, data });
        true
    }

    /// Takes one group.
    pub(super) fn take(&mut self, piece: u32, group: u8, data: &[u8]) -> Arrived {
        let Some(part) = self.0.get_mut(&piece) else { return Arrived::Unknown };
        let Some(value) = part.values.get(usize::from(group)) else { return Arrived::Wrong };
        let range = u32::try_from(part.data.len()).ok().and_then(|bytes| group_range(bytes, group));
        let Some((from, length)) = range.filter(|(_, length)| *length as usize == data.len()) else {
            return Arrived::Wrong;
        };
        if part.here.contains(group) {
            return Arrived::Known;
        }
        if subtree_value(part.offset + u64::from(from), data) != *value {
            return Arrived::Wrong;
        }
        let Some(place) = part.data.get_mut(from as usize..(from + length) as usize) else {
            return Arrived::Wrong;
        };
        place.copy_from_slice(data);
        part.here = part.here.with(group);
        Arrived::New
    }

    /// The whole piece, if all of its groups are here: it is no part any more.
    pub(super) fn take_whole(&mut self, piece: u32) -> Option<Vec<u8>> {
        let is_whole = |part: &Part| u32::try_from(part.data.len()).map(GroupSet::all) == Ok(part.here);
        self.0.get(&piece).is_some_and(is_whole).then(|| self.0.remove(&piece))?.map(|part| part.data)
    }

    /// The piece came otherwise. How many bytes of it were here.
    pub(super) fn remove(&mut self, piece: u32) -> u64 {
        let part = self.0.remove(&piece);
        part.map_or(0, |part| u64::from(part.here.bytes(u32::try_from(part.data.len()).unwrap_or(0))))
    }
}

impl Part {
    /// The values of all groups.
    pub(super) fn values(&self) -> &[ChainingValue] {
        &self.values
    }

    /// The whole piece's bytes, of which those of other groups than [`Parts::here`] are zero.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(bytes: usize) -> Vec<u8> {
        let mut content = vec![0; bytes];
        blake3::Hasher::new().update(&bytes.to_le_bytes()).finalize_xof().fill(&mut content);
        content
    }

    #[test]
    fn sets_count_their_groups_and_bytes() {
        let bytes = 2 * GROUP_BYTES + 7;
        let all = GroupSet::all(bytes);
        assert_eq!((all.bits(), all.count(), all.bytes(bytes)), (7, 3, bytes));
        assert_eq!(all.without(GroupSet::NONE.with(1)).iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(all.without(all), GroupSet::NONE);
        assert_eq!(GroupSet::NONE.with(9), GroupSet::NONE);
        assert_eq!([15, 16].map(GroupSet::from_bits), [Some(GroupSet::all(PIECE_BYTES)), None]);
        assert_eq!([0, 1, GROUP_BYTES, GROUP_BYTES + 1, PIECE_BYTES].map(group_count), [1, 1, 1, 2, 4]);
        assert_eq!(group_range(bytes, 2), Some((2 * GROUP_BYTES, 7)));
        assert_eq!(group_range(bytes, 3), None);
    }

    #[test]
    fn parts_that_nobody_is_asked_for_make_room() {
        let bytes = 200 * PIECE_BYTES as usize;
        let content = content(bytes);
        let outline = Outline::of(&content).unwrap();
        let mut parts = Parts::default();
        let values = |piece: usize| {
            let from = piece * PIECE_BYTES as usize;
            group_values(from as u64, &content[from..from + PIECE_BYTES as usize])
        };
        for piece in 0..150_u32 {
            assert!(parts.take_values(&outline, piece, values(piece as usize), |other| other >= 100));
            assert!(parts.count() <= PARTS_MAX);
        }
        assert!((100..150).all(|piece| parts.get(piece).is_some()));
        (0..100).for_each(|piece| {
            parts.remove(piece);
        });
        (150..200).for_each(|piece| {
            parts.take_values(&outline, piece, values(piece as usize), |_| true);
        });
        assert!(parts.take_values(&outline, 0, values(0), |other| other > 0) && parts.get(0).is_none());
        assert_eq!(parts.take(0, 0, &content[..GROUP_BYTES as usize]), Arrived::Unknown);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn pieces_come_group_by_group_in_any_order_and_no_other_bytes_pass(
            bytes in GROUP_BYTES as usize + 1..200_000, order in Just([0_u8, 1, 2, 3]).prop_shuffle(), wrong in 0_u8..4,
        ) {
            let content = content(bytes);
            let outline = Outline::of(&content).unwrap();
            for (piece, data) in content.chunks(PIECE_BYTES as usize).enumerate() {
                let mut parts = Parts::default();
                let offset = (piece * PIECE_BYTES as usize) as u64;
                let piece = u32::try_from(piece).unwrap();
                let length = u32::try_from(data.len()).unwrap();
                let values = group_values(offset, data);
                let mut lie = values.clone();
                lie[0][3] ^= 1;
                prop_assert!(!parts.take_values(&outline, piece, lie.clone(), |_| true));
                prop_assert!(!parts.take_values(&outline, piece, values[1..].to_vec(), |_| true));
                prop_assert!(parts.take_values(&outline, piece, values.clone(), |_| true));
                prop_assert!(!parts.take_values(&outline, piece, lie, |_| true), "other than what is here");
                for group in order {
                    let Some((from, length)) = group_range(length, group) else {
                        prop_assert_eq!(parts.take(piece, group, &[]), Arrived::Wrong);
                        continue;
                    };
                    let mut group_data = data[from as usize..(from + length) as usize].to_vec();
                    if group == wrong {
                        group_data[0] ^= 1;
                        prop_assert_eq!(parts.take(piece, group, &group_data), Arrived::Wrong);
                        group_data[0] ^= 1;
                    }
                    prop_assert!(parts.take_whole(piece).is_none());
                    prop_assert_eq!(parts.take(piece, group, &group_data), Arrived::New);
                    prop_assert_eq!(parts.take(piece, group, &group_data), Arrived::Known);
                    prop_assert!(parts.here(piece).contains(group));
                }
                prop_assert_eq!(parts.take_whole(piece), Some(data.to_vec()));
                prop_assert_eq!(parts.here(piece), GroupSet::NONE);
            }
        }
    }
}
