//! The merged state: one register per key, the greater value stays.
//!
//! Merging is commutative, associative and idempotent: a register's value is the maximum, by (rank,
//! body), of all facts ever put into it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;

use super::fact::Fact;
use super::key::Key;
use super::statements::RolloutId;
use crate::digest::Digest;
use crate::identity::NodeId;

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The register rose.
    Rose,
    /// The very same fact was there.
    Same,
    /// A greater one was there.
    Older,
}

/// Where a fact stands in a list: a number, and what decides between equal ones. Nearly always the number
/// decides, and no fact needs to be looked at.
trait Place {
    fn number(&self) -> u64;
    fn rest(&self) -> Rest<'_>;
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rest<'a> {
    Key(&'a Key),
    Id(&'a Digest),
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for dyn Place + '_ {}
impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number()).then_with(|| self.rest().cmp(&other.rest()))
    }
}

/// Lets a list of facts be searched by places.
macro_rules! placed {
    ($name:ident) => {
        impl<'a> Borrow<dyn Place + 'a> for $name {
            fn borrow(&self) -> &(dyn Place + 'a) {
                self
            }
        }
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.number().cmp(&other.number()).then_with(|| self.rest().cmp(&other.rest()))
            }
        }
    };
}

/// A fact that is found by its register's key.
#[derive(Clone, Debug)]
struct Held {
    mark: u64,
    fact: Arc<Fact>,
}

impl Place for Held {
    fn number(&self) -> u64 {
        self.mark
    }
    fn rest(&self) -> Rest<'_> {
        Rest::Key(&self.fact.key)
    }
}
placed!(Held);

/// A key that is looked for.
struct Sought<'a>(u64, &'a Key);

impl Place for Sought<'_> {
    fn number(&self) -> u64 {
        self.0
    }
    fn rest(&self) -> Rest<'_> {
        Rest::Key(self.1)
    }
}

/// A fact that is found by its short key and id.
#[derive(Clone, Debug)]
struct Short {
    short: u64,
    fact: Arc<Fact>,
}

impl Place for Short {
    fn number(&self) -> u64 {
        self.short
    }
    fn rest(&self) -> Rest<'_> {
        Rest::Id(&self.fact.id)
    }
}
placed!(Short);

/// An end of a range of short keys.
struct End(u64, Digest);

impl Place for End {
    fn number(&self) -> u64 {
        self.0
    }
    fn rest(&self) -> Rest<'_> {
        Rest::Id(&self.1)
    }
}

/// A number that stands for a key: its sort in the first four bits, then the version of what is numbered,
/// or some of the first bits of the names in it, which are keys and digests.
fn mark(key: &Key) -> u64 {
    let first = |bytes: &[u8; 32]| {
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        u64::from_be_bytes(first)
    };
    let both = |rollout: &RolloutId, node: &NodeId| first(&rollout.0.0).rotate_left(17) ^ first(&node.0);
    let (sort, number) = match key {
        Key::Policy(version, _) => (0, u64::from(*version) << 4),
        Key::Census(version, _) => (1, u64::from(*version) << 4),
        Key::Manifest(_, _, rollout) => (2, first(&rollout.0.0)),
        Key::Command(rollout, _) => (3, first(&rollout.0.0)),
        Key::Ballot(rollout, juror, _) => (4, both(rollout, juror)),
        Key::Propose(rollout, leader) => (5, both(rollout, leader)),
        Key::Vote(rollout, node) => (VOTES, both(rollout, node)),
        Key::Beacon(node) => (BEACONS, first(&node.0)),
    };
    sort << 60 | number >> 4
}

/// The sorts of keys that are walked through.
const VOTES: u64 = 6;
const BEACONS: u64 = 7;

/// All registers of a node. Iteration follows the keys' sorts, and within a sort an order that is the same
/// on all nodes.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    facts: BTreeSet<Held>,
    /// All but beacons, by short key and id: what syncs compare.
    by_short: BTreeSet<Short>,
    /// Rollouts whose votes syncs do not carry either.
    hushed: BTreeSet<RolloutId>,
    digest: [u8; 32],
}

