//! Who takes part in a rollout, in which order, and who judges it: pure functions of manifest and census.

use super::quorum::Quorum;
use crate::bounds::{BAKE_PERIODS, BEACON_QUIET, JURY_MAX, JURY_NEWS_PER_SECOND};
use crate::digest::Digest;
use crate::facts::RolloutId;
use crate::identity::NodeId;
use crate::places::Places;
use crate::time::Span;
use crate::trust::census::{Census, Member};
use crate::trust::manifest::Manifest;
use crate::trust::plan::Plan;

/// A rollout's line and jury.
///
/// Both are sorted by a hash of the rollout's name, which commits to the census: keys are fixed before
/// the order is known, so nobody can choose a key to stand in front or to sit on the jury (holes H3, H18).
#[derive(Debug)]
pub struct Roster {
    /// The members, by rank.
    pub members: Vec<NodeId>,
    /// The jurors, by seat; the seats are the order of leadership.
    pub jury: Vec<NodeId>,
    /// The jury's arithmetic.
    pub quorum: Quorum,
    /// The sizes of the waves; the last is the number of members.
    pub targets: Vec<u32>,
    /// Whether members judge themselves: every elector sits on the jury, so waves must leave a quorum off trial.
    pub everybody_judges: bool,
    /// The members' zones, by rank, as places in the census.
    zones: Vec<u16>,
    ranks: Places,
    seats: Places,
}

fn order(rollout: RolloutId, purpose: &[u8], node: NodeId) -> Digest {
    Digest::of_parts("groundswell 2026 order", &[&rollout.0.0, purpose, &node.0])
}

impl Roster {
    /// Draws the roster of a rollout.
    pub fn draw(rollout: RolloutId, manifest: &Manifest, census: &Census) -> Self {
        let mut jury: Vec<NodeId> = census.electors().collect();
        let everybody_judges = jury.len() <= JURY_MAX;
        jury.sort_by_cached_key(|node| order(rollout, b"jury", *node));
        jury.truncate(JURY_MAX);
        let seats = Places::of(&jury);
        let mut line: Vec<&Member> =
            census.members.iter().filter(|member| manifest.select.includes(census, member)).collect();
        line.sort_by_cached_key(|member| {
            let judges_last = !everybody_judges && seats.find(&jury, &member.node).is_some();
            (judges_last, order(rollout, b"wave", member.node))
        });
        let members: Vec<NodeId> = line.iter().map(|member| member.node).collect();
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Self {
            targets: manifest.plan.targets(count),
            quorum: Quorum::of(u32::try_from(jury.len()).unwrap_or(u32::MAX)),
            zones: line.iter().map(|member| member.zone).collect(),
            ranks: Places::of(&members),
            members,
            jury,
            seats,
            everybody_judges,
        }
    }

    /// A line and a jury, as a test wants them.
    #[cfg(test)]
    pub(super) fn of(members: Vec<NodeId>, jury: Vec<NodeId>) -> Self {
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Self {
            targets: vec![count],
            quorum: Quorum::of(u32::try_from(jury.len()).unwrap_or(u32::MAX)),
            ranks: Places::of(&members),
            members,
            seats: Places::of(&jury),
            jury,
            everybody_judges: false,
            zones: Vec::new(),
        }
    }

    /// A member's rank.
    pub fn rank(&self, node: &NodeId) -> Option<u32> {
        self.ranks.find(&self.members, node)
    }

    /// The zone of a rank, as its place in the census.
    pub(super) fn zone(&self, rank: u32) -> Option<u16> {
        self.zones.get(usize::try_from(rank).ok()?).copied()
    }

    /// Whether the node is a juror.
    pub fn is_juror(&self, node: &NodeId) -> bool {
        self.seats.find(&self.jury, node).is_some()
    }

    /// A juror's seat.
    pub fn seat(&self, node: &NodeId) -> Option<usize> {
        self.seats.find(&self.jury, node).and_then(|seat| usize::try_from(seat).ok())
    }

