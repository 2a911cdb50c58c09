//! The trace of a run: what its page is made of.
//!
//! An observer of the world. It sees what happens and changes nothing: a run has the same fingerprint
//! with it and without it. Its memory is bounded whatever the run's length: time lies in at most
//! [`timeline::BUCKETS_MAX`] buckets, lists have a bound each, and what exists per machine is a few
//! bytes. [`Recorder`] is what the world holds; without a trace each of its calls is one comparison.

mod causes;
mod faults;
mod histogram;
mod names;
mod recorder;
mod rollouts;
mod states;
#[cfg(test)]
mod tests;
mod timeline;
mod traffic;

use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::event::{Event, Stage};
use groundswell_protocol::trust::plan::Rung;

use self::causes::Causes;
use self::names::Names;
use self::timeline::Coarsen;
use crate::fleet::{Fleet, Release};
use crate::scenario::{Scenario, file};
use crate::world::queue::Moment;

pub use causes::{Chain, LINKS_MAX, Link, Way};
pub use faults::{Faults, SPANS_MAX, Span};
pub use histogram::Histogram;
pub use recorder::{PARTITION, PEOPLE, Recorder};
pub use rollouts::{End, FAILED, Gate, HEALTHY, HOLDS, Journey, Proposal, StopWord, Term, hold_words};
pub use states::{ROWS_MAX, Row, State};
pub use timeline::{BUCKETS_MAX, Clock, Point, Series, Sums};
pub use traffic::{Amount, GOSSIP, KINDS, Kind, PAYLOAD, SYNC, Traffic};

/// Longest text of a scenario that a trace keeps, in bytes.
const SCENARIO_TEXT_MAX: usize = 65_536;

/// Time from the first sending of a fact to each of its arrivals, by what it is.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Gossiped manifests, commands, policies and censuses.
    pub papers: Histogram,
    /// Gossiped ballots and proposals.
    pub decisions: Histogram,
    /// Gossiped votes.
    pub votes: Histogram,
    /// Gossiped beacons, some of them.
    pub beacons: Histogram,
    /// Whatever but beacons came by sync.
    pub synced: Histogram,
}

