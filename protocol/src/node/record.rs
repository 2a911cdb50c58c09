//! What a node keeps over restarts.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::digest::Digest;
use crate::facts::{Fact, Key, RolloutId, SignedFact};
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;
use crate::trust::policy::FleetId;
use crate::trust::probe::Probe;
use crate::wire::codec::{self, Malformed};

/// One release in a slot.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct SlotRecord {
    /// The rollout that brought it.
    pub rollout: RolloutId,
    /// Its place in the component's order.
    pub order: ReleaseOrder,
    /// Its name for people.
    pub version: String,
    /// Its bytes.
    pub tree: Digest,
    /// What healthy means for it.
    pub probes: Vec<Probe>,
}

/// What is installed of a component, and what is being tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Installed {
    /// What ran when all was well: the slot that a trial began from, or the release that passed its trial.
    pub active: Option<SlotRecord>,
    /// What was active before that.
    pub previous: Option<SlotRecord>,
    /// The newest release that completed fleet-wide while it was here.
    pub anchor: Option<SlotRecord>,
    /// On trial. While it is set, the switch to it may or may not have happened.
    pub trial: Option<SlotRecord>,
    /// Agent starts inside the trial.
    pub trial_boots: u8,
    /// Failed trials of the rollout in `trial` or, without one, of the last that failed.
    pub attempts: u8,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every member was opened, and enough were good.
    Done,
    /// Jurors, an operator or a conflict ended it.
    Stopped,
    /// A later release came before it ended.
    Superseded,
}

/// Something that must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Record {
    /// A fact of mine, of trust, or behind a decision.
    Fact(SignedFact),
    /// How often the agent has started.
    Boot(u32),
    /// As a juror I have opened this rollout, and no other one of the same order (S8).
    Binding {
        /// The component.
        component: ComponentName,
        /// The order.
        order: ReleaseOrder,
        /// The rollout.
        rollout: RolloutId,
    },
    /// What is installed of a component.
    Installed {
        /// The component.
        component: ComponentName,
        /// The slots.
        installed: Box<Installed>,
    },
    /// How a rollout ended that is no longer kept.
    Tombstone {
        /// The component.
        component: ComponentName,
        /// Its order.
        order: ReleaseOrder,
        /// The rollout.
        rollout: RolloutId,
        /// How.
        ending: Ending,
    },
}

impl Record {
    /// The key under which the driver keeps it; at most 128 bytes. A later record of the same key replaces it.
    pub fn key(&self, fleet: FleetId) -> Vec<u8> {
        match self {
            Self::Fact(signed) => match Fact::read(fleet, signed.clone()) {
                Ok(fact) => Self::fact_key(&fact.key),
                Err(_) => [b"unread/", &Digest::of(&signed.body).0[..]].concat(),
            },
            Self::Boot(_) => b"boot".to_vec(),
            Self::Binding { component, order, .. } => {
                let number = Digest::of_parts(
                    "groundswell 2026 binding",
                    &[
                        component.as_str().as_bytes(),
                        &order.epoch.to_be_bytes(),
                        &order.sequence.to_be_bytes(),
                    ],
                );
                [b"binding/", &number.0[..]].concat()
            }
            Self::Installed { component, .. } => [b"installed/", component.as_str().as_bytes()].concat(),
            Self::Tombstone { rollout, .. } => Self::tombstone_key(*rollout),
        }
    }

    /// The key of a fact's record.
    pub fn fact_key(key: &Key) -> Vec<u8> {
        format!("fact/{:016x}", key.short()).into_bytes()
    }

    /// The key of a tombstone's record.
    pub fn tombstone_key(rollout: RolloutId) -> Vec<u8> {
        [b"tombstone/", &rollout.0.0[..]].concat()
    }

    /// The record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed`: the disk holds something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode(bytes)
    }
}
