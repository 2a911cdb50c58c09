//! The merged state: one register per key, the greater value stays.
//!
//! Merging is commutative, associative and idempotent: a register's value is the maximum, by (rank,
//! body), of all facts ever put into it.

use std::collections::BTreeMap;
use std::ops::{RangeBounds, RangeInclusive};
use std::sync::Arc;

use super::fact::Fact;
use super::key::Key;
use crate::digest::Digest;

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

/// All registers of a node. Iteration follows the keys' order.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    facts: BTreeMap<Key, Arc<Fact>>,
    /// All but beacons, by short key and id: what syncs compare.
    by_short: BTreeMap<(u64, Digest), Arc<Fact>>,
    digest: [u8; 32],
}

impl Registers {
    /// Puts `fact` into its register.
    pub fn merge(&mut self, fact: Arc<Fact>) -> Merged {
        if let Some(held) = self.facts.get(&fact.key) {
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
        self.facts.insert(fact.key.clone(), fact);
        Merged::Rose
    }

    /// How `fact` would merge, without doing it: for refusing before a signature is verified.
    pub fn compare(&self, fact: &Fact) -> Merged {
        match self.facts.get(&fact.key) {
            Some(held) if held.id == fact.id => Merged::Same,
            Some(held) if (held.rank, &held.signed.body) > (fact.rank, &fact.signed.body) => Merged::Older,
            _ => Merged::Rose,
        }
    }

    /// The fact in a register.
    pub fn get(&self, key: &Key) -> Option<&Arc<Fact>> {
        self.facts.get(key)
    }

    /// Forgets a register.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Fact>> {
        let fact = self.facts.remove(key)?;
        self.toggle(&fact);
        Some(fact)
    }

    /// The registers in a range of keys.
    pub fn range(&self, keys: impl RangeBounds<Key>) -> impl Iterator<Item = (&Key, &Arc<Fact>)> {
        self.facts.range(keys)
    }

    /// All registers.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Fact>)> {
        self.facts.iter()
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
        let ends = (*keys.start(), Digest([0; 32]))..=(*keys.end(), Digest([255; 32]));
        self.by_short.range(ends).map(|(_, fact)| fact)
    }

    /// Adds a fact to the digest and the index, or takes it out again.
    fn toggle(&mut self, fact: &Arc<Fact>) {
        if matches!(fact.key, Key::Beacon(_)) {
            return;
        }
        let place = (fact.short, fact.id);
        if self.by_short.remove(&place).is_none() {
            self.by_short.insert(place, Arc::clone(fact));
        }
        let mixed = Digest::of_parts("groundswell 2026 state", &[&fact.id.0]);
        for (have, change) in self.digest.iter_mut().zip(mixed.0) {
            *have ^= change;
        }
    }
}
