//! A scenario: a fleet, its releases and what goes wrong, as plain data.
//!
//! [`catalogue`] holds the stories with names, [`random`] draws faults from a seed. Performing them is
//! the world's; judging them the checkers'.

pub mod catalogue;
pub mod random;
#[cfg(test)]
mod tests;

use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::plan::Plan;

use crate::fleet::ReleaseLaw;
use crate::world::links::LinkLaw;

/// A story to play.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// Machines.
    pub nodes: u32,
    /// How links behave.
    pub links: LinkLaw,
    /// Whether the gossip overlay carries anything; without it, sync alone must do.
    pub gossip: bool,
    /// The plan of every release.
    pub plan: Plan,
    /// The releases. The first is running everywhere when the story begins, if `installed`.
    pub releases: Vec<ReleaseLaw>,
    /// Whether the first release is running when the story begins.
    pub installed: bool,
    /// What happens, and when.
    pub steps: Vec<Step>,
    /// Machines that lie, by place.
    pub liars: Vec<(u32, Lie)>,
    /// How it must end.
    pub goal: Goal,
    /// The release that machines go back to when the goal's release is stopped.
    pub back_to: usize,
    /// Virtual seconds by which it must have ended.
    pub limit_seconds: u64,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub when: When,
    /// What.
    pub act: Act,
}

/// The moment of a step.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// So many milliseconds after the beginning.
    At(u64),
    /// Some machine has seen at least so many ranks of a release open.
    Opened {
        /// Which release, by its place in the list.
        release: usize,
        /// How many ranks.
        ranks: u32,
    },
    /// At least so many machines have switched to a release.
    Running {
        /// Which release.
        release: usize,
        /// How many machines.
        nodes: usize,
    },
    /// So many milliseconds after another step.
    After {
        /// The other step, by its place in the list.
        step: usize,
        /// Milliseconds.
        milliseconds: u64,
    },
}

/// What a step does.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Hands a release's bytes and manifest to a machine; to another one if that is off.
    Publish {
        /// Which release.
        release: usize,
        /// The machine.
        at: u32,
    },
    /// Takes a machine's power, and gives it back after so many milliseconds, or never.
    Crash {
        /// Which machine.
        who: Who,
        /// Milliseconds.
        back_after: Option<u64>,
    },
    /// Cuts the fleet in two; of 1,000 machines so many, drawn by lot, are on the smaller side.
    Split {
        /// Of 1,000.
        permille: u32,
    },
    /// Lets everybody reach everybody again.
    Heal,
    /// A machine's disk refuses writes, or takes them again.
    Disk {
        /// Which machine.
        node: u32,
        /// Whether it refuses.
        broken: bool,
    },
    /// Remembers a machine's disk and slots as they are.
    Snapshot(u32),
    /// Takes a machine's power and brings it back on what was remembered, as from an image of a day before.
    Restore(u32),
    /// Enrols a machine that was left out of the first census; until then it runs and has no seat.
    Enrol(u32),
    /// Draws a core of honest machines by lot, heals it, and cuts off everybody else for good: from then on
    /// the core must come to its end alone. The last step of a story.
    Core,
    /// An operator signs.
    Command {
        /// Which release.
        release: usize,
        /// What.
        instruction: Instruction,
    },
}

/// Which machine a step is about.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// This one.
    Node(u32),
    /// The one that proposed last.
    Leader,
    /// The one that switched last.
    OnTrial,
}

/// How a machine lies. It runs an honest core beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// As a juror it signs a stop of every release.
    CriesStop,
    /// It raises its own registers ten times a second.
    Floods,
    /// It signs other jurors' ballots with its own key.
    Forges,
}

/// How a story must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
