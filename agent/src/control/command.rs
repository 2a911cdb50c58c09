//! An operator's command, signed where the operator sits: no agent ever holds an operator's key.

use groundswell_protocol::facts::{Fact, SignedFact, Statement};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::node::Status;
use groundswell_protocol::node::status::RolloutStatus;
use groundswell_protocol::trust::command::{Command, Instruction};
use groundswell_protocol::trust::names::to_note;

/// `instruction` on `rollout`, signed by `key` under the newest policy that `status` knows, for
/// `Client::submit`. What does not fit a note is cut from `note`.
pub fn signed(
    status: &Status,
    rollout: &RolloutStatus,
    instruction: Instruction,
    note: &str,
    key: &KeyPair,
) -> SignedFact {
    let command =
        Command { rollout: rollout.rollout, policy: status.policy, instruction, note: to_note(note) };
    Fact::sign(status.fleet, Statement::Command(command), &[key]).signed
}

/// Pause, outranking every pause and resume that `rollout` has seen.
pub fn pause(rollout: &RolloutStatus) -> Instruction {
    Instruction::Flow { counter: rollout.next_flow_counter, pause: true }
}

/// Resume, outranking every pause and resume that `rollout` has seen.
pub fn resume(rollout: &RolloutStatus) -> Instruction {
    Instruction::Flow { counter: rollout.next_flow_counter, pause: false }
}
