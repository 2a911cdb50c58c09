//! The cheapest way to a tree, in bytes, within a bound on work.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use blake3::Hash;

/// Ways looked at before the search ends with the best found: far more than a fleet's few versions have.
const WAYS_MAX: usize = 1 << 16;

/// A delta that could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The tree that it begins at.
    pub from: Hash,
    /// The tree that it leads to.
    pub to: Hash,
    /// Bytes to be fetched for it: none if it is here.
    pub bytes: u64,
    /// The work of following it, in any unit that can be added: say, milliseconds or bytes made.
    pub cost: u64,
}

/// What a route may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// Most work, in the unit of [`Offer::cost`].
    pub cost: u64,
    /// Most deltas in turn.
    pub steps: usize,
}

/// How to come to a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is here.
    Here,
    /// By deltas, one after another.
    Deltas {
        /// The tree to begin with, which is here.
        from: Hash,
        /// Places in the list of offers.
        offers: Vec<usize>,
    },
    /// From its chunks.
    Chunks,
}

/// A way and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The way.
    pub way: Way,
    /// Bytes to be fetched.
    pub bytes: u64,
    /// Work.
    pub cost: u64,
}

/// A way under consideration, ordered by what is better: fewer bytes, less work, fewer deltas, earlier offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    bytes: u64,
    cost: u64,
    steps: usize,
    offers: Vec<usize>,
    from: [u8; 32],
    at: [u8; 32],
}

/// The way that takes fewest bytes, among equals the one with least work, then with fewest deltas, then with the offers
/// named first. `chunks` is how many bytes of its chunks are missing, if they can be had: they serve where no
/// way of deltas takes fewer bytes. `None` if there is no way.
#[must_use]
pub fn cheapest(
    have: &[Hash],
    want: &Hash,
    offers: &[Offer],
    chunks: Option<u64>,
    limits: RouteLimits,
) -> Option<Route> {
    if have.contains(want) {
        return Some(Route { way: Way::Here, bytes: 0, cost: 0 });
    }
    let deltas = by_deltas(have, want, offers, limits).map(|label| Route {
        way: Way::Deltas { from: Hash::from_bytes(label.from), offers: label.offers },
        bytes: label.bytes,
        cost: label.cost,
    });
    let chunks = chunks.map(|bytes| Route { way: Way::Chunks, bytes, cost: 0 });
    match (deltas, chunks) {
        (Some(deltas), Some(chunks)) if chunks.bytes <= deltas.bytes => Some(chunks),
        (deltas, chunks) => deltas.or(chunks),
    }
}

/// Looks at ways in the order of their worth. One that comes to a tree with no less work and no fewer deltas than a better
/// one did can lead to nothing better.
fn by_deltas(have: &[Hash], want: &Hash, offers: &[Offer], limits: RouteLimits) -> Option<Label> {
    let mut leaving = BTreeMap::<[u8; 32], Vec<usize>>::new();
    for (place, offer) in offers.iter().enumerate() {
        leaving.entry(*offer.from.as_bytes()).or_default().push(place);
    }
    let begin = have
        .iter()
        .map(|tree| *tree.as_bytes())
        .map(|tree| Reverse(Label { bytes: 0, cost: 0, steps: 0, offers: Vec::new(), from: tree, at: tree }));
    let mut open: BinaryHeap<_> = begin.collect();
    let mut seen = BTreeMap::<[u8; 32], Vec<(u64, usize)>>::new();
    for _ in 0..WAYS_MAX {
        let Reverse(label) = open.pop()?;
        if label.at == *want.as_bytes() {
            return Some(label);
        }
        let seen = seen.entry(label.at).or_default();
        if seen.iter().any(|(cost, steps)| *cost <= label.cost && *steps <= label.steps) {
            continue;
        }
        seen.push((label.cost, label.steps));
        let next = leaving.get(&label.at).into_iter().flatten();
        let next = next.filter_map(|place| Some(label.follow(*place, offers.get(*place)?)));
        open.extend(next.filter(|next| next.cost <= limits.cost && next.steps <= limits.steps).map(Reverse));
    }
    None
}

