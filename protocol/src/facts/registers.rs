//! The merged state: one register per key, the greater value stays.
//!
//! Merging is commutative, associative and idempotent: a register's value is the maximum, by (rank,
//! body), of all facts ever put into it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::fact::Fact;
use super::key::Key;
use super::relayed::Relayed;
use super::statements::RolloutId;
use crate::digest::{Digest, first_number};
use crate::identity::NodeId;
use crate::sorted::Sorted;

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

/// One register.
#[derive(Clone, Debug)]
struct Register {
    fact: Arc<Fact>,
    relayed: Relayed,
}

/// A number that stands for a key: some of the first bits of the names in it, which are keys and digests, then which of
/// several registers it is, and in the last four bits its sort. So numbers are as good as random, and what one juror says
/// stands together.
fn mark(key: &Key, hushed: &[RolloutId]) -> u64 {
    let both = |rollout: &RolloutId, node: &NodeId| {
        first_number(&rollout.0.0).rotate_left(17) ^ first_number(&node.0)
    };
    let (names, which, sort) = match key {
        Key::Policy(_, id) => (first_number(&id.0), 0, 0),
        Key::Census(_, id) => (first_number(&id.0), 0, 1),
        Key::Manifest(_, _, rollout) => (first_number(&rollout.0.0), 0, 2),
        Key::Command(rollout, kind) => (first_number(&rollout.0.0), *kind as u64, 3),
        Key::Ballot(rollout, juror, kind) => (both(rollout, juror), *kind as u64, 4),
        Key::Propose(rollout, leader) => (both(rollout, leader), 0, 5),
        Key::Vote(rollout, node) => (both(rollout, node), 0, votes_of(*rollout, hushed)),
        Key::Beacon(node) => (first_number(&node.0), 0, BEACONS),
    };
    names & !0x3f | which << SORT_BITS | sort
}

const SORT_BITS: u32 = 4;

/// The sort in a number.
fn sort_of(mark: u64) -> u64 {
    mark & ((1 << SORT_BITS) - 1)
}

/// The sorts of keys that are walked through. Syncs carry those before beacons.
const VOTES: u64 = 6;
const BEACONS: u64 = 7;
const HUSHED_VOTES: u64 = 8;

fn votes_of(rollout: RolloutId, hushed: &[RolloutId]) -> u64 {
    if hushed.contains(&rollout) { HUSHED_VOTES } else { VOTES }
}

/// All registers of a node. Iteration follows the names in keys, so its order is the same on all nodes.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    all: Sorted<u64, Register>,
    /// Rollouts whose votes syncs do not carry either.
    hushed: Vec<RolloutId>,
    digest: [u8; 32],
    /// How many there are.
    count: usize,
}

impl Registers {
    /// Puts `fact` into its register.
    pub fn merge(&mut self, fact: &Arc<Fact>) -> Merged {
        let mark = self.mark(&fact.key);
        let held = self.all.get_mut(mark, |held| held.fact.key == fact.key).map(|held| &mut held.fact);
        let before = match held {
            Some(held) if held.id == fact.id => return Merged::Same,
            Some(held) if (held.rank, &held.signed.body) > (fact.rank, &fact.signed.body) => {
                return Merged::Older;
            }
            Some(held) => Some(std::mem::replace(held, Arc::clone(fact))),
            None => {
                let register = Register { fact: Arc::clone(fact), relayed: Relayed::default() };
                self.all.put(mark, register, |held| held.fact.key.cmp(&fact.key));
                self.count += 1;
                None
            }
        };
        self.note(before.as_ref(), Some(fact));
        Merged::Rose
    }

    /// How `fact` would merge, without doing it: for refusing before a signature is verified.
    pub fn compare(&self, fact: &Fact) -> Merged {
        // Where many nodes share a process they share what they read: most that comes again is the very same.
        let is_same = |held: &Arc<Fact>| std::ptr::eq(&**held, fact);
        let mut held = self.all.of(self.mark(&fact.key)).map(|held| &held.fact);
        match held.find(|held| is_same(held) || held.key == fact.key) {
            Some(held) if is_same(held) => Merged::Same,
            Some(held) if held.rank < fact.rank => Merged::Rose,
            Some(held) if held.id == fact.id => Merged::Same,
            Some(held) if (held.rank, &held.signed.body) > (fact.rank, &fact.signed.body) => Merged::Older,
            _ => Merged::Rose,
        }
    }

