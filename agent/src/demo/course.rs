//! One rollout as all nodes together saw it: fed with sightings in any order, asked for figures.

use std::collections::BTreeMap;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::Health;
use groundswell_protocol::facts::{RolloutId, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::trust::manifest::Manifest;

use super::chronicle::Sighting;

/// What is worth a line to whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// So many ranks are open now.
    Opened(u32),
    /// A node passed its trial.
    Healthy(NodeId),
    /// A node failed, in its words.
    Failed(NodeId, String),
    /// Another juror leads.
    Leader(NodeId),
    /// The juror at this place says: stop; so many do now.
    StopVote(usize, usize),
    /// The fleet has stopped it.
    Stopped(String),
    /// The node at this place is back on the version before.
    WentBack(usize),
    /// It is done.
    Done,
}

/// A node that has run the release.
#[derive(Clone, Copy, Debug)]
struct Exposure {
    /// When the first of the probes failed that made it unhealthy.
    failing_since: Option<u64>,
    /// When it was back on the version before.
    back_at: Option<u64>,
}

/// A wave, from its opening to the next one's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(super) struct Wave {
    /// Nodes that it added, substitutes among them.
    pub(super) nodes: u32,
    /// How long it took.
    pub(super) seconds: f64,
}

/// A rollout under way. All times are milliseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub(super) struct Course {
    rollout: RolloutId,
    tree: Digest,
    targets: Vec<u32>,
    probe_period_ms: u64,
    published_at: u64,
    opened: BTreeMap<u32, u64>,
    healthy: BTreeMap<NodeId, u64>,
    failed: BTreeMap<NodeId, u64>,
    exposed: BTreeMap<usize, Exposure>,
    stop_votes: BTreeMap<usize, u64>,
    stopped: BTreeMap<usize, u64>,
    done: Option<u64>,
    confirmed: BTreeMap<usize, u64>,
    leaders: BTreeMap<u32, NodeId>,
    proposed: BTreeMap<u32, u64>,
}

/// Keeps the earlier of two moments; says whether the key is new.
fn first<K: Ord>(times: &mut BTreeMap<K, u64>, key: K, at: u64) -> bool {
    let mut new = false;
    let time = times.entry(key).or_insert_with(|| {
        new = true;
        at
    });
    *time = at.min(*time);
    new
}

impl Course {
    /// The rollout of `manifest`, handed over at `published_at`, among `members` nodes.
    pub(super) fn new(rollout: RolloutId, manifest: &Manifest, members: u32, published_at: u64) -> Self {
        let periods = manifest.plan.probes.iter().map(|probe| u64::from(probe.period_ms));
        Self {
            rollout,
            tree: manifest.tree,
            targets: manifest.plan.targets(members),
            probe_period_ms: periods.max().unwrap_or(0),
            published_at,
            opened: BTreeMap::new(),
            healthy: BTreeMap::new(),
            failed: BTreeMap::new(),
            exposed: BTreeMap::new(),
            stop_votes: BTreeMap::new(),
            stopped: BTreeMap::new(),
            done: None,
            confirmed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            proposed: BTreeMap::new(),
        }
    }

    /// Takes note of one event; says whether it is news.
    pub(super) fn see(&mut self, sighting: &Sighting) -> Option<News> {
        let (place, at) = (sighting.place, sighting.unix_ms);
        match &sighting.event {
            Event::Opened { rollout, to, .. } if *rollout == self.rollout => {
                let higher = self.open() < *to;
                first(&mut self.opened, *to, at);
                higher.then_some(News::Opened(*to))
            }
            Event::Vote { rollout, node, state, note, .. } if *rollout == self.rollout => match state {
                VoteState::Healthy => first(&mut self.healthy, *node, at).then_some(News::Healthy(*node)),
                VoteState::Failed(_) => {
                    first(&mut self.failed, *node, at).then(|| News::Failed(*node, note.clone()))
                }
                _ => None,
            },
            Event::Term { rollout, term, leader } if *rollout == self.rollout => {
                let new = self.leaders.insert(*term, *leader).is_none();
                new.then_some(News::Leader(*leader))
            }
            Event::Proposed { rollout, term, .. } if *rollout == self.rollout => {
                first(&mut self.proposed, *term, at);
                None
            }
            Event::StopBallot { rollout, .. } if *rollout == self.rollout => {
                let new = first(&mut self.stop_votes, place, at);
                new.then_some(News::StopVote(place, self.stop_votes.len()))
            }
            Event::Stopped { rollout, why } if *rollout == self.rollout => {
                let new = self.stopped.is_empty();
                first(&mut self.stopped, place, at);
                new.then(|| News::Stopped(why.clone()))
            }
            Event::Done { rollout } if *rollout == self.rollout => {
                let new = self.done.is_none();
                self.done = Some(self.done.map_or(at, |done| done.min(at)));
                new.then_some(News::Done)
            }
            Event::Stage { rollout, to, .. } if *rollout == self.rollout => self.see_stage(place, *to, at),
            Event::Switched { tree, revert, .. } => self.see_switch(place, *tree, *revert, at),
            Event::Health { report, .. } if report.health == Health::Unhealthy => {
                let earlier = u64::from(report.numbers.failed_in_a_row.saturating_sub(1));
                self.fails_since(place, at.saturating_sub(earlier * self.probe_period_ms));
                None
            }
            _ => None,
        }
    }

