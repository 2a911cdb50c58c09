//! The shadow log: every statement that a node ever signed and let go, by register, over all crashes.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Key};

use super::Property;

struct Register {
    rank: u64,
    top: Digest,
    /// All that was ever said here; a beacon's past is not kept, it never rests.
    said: BTreeSet<Digest>,
}

/// The log.
#[derive(Default)]
pub struct Shadow {
    registers: BTreeMap<(u32, Key), Register>,
    durable: BTreeSet<(u32, Digest)>,
}

impl Shadow {
    /// A node sends a statement of its own. Returns whether it is new.
    ///
    /// # Errors
    /// The property that this breaks, and how.
    pub fn sent(&mut self, place: u32, fact: &Fact) -> Result<bool, (Property, String)> {
        let beacon = matches!(fact.key, Key::Beacon(_));
        if !beacon && !self.durable.contains(&(place, fact.id)) {
            return Err((Property::S9, format!("sends {:?} before it is durable", fact.statement)));
        }
        let register = self.registers.entry((place, fact.key.clone())).or_insert(Register {
            rank: 0,
            top: fact.id,
            said: BTreeSet::new(),
        });
        if register.top == fact.id || register.said.contains(&fact.id) {
            let first = register.said.is_empty();
            register.rank = register.rank.max(fact.rank);
            register.said.insert(fact.id);
            return Ok(first);
        }
        if fact.rank <= register.rank {
            let what = format!(
                "signs {:?} (rank {}) after it signed rank {} there",
                fact.statement, fact.rank, register.rank
            );
            return Err((Property::S10, what));
        }
        register.rank = fact.rank;
        register.top = fact.id;
        if beacon {
            register.said.clear();
        }
        register.said.insert(fact.id);
        Ok(true)
    }

    /// A statement of a node's own became durable. Returns whether that is new.
    pub fn durable(&mut self, place: u32, fact: &Fact) -> bool {
        self.durable.insert((place, fact.id))
    }
}
