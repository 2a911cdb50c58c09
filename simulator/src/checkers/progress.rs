//! What must go on: leaders are replaced, evidence stops, every state ends, and a fleet that must hold says why.
//!
//! Looked at once a second. Time counts from when machines and links last changed: while faults come
//! and go nothing is promised.

use groundswell_protocol::bounds::{
    ANNOUNCE_EVERY, ANNOUNCE_TIMEOUT, FRESH_PERIODS, FRESHEN_EVERY, PATIENCE, PATIENCE_MAX, REPROBE,
    REVERT_RETRY, SILENCE, STAGE_RETRY_MAX, SWITCH_TIMEOUT, SYNC_TIMEOUT,
};
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::plan::Plan;

use super::release::{Known, places};
use super::{Property, Referees};
use crate::world::queue::Moment;

/// Slack for frames and commits on the way.
const SLACK: Span = Span::seconds(10);

/// What the referees see of the world when they look around.
pub struct Sight<'a> {
    /// The present moment.
    pub now: Moment,
    /// When a machine or a link last changed.
    pub calm_since: Moment,
    /// Which machines are on, by place.
    pub on: &'a [bool],
    /// Whether news of one machine can come to another, over others too.
    pub linked: &'a dyn Fn(u32, u32) -> bool,
    /// Whether what a machine asks of another, and of it alone, is answered.
    pub meet: &'a dyn Fn(u32, u32) -> bool,
    /// How much slower than with gossip news may travel.
    pub patience: u64,
}

impl Sight<'_> {
    fn waits(&self, since: Moment) -> Span {
        Span(self.now.milliseconds_since(since.max(self.calm_since)))
    }

    fn is_on(&self, place: u32) -> bool {
        self.on.get(place as usize).copied().unwrap_or(false)
    }

    fn reaches(&self, one: u32, other: u32) -> bool {
        self.is_on(other) && (one == other || (self.linked)(one, other) && (self.linked)(other, one))
    }

    fn meets(&self, one: u32, other: u32) -> bool {
        self.reaches(one, other) && (self.meet)(one, other)
    }
}

/// The longest that a node may stay in a stage while nothing around it changes; `None`: it may rest there.
pub fn stage_bound(stage: Stage, plan: &Plan) -> Option<Span> {
    let seconds = |s: u32| Span::seconds(u64::from(s));
    let bound = match stage {
        // The driver gives up a fetch by itself, and the next recipe is tried.
        Stage::Fetching | Stage::Staging => STAGE_RETRY_MAX.times(2),
        Stage::Freshening => Span(SYNC_TIMEOUT.0 * 6 + FRESHEN_EVERY.0),
        Stage::Announcing => Span(ANNOUNCE_TIMEOUT.0 + ANNOUNCE_EVERY.0),
        Stage::Activating => SWITCH_TIMEOUT,
        Stage::Trial => seconds(plan.trial_s).times(2),
        Stage::Reverting => Span(SWITCH_TIMEOUT.0 + REVERT_RETRY.0),
        Stage::Reprobing => REPROBE.times(2),
        Stage::NotMine
        | Stage::Known
        | Stage::Staged
        | Stage::Healthy
        | Stage::Failed
        | Stage::Reverted
        | Stage::Confirmed
        | Stage::Skipped
        | Stage::Stuck => return None,
    };
    Some(Span(bound.0 + SLACK.0))
}

/// How long a leader that does nothing may stay: the patience of as many fruitless terms as may follow.
fn leader_bound(known: &Known, fruitless: usize) -> Span {
    let plan = &known.plan;
    let patience = (0..=fruitless.min(8)).map(|term| (PATIENCE.0 << term).min(PATIENCE_MAX.0));
    // A leader that has just started counts again what it had seen: silence, and the bake.
    let counts_again = SILENCE.0 + Span::seconds(u64::from(plan.trial_s) + u64::from(plan.bake_s)).0;
    let silent = known.juror_period.times(FRESH_PERIODS + 1).0;
    Span(patience.sum::<u64>() + counts_again + silent + SLACK.0)
}

