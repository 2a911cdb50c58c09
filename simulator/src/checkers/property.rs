//! The properties of the design, by its own numbers, and breaches of them.

use serde::Serialize;

/// A property of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Property {
    /// Only threshold-signed bytes activate.
    S1,
    /// A component never goes down, but for the revert to the slot that the trial began from.
    S2,
    /// At most one leader proposes in a rollout's term.
    S3,
    /// No activation before a quorum of jurors had seen enough good below its rank.
    S4,
    /// No activation after the node knew the stop or a pause, or without fresh news; no stop is forgotten.
    S5,
    /// Some slot always starts: what is gone back to, and what runs, is here.
    S6,
    /// Every queue, message and table stays within its bound; the core does not ask to be woken without end.
    S7,
    /// Two releases of one place in the order never both activate; who knows both activates neither.
    S8,
    /// No signature leaves and no switch begins before it is durable; what had ended is not taken up again.
    S9,
    /// No signature contradicts an earlier one, over any crash.
    S10,
    /// Every machine that is on ends on the target or the rollback version.
    L1,
    /// A leader that is stuck or dead is replaced.
    L2,
    /// A bad release stops inside its wave, and a good one does not stop.
    L3,
    /// Every state has a deadline.
    L4,
    /// In the end nothing moves, and traffic is back in its budget.
    L5,
    /// With too many electors gone the fleet holds and says why.
    L6,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
    ];

    /// Whether its breach is one of safety; else it is one of liveness.
    pub fn is_safety(self) -> bool {
        !matches!(self, Self::L1 | Self::L2 | Self::L3 | Self::L4 | Self::L5 | Self::L6)
    }
}

/// A breach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Of what.
    pub property: Property,
    /// When, in milliseconds of virtual time.
    pub at_ms: u64,
    /// On which machine, by place; `None` for the fleet as a whole.
    pub machine: Option<u32>,
    /// What happened.
    pub what: String,
}
