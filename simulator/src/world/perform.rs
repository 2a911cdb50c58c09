//! Performs what the cores decide: frames, records, reports.

use std::hash::{Hash as _, Hasher as _};

use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::{Event, Input, Verdict, Via};

use super::overlay::flight::Flight;
use super::overlay::{Announced, HEARTBEAT_MILLISECONDS, HISTORY_HEARTBEATS, NAME_BYTES};
use super::queue::Moment;
use super::{Happening, World};
use crate::generator::Folding;
use crate::machine::disk::{Commit, Write};
use crate::machine::effects::Effect;
use crate::machine::message::Payload;
use crate::report::kinds::Kind;
use crate::scenario::CrashPoint;

/// Shortest and longest time of one commit: 4 ms was measured for an append with fdatasync.
const COMMIT_MICROS: (u64, u64) = (3_000, 6_000);

impl World {
    pub(super) fn perform(&mut self, node: u32, effect: Effect) {
        match effect {
            Effect::Send(to, frame) => {
                self.referees.sent(self.now, node, &frame);
                if let Some(to) = self.fleet.place(to)
                    && !self.hushes(node, Some(to), &frame)
                {
                    let written = self.in_its_version(node, &frame);
                    self.send(node, to, written.as_ref().unwrap_or(&frame));
                }
            }
            Effect::Broadcast(frame) => {
                self.referees.sent(self.now, node, &frame);
                if !self.hushes(node, None, &frame) {
                    let written = self.in_its_version(node, &frame);
                    self.broadcast(node, written.as_ref().unwrap_or(&frame));
                }
            }
            Effect::Verdict(_) => {}
            Effect::Persist(id, record) => {
                if self.trips(node, CrashPoint::BeforePersist) {
                    return;
                }
                let key = self.reader.record_key(self.fleet.id, &record);
                self.write(node, Write::Keep { id, key, record });
            }
            Effect::Forget(key) => self.write(node, Write::Forget(key.into())),
            Effect::Fetch(work, holders) => self.fetch(node, work, holders),
            Effect::Stage(work) => self.stage(node, work),
            Effect::Cancel(rollout) => {
                self.referees.cancelled(node, rollout);
                self.cancel(node, rollout);
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
            self.carry(from, to, frame, None, 0);
        }
    }

    /// Gossips a frame of a machine's own.
    pub(super) fn broadcast(&mut self, node: u32, frame: &Payload) {
        if !self.overlay.is_on() {
            return;
        }
        let flight = self.overlay.publish(self.now, node, frame);
        // Flood publishing: whoever begins tells all that it is linked with.
        for place in 0..self.overlay.linked(node).len() {
            let to = self.overlay.linked(node)[place];
            self.pass_on(node, to, 1, &flight, 0);
        }
    }

    fn relay(&mut self, node: u32, except: u32, hops: u8, flight: &Flight) {
        if self.withholds(node) {
            return;
        }
        for place in 0..self.overlay.mesh(node).len() {
            let to = self.overlay.mesh(node)[place];
            if to != except {
                self.pass_on(
                    node,
                    to,
                    hops.saturating_add(1),
                    flight,
                    self.overlay.wait_micros(node, flight),
                );
            }
        }
    }

    /// Sends a message on, `wait` microseconds from now.
    fn pass_on(&mut self, node: u32, to: u32, hops: u8, flight: &Flight, wait: u64) {
        // Its word that it has got this is here in time. Of a small message that word is its copy, which has waited there.
        let since = || {
            let waited = if flight.is_large() { 0 } else { self.overlay.wait_micros(to, flight) };
            self.links.latency_micros(node, to) + waited
        };
        if flight.had(to, self.now.after_micros(wait), since) {
            self.counters.not_wanted += 1;
            return;
        }
        self.count_frame(flight.message());
        self.carry(node, to, flight.message(), Some((hops, flight)), wait);
    }

    /// Whoever lacks a message and hears of it asks for it: there and back and there again.
    pub(super) fn announce(&mut self) {
        let machines = &self.machines;
        let announced = self.overlay.announce(self.now, |node| machines[node as usize].is_on());
        let alive = u64::from(self.scenario.nodes);
        self.count_announcing(self.overlay.announcing_bytes(self.now, alive));
        for Announced { from, to, flight } in announced {
            if self.withholds(from) {
                continue;
            }
            let mut latency = 0;
            let mut arrives = true;
            for (one, other) in [(from, to), (to, from)] {
                let name = self.links.carry(self.now, one, other, NAME_BYTES)[0];
                arrives &= name.is_some_and(|name| name.damage.is_none());
                latency += name.map_or(0, |name| name.at.0 - self.now.0);
            }
            self.counters.asked_for += 1;
            self.count_announcing(2 * NAME_BYTES);
            if arrives && latency < HISTORY_HEARTBEATS * HEARTBEAT_MILLISECONDS * 1000 {
                self.count_frame(flight.message());
                self.carry(from, to, flight.message(), Some((1, &flight)), latency);
            }
        }
    }

    fn count_announcing(&mut self, bytes: u64) {
        self.counters.frame_bytes += bytes;
        self.recorder.announced(self.now, bytes);
    }

    fn count_frame(&mut self, frame: &Payload) {
        self.counters.frames += 1;
        self.counters.frame_bytes += frame.length();
        self.recorder.frame(self.now, frame.bytes());
    }

    pub(super) fn arrive(&mut self, to: u32, from: u32, frame: &Payload) {
        if !self.links.passes(from, to) || !self.machines[to as usize].is_on() {
            return self.counters.kinds.count(Kind::Lost);
        }
        self.fingerprint.mix(frame.id() ^ u64::from(from));
        let from = self.fleet.nodes[from as usize];
        let read = self.in_its_version(to, frame);
        let frame = read.as_ref().unwrap_or(frame);
        self.referees.received(to, from, frame);
        self.reader.hand(frame);
        self.lying.heard(to, false, frame);
        self.deliver(to, Input::Received { from, via: Via::Direct, frame: frame.bytes() });
        self.counters.kinds.count(Kind::of(frame.read()));
    }

    pub(super) fn arrive_gossip(&mut self, to: u32, from: u32, hops: u8, flight: &Flight) {
        let reachable = self.links.passes(from, to) && self.machines[to as usize].is_on();
        if !reachable {
            return self.counters.kinds.count(Kind::Lost);
        }
        if !self.overlay.first_time(self.now, to, flight) {
            self.counters.duplicates += 1;
            return self.counters.kinds.count(Kind::Duplicate);
        }
        self.counters.first_copies += 1;
        self.counters.hops += u64::from(hops);
        self.counters.straight += u64::from(hops == 1);
        self.counters.hops_max = self.counters.hops_max.max(u64::from(hops));
        let frame = flight.message();
        self.lying.heard(to, true, frame);
        self.fingerprint.mix(frame.id());
        let peer = self.fleet.nodes[from as usize];
        let read = self.in_its_version(to, frame);
        let frame = read.as_ref().unwrap_or(frame);
        self.referees.received(to, peer, frame);
        self.reader.hand(frame);
        let verdict =
            self.deliver(to, Input::Received { from: peer, via: Via::Gossip, frame: frame.bytes() });
        self.counters.kinds.count(Kind::of(frame.read()));
        if verdict == Some(Verdict::Accepted) {
            self.relay(to, from, hops, flight);
        }
    }

    /// Reads one event of the one stream.
    fn report(&mut self, node: u32, event: &Event) {
        let mut fields = Folding(u64::from(node));
        event.hash(&mut fields);
        self.fingerprint.mix(fields.finish());
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
