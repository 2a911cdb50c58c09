//! A scenario: a fleet, its releases and what goes wrong, as plain data.
//!
//! [`mod@file`] reads and writes it as TOML, [`catalogue`] holds the stories with names, [`random`] draws
//! faults from a seed. Performing them is the world's; judging them the checkers'.
//!
//! Stories scale: machines are named by place, by share or by the part that they play ([`Who`]), and
//! numbers of machines may be shares of the fleet ([`Count`]).

pub mod catalogue;
mod check;
pub mod families;
pub mod fault;
pub mod file;
mod groups;
mod pace;
pub mod random;
#[cfg(test)]
mod tests;
pub mod words;

use groundswell_protocol::trust::plan::Plan;
use serde::{Deserialize, Serialize};

pub use check::{NODES_MAX, STEPS_MAX, Unfit};
pub use fault::{ClockFault, CrashPoint, DiskFault, Fault, Whom};
pub use groups::Group;
pub use pace::plan;
pub use words::{Count, Who};

use crate::fleet::ReleaseLaw;
use crate::world::links::{ClassLaw, LinkLaw};
use words::{Maybe, Milliseconds, Permille, Seconds, Written};

/// A story to play. In memory releases are named by their place in the list, in files by their version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Its name on the command line.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// Machines.
    pub nodes: u32,
    /// The fewest machines for which the story makes sense.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub nodes_min: u32,
    /// The seed that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Virtual seconds by which it must have ended.
    #[serde(rename = "limit", with = "Written::<Seconds>")]
    pub limit_seconds: u64,
    /// How it must end.
    pub goal: Goal,
    /// The release that machines go back to when the goal's release is stopped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub back_to: usize,
    /// Whether the first release is running everywhere when the story begins.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub installed: bool,
    /// Whether the gossip overlay carries anything; without it, sync alone must do.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub gossip: bool,
    /// How links behave.
    #[serde(default)]
    pub links: LinkLaw,
    /// What is said of classes of machines; groups give machines their class.
    #[serde(rename = "class", default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassLaw>,
    /// The plan of every release.
    #[serde(default = "plan", with = "pace")]
    pub plan: Plan,
    /// Parts of the fleet with labels of their own; without, it is one class in four zones.
    #[serde(rename = "group", default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The releases. The first is running everywhere when the story begins, if `installed`.
    #[serde(rename = "release")]
    pub releases: Vec<ReleaseLaw>,
    /// Machines that lie.
    #[serde(rename = "liar", default, skip_serializing_if = "Vec::is_empty")]
    pub liars: Vec<Liar>,
    /// What happens, and when.
    #[serde(rename = "step", default)]
    pub steps: Vec<Step>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// One thing that happens. In files its two parts stand side by side: `at = "5s"`, `crash = { .. }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub when: When,
    /// What.
    pub act: Act,
}

/// The moment of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum When {
    /// So many milliseconds after the beginning.
    At(#[serde(with = "Written::<Milliseconds>")] u64),
    /// So many milliseconds after the step before it in the list.
    After(#[serde(with = "Written::<Milliseconds>")] u64),
    /// Some machine has seen at least so many ranks of a release open.
    Opened {
        /// Which release, by its place in the list.
        release: usize,
        /// How many ranks.
        ranks: Count,
    },
    /// At least so many machines have switched to a release.
    Running {
        /// Which release.
        release: usize,
        /// How many machines.
        nodes: Count,
    },
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Hands a release's bytes and manifest to a machine; to another one if that is off.
    Publish {
        /// Which release.
        release: usize,
        /// The machine.
        on: Who,
    },
    /// Takes machines' power, and gives it back after so many milliseconds, or never.
    Crash {
        /// Which machines.
        who: Who,
        /// Milliseconds.
        #[serde(default, with = "Maybe::<Milliseconds>", skip_serializing_if = "Option::is_none")]
        back_after: Option<u64>,
    },
    /// Cuts the fleet in two; of 1,000 machines so many, drawn by lot, are on the smaller side.
    Split {
        /// Of 1,000.
        #[serde(rename = "share", with = "Written::<Permille>")]
        permille: u32,
    },
    /// Lets everybody reach everybody again.
    Heal,
    /// Disks refuse writes, or take them again.
    Disk {
        /// Which machines.
        who: Who,
        /// Whether they refuse.
        broken: bool,
    },
    /// Remembers machines' disks and slots as they are.
    Snapshot {
        /// Which machines.
        who: Who,
    },
    /// Takes machines' power and brings them back on what was remembered, as from an image of a day before.
    Restore {
        /// Which machines.
        who: Who,
    },
    /// Enrols machines that were left out of the first census; until then they run and have no seat.
    Enrol {
        /// Which, as far as that is known when the story begins.
        who: Who,
    },
    /// Draws a core of honest machines by lot, heals it, and cuts off everybody else for good: from then on
    /// the core must come to its end alone. The last step of a story.
    Core,
    /// An operator signs.
    Command {
        /// Which release.
        release: usize,
        /// What.
        order: Order,
    },
    /// Something goes wrong for a while. In files it stands here by its own word.
    Fault(Fault),
}

/// What an operator orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Hold the rollout.
    Pause,
    /// Let it go on.
    Resume,
    /// End it.
    Stop,
    /// Open so many ranks without waiting for the jury.
    Promote(Count),
}

/// Machines that lie. They run an honest core beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Liar {
    /// Which, as far as that is known when the story begins.
    pub who: Who,
    /// What they do.
    pub lie: Lie,
}

/// How a machine lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// As a juror it signs a stop of every release.
    CriesStop,
    /// It raises its own registers ten times a second.
    Floods,
    /// It takes in everything, and passes nothing on: no gossip, no answers, no bytes.
    Withholds,
    /// It signs other jurors' ballots and operators' orders with its own key.
    Forges,
    /// It signs two votes of one rank, and shows one half of the fleet the one, the other half the other.
    Equivocates,
    /// It says again what it heard before, also to machines that it was not meant for.
    Replays,
    /// As a juror it opens and stops every release, and as a member it finds it healthy and failed.
    DoubleVotes,
    /// It sends rubbish, questions for everything, and ballots of no rollout.
    Spams,
    /// It lets nothing through that tells of a stop to a machine that liars surround: see [`Fault::Eclipse`].
    Eclipses,
    /// With all others who do, it finds every release healthy and opens all of it at once.
    Colludes,
    /// As a leader it proposes the next wave at once.
    LeadsEarly,
    /// It proposes everything at once, as a leader or not.
    LeadsTooFar,
    /// As a leader it proposes nothing.
    LeadsNowhere,
}

/// How a story must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// This release completes, and runs on every machine that is on.
    Completes(usize),
    /// This release is stopped, and every machine that is on runs the one before.
    Stops(usize),
    /// One or the other, but the same everywhere.
    Ends(usize),
}

impl Goal {
    /// The release that it is about.
    pub fn release(self) -> usize {
        match self {
            Self::Completes(release) | Self::Stops(release) | Self::Ends(release) => release,
        }
    }
}