    fn see_stage(&mut self, place: usize, to: Stage, at: u64) -> Option<News> {
        match to {
            Stage::Confirmed => {
                first(&mut self.confirmed, place, at);
            }
            // A node that goes back without a word from its probes: its process did not come up.
            Stage::Reverting => self.fails_since(place, at),
            _ => {}
        }
        None
    }

    fn fails_since(&mut self, place: usize, at: u64) {
        if let Some(exposure) = self.exposed.get_mut(&place)
            && exposure.back_at.is_none()
        {
            exposure.failing_since.get_or_insert(at);
        }
    }

    fn see_switch(&mut self, place: usize, tree: Digest, revert: bool, at: u64) -> Option<News> {
        if !revert && tree == self.tree {
            self.exposed.entry(place).or_insert(Exposure { failing_since: None, back_at: None });
            return None;
        }
        let exposure = self.exposed.get_mut(&place)?;
        if !revert || exposure.back_at.is_some() {
            return None;
        }
        exposure.back_at = Some(at);
        Some(News::WentBack(place))
    }

    /// The rollout.
    pub(super) fn rollout(&self) -> RolloutId {
        self.rollout
    }

    /// How many ranks are open.
    pub(super) fn open(&self) -> u32 {
        self.opened.last_key_value().map_or(0, |(open, _)| *open)
    }

    /// How far it has come: rises with every opening and every node that passes its trial.
    pub(super) fn progress(&self) -> usize {
        self.opened.len() + self.healthy.len()
    }

    /// How many nodes passed their trial.
    pub(super) fn healthy(&self) -> usize {
        self.healthy.len()
    }

    /// Whether the node passed its trial.
    pub(super) fn is_healthy(&self, node: &NodeId) -> bool {
        self.healthy.contains_key(node)
    }

    /// On how many machines it is confirmed.
    pub(super) fn confirmed(&self) -> usize {
        self.confirmed.len()
    }

    /// Whether it was done or stopped anywhere.
    pub(super) fn has_ended(&self) -> bool {
        self.done.is_some() || !self.stopped.is_empty()
    }

    /// Whether `machines` machines know that it is stopped, and all that ran it are back.
    pub(super) fn is_undone(&self, machines: usize) -> bool {
        self.stopped.len() >= machines && self.exposed.values().all(|exposure| exposure.back_at.is_some())
    }

