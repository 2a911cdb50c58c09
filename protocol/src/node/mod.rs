//! The node: the core's one door.

pub mod event;
pub mod input;
pub mod outbox;
pub mod record;
pub mod status;

use std::collections::BTreeSet;

use crate::identity::KeyPair;
use crate::time::Time;
use crate::trust::names::ComponentName;
use crate::trust::policy::FleetId;

pub use event::Event;
pub use input::{Input, Trouble, Via, WriteId};
pub use outbox::{Outbox, Recipe, Verdict, Work};
pub use record::Record;
pub use status::Status;

/// What a node is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// The fleet: digest of its first policy.
    pub fleet: FleetId,
    /// The node's own key.
    pub key: KeyPair,
    /// The components that this node has.
    pub components: BTreeSet<ComponentName>,
}

/// Randomness handed in: 32 bytes that no other start of any node shares.
#[derive(Clone, Copy)]
pub struct Entropy(pub [u8; 32]);

/// One node of a fleet.
pub struct Node {
    config: Config,
}

impl Node {
    /// A node as it starts: `restored` are all records that the driver kept, in any order.
    pub fn new(config: Config, restored: Vec<Record>, entropy: Entropy) -> Self {
        let _ = (restored, entropy);
        Self { config }
    }

    /// Takes one input and says what follows. Total: no input makes it panic, block or fail.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut impl Outbox) {
        let _ = (now, input, out, &self.config);
    }

    /// When to call `handle` with `Input::Wake`, unless another input comes before. Replaces what it said before.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// What the node knows, at `now`.
    pub fn status(&self, now: Time) -> Status {
        let _ = now;
        unreachable!("BUG: being written")
    }
}
