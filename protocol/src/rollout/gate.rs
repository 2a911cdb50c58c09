//! The gate: how far a juror would open a rollout, and what keeps it from more.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::derived::Derived;
use super::roster::Roster;
use super::view::Tally;
use crate::marks::mark;
use crate::mutations::{self, Mutation};

/// Why a rollout is not going on now: the closed list.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Nothing holds it.
    None,
    /// Open nodes are still at it.
    WaitingForHealth,
    /// Too few jurors are fresh: clocks stand.
    TooFewJurors,
    /// Failures have reached the hold band.
    Failures,
    /// An operator paused it.
    Paused,
    /// A later release of the component is here.
    Superseded,
    /// This juror has opened another release of the same order.
    Bound,
    /// Two signed releases have the same order.
    Conflict,
    /// The newest policy no longer accepts its signers.
    SignersRevoked,
    /// A newer census has been here too long.
    CensusOutdated,
    /// It expired.
    Expired,
    /// Its sequence is too far ahead.
    SequenceTooFar,
    /// Something that it requires is not done.
    RequirementNotDone,
    /// The leader has not proposed what this juror would allow.
    WaitingForLeader,
    /// It ended.
    Ended,
}

/// Everything beside the tally that can shut the gate; each is one juror's own knowledge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shut {
    /// Another release of the same order was opened by this juror.
    pub bound: bool,
    /// A later release of the component, not stopped and not out of range, is known.
    pub superseded: bool,
    /// The newest policy no longer accepts the manifest's signers.
    pub signers_revoked: bool,
    /// A newer census has been known for `hold_s`, and this juror has not opened anything yet.
    pub census_outdated: bool,
    /// Expired on this juror's clock.
    pub expired: bool,
    /// The sequence is out of range of the newest done one.
    pub sequence_too_far: bool,
    /// Something required is not done.
    pub requirement_not_done: bool,
}

impl Shut {
    fn hold(&self) -> Option<Hold> {
        [
            (self.bound, Hold::Bound),
            (self.superseded, Hold::Superseded),
            (self.signers_revoked, Hold::SignersRevoked),
            (self.census_outdated, Hold::CensusOutdated),
            (self.expired, Hold::Expired),
            (self.sequence_too_far, Hold::SequenceTooFar),
            (self.requirement_not_done, Hold::RequirementNotDone),
        ]
        .into_iter()
        .find_map(|(shut, hold)| shut.then_some(hold))
    }
}

/// How far a juror would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// How many ranks; `Roster::done` to close the rollout. 0 while the gate is shut.
    pub open: u32,
    /// Why not more.
    pub hold: Hold,
}

/// The rule of the gate.
pub fn allowed(roster: &Roster, derived: &Derived, tally: &Tally, shut: &Shut) -> Allowed {
    let closed = |hold| Allowed { open: 0, hold };
    if derived.stop.is_some() || derived.done(roster) {
        return closed(Hold::Ended);
    }
    if derived.paused {
        mark!(HeldByPause);
        return closed(Hold::Paused);
    }
    if let Some(hold) = shut.hold() {
        mark!(HeldBySuccessor if hold == Hold::Superseded);
        return closed(hold);
    }
    if tally.bad + tally.doubt >= tally.hold_at && !mutations::is(Mutation::HoldIgnored) {
        mark!(HeldByFailures);
        return closed(Hold::Failures);
    }
    let (count, settled) = (roster.count(), tally.good.saturating_add(tally.lost));
    if derived.open >= count {
        let done = settled >= count && tally.good >= 1;
        return if done {
            Allowed { open: roster.done(), hold: Hold::None }
        } else {
            Allowed { open: count, hold: Hold::WaitingForHealth }
        };
    }
    let early = u32::from(mutations::is(Mutation::GateOneEarly));
    let reached = roster.targets.iter().filter(|target| **target <= tally.good + early).count();
    let target = roster.targets.get(reached).copied().unwrap_or(count);
    let mut open = target.saturating_add(tally.lost).min(count);
    if roster.everybody_judges {
        let off_trial = roster.quorum.jurors.saturating_sub(roster.quorum.quorum).max(1);
        mark!(StepBounded if open > settled.saturating_add(off_trial));
        open = open.min(settled.saturating_add(off_trial));
    }
    let hold = if open > derived.open { Hold::None } else { Hold::WaitingForHealth };
    Allowed { open, hold }
}