impl Referees {
    /// Looks around, once a second.
    pub fn look(&mut self, sight: &Sight<'_>) {
        self.look_at_stages(sight);
        let mut breaches = Vec::new();
        for known in self.releases.values_mut() {
            let jurors: Vec<u32> = places(&self.nodes, &known.jury).into_iter().collect();
            let honest = |place: &u32| !self.liars.contains(place);
            for juror in jurors.iter().filter(|place| sight.is_on(**place) && honest(place)) {
                let Some(part) = self.parts.get(&(*juror, known.rollout)) else { continue };
                if !part.met || part.gone || part.stopped || part.done {
                    continue;
                }
                // That a quorum is there is enough to know.
                let there = jurors.iter().filter(|other| sight.reaches(*juror, **other));
                let there = there.take(known.quorum).count();
                let willing = |o: &&u32| honest(o) && !known.stop_sayers.contains(o);
                let truthful = || jurors.iter().filter(|o| sight.reaches(*juror, **o) && willing(o)).count();
                let (hold, since) = part.hold;
                if there < known.quorum {
                    breaches.extend(unsaid(known, sight, *juror, hold, part.since, there));
                } else if hold == Hold::WaitingForLeader {
                    let truthful = truthful();
                    if truthful < known.quorum {
                        continue;
                    }
                    let fruitless = jurors.len() - truthful;
                    let bound = leader_bound(known, fruitless).times(sight.patience);
                    if sight.waits(since) > bound {
                        let what = format!("no leader has proposed for {} s", sight.waits(since).0 / 1000);
                        breaches.push((Property::L2, Some(*juror), what));
                    }
                }
            }
            let of_release = |part: &RolloutId| *part == known.rollout;
            let ended =
                || self.parts.iter().any(|((_, r), part)| of_release(r) && (part.stopped || part.done));
            let able: Vec<u32> = jurors.iter().copied().filter(|p| sight.is_on(*p) && honest(p)).collect();
            let counts = |node: &groundswell_protocol::identity::NodeId| {
                let place = self.nodes.binary_search(node).ok().and_then(|p| u32::try_from(p).ok());
                // A liar takes back what it found, or says it to some.
                place.is_some_and(|place| {
                    honest(&place)
                        && sight.is_on(place)
                        && able.iter().all(|juror| sight.reaches(*juror, place))
                })
            };
            // What too few keys signed is followed by nobody: what liars say of it stops nothing.
            let can = known.signed && able.len() >= known.stoppers;
            if !can || !known.must_stop(counts) || ended() {
                known.evidence_since = None;
            } else {
                let since = *known.evidence_since.get_or_insert(sight.now);
                let bound = Span::seconds(60).times(sight.patience);
                if sight.waits(since) > bound {
                    let what = "enough nodes have found it bad, and it goes on".to_owned();
                    breaches.push((Property::L3, None, what));
                }
            }
        }
        for (property, place, what) in breaches {
            self.breach_once(sight.now, property, place, what);
        }
    }

    fn look_at_stages(&mut self, sight: &Sight<'_>) {
        let mut late = Vec::new();
        for ((place, rollout), (stage, since)) in &self.moving {
            let Some(known) = self.releases.get(rollout) else { continue };
            let Some(bound) = stage_bound(*stage, &known.plan) else { continue };
            if sight.is_on(*place) && sight.waits(*since) > bound.times(sight.patience) {
                late.push((*place, *rollout, *stage, sight.waits(*since)));
            }
        }
        for (place, rollout, stage, waits) in late {
            self.moving.remove(&(place, rollout));
            // A node that reaches too few jurors waits for news of them: that is a hold, and L6's.
            let waits_for_jurors = stage == Stage::Freshening;
            let known = &self.releases[&rollout];
            let jurors = places(&self.nodes, &known.jury);
            let others = jurors.iter().filter(|o| **o != place && sight.meets(place, **o)).count();
            if !waits_for_jurors || others >= known.confirmers() {
                let what = format!("has been {stage:?} for {} s", waits.0 / 1000);
                self.breach_once(sight.now, Property::L4, Some(place), what);
            }
        }
    }
}

/// L6: with too few jurors in reach for long, a node says so, or names another reason of the closed list.
fn unsaid(
    known: &Known,
    sight: &Sight<'_>,
    juror: u32,
    hold: Hold,
    since: Moment,
    there: usize,
) -> Option<(Property, Option<u32>, String)> {
    let bound = Span(known.juror_period.times(FRESH_PERIODS + 2).0 + SLACK.0 * 2);
    let unsaid = matches!(hold, Hold::None | Hold::WaitingForHealth | Hold::WaitingForLeader);
    (unsaid && sight.waits(since) > bound).then(|| {
        let what = format!(
            "reaches {there} of {} jurors, needs {}, and says {hold:?}",
            known.jury.len(),
            known.quorum
        );
        (Property::L6, Some(juror), what)
    })
}
