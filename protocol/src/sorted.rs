//! A sorted list in short pieces: holds many small things close together, and takes one in or lets one go without
//! moving many. A thousand nodes in one process hold the same few hundred facts each; with a tree's nodes half of
//! that memory would be room for more.

use std::cmp::Ordering;

use crate::identity::NodeId;
use crate::places::{first_bytes, first_near};

/// Entries of one piece.
const PIECE_MAX: usize = 64;
/// Entries from a guess to the next look, at first: about as far as a guess is off.
const STEP: usize = 3;
/// A piece makes room for so many more entries at once.
const ROOM: usize = 16;

/// A key with its place among all keys as a number, in the order of keys. Keys are as good as random: where one stands
/// in a piece follows nearly from its number, and whoever looks there first touches little memory.
pub(crate) trait Ranked: Ord + Copy {
    /// The number.
    fn number(&self) -> u64;
}

impl Ranked for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl Ranked for NodeId {
    fn number(&self) -> u64 {
        first_bytes(self)
    }
}

/// Some entries, at least one, with the keys of the first and of the last: who looks for another touches no more of it.
#[derive(Clone, Debug)]
struct Piece<K, V> {
    first: K,
    last: K,
    entries: Vec<(K, V)>,
}

impl<K: Copy, V> Piece<K, V> {
    /// Of no entries there is none.
    fn of(entries: Vec<(K, V)>) -> Option<Self> {
        let (first, last) = (entries.first()?.0, entries.last()?.0);
        Some(Self { first, last, entries })
    }

    /// Notes which keys are first and last. Whether there are any.
    fn note_ends(&mut self) -> bool {
        let ends = self.entries.first().zip(self.entries.last()).map(|(first, last)| (first.0, last.0));
        (self.first, self.last) = ends.unwrap_or((self.first, self.last));
        ends.is_some()
    }
}

/// Values by keys. Several may share a key: they stand in an order of their own.
#[derive(Clone, Debug)]
pub(crate) struct Sorted<K, V> {
    pieces: Vec<Piece<K, V>>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

/// Where an entry stands: its piece, and its place there.
type Place = (usize, usize);

impl<K: Ranked, V> Sorted<K, V> {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The first place whose key is at least this one; it may be the end of a piece.
    fn first_from(&self, key: K) -> Place {
        let guess = (u128::from(key.number()) * self.pieces.len() as u128) >> 64;
        let guess = usize::try_from(guess).unwrap_or(0);
        let later = first_near(self.pieces.len(), guess, STEP, |piece| self.pieces[piece].first < key);
        let piece = later.saturating_sub(1);
        let Some(Piece { first, last, entries }) = self.pieces.get(piece) else { return (piece, 0) };
        let span = last.number().saturating_sub(first.number());
        let ahead = key.number().saturating_sub(first.number());
        // Without their last bits, so that the product fits.
        let guess = (ahead >> 8) * entries.len() as u64 / ((span >> 8) + 1);
        let guess = usize::try_from(guess).unwrap_or(entries.len());
        (piece, first_near(entries.len(), guess, STEP, |place| entries[place].0 < key))
    }

    /// The entry at a place, or at the beginning of the next piece if the place is the end of one.
    fn at(&self, (piece, place): Place) -> Option<(Place, &(K, V))> {
        match self.pieces.get(piece)?.entries.get(place) {
            Some(entry) => Some(((piece, place), entry)),
            None => Some(((piece + 1, 0), self.pieces.get(piece + 1)?.entries.first()?)),
        }
    }

    /// Where the value stands that is equal in `order`, or where it belongs. `order` says how a held value of
    /// this key compares to the one that is looked for.
    fn search(&self, key: K, order: impl Fn(&V) -> Ordering) -> Result<Place, Place> {
        let mut end = self.first_from(key);
        while let Some((place, (held, value))) = self.at(end) {
            if *held != key {
                break;
            }
            match order(value) {
                Ordering::Less => end = (place.0, place.1 + 1),
                Ordering::Equal => return Ok(place),
                Ordering::Greater => return Err(place),
            }
        }
        Err(end)
    }

    /// Puts a value in the place of the one that is equal in this order, or beside the others of its key.
    pub(crate) fn put(&mut self, key: K, value: V, order: impl Fn(&V) -> Ordering) -> Option<V> {
        match self.search(key, order) {
            Ok((piece, place)) => Some(std::mem::replace(&mut self.pieces[piece].entries[place].1, value)),
            Err(place) => {
                self.insert(place, key, value);
                None
            }
        }
    }

    /// Puts a value at a place where it belongs.
    fn insert(&mut self, (piece, place): Place, key: K, value: V) {
        let Some(Piece { entries, .. }) = self.pieces.get_mut(piece) else {
            return self.pieces.extend(Piece::of(vec![(key, value)]));
        };
        if entries.len() == entries.capacity() {
            entries.reserve_exact(ROOM);
        }
        entries.insert(place, (key, value));
        let later = (entries.len() >= PIECE_MAX).then(|| {
            let later = entries.split_off(PIECE_MAX / 2);
            entries.shrink_to_fit();
            later
        });
        self.pieces[piece].note_ends();
        if let Some(later) = later.and_then(Piece::of) {
            self.pieces.insert(piece + 1, later);
        }
    }

