//! The story of a run, one line per change of the fleet's state.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::facts::{RolloutId, StopReason};
use groundswell_protocol::node::Event;

use super::Wave;
use crate::fleet::{Fleet, Release};
use crate::world::queue::Moment;

/// Jurors' words of stop that are told one by one; the rest say the same.
const STOPS_TOLD: usize = 3;

/// Who tells the story, and what was told already.
pub struct Story {
    tell: Box<dyn FnMut(&str)>,
    versions: BTreeMap<RolloutId, String>,
    publishers: BTreeMap<RolloutId, u32>,
    opened: BTreeMap<RolloutId, Vec<(Moment, u32)>>,
    terms: BTreeMap<RolloutId, u32>,
    stops: BTreeMap<RolloutId, BTreeSet<u32>>,
    ended: BTreeSet<RolloutId>,
    reverts: u32,
}

impl Story {
    /// A story about `releases`.
    pub fn new(tell: Box<dyn FnMut(&str)>, releases: &[Release]) -> Self {
        Self {
            tell,
            versions: releases.iter().map(|r| (r.rollout, r.law.version.clone())).collect(),
            publishers: BTreeMap::new(),
            opened: BTreeMap::new(),
            terms: BTreeMap::new(),
            stops: BTreeMap::new(),
            ended: BTreeSet::new(),
            reverts: 0,
        }
    }

    /// Tells a line.
    pub fn tell(&mut self, now: Moment, what: &str) {
        (self.tell)(&format!("{now} s  {what}"));
    }

    /// A release was handed to a machine.
    pub fn published(&mut self, now: Moment, node: u32, release: &Release) {
        self.publishers.insert(release.rollout, node);
        let (version, members) = (&release.law.version, release.roster.count());
        self.tell(now, &format!("{version} is published on machine {node} for {members} machines"));
    }

    /// The machine that a release was handed to.
    pub fn publisher(&self, rollout: RolloutId) -> Option<u32> {
        self.publishers.get(&rollout).copied()
    }

    /// A machine lost its power.
    pub fn crashed(&mut self, now: Moment, node: u32, back_after: Option<u64>) {
        let back =
            back_after.map_or("for good".to_owned(), |ms| format!("for {}.{:03} s", ms / 1000, ms % 1000));
        self.tell(now, &format!("machine {node} loses its power {back}"));
    }

    /// A machine reported something.
    pub fn heard(&mut self, now: Moment, node: u32, event: &Event, fleet: &Fleet) {
        let version =
            |story: &Self, rollout| story.versions.get(rollout).map_or("?", String::as_str).to_owned();
        match event {
            Event::Opened { rollout, to, .. } => self.heard_opened(now, *rollout, *to),
            Event::Term { rollout, term, leader }
                if self.terms.get(rollout).is_none_or(|known| known < term) =>
            {
                self.terms.insert(*rollout, *term);
                let leader = fleet.place(*leader).map_or("nobody".to_owned(), |n| format!("machine {n}"));
                self.tell(now, &format!("{}: term {term}, led by {leader}", version(self, rollout)));
            }
            Event::StopBallot { rollout, reason } => {
                self.stops.entry(*rollout).or_default().insert(node);
                let count = self.stops[rollout].len();
                if count > STOPS_TOLD {
                    return;
                }
                let why = match reason {
                    StopReason::Evidence => "enough nodes failed",
                    StopReason::Expired => "it stands still for too long",
                };
                self.tell(
                    now,
                    &format!("{}: juror {node} says stop ({count}): {why}", version(self, rollout)),
                );
            }
            Event::Stopped { rollout, why } if self.ended.insert(*rollout) => {
                self.tell(now, &format!("{}: stopped: {why}", version(self, rollout)));
            }
            Event::Done { rollout } if self.ended.insert(*rollout) => {
                self.tell(now, &format!("{}: done", version(self, rollout)));
            }
            Event::Switched { revert: true, .. } => {
                self.reverts += 1;
                let count = self.reverts;
                self.tell(now, &format!("machine {node} is back on its old version ({count})"));
            }
            _ => {}
        }
    }

    fn heard_opened(&mut self, now: Moment, rollout: RolloutId, to: u32) {
        let waves = self.opened.entry(rollout).or_default();
        let before = waves.last().map_or(0, |(_, open)| *open);
        if to > before {
            waves.push((now, to));
            let version = self.versions.get(&rollout).map_or("?", String::as_str);
            let line = format!("{version}: open {before} -> {to}");
            self.tell(now, &line);
        }
    }

    /// The waves of a rollout, with the time that each took until the next was opened.
    pub fn waves(&self, rollout: RolloutId) -> Vec<Wave> {
        let Some(opened) = self.opened.get(&rollout) else { return Vec::new() };
        let before = std::iter::once(0).chain(opened.iter().map(|(_, open)| *open));
        let next = opened.iter().skip(1).map(|(at, _)| Some(*at)).chain(std::iter::once(None));
        opened
            .iter()
            .zip(before)
            .zip(next)
            .filter_map(|(((at, open), before), next)| {
                Some(Wave { nodes: open - before, milliseconds: next?.milliseconds_since(*at) })
            })
            .collect()
    }
}