/// What was recorded of a run.
#[derive(Debug)]
pub struct Trace {
    /// The buckets of everything below.
    pub clock: Clock,
    /// When the run ended.
    pub ended: Moment,
    /// Machines.
    pub nodes: u32,
    /// Which of the releases the run is about, by its place.
    pub goal: usize,
    /// The plan in words, line by line.
    pub plan: Vec<(&'static str, String)>,
    /// The releases.
    pub journeys: Vec<Journey>,
    /// Machines that are on.
    pub on: Series,
    /// How many machines stand where, in the order of [`State::ALL`].
    pub standing: [Series; State::ALL.len()],
    /// Machines of the raster, in line.
    pub rows: Vec<Row>,
    /// Faults and acts.
    pub faults: Faults,
    /// Bytes.
    pub traffic: Traffic,
    /// How fast facts travelled.
    pub latency: Latency,
    /// What led to the first breach, to the stop, or to the end; in this order, as far as there are any.
    pub chains: Vec<Chain>,
    /// The scenario as text.
    pub scenario_text: String,
    names: Names,
    causes: Causes,
    /// The row of each machine that has one.
    row_of: Vec<Option<u16>>,
    machines: Vec<Standing>,
    counts: [u64; State::ALL.len()],
    running: Vec<u64>,
    breaches_seen: usize,
    stop_told: bool,
    end_told: bool,
}

/// What a trace knows of a machine.
#[derive(Clone, Debug)]
struct Standing {
    on: bool,
    state: State,
    /// The release that runs, by place.
    runs: Option<u8>,
    /// How far it is with each release, and with which one last.
    stages: Vec<State>,
    newest: usize,
}

impl Trace {
    /// A trace of a run that is about to begin.
    pub fn new(scenario: &Scenario, fleet: &Fleet, releases: &[Release]) -> Self {
        let goal = scenario.goal.release();
        let names = Names {
            nodes: fleet.nodes.clone(),
            releases: releases.iter().zip(0..).map(|(release, place)| (release.rollout, place)).collect(),
            trees: releases.iter().zip(0..).map(|(release, place)| (release.tree, place)).collect(),
            versions: releases.iter().map(|release| release.law.version.to_string()).collect(),
        };
        let journeys: Vec<Journey> =
            releases.iter().map(|r| Journey::new(r, |node| names.place(node))).collect();
        let ranks = releases.get(goal).map(|release| &release.roster.members);
        let mut line: Vec<(Option<u32>, u32)> = (0..scenario.nodes).map(|node| (None, node)).collect();
        for (rank, member) in (0..).zip(ranks.into_iter().flatten()) {
            if let Some(slot) = names.place(*member).and_then(|place| line.get_mut(place as usize)) {
                slot.0 = Some(rank);
            }
        }
        line.sort_by_key(|(rank, node)| (rank.is_none(), *rank, *node));
        let order: Vec<u32> = line.iter().map(|(_, node)| *node).collect();
        let mut row_of = vec![None; order.len()];
        let mut rows = Vec::new();
        for place in states::sample(&order) {
            let (rank, node) = line[place];
            row_of[node as usize] = u16::try_from(rows.len()).ok();
            rows.push(Row { node, rank, runs: vec![(0, State::Off)] });
        }
        let machine = Standing {
            on: false,
            state: State::Off,
            runs: None,
            stages: vec![State::Idle; releases.len()],
            newest: 0,
        };
        let mut counts = [0; State::ALL.len()];
        counts[State::Off as usize] = u64::from(scenario.nodes);
        let mut text = file::write(scenario);
        if text.len() > SCENARIO_TEXT_MAX {
            let end = (0..=SCENARIO_TEXT_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        Self {
            clock: Clock::default(),
            ended: Moment::default(),
            nodes: scenario.nodes,
            goal,
            plan: plan_words(scenario),
            running: vec![0; journeys.len()],
            journeys,
            on: Series::default(),
            standing: Default::default(),
            rows,
            faults: Faults::default(),
            traffic: Traffic::default(),
            latency: Latency::default(),
            chains: Vec::new(),
            scenario_text: text,
            names,
            causes: Causes::default(),
            row_of,
            machines: vec![machine; order.len()],
            counts,
            breaches_seen: 0,
            stop_told: false,
            end_told: false,
        }
    }

    /// Whether not every machine has a row.
    pub fn is_sampled(&self) -> bool {
        u64::from(self.nodes) > self.rows.len() as u64
    }

    /// The bucket of a moment; everything melts until there is one.
    fn bucket(&mut self, now: Moment) -> u32 {
        loop {
            if let Some(bucket) = self.clock.bucket(now) {
                return bucket;
            }
            self.clock.widen();
            let series = std::iter::once(&mut self.on).chain(&mut self.standing);
            series.for_each(Coarsen::coarsen);
            self.journeys.iter_mut().for_each(Coarsen::coarsen);
            self.rows.iter_mut().for_each(Coarsen::coarsen);
            self.traffic.coarsen();
        }
    }

    fn journey_of(&self, rollout: RolloutId) -> Option<usize> {
        self.names.releases.get(&rollout).copied()
    }

    /// A machine is on, or off.
    fn power(&mut self, now: Moment, node: u32, on: bool) {
        let bucket = self.bucket(now);
        let machine = &mut self.machines[node as usize];
        if machine.on == on {
            return;
        }
        machine.on = on;
        let count = if on { self.on.last() + 1 } else { self.on.last().saturating_sub(1) };
        self.on.set(bucket, count);
        if !on {
            self.runs_release(bucket, node, None);
        }
        self.stands(bucket, node);
    }

    /// What a machine runs changed.
    fn runs_release(&mut self, bucket: u32, node: u32, release: Option<usize>) {
        let machine = &mut self.machines[node as usize];
        let before = std::mem::replace(&mut machine.runs, release.and_then(|r| u8::try_from(r).ok()));
        if before.map(usize::from) == release {
            return;
        }
        if let Some(before) = before.map(usize::from) {
            self.running[before] = self.running[before].saturating_sub(1);
            self.journeys[before].running.set(bucket, self.running[before]);
        }
        if let Some(release) = release {
            self.running[release] += 1;
            self.journeys[release].runs(bucket, node, self.running[release]);
        }
    }

    fn stage(&mut self, bucket: u32, node: u32, release: usize, from: Stage, to: Stage) {
        match to {
            Stage::Healthy if from == Stage::Trial => {
                self.journeys[release].judged_itself(bucket, node, HEALTHY);
            }
            Stage::Reprobing | Stage::Failed if from != Stage::Reprobing => {
                self.journeys[release].judged_itself(bucket, node, FAILED);
            }
            _ => {}
        }
        let machine = &mut self.machines[node as usize];
        machine.stages[release] = State::of(to);
        machine.newest = release;
        self.stands(bucket, node);
    }

    /// A machine knows a release to be stopped: what it had not begun it never will.
    fn gives_up(&mut self, bucket: u32, node: u32, release: usize) {
        let state = &mut self.machines[node as usize].stages[release];
        if matches!(state, State::Fetching | State::Staged) {
            *state = State::Idle;
            self.stands(bucket, node);
        }
    }

    /// Where a machine stands, as seen from afar, may have changed.
    fn stands(&mut self, bucket: u32, node: u32) {
        let machine = &mut self.machines[node as usize];
        let state = if machine.on {
            let busy = machine.stages.iter().copied().find(|state| state.is_busy());
            busy.or(machine.stages.get(machine.newest).copied()).unwrap_or(State::Idle)
        } else {
            State::Off
        };
        let before = std::mem::replace(&mut machine.state, state);
        if before == state {
            return;
        }
        for (state, more) in [(before, false), (state, true)] {
            let count = &mut self.counts[state as usize];
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            self.standing[state as usize].set(bucket, *count);
        }
        if let Some(row) = self.row_of[node as usize] {
            self.rows[usize::from(row)].set(bucket, state);
        }
    }

    /// A machine reports.
    fn reported(&mut self, now: Moment, node: u32, event: &Event) {
        // What a machine counts of itself it has decided just before.
        let of_itself =
            matches!(event, Event::Vote { node: who, .. } if self.names.place(*who) == Some(node));
        if let Some(words) = self.names.event(event).filter(|_| !of_itself) {
            self.causes.does(words);
        }
        let bucket = self.bucket(now);
        match event {
            Event::Rollout { rollout, .. } => {
                if let Some(release) = self.journey_of(*rollout) {
                    self.journeys[release].begins(bucket, now, node);
                }
            }
            Event::Opened { rollout, to, .. } => {
                if let Some(release) = self.journey_of(*rollout) {
                    self.journeys[release].opened(bucket, Gate { at: now, node, open: *to });
                }
            }
            Event::Term { rollout, term, leader } => {
                let leader = self.names.place(*leader);
                if let Some(release) = self.journey_of(*rollout) {
                    self.journeys[release].term(Term { at: now, term: *term, leader });
                }
            }
            Event::Proposed { rollout, open, .. } => {
                if let Some(release) = self.journey_of(*rollout) {
                    self.journeys[release].proposed(Proposal { at: now, node, open: *open });
                }
            }
            Event::StopBallot { rollout, reason } => {
                if let Some(release) = self.journey_of(*rollout) {
                    self.journeys[release].says_stop(StopWord { at: now, node, reason: *reason });
                }
            }
            Event::Stopped { rollout, why } => {
                self.ended(now, node, *rollout, Some(why));
                if let Some(release) = self.journey_of(*rollout) {
                    self.gives_up(bucket, node, release);
                }
            }
            Event::Done { rollout } => self.ended(now, node, *rollout, None),
            Event::Holding { rollout, hold } => {
                if let Some(release) = self.journey_of(*rollout) {
                    self.journeys[release].holds(bucket, node, *hold);
                }
            }
            Event::Stage { rollout, from, to, .. } => {
                if let Some(release) = self.journey_of(*rollout) {
                    self.stage(bucket, node, release, *from, *to);
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, now: Moment, node: u32, rollout: RolloutId, stopped: Option<&String>) {
        let Some(release) = self.journey_of(rollout) else { return };
        let journey = &mut self.journeys[release];
        // A stop beats what some machine took for the end before it knew.
        if journey.end.as_ref().is_none_or(|end| end.stopped.is_none() && stopped.is_some()) {
            journey.end = Some(End { at: now, node, stopped: stopped.map(|why| faults::clipped(why)) });
        }
    }
}

fn plan_words(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let plan = &scenario.plan;
    let seconds = |seconds: u32| format!("{seconds} s");
    let permille = |permille: u16| format!("{}.{} %", permille / 10, permille % 10);
    let rungs: Vec<String> = plan
        .ladder
        .iter()
        .map(|rung| match rung {
            Rung::Nodes(nodes) => nodes.to_string(),
            Rung::Permille(of) => permille(*of),
        })
        .collect();
    vec![
        ("ladder", rungs.join(" → ")),
        ("trial", seconds(plan.trial_s)),
        ("bake", seconds(plan.bake_s)),
        ("stage", seconds(plan.stage_s)),
        ("stands still at most", seconds(plan.hold_s)),
        ("holds at", permille(plan.hold_permille)),
        ("stops at", permille(plan.stop_permille)),
        ("reverts spread over", seconds(plan.revert_spread_s)),
        ("beacons every", format!("{} ms", plan.beacon_ms)),
    ]
}
