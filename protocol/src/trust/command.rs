//! An operator's signed word on a rollout.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::manifest::RolloutId;

/// What an operator orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instruction {
    /// Hold the rollout, or let it go on. The higher counter holds; at equal counters pause wins.
    Flow {
        /// Rises with every pause and resume.
        counter: u32,
        /// Hold it.
        pause: bool,
    },
    /// Open so many ranks without waiting for the jury; one more than there are members is `done`.
    Promote(u32),
    /// End the rollout. Nothing unsays it.
    Stop,
}

/// Which of a rollout's three command registers a command is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Pause and resume.
    Flow,
    /// Promote.
    Promote,
    /// Stop.
    Stop,
}

/// A command as it is signed.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
pub struct Command {
    /// The rollout that is meant.
    pub rollout: RolloutId,
    /// The policy whose operator role signs it: at least the one that the rollout's manifest names, so
    /// that a key which root has taken away has no say in later releases.
    pub policy: u32,
    /// What is ordered.
    pub instruction: Instruction,
    /// Why, for people.
    pub note: String,
}

impl Command {
    /// Which register it is for.
    pub fn kind(&self) -> CommandKind {
        match self.instruction {
            Instruction::Flow { .. } => CommandKind::Flow,
            Instruction::Promote(_) => CommandKind::Promote,
            Instruction::Stop => CommandKind::Stop,
        }
    }

    /// Its place in the register's order.
    pub fn rank(&self) -> u64 {
        match self.instruction {
            Instruction::Flow { counter, pause } => u64::from(counter) << 1 | u64::from(pause),
            Instruction::Promote(open) => u64::from(open),
            Instruction::Stop => 0,
        }
    }
}
