//! Performs what the cores decide: frames, records, reports.

use std::fmt::Write as _;

use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Event, Input, Verdict, Via};

use super::queue::Moment;
use super::{Happening, World};
use crate::generator::fold;
use crate::machine::disk::{Commit, Write};
use crate::machine::effects::{Effect, Payload};
use crate::scenario::CrashPoint;

/// Shortest and longest time of one commit: 4 ms was measured for an append with fdatasync.
const COMMIT_MICROS: (u64, u64) = (3_000, 6_000);

impl World {
    pub(super) fn perform(&mut self, node: u32, effect: Effect) {
        match effect {
            Effect::Send(to, frame) => {
                self.referees.sent(self.now, node, &frame);
                if let Some(to) = self.fleet.place(to) {
                    self.send(node, to, &frame);
                }
            }
            Effect::Broadcast(frame) => {
                self.referees.sent(self.now, node, &frame);
                self.broadcast(node, &frame);
            }
            Effect::Verdict(_) => {}
            Effect::Persist(id, record) => {
                if self.trips(node, CrashPoint::BeforePersist) {
                    return;
                }
                let key = record.key(self.fleet.id);
                self.write(node, Write::Keep { id, key, record });
            }
            Effect::Forget(key) => self.write(node, Write::Forget(key)),
            Effect::Fetch(work, holders) => self.fetch(node, work, holders),
            Effect::Stage(work) => self.stage(node, work),
            Effect::Cancel(rollout) => {
                self.referees.cancelled(node, rollout);
                let machine = &mut self.machines[node as usize];
                machine.fetching.remove(&rollout);
                machine.staging.remove(&rollout);
            }
            Effect::Activate(component, tree) => self.activate(node, component, tree),
            Effect::Revert(component, tree) => self.revert(node, component, tree),
            Effect::Confirm(component, tree, keep) => self.confirm(node, &component, tree, &keep),
            Effect::Probe(component, tree, probes) => self.probe_anew(node, component, tree, probes),
            Effect::Report(event) => self.report(node, &event),
        }
    }

    fn write(&mut self, node: u32, write: Write) {
        if self.machines[node as usize].disk.write(write) {
            self.commit_later(node);
        }
    }

    fn commit_later(&mut self, node: u32) {
        let machine = &mut self.machines[node as usize];
        let micros = machine.luck().between(COMMIT_MICROS.0, COMMIT_MICROS.1) * machine.disk.slowness();
        let life = machine.life;
        self.push(self.now.after_micros(micros), node, Happening::Commit { node, life });
    }

    pub(super) fn commit(&mut self, node: u32, life: u32) {
        if !self.lives(node, life) || self.trips(node, CrashPoint::InCommit) {
            return;
        }
        let machine = &mut self.machines[node as usize];
        let commit = machine.disk.commit();
        if machine.disk.begin() {
            self.commit_later(node);
        }
        self.counters.commits += 1;
        match commit {
            Some(Commit::Done(last, records)) => {
                for record in &records {
                    self.referees.durable(self.now, node, record);
                }
                if self.trips(node, CrashPoint::AfterCommit) {
                    return;
                }
                if let Some(last) = last {
                    self.deliver(node, Input::Persisted(last));
                }
                let disk = &self.machines[node as usize].disk;
                if disk.is_at_rest() {
                    self.referees.at_rest(self.now, node, || disk.records());
                }
            }
            Some(Commit::Failed(first)) => {
                self.deliver(node, Input::PersistFailed(first));
            }
            None => {}
        }
    }

    /// Puts a frame on the way to one machine.
    fn send(&mut self, from: u32, to: u32, frame: &Payload) {
        self.count_frame(frame);
        if from != to {
            self.carry(from, to, frame, None);
        }
    }

    /// Gossips a frame of a machine's own.
    pub(super) fn broadcast(&mut self, node: u32, frame: &Payload) {
        let message = fold(0, frame);
        self.overlay.first_time(self.now, node, message);
        self.relay(node, None, frame, message);
    }

    fn relay(&mut self, node: u32, except: Option<u32>, frame: &Payload, message: u64) {
        for to in self.overlay.neighbours(node) {
            if Some(to) == except {
                continue;
            }
            self.count_frame(frame);
            self.carry(node, to, frame, Some(message));
        }
    }

    fn count_frame(&mut self, frame: &Payload) {
        self.counters.frames += 1;
        self.counters.frame_bytes += frame.len() as u64;
        self.recorder.frame(self.now, frame);
    }

    pub(super) fn arrive(&mut self, to: u32, from: u32, frame: &Payload) {
        if !self.links.passes(from, to) || !self.machines[to as usize].is_on() {
            return;
        }
        self.mix(fold(u64::from(from), frame));
        let from = self.fleet.nodes[from as usize];
        self.referees.received(to, from, frame);
        self.deliver(to, Input::Received { from, via: Via::Direct, frame });
    }

    pub(super) fn arrive_gossip(&mut self, to: u32, from: u32, frame: &Payload, message: u64) {
        let reachable = self.links.passes(from, to) && self.machines[to as usize].is_on();
        if !reachable || !self.overlay.first_time(self.now, to, message) {
            return;
        }
        self.mix(message);
        let peer = self.fleet.nodes[from as usize];
        self.referees.received(to, peer, frame);
        let verdict = self.deliver(to, Input::Received { from: peer, via: Via::Gossip, frame });
        if verdict == Some(Verdict::Accepted) {
            self.relay(to, Some(from), frame, message);
        }
    }

    /// Reads one event of the one stream.
    fn report(&mut self, node: u32, event: &Event) {
        let mut text = String::new();
        let _ = write!(text, "{event:?}");
        self.mix(fold(u64::from(node), text.as_bytes()));
        self.referees.reported(self.now, node, event);
        if moves(event) {
            self.last_motion = self.now;
        }
        match event {
            Event::Opened { rollout, to, .. } => {
                let opened = self.opened.entry(*rollout).or_default();
                *opened = (*to).max(*opened);
            }
            Event::Proposed { .. } => self.last_leader = Some(node),
            Event::Done { rollout } => {
                self.endings.insert((node, *rollout), Ending::Done);
            }
            Event::Stopped { rollout, .. } => {
                self.endings.insert((node, *rollout), Ending::Stopped);
            }
            Event::Refused { .. } => self.counters.refusals += 1,
            _ => {}
        }
        self.story.heard(self.now, node, event, &self.fleet);
        self.due_steps();
    }

    /// When something last moved.
    pub(super) fn last_motion(&self) -> Moment {
        self.last_motion
    }
}

/// Whether an event means that the fleet is still at it.
fn moves(event: &Event) -> bool {
    matches!(
        event,
        Event::Opened { .. }
            | Event::Term { .. }
            | Event::Proposed { .. }
            | Event::StopBallot { .. }
            | Event::Stopped { .. }
            | Event::Done { .. }
            | Event::Stage { .. }
            | Event::Switched { .. }
            | Event::Vote { .. }
    )
}
