//! The merged state: one register per key, the greater value stays.
//!
//! Merging is commutative, associative and idempotent: a register's value is the maximum, by (rank,
//! body), of all facts ever put into it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds, RangeInclusive};
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

/// A fact that is found by its register's key: the key is not kept a second time.
#[derive(Clone, Debug)]
struct Held(Arc<Fact>);

impl Borrow<Key> for Held {
    fn borrow(&self) -> &Key {
        &self.0.key
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

/// A fact's place among the short keys.
trait Place {
    fn place(&self) -> (u64, Digest);
}

impl Place for (u64, Digest) {
    fn place(&self) -> (u64, Digest) {
        *self
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
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
        self.place().cmp(&other.place())
    }
}

/// A fact that is found by its short key and id.
#[derive(Clone, Debug)]
struct Short(Arc<Fact>);

impl Place for Short {
    fn place(&self) -> (u64, Digest) {
        (self.0.short, self.0.id)
    }
}

impl<'a> Borrow<dyn Place + 'a> for Short {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl PartialEq for Short {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}
impl Eq for Short {}
impl PartialOrd for Short {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Short {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// All registers of a node. Iteration follows the keys' order.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    facts: BTreeSet<Held>,
    /// All but beacons, by short key and id: what syncs compare.
    by_short: BTreeSet<Short>,
    digest: [u8; 32],
}

impl Registers {
    /// Puts `fact` into its register.
    pub fn merge(&mut self, fact: Arc<Fact>) -> Merged {
        if let Some(Held(held)) = self.facts.get(&fact.key) {
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
        self.facts.replace(Held(fact));
        Merged::Rose
    }

    /// How `fact` would merge, without doing it: for refusing before a signature is verified.
    pub fn compare(&self, fact: &Fact) -> Merged {
        match self.facts.get(&fact.key) {
            Some(Held(held)) if held.id == fact.id => Merged::Same,
            Some(Held(held)) if (held.rank, &held.signed.body) > (fact.rank, &fact.signed.body) => {
                Merged::Older
            }
            _ => Merged::Rose,
        }
    }

    /// The fact in a register.
    pub fn get(&self, key: &Key) -> Option<&Arc<Fact>> {
        self.facts.get(key).map(|Held(fact)| fact)
    }

    /// Forgets a register.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Fact>> {
        let Held(fact) = self.facts.take(key)?;
        self.toggle(&fact);
        Some(fact)
    }

    /// The registers in a range of keys.
    pub fn range(&self, keys: impl RangeBounds<Key>) -> impl Iterator<Item = (&Key, &Arc<Fact>)> {
        self.facts.range(keys).map(|Held(fact)| (&fact.key, fact))
    }

    /// All registers.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<Fact>)> {
        self.facts.iter().map(|Held(fact)| (&fact.key, fact))
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
        let (first, last) = ((*keys.start(), Digest([0; 32])), (*keys.end(), Digest([255; 32])));
        let ends: (Bound<&dyn Place>, Bound<&dyn Place>) = (Bound::Included(&first), Bound::Included(&last));
        self.by_short.range::<dyn Place, _>(ends).map(|Short(fact)| fact)
    }

    /// Adds a fact to the digest and the index, or takes it out again.
    fn toggle(&mut self, fact: &Arc<Fact>) {
        if matches!(fact.key, Key::Beacon(_)) {
            return;
        }
        let short = Short(Arc::clone(fact));
        if !self.by_short.remove(&short) {
            self.by_short.insert(short);
        }
        let mixed = Digest::of_parts("groundswell 2026 state", &[&fact.id.0]);
        for (have, change) in self.digest.iter_mut().zip(mixed.0) {
            *have ^= change;
        }
    }
}
