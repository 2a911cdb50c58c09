//! What the rooms report back to the loop, to become the core's inputs.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::facts::health::HealthReport;
use groundswell_protocol::node::Trouble;
use groundswell_protocol::trust::names::ComponentName;

/// Reports that wait for the loop.
pub(super) const FEEDBACK_MAX: usize = 256;

/// Something that a room finished or saw.
#[derive(Debug)]
pub(super) enum Feedback {
    Staged { rollout: RolloutId, outcome: Result<(), Trouble> },
    Activated { component: ComponentName, tree: Option<Digest>, outcome: Result<(), Trouble> },
    Probed { component: ComponentName, tree: Digest, report: HealthReport },
}