    /// The fact in a register.
    pub fn get(&self, key: &Key) -> Option<&Arc<Fact>> {
        self.all.of(self.mark(key)).map(|held| &held.fact).find(|fact| fact.key == *key)
    }

    /// How often changes of a register were passed on lately.
    pub fn relayed_mut(&mut self, key: &Key) -> Option<&mut Relayed> {
        let register = self.all.get_mut(self.mark(key), |held| held.fact.key == *key)?;
        Some(&mut register.relayed)
    }

    /// Forgets a register.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Fact>> {
        let Register { fact, .. } = self.all.take(self.mark(key), |held| held.fact.key == *key)?;
        self.count -= 1;
        self.note(Some(&fact), None);
        Some(fact)
    }

    fn mark(&self, key: &Key) -> u64 {
        mark(key, &self.hushed)
    }

    fn of_sorts(&self, sorts: RangeInclusive<u64>) -> impl Iterator<Item = &Arc<Fact>> {
        self.all.iter().filter(move |(mark, _)| sorts.contains(&sort_of(*mark))).map(|(_, held)| &held.fact)
    }

    /// The votes of a rollout, by node.
    pub fn votes(&self, rollout: RolloutId) -> Vec<&Arc<Fact>> {
        let of = |fact: &&Arc<Fact>| matches!(&fact.key, Key::Vote(id, _) if *id == rollout);
        let sort = votes_of(rollout, &self.hushed);
        let mut votes: Vec<_> = self.of_sorts(sort..=sort).filter(of).collect();
        votes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        votes
    }

    /// The beacons.
    pub fn beacons(&self) -> impl Iterator<Item = &Arc<Fact>> {
        self.of_sorts(BEACONS..=BEACONS)
    }

    /// All registers.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Fact>)> {
        self.all.iter().map(|(_, held)| (&held.fact.key, &held.fact))
    }

    /// How many registers there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Digest of all facts but beacons, which never rest. Equal exactly when the facts are: it is the
    /// exclusive or of the facts' ids, hashed apart, so that a change costs one step and not a walk.
    ///
    /// A member could search for facts that cancel each other here; what it wins is that one sync is
    /// skipped, with one peer, until anything changes.
    pub fn digest(&self) -> Digest {
        Digest(self.digest)
    }

    /// What syncs carry: all but beacons and hushed votes.
    pub fn synced(&self) -> impl Iterator<Item = &Arc<Fact>> {
        self.of_sorts(0..=BEACONS - 1)
    }

    /// From now on syncs do not carry this rollout's votes.
    pub fn hush(&mut self, rollout: RolloutId) {
        if !self.hushed.contains(&rollout) {
            let here = self.take_votes(rollout);
            self.hushed.reserve_exact(1);
            self.hushed.push(rollout);
            here.iter().for_each(|vote| _ = self.merge(vote));
        }
    }

    /// From now on syncs carry them again.
    pub fn unhush(&mut self, rollout: RolloutId) {
        let here = self.take_votes(rollout);
        self.hushed.retain(|hushed| *hushed != rollout);
        here.iter().for_each(|vote| _ = self.merge(vote));
    }

    /// Those of a hushed rollout stand elsewhere.
    fn take_votes(&mut self, rollout: RolloutId) -> Vec<Arc<Fact>> {
        let keys: Vec<Key> = self.votes(rollout).into_iter().map(|fact| fact.key.clone()).collect();
        keys.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Notes in the digest what a register held and what it holds.
    fn note(&mut self, before: Option<&Arc<Fact>>, after: Option<&Arc<Fact>>) {
        let sort = before.or(after).map_or(BEACONS, |fact| sort_of(self.mark(&fact.key)));
        if sort >= BEACONS {
            return;
        }
        for fact in before.into_iter().chain(after) {
            for (have, change) in self.digest.iter_mut().zip(fact.mixed.0) {
                *have ^= change;
            }
        }
    }
}
