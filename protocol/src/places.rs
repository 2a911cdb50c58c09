//! Finds names in lists that are ordered by them.
//!
//! Names are keys, and keys are as good as random: where one stands follows nearly from its first bytes. Nobody
//! has to keep to that: of names that were chosen to stand elsewhere each costs no more than halving the list.

use crate::digest::first_number;
use crate::identity::NodeId;

/// A name's first eight bytes, in the order of names.
pub fn first_bytes(node: &NodeId) -> u64 {
    first_number(&node.0)
}

/// The first place in a list of `length`, ordered by the numbers that `at` gives, whose number is at least `wanted`.
pub fn first_from(length: usize, wanted: u64, at: impl Fn(usize) -> u64) -> usize {
    let guess = (u128::from(wanted) * length as u128) >> 64;
    let guess = usize::try_from(guess).unwrap_or(length);
    first_near(length, guess, 8, |place| at(place) < wanted)
}

/// The first place in a list of `length` that does not lie `before` what is wanted. It is looked for around `guess`,
/// at steps that begin with `step` and grow.
pub(crate) fn first_near(length: usize, guess: usize, step: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high, mut step) = (0, length, step);
    if guess < length && before(guess) {
        low = guess + 1;
        while low + step < length {
            if !before(low + step) {
                high = low + step;
                break;
            }
            low += step + 1;
            step *= 4;
        }
    } else {
        high = guess.min(length);
        while step < high {
            if before(high - step) {
                low = high - step + 1;
                break;
            }
            high -= step;
            step *= 4;
        }
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The place of `node` in a list of `length` that is ordered by the names that `at` gives.
pub fn place_of<'a>(length: usize, node: &NodeId, at: impl Fn(usize) -> &'a NodeId) -> Option<usize> {
    let wanted = first_bytes(node);
    let from = first_from(length, wanted, |place| first_bytes(at(place)));
    (from..length).take_while(|place| at(*place) <= node).find(|place| at(*place) == node)
}

/// The places of names in a list that has an order of its own.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The names' first bytes and their places, ordered.
    list: Vec<(u64, u32)>,
}

impl Places {
    /// The places of `nodes`, which are all different.
    pub fn of(nodes: &[NodeId]) -> Self {
        let mut list: Vec<(u64, u32)> = (0..).zip(nodes).map(|(place, n)| (first_bytes(n), place)).collect();
        list.sort_unstable();
        Self { list }
    }

    /// The place of `node` in `nodes`, the list that these places are of.
    pub fn find(&self, nodes: &[NodeId], node: &NodeId) -> Option<u32> {
        let wanted = first_bytes(node);
        let from = first_from(self.list.len(), wanted, |place| self.list[place].0);
        let alike = self.list[from..].iter().take_while(|(first, _)| *first == wanted);
        alike.map(|(_, place)| *place).find(|place| nodes.get(*place as usize) == Some(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    /// Names as keys are, names that differ late alone, names that crowd at both ends.
    fn names(count: u32, sort: u32) -> Vec<NodeId> {
        let name = |number: u32| {
            let mut bytes = Digest::of(&number.to_be_bytes()).0;
            match sort {
                1 => bytes[..9].fill(7),
                2 => bytes[..3].fill(if number.is_multiple_of(5) { 255 } else { 0 }),
                _ => {}
            }
            crate::identity::PublicKey(bytes)
        };
        (0..count).map(name).collect()
    }

    #[test]
    fn whoever_is_in_a_list_is_found_and_nobody_else_is() {
        for (count, sort) in [(0, 0), (1, 0), (2, 0), (63, 0), (5_000, 0), (300, 1), (3_000, 2)] {
            let all = names(count + count.min(50), sort);
            let (there, others) = all.split_at(count as usize);
            let places = Places::of(there);
            let mut sorted = there.to_vec();
            sorted.sort_unstable();
            for (place, node) in (0..).zip(there) {
                assert_eq!(places.find(there, node), Some(place));
                let found = place_of(sorted.len(), node, |place| &sorted[place]);
                assert_eq!(found, sorted.binary_search(node).ok());
            }
            for node in others {
                assert_eq!(places.find(there, node), None);
                assert_eq!(place_of(sorted.len(), node, |place| &sorted[place]), None);
            }
        }
    }
}