impl Registers {
    /// Puts `fact` into its register.
    pub fn merge(&mut self, fact: Arc<Fact>) -> Merged {
        let mark = mark(&fact.key);
        if let Some(Held { fact: held, .. }) = self.find(mark, &fact.key) {
            if held.id == fact.id {
                return Merged::Same;
            }
            if (held.rank, &held.signed.body) > (fact.rank, &fact.signed.body) {
                return Merged::Older;
            }
            let held = Arc::clone(held);
            self.toggle(&held);
        }
        self.toggle(&fact);
        self.facts.replace(Held { mark, fact });
        Merged::Rose
    }

    /// How `fact` would merge, without doing it: for refusing before a signature is verified.
    pub fn compare(&self, fact: &Fact) -> Merged {
        match self.get(&fact.key) {
            Some(held) if held.id == fact.id => Merged::Same,
            Some(held) if (held.rank, &held.signed.body) > (fact.rank, &fact.signed.body) => Merged::Older,
            _ => Merged::Rose,
        }
    }

    /// The fact in a register.
    pub fn get(&self, key: &Key) -> Option<&Arc<Fact>> {
        self.find(mark(key), key).map(|held| &held.fact)
    }

    /// Forgets a register.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Fact>> {
        let sought: &dyn Place = &Sought(mark(key), key);
        let fact = self.facts.take(sought)?.fact;
        self.toggle(&fact);
        Some(fact)
    }

    fn find(&self, mark: u64, key: &Key) -> Option<&Held> {
        let sought: &dyn Place = &Sought(mark, key);
        self.facts.get(sought)
    }

    fn of_sort(&self, sort: u64) -> impl Iterator<Item = &Arc<Fact>> {
        // No key has these numbers: what has the lowest name of all may stand on either side of it.
        let lowest = Key::Policy(0, Digest([0; 32]));
        let from: &dyn Place = &Sought(sort << 60, &lowest);
        self.facts.range::<dyn Place, _>((Bound::Included(from), Bound::Unbounded)).map(|held| &held.fact)
    }

    /// The votes of a rollout, by node.
    pub fn votes(&self, rollout: RolloutId) -> Vec<&Arc<Fact>> {
        let of = |fact: &&Arc<Fact>| matches!(&fact.key, Key::Vote(id, _) if *id == rollout);
        let mut votes: Vec<_> = self.of_sort(VOTES).filter(of).collect();
        votes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        votes
    }

    /// The beacons.
    pub fn beacons(&self) -> impl Iterator<Item = &Arc<Fact>> {
        self.of_sort(BEACONS)
    }

    /// All registers.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Fact>)> {
        self.facts.iter().map(|held| (&held.fact.key, &held.fact))
    }

    /// How many registers there are.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Digest of all facts but beacons, which never rest. Equal exactly when the facts are: it is the
    /// exclusive or of the facts' ids, hashed apart, so that a change costs one step and not a walk.
    ///
    /// A member could search for facts that cancel each other here; what it wins is that one sync is
    /// skipped, with one peer, until anything changes.
    pub fn digest(&self) -> Digest {
        Digest(self.digest)
    }

    /// The facts but beacons whose registers' short keys lie in a range, by short key. Two registers
    /// that share a short key stand side by side.
    pub fn by_short(&self, keys: RangeInclusive<u64>) -> impl Iterator<Item = &Arc<Fact>> {
        let (first, last) = (End(*keys.start(), Digest([0; 32])), End(*keys.end(), Digest([255; 32])));
        let ends: (Bound<&dyn Place>, Bound<&dyn Place>) = (Bound::Included(&first), Bound::Included(&last));
        self.by_short.range::<dyn Place, _>(ends).map(|short| &short.fact)
    }

    /// From now on syncs do not carry this rollout's votes. None may be here yet.
    pub fn hush(&mut self, rollout: RolloutId) {
        self.hushed.insert(rollout);
    }

    /// The rollout's votes are gone.
    pub fn unhush(&mut self, rollout: RolloutId) {
        self.hushed.remove(&rollout);
    }

    /// Adds a fact to the digest and the index, or takes it out again.
    fn toggle(&mut self, fact: &Arc<Fact>) {
        match &fact.key {
            Key::Beacon(_) => return,
            Key::Vote(rollout, _) if self.hushed.contains(rollout) => return,
            _ => {}
        }
        let short = Short { short: fact.short, fact: Arc::clone(fact) };
        if !self.by_short.remove(&short) {
            self.by_short.insert(short);
        }
        let mixed = Digest::of_parts("groundswell 2026 state", &[&fact.id.0]);
        for (have, change) in self.digest.iter_mut().zip(mixed.0) {
            *have ^= change;
        }
    }
}