impl Label {
    fn follow(&self, place: usize, offer: &Offer) -> Self {
        let mut offers = self.offers.clone();
        offers.push(place);
        Self {
            bytes: self.bytes.saturating_add(offer.bytes),
            cost: self.cost.saturating_add(offer.cost),
            steps: self.steps + 1,
            offers,
            from: self.from,
            at: *offer.to.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(number: u8) -> Hash {
        Hash::from_bytes([number; 32])
    }

    fn offer(from: u8, to: u8, bytes: u64, cost: u64) -> Offer {
        Offer { from: tree(from), to: tree(to), bytes, cost }
    }

    const LIMITS: RouteLimits = RouteLimits { cost: 1000, steps: 8 };

    fn way(have: &[u8], want: u8, offers: &[Offer], chunks: Option<u64>, limits: RouteLimits) -> Option<Way> {
        let have: Vec<Hash> = have.iter().copied().map(tree).collect();
        cheapest(&have, &tree(want), offers, chunks, limits).map(|route| route.way)
    }

    fn deltas(from: u8, offers: &[usize]) -> Option<Way> {
        Some(Way::Deltas { from: tree(from), offers: offers.to_vec() })
    }

    #[test]
    fn the_way_with_fewest_bytes_is_chosen() {
        let offers = [offer(1, 2, 10, 5), offer(2, 3, 10, 5), offer(1, 3, 30, 5)];
        assert_eq!(way(&[1], 3, &offers, None, LIMITS), deltas(1, &[0, 1]));
        assert_eq!(way(&[1, 2], 3, &offers, None, LIMITS), deltas(2, &[1]));
        assert_eq!(way(&[1, 3], 3, &offers, None, LIMITS), Some(Way::Here));
        assert_eq!(way(&[1], 3, &offers, Some(20), LIMITS), Some(Way::Chunks));
        assert_eq!(way(&[1], 3, &offers, Some(21), LIMITS), deltas(1, &[0, 1]));
        assert_eq!(way(&[4], 3, &offers, None, LIMITS), None);
        assert_eq!(way(&[4], 3, &offers, Some(9000), LIMITS), Some(Way::Chunks));
    }

    #[test]
    fn a_bound_on_work_or_steps_makes_a_dearer_way_the_best() {
        let offers = [offer(1, 2, 10, 600), offer(2, 3, 10, 600), offer(1, 3, 30, 5), offer(1, 2, 15, 1)];
        assert_eq!(way(&[1], 3, &offers, None, LIMITS), deltas(1, &[3, 1]));
        let short = RouteLimits { steps: 1, ..LIMITS };
        assert_eq!(way(&[1], 3, &offers, None, short), deltas(1, &[2]));
        let little = RouteLimits { cost: 4, ..LIMITS };
        assert_eq!(way(&[1], 3, &offers, None, little), None);
    }

    #[test]
    fn ties_are_decided_by_work_then_steps_then_order() {
        let offers = [offer(1, 2, 10, 5), offer(2, 3, 10, 5), offer(1, 3, 20, 9), offer(1, 3, 20, 9)];
        assert_eq!(way(&[1], 3, &offers, None, LIMITS), deltas(1, &[2]));
        let offers = [offer(1, 2, 10, 5), offer(2, 3, 10, 5), offer(1, 3, 20, 10)];
        assert_eq!(way(&[1], 3, &offers, None, LIMITS), deltas(1, &[2]));
    }

    /// The best by trying all ways.
    fn all_ways(
        have: &[Hash],
        want: &Hash,
        offers: &[Offer],
        limits: RouteLimits,
    ) -> Option<(u64, u64, usize)> {
        let mut best = have.contains(want).then_some((0, 0, 0));
        let mut open: Vec<_> = have.iter().map(|tree| (*tree, 0, 0, 0)).collect();
        while let Some((at, bytes, cost, steps)) = open.pop() {
            for offer in offers.iter().filter(|offer| offer.from == at) {
                let next = (bytes + offer.bytes, cost + offer.cost, steps + 1);
                if next.1 > limits.cost || next.2 > limits.steps {
                    continue;
                }
                if offer.to == *want {
                    best = Some(best.map_or(next, |best| best.min(next)));
                }
                open.push((offer.to, next.0, next.1, next.2));
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_other_way_is_better(
            offers in proptest::collection::vec((0_u8..6, 0_u8..6, 0_u64..9, 0_u64..9), 0..9),
            cost in 0_u64..30, steps in 0_usize..5,
        ) {
            let offers: Vec<Offer> = offers.into_iter().map(|(f, t, b, c)| offer(f, t, b, c)).collect();
            let limits = RouteLimits { cost, steps };
            let found = cheapest(&[tree(0)], &tree(5), &offers, None, limits);
            let steps = |way: &Way| if let Way::Deltas { offers, .. } = way { offers.len() } else { 0 };
            let found = found.map(|route| (route.bytes, route.cost, steps(&route.way)));
            prop_assert_eq!(found, all_ways(&[tree(0)], &tree(5), &offers, limits));
        }
    }
}