    /// Whether it was stopped.
    pub(super) fn was_stopped(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// The places of the machines that have ever run it.
    pub(super) fn exposed(&self) -> Vec<usize> {
        self.exposed.keys().copied().collect()
    }

    /// The first proposal of a term after `term`: when, and by whom.
    pub(super) fn next_leader(&self, term: u32) -> Option<(u64, NodeId)> {
        let (term, at) = self.proposed.range(term + 1..).next()?;
        Some((*at, *self.leaders.get(term)?))
    }

    /// Seconds from the hand-over to the last node's confirmation.
    pub(super) fn seconds_to_last_confirmed(&self) -> Option<f64> {
        let last = self.confirmed.values().max()?;
        Some(seconds(self.published_at, *last))
    }

    /// Seconds from the first failing probe to the failing node being back.
    pub(super) fn revert_seconds(&self) -> Option<f64> {
        let (since, back) = self.first_failing()?;
        Some(seconds(since, back?))
    }

    /// Seconds from the first failing probe to all nodes being back and all knowing of the stop.
    pub(super) fn rollback_seconds(&self) -> Option<f64> {
        let (since, _) = self.first_failing()?;
        let back = self.exposed.values().filter_map(|exposure| exposure.back_at).max()?;
        let stopped = self.stopped.values().max()?;
        Some(seconds(since, back.max(*stopped)))
    }

    fn first_failing(&self) -> Option<(u64, Option<u64>)> {
        let failing = self.exposed.values().filter_map(|e| Some((e.failing_since?, e.back_at)));
        failing.min_by_key(|(since, _)| *since)
    }

    /// The waves. Ranks opened in place of failed ones belong to the wave of those.
    pub(super) fn waves(&self) -> Vec<Wave> {
        let Some(end) = self.done.or_else(|| self.stopped.values().min().copied()) else {
            return Vec::new();
        };
        let members = self.targets.last().copied().unwrap_or(0);
        let mut begun: Vec<(usize, u32, u64)> = Vec::new();
        for (open, at) in self.opened.iter().filter(|(open, _)| **open <= members) {
            let failed = self.failed.values().filter(|failed| **failed <= *at).count();
            let own = open.saturating_sub(u32::try_from(failed).unwrap_or(u32::MAX));
            let wave = self.targets.iter().position(|target| own <= *target).unwrap_or(0);
            match begun.last_mut() {
                Some((last, opened, _)) if *last >= wave => *opened = *open,
                _ => begun.push((wave, *open, *at)),
            }
        }
        let ends = begun.iter().skip(1).map(|(_, _, at)| *at).chain([end]);
        let before = [0].into_iter().chain(begun.iter().map(|(_, opened, _)| *opened));
        let waves = begun.iter().zip(ends).zip(before);
        waves
            .map(|(((_, opened, began), ended), before)| Wave {
                nodes: opened.saturating_sub(before),
                seconds: seconds(*began, ended),
            })
            .collect()
    }
}

/// From one moment to a later one, to the millisecond.
pub(super) fn seconds(from: u64, to: u64) -> f64 {
    std::time::Duration::from_millis(to.saturating_sub(from)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::facts::Failure;
    use groundswell_protocol::facts::health::{HealthNumbers, HealthReport};
    use groundswell_protocol::identity::PublicKey;
    use groundswell_protocol::trust::names::ComponentName;

    const ROLLOUT: RolloutId = RolloutId(Digest([1; 32]));
    const TREE: Digest = Digest([2; 32]);

    fn course(targets: &[u32]) -> Course {
        Course {
            rollout: ROLLOUT,
            tree: TREE,
            targets: targets.to_vec(),
            probe_period_ms: 100,
            published_at: 0,
            opened: BTreeMap::new(),
            healthy: BTreeMap::new(),
            failed: BTreeMap::new(),
            exposed: BTreeMap::new(),
            stop_votes: BTreeMap::new(),
            stopped: BTreeMap::new(),
            done: None,
            confirmed: BTreeMap::new(),
            leaders: BTreeMap::new(),
            proposed: BTreeMap::new(),
        }
    }

    fn see(course: &mut Course, place: usize, unix_ms: u64, event: Event) -> Option<News> {
        course.see(&Sighting { place, unix_ms, event })
    }

    fn opened(to: u32) -> Event {
        Event::Opened { rollout: ROLLOUT, from: 0, to }
    }

    fn switched(tree: Digest, revert: bool) -> Event {
        Event::Switched { component: ComponentName::new("web").expect("name"), tree, revert }
    }

    #[test]
    fn waves_last_from_opening_to_opening_and_the_last_to_done() {
        let mut course = course(&[1, 3, 12]);
        for (at, to) in [(1_000, 1), (3_000, 3), (5_000, 7), (6_000, 12), (9_000, 13)] {
            see(&mut course, 0, at, opened(to));
            // Others hear of it later.
            assert_eq!(see(&mut course, 1, at + 500, opened(to)), None);
        }
        see(&mut course, 0, 9_000, Event::Done { rollout: ROLLOUT });
        let waves: Vec<_> = course.waves().iter().map(|wave| (wave.nodes, wave.seconds)).collect();
        assert_eq!(waves, [(1, 2.0), (2, 2.0), (9, 4.0)]);
    }

    #[test]
    fn a_substitute_belongs_to_the_wave_of_the_node_that_failed() {
        let mut course = course(&[1, 3, 12]);
        see(&mut course, 0, 1_000, opened(1));
        let vote = Event::Vote {
            rollout: ROLLOUT,
            node: PublicKey([3; 32]),
            state: VoteState::Failed(Failure::Unknown),
            attempt: 1,
            numbers: HealthNumbers::default(),
            note: "500".to_owned(),
        };
        assert!(matches!(see(&mut course, 0, 2_000, vote), Some(News::Failed(_, _))));
        see(&mut course, 0, 2_100, opened(2));
        see(&mut course, 0, 4_000, Event::Stopped { rollout: ROLLOUT, why: String::new() });
        assert_eq!(course.waves(), [Wave { nodes: 2, seconds: 3.0 }]);
    }

    #[test]
    fn the_way_back_is_timed_from_the_first_failing_probe() {
        let mut course = course(&[1]);
        see(&mut course, 4, 1_000, switched(TREE, false));
        let report = HealthReport {
            health: Health::Unhealthy,
            numbers: HealthNumbers { failed_in_a_row: 3, ..HealthNumbers::default() },
            note: String::new(),
        };
        let component = ComponentName::new("web").expect("name");
        see(&mut course, 7, 1_500, Event::Health { component: component.clone(), report: report.clone() });
        see(&mut course, 4, 2_000, Event::Health { component, report });
        assert_eq!(see(&mut course, 4, 2_300, switched(Digest([9; 32]), true)), Some(News::WentBack(4)));
        assert!(!course.is_undone(1));
        see(&mut course, 4, 5_800, Event::Stopped { rollout: ROLLOUT, why: String::new() });
        assert!(course.is_undone(1));
        assert_eq!(course.revert_seconds(), Some(0.5));
        assert_eq!(course.rollback_seconds(), Some(4.0));
        assert_eq!(course.exposed(), [4]);
    }
}
