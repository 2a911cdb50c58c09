//! The shadow log: every statement that a node ever signed and let go, by register, over all crashes.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Key};
use groundswell_protocol::few::FewOf;

use super::Property;

struct Register {
    key: Key,
    rank: u64,
    top: Digest,
    /// All that was ever said here; a beacon's past is not kept, it never rests.
    said: FewOf<Digest>,
}

/// What one node has said.
#[derive(Default)]
struct Said {
    /// Few: a node's own registers of each rollout, and its beacon's.
    registers: Vec<Register>,
    durable: FewOf<Digest>,
}

/// The log.
#[derive(Default)]
pub struct Shadow {
    nodes: Vec<Said>,
}

impl Shadow {
    fn node(&mut self, place: u32) -> &mut Said {
        let place = place as usize;
        if self.nodes.len() <= place {
            self.nodes.resize_with(place + 1, Said::default);
        }
        &mut self.nodes[place]
    }

    /// A node sends a statement of its own. Returns whether it is new.
    ///
    /// # Errors
    /// The property that this breaks, and how.
    pub fn sent(&mut self, place: u32, fact: &Fact) -> Result<bool, (Property, String)> {
        let node = self.node(place);
        let beacon = matches!(fact.key, Key::Beacon(_));
        if !beacon && !node.durable.contains(&fact.id) {
            return Err((Property::S9, format!("sends {:?} before it is durable", fact.statement)));
        }
        let Some(register) = node.registers.iter_mut().find(|register| register.key == fact.key) else {
            let said = if beacon { FewOf::default() } else { FewOf::from_iter([fact.id]) };
            node.registers.reserve_exact(1);
            node.registers.push(Register { key: fact.key.clone(), rank: fact.rank, top: fact.id, said });
            return Ok(true);
        };
        if register.top == fact.id || register.said.contains(&fact.id) {
            register.rank = register.rank.max(fact.rank);
            return Ok(false);
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
        if !beacon {
            register.said.insert(fact.id);
        }
        Ok(true)
    }

    /// A statement of a node's own became durable. Returns whether that is new.
    pub fn durable(&mut self, place: u32, fact: &Fact) -> bool {
        let durable = &mut self.node(place).durable;
        let new = !durable.contains(&fact.id);
        if new {
            durable.insert(fact.id);
        }
        new
    }
}
