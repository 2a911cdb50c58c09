//! The rollout policy in a manifest: how carefully a release goes live.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::probe::{Probe, ProbeFault, check_probes};
use crate::bounds::LADDER_MAX;
use crate::time::Span;

/// One size on the ladder, counted from the beginning of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// So many nodes.
    Nodes(u32),
    /// So many thousandths of the rollout's members, rounded up.
    Permille(u16),
}

/// How a release goes live. Times in seconds unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The sizes of the waves, rising; the whole fleet is added at the end if it is missing.
    pub ladder: Vec<Rung>,
    /// How long a healthy node must stay healthy, on each juror's own clock, before it counts.
    pub bake_s: u32,
    /// How long an open node may take to begin its trial before another is opened in its place.
    pub stage_s: u32,
    /// How long the trial lasts.
    pub trial_s: u32,
    /// How long a rollout may stand still before jurors stop it.
    pub hold_s: u32,
    /// Thousandths of open nodes that, bad or doubtful, hold the rollout (at least two nodes in fleets of four or more).
    pub hold_permille: u16,
    /// Thousandths of open nodes that, bad, stop it (at least two nodes in fleets of four or more).
    pub stop_permille: u16,
    /// Over how long healthy nodes spread their reverts after a stop.
    pub revert_spread_s: u32,
    /// Milliseconds between beacons while this rollout is live; three of them missed is silence.
    pub beacon_ms: u32,
    /// What healthy means.
    pub probes: Vec<Probe>,
    /// Which rule ranks the nodes; 1.
    pub order: u8,
    /// Which rule judges the votes; 1.
    pub judge: u8,
}

impl Default for Plan {
    /// The defaults of the protocol's table of timers.
    fn default() -> Self {
        Self {
            ladder: vec![
                Rung::Nodes(1),
                Rung::Nodes(4),
                Rung::Nodes(16),
                Rung::Permille(50),
                Rung::Permille(250),
                Rung::Permille(500),
                Rung::Permille(1000),
            ],
            bake_s: 600,
            stage_s: 600,
            trial_s: 300,
            hold_s: 3600,
            hold_permille: 50,
            stop_permille: 150,
            revert_spread_s: 30,
            beacon_ms: 2000,
            probes: Vec::new(),
            order: 1,
            judge: 1,
        }
    }
}

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// No rung, too many, or a zero.
    #[error("the ladder needs 1 to 32 rungs, none of them zero or above 1000 permille")]
    Ladder,
    /// A time out of bounds.
    #[error(
        "trial_s, stage_s and hold_s must lie between 1 second and 30 days, bake_s and revert_spread_s below 30 days, beacon_ms between 200 and 60000"
    )]
    Times,
    /// A rollout must be able to wait for a trial and its bake.
    #[error("hold_s must be at least trial_s + bake_s, or every wave would expire")]
    Hold,
    /// Stop must not come before hold.
    #[error("hold_permille and stop_permille must lie between 1 and 1000, and hold must not exceed stop")]
    Bands,
    /// A probe out of bounds.
    #[error(transparent)]
    Probes(#[from] ProbeFault),
    /// A rule that this version does not know.
    #[error("order and judge must be 1: this version knows no other rule")]
    Rule,
}

const DAYS_30: u32 = 30 * 24 * 3600;

impl Plan {
    /// Checks the plan's bounds.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), BadPlan> {
        let rung_ok = |r: &Rung| match *r {
            Rung::Nodes(n) => n > 0,
            Rung::Permille(p) => (1..=1000).contains(&p),
        };
        if self.ladder.is_empty() || self.ladder.len() > LADDER_MAX || !self.ladder.iter().all(rung_ok) {
            return Err(BadPlan::Ladder);
        }
        let some_time = 1..=DAYS_30;
        if ![self.trial_s, self.stage_s, self.hold_s].iter().all(|t| some_time.contains(t))
            || self.bake_s > DAYS_30
            || self.revert_spread_s > DAYS_30
            || !(200..=60_000).contains(&self.beacon_ms)
        {
            return Err(BadPlan::Times);
        }
        if self.hold_s < self.trial_s.saturating_add(self.bake_s) {
            return Err(BadPlan::Hold);
        }
        let band = 1..=1000;
        if !band.contains(&self.hold_permille)
            || !band.contains(&self.stop_permille)
            || self.hold_permille > self.stop_permille
        {
            return Err(BadPlan::Bands);
        }
        check_probes(&self.probes)?;
        if self.order != 1 || self.judge != 1 {
            return Err(BadPlan::Rule);
        }
        Ok(())
    }

    /// The targets for a rollout of `members` nodes: strictly rising, the last is `members`.
    pub fn targets(&self, members: u32) -> Vec<u32> {
        let mut targets = Vec::new();
        for rung in &self.ladder {
            let size = match *rung {
                Rung::Nodes(n) => n,
                Rung::Permille(p) => {
                    let exact = (u64::from(members) * u64::from(p)).div_ceil(1000);
                    u32::try_from(exact).unwrap_or(members)
                }
            };
            let size = size.min(members);
            if targets.last().is_none_or(|last| *last < size) {
                targets.push(size);
            }
        }
        if targets.last() != Some(&members) {
            targets.push(members);
        }
        targets
    }

    /// The beacon period while this rollout is live.
    pub fn beacon_period(&self) -> Span {
        Span::milliseconds(u64::from(self.beacon_ms))
    }
}