    /// The first value of this key for which `is` is true. What puts it in order must not change.
    pub(crate) fn get_mut(&mut self, key: K, is: impl Fn(&V) -> bool) -> Option<&mut V> {
        let (piece, place) = self.first_of(key, is)?;
        Some(&mut self.pieces[piece].entries[place].1)
    }

    /// Takes out the first value of this key for which `is` is true.
    pub(crate) fn take(&mut self, key: K, is: impl Fn(&V) -> bool) -> Option<V> {
        let (piece, place) = self.first_of(key, is)?;
        Some(self.take_at(piece, place))
    }

    fn first_of(&self, key: K, is: impl Fn(&V) -> bool) -> Option<Place> {
        let mut from = self.first_from(key);
        loop {
            let ((piece, place), (held, value)) = self.at(from)?;
            if *held != key {
                return None;
            }
            if is(value) {
                return Some((piece, place));
            }
            from = (piece, place + 1);
        }
    }

    fn take_at(&mut self, piece: usize, place: usize) -> V {
        let all = &mut self.pieces[piece];
        let (_, value) = all.entries.remove(place);
        if !all.note_ends() {
            self.pieces.remove(piece);
        }
        value
    }

    /// The values of this key, in their order.
    pub(crate) fn of(&self, key: K) -> impl Iterator<Item = &V> {
        self.range(key, key)
    }

    /// The values of keys from `first` to `last`.
    pub(crate) fn range(&self, first: K, last: K) -> impl Iterator<Item = &V> {
        let (piece, place) = self.first_from(first);
        let here = self.pieces.get(piece).map_or(&[][..], |here| &here.entries[place..]);
        let later = self.pieces.get(piece + 1..).unwrap_or_default().iter().flat_map(|later| &later.entries);
        here.iter().chain(later).take_while(move |(key, _)| *key <= last).map(|(_, value)| value)
    }

    /// All, by rising key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.pieces.iter().flat_map(|piece| &piece.entries)
    }

    /// Keeps those for which `keep` is true.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        self.pieces.retain_mut(|piece| {
            piece.entries.retain(|(key, value)| keep(key, value));
            piece.note_ends()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use std::collections::BTreeMap;

    #[test]
    fn it_holds_what_a_tree_would_hold_in_the_same_order() {
        for keys in [7, 300, 100_000] {
            let mut list = Sorted::default();
            let mut tree: BTreeMap<(u64, u64), u64> = BTreeMap::new();
            for turn in 0..4_000_u64 {
                let lot = Digest::of(&turn.to_be_bytes()).0;
                let number = |at: usize| {
                    u64::from_be_bytes([0, 0, 0, 0, lot[at], lot[at + 1], lot[at + 2], lot[at + 3]])
                };
                let (key, kind) = (number(0) % keys, number(4) % 3);
                if lot[9].is_multiple_of(4) {
                    let taken = list.take(key, |(held, _)| *held == kind);
                    assert_eq!(taken, tree.remove(&(key, kind)).map(|turn| (kind, turn)));
                } else if lot[9].is_multiple_of(3) {
                    let held = list.get_mut(key, |(held, _)| *held == kind);
                    assert_eq!(held.as_deref().copied(), tree.get(&(key, kind)).map(|turn| (kind, *turn)));
                    if let (Some(held), Some(there)) = (held, tree.get_mut(&(key, kind))) {
                        (held.1, *there) = (turn, turn);
                    }
                } else {
                    let before = list.put(key, (kind, turn), |(held, _)| held.cmp(&kind));
                    assert_eq!(before, tree.insert((key, kind), turn).map(|turn| (kind, turn)));
                }
                assert_eq!(list.is_empty(), tree.is_empty());
                let (low, high) = (number(4) % keys, number(0) % keys);
                if turn.is_multiple_of(50) && low <= high {
                    let found: Vec<(u64, u64)> = list.range(low, high).copied().collect();
                    let there = tree.range((low, 0)..=(high, 9)).map(|((_, kind), turn)| (*kind, *turn));
                    assert_eq!(found, there.collect::<Vec<_>>());
                    assert_eq!(list.of(low).count(), tree.range((low, 0)..=(low, 9)).count());
                }
            }
            list.retain(|key, _| key % 2 == 0);
            tree.retain(|(key, _), _| key % 2 == 0);
            let all: Vec<_> = list.iter().map(|(key, (kind, turn))| ((*key, *kind), *turn)).collect();
            assert_eq!(all, tree.iter().map(|(key, turn)| (*key, *turn)).collect::<Vec<_>>());
            for Piece { first, last, entries } in &list.pieces {
                assert!((1..PIECE_MAX).contains(&entries.len()));
                assert_eq!((*first, *last), (entries[0].0, entries[entries.len() - 1].0));
            }
        }
    }
}