    /// How many members there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// How often a member speaks that is on trial while so many ranks are open: so often that a drawn jury can listen,
    /// and sees in time who falls silent in its bake.
    pub fn member_period(&self, plan: &Plan, open: u32) -> Span {
        if self.everybody_judges {
            return plan.beacon_period();
        }
        let speakers = u64::from(open.min(self.count()));
        let bearable = Span(speakers * 1000 / JURY_NEWS_PER_SECOND);
        let baking = Span(Span::seconds(u64::from(plan.bake_s)).0 / BAKE_PERIODS).min(BEACON_QUIET);
        plan.beacon_period().max(bearable).max(baking)
    }

    /// How often a member speaks on whom nothing turns for now: it is open, and not on trial.
    pub fn quiet_period(&self, plan: &Plan, open: u32) -> Span {
        self.member_period(plan, open).max(self.juror_period(plan))
    }

    /// How often a juror speaks, unless it leads or has been opened. Of those that lead more is asked.
    pub fn juror_period(&self, plan: &Plan) -> Span {
        if self.everybody_judges { plan.beacon_period() } else { plan.beacon_period().max(BEACON_QUIET) }
    }

    /// `open` when a rollout is done: one more than there are members.
    pub fn done(&self) -> u32 {
        self.count().saturating_add(1)
    }

    /// The juror that leads a term. `None` without electors.
    pub fn leader(&self, term: u32) -> Option<NodeId> {
        let seats = u32::try_from(self.jury.len()).unwrap_or(u32::MAX);
        let seat = term.checked_rem(seats)?;
        self.jury.get(usize::try_from(seat).ok()?).copied()
    }

    /// The members whose rank is below `open`, by rank.
    pub fn open_members(&self, open: u32) -> &[NodeId] {
        let end = usize::try_from(open).unwrap_or(usize::MAX).min(self.members.len());
        &self.members[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;

    #[test]
    fn members_speak_at_the_plans_pace_until_they_are_too_many_for_a_drawn_jury() {
        let members: Vec<NodeId> =
            (0..2_000_u32).map(|number| PublicKey(Digest::of(&number.to_be_bytes()).0)).collect();
        let drawn = Roster::of(members[..].to_vec(), members[..64].to_vec());
        let plan = Plan { bake_s: 60, ..Plan::default() };
        let pace = |open| drawn.member_period(&plan, open);
        assert_eq!((pace(0), pace(500)), (plan.beacon_period(), plan.beacon_period()));
        for open in [501, 900, 2_000, 2_001] {
            let speakers = u64::from(open.min(2_000));
            assert!(pace(open) > plan.beacon_period());
            assert!(speakers * 1000 <= (pace(open).0 + 1) * JURY_NEWS_PER_SECOND, "{open}");
        }
        assert_eq!((drawn.juror_period(&plan), drawn.quiet_period(&plan, 1)), (BEACON_QUIET, BEACON_QUIET));
        let slow = Plan { beacon_ms: 60_000, ..plan.clone() };
        assert_eq!(
            (drawn.juror_period(&slow), drawn.member_period(&slow, 1)),
            (slow.beacon_period(), slow.beacon_period())
        );
        let all = Roster { everybody_judges: true, ..drawn };
        let paces =
            [all.member_period(&plan, 2_000), all.quiet_period(&plan, 2_000), all.juror_period(&plan)];
        assert_eq!(paces, [plan.beacon_period(); 3]);
    }

    #[test]
    fn in_a_long_bake_members_of_a_drawn_jury_may_be_silent_for_a_twentieth_of_it() {
        let members: Vec<NodeId> =
            (0..100_u32).map(|number| PublicKey(Digest::of(&number.to_be_bytes()).0)).collect();
        let drawn = Roster::of(members.clone(), members[..64].to_vec());
        for (bake_s, period) in [(0, 2_000), (120, 2_000), (300, 5_000), (600, 10_000), (86_400, 10_000)] {
            let plan = Plan { bake_s, ..Plan::default() };
            assert_eq!(drawn.member_period(&plan, 100), Span(period));
            assert!(drawn.quiet_period(&plan, 100) >= drawn.member_period(&plan, 100));
        }
    }
}
