//! Fetches of releases' bytes: part by part, from whoever has a part and a free place, rarest part first.
//!
//! A model of the agent's transfer. Who has a whole part hands it on, so the publisher sends each part a
//! few times and the fleet does the rest. Whom to ask a machine learns from the holders that its core names,
//! and from holders of parts, as they name each other in their outlines. What came before a cut or a crash
//! is not fetched again. A part enters a site once, by the protocol's own rule: whose turn it is fetches it outside.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::{Input, Recipe, Trouble, Work};
use groundswell_protocol::time::Time;
use groundswell_protocol::transfer::locality::Locality;
use serde::Serialize;

use super::flows::{FlowId, Flows, Look};
use super::queue::Moment;
use super::{Happening, World};
use crate::machine::fetch::Fetch;
use crate::machine::parts::Parts;

/// Parts that a fetch takes in at once, each from one machine.
const FLOWS_MAX: usize = 4;
/// Parts that a machine sends at once; who asks for more is told to ask others.
const SENDS_MAX: usize = 8;
/// A machine asks for what its holder can send in so many seconds, and then anew: who is slow sends little.
const SLICE_SECONDS: u64 = 2;
/// And for at least this, a piece of the agent's transfer.
const PIECE_BYTES: u64 = 64 * 1024;
/// Holders that a fetch asks before it waits.
const ASKED_MAX: usize = 4;
/// A fetch that nobody can serve looks again after this.
const SEEK_AGAIN_MILLISECONDS: u64 = 500;
/// A fetch whose holders are all busy looks again after this, doubling up to eight times as long.
const BUSY_MILLISECONDS: u64 = 200;
/// A fetch gives up after so many looks that found nobody.
const SEEK_TRIES: u32 = 40;

/// What a flow carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    rollout: RolloutId,
    part: u32,
}

/// Bytes that a flow has brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    rollout: RolloutId,
    part: u32,
    bytes: u64,
    flow: FlowId,
}

/// Bytes by who sent and who received them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Traffic {
    /// Bytes that each machine sent, by place.
    pub sent: Vec<u64>,
    /// Bytes that each machine received, by place.
    pub received: Vec<u64>,
    /// Bytes from one zone (row) to another (column).
    pub zones: Vec<Vec<u64>>,
}

impl Traffic {
    fn count(&mut self, (from, from_zone): (u32, u16), (to, to_zone): (u32, u16), bytes: u64) {
        self.sent[from as usize] += bytes;
        self.received[to as usize] += bytes;
        let most = usize::from(from_zone.max(to_zone)) + 1;
        if self.zones.len() < most {
            self.zones.iter_mut().for_each(|row| row.resize(most, 0));
            self.zones.resize(most, vec![0; most]);
        }
        self.zones[usize::from(from_zone)][usize::from(to_zone)] += bytes;
    }

    /// Bytes that left their zone.
    pub fn crossed(&self) -> u64 {
        let rows = self.zones.iter().enumerate();
        rows.flat_map(|(zone, row)| row.iter().enumerate().filter(move |(to, _)| *to != zone))
            .map(|(_, b)| b)
            .sum()
    }
}

/// Machines that had a part at some time.
#[derive(Clone, Default)]
struct Having {
    /// In the order in which they got it.
    order: Vec<u32>,
    /// Machines, and where they stand in that order.
    places: BTreeSet<(u32, u32)>,
}

impl Having {
    fn add(&mut self, node: u32) {
        let place = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        self.order.push(node);
        self.places.insert((node, place));
    }

    /// Those among `nodes`, in the order in which they got it.
    fn among(&self, nodes: impl Iterator<Item = u32>) -> Vec<u32> {
        let places = nodes.flat_map(|node| self.places.range((node, 0)..=(node, u32::MAX)));
        let mut found: Vec<(u32, u32)> = places.map(|(node, place)| (*place, *node)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, node)| node).collect()
    }
}

/// Everything that is on its way, and who has which part.
pub(super) struct Bulk {
    flows: Flows<Load>,
    /// Machines that had a part at some time, by blob and part; whether they still have it is looked at.
    having: BTreeMap<(RolloutId, u64), Vec<Having>>,
    traffic: Traffic,
}

impl Bulk {
    pub(super) fn new(rates: Vec<(u64, u64)>) -> Self {
        let nodes = rates.len();
        let traffic = Traffic { sent: vec![0; nodes], received: vec![0; nodes], zones: Vec::new() };
        Self { flows: Flows::new(rates), having: BTreeMap::new(), traffic }
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

fn payload_bytes(work: &Work) -> u64 {
    match &work.recipe {
        Recipe::Present => 0,
        Recipe::Deltas { steps, .. } => steps.iter().map(|step| step.bytes).sum(),
        Recipe::Chunks => work.index_bytes + work.bytes,
    }
}

/// The clock by which a site's turns are kept.
fn time(now: Moment) -> Time {
    Time(now.as_milliseconds())
}

/// What asking for a part brings.
enum Asked {
    /// From this machine, at so many bytes a second.
    From(u32, u64),
    Busy,
    Nobody,
}

impl World {
    pub(super) fn fetch(&mut self, node: u32, work: Box<Work>, holders: Vec<NodeId>) {
        let machine = &mut self.machines[node as usize];
        let rollout = work.rollout;
        if let Some(fetch) = machine.fetching.get_mut(&rollout) {
            fetch.holders = holders;
            return;
        }
        let parts = Parts::new(payload_bytes(&work)).count();
        let mut locality = Locality::new(machine.id, &machine.site(self.now), rollout.0, parts);
        locality.came(time(self.now));
        machine.fetching.insert(rollout, Fetch::new(work, holders, locality));
        self.seek_at(self.now, node, rollout);
    }

    pub(super) fn cancel(&mut self, node: u32, rollout: RolloutId) {
        let machine = &mut self.machines[node as usize];
        machine.staging.remove(&rollout);
        if let Some(fetch) = machine.fetching.remove(&rollout) {
            fetch.flows.into_iter().for_each(|(id, _)| self.tear(id));
        }
    }

    /// A fetch waited, and looks again. Of several such moments the last that was set counts.
    pub(super) fn seek(&mut self, node: u32, life: u32, rollout: RolloutId) {
        let now = self.now;
        let due = |fetch: &mut Fetch| fetch.next.take_if(|next| *next <= now).is_some();
        if self.lives(node, life) && self.machines[node as usize].fetching.get_mut(&rollout).is_some_and(due)
        {
            self.look_for_parts(node, life, rollout);
        }
    }

    fn seek_at(&mut self, at: Moment, node: u32, rollout: RolloutId) {
        let machine = &mut self.machines[node as usize];
        let life = machine.life;
        if let Some(fetch) = machine.fetching.get_mut(&rollout)
            && fetch.next.is_none_or(|next| next > at)
        {
            fetch.next = Some(at);
            self.push(at, node, Happening::Seek { node, life, rollout: Box::new(rollout) });
        }
    }

    /// Looks for somebody to send what is missing.
    fn look_for_parts(&mut self, node: u32, life: u32, rollout: RolloutId) {
        let machine = &mut self.machines[node as usize];
        let Some(fetch) = machine.fetching.get_mut(&rollout) else { return };
        let work = fetch.work.clone();
        let under_way: Vec<u32> = fetch.flows.values().copied().collect();
        let slots = machine.slots_of(&work.component);
        let here = slots.serves(rollout, work.tree);
        let bytes = payload_bytes(&work);
        let parts = slots.parts.get_or_insert_with(&rollout, || Parts::new(bytes));
        if parts.bytes() != bytes {
            *parts = Parts::new(bytes);
        }
        if here || work.recipe == Recipe::Present || parts.is_whole() {
            return self.push(
                self.now.after_milliseconds(1),
                node,
                Happening::Fetched { node, life, rollout: Box::new(rollout) },
            );
        }
        let parts = parts.clone();
        let wanted = self.rarest_first(node, &work, &parts, &under_way);
        let (mut room, mut busy) = (FLOWS_MAX.saturating_sub(under_way.len()), false);
        for part in wanted {
            if room == 0 {
                break;
            }
            match self.ask(node, &work, part) {
                Asked::From(holder, share) => {
                    room -= 1;
                    let slice = parts.left_of(part).min((share * SLICE_SECONDS).max(PIECE_BYTES));
                    let flow = self.bulk.flows.begin(self.now, holder, node, slice, Load { rollout, part });
                    self.note_stepping_in(node, holder, rollout, part);
                    if let Some(fetch) = self.machines[node as usize].fetching.get_mut(&rollout) {
                        fetch.flows.insert(flow, part);
                        (fetch.busy, fetch.tries) = (0, 0);
                    }
                }
                Asked::Busy => busy = true,
                Asked::Nobody => {}
            }
        }
        self.look_sooner();
        if room == FLOWS_MAX {
            self.seek_again(node, rollout, busy);
        }
    }

    /// Parts that are missing and not under way: those that the fewest have come first, equals by lot.
    fn rarest_first(&mut self, node: u32, work: &Work, parts: &Parts, under_way: &[u32]) -> Vec<u32> {
        let having = self.bulk.having.get(&(work.rollout, parts.bytes()));
        let luck = self.machines[node as usize].luck();
        let mut wanted: Vec<(usize, u64, u32)> = parts
            .missing()
            .filter(|part| !under_way.contains(part))
            .map(|part| (having.map_or(0, |having| having[part as usize].order.len()), luck.draw(), part))
            .collect();
        wanted.sort_unstable();
        wanted.into_iter().map(|(.., part)| part).collect()
    }

    /// A part comes from outside: those of the site whose turn it was and who are off are waited for no more.
    fn note_stepping_in(&mut self, node: u32, holder: u32, rollout: RolloutId, part: u32) {
        let giver = self.machines[holder as usize].id;
        let Some(fetch) = self.machines[node as usize].fetching.get_mut(&rollout) else { return };
        let mut locality = std::mem::take(&mut fetch.locality);
        if !locality.is_near(&giver) {
            let is_on = |node: &NodeId| {
                self.fleet.place(*node).is_some_and(|place| self.machines[place as usize].is_on())
            };
            locality.stepped_in(part, is_on);
        }
        if let Some(fetch) = self.machines[node as usize].fetching.get_mut(&rollout) {
            fetch.locality = locality;
        }
    }

    /// Machines of a site that had a part at some time.
    fn near_holders(&self, work: &Work, part: u32, locality: &Locality) -> Vec<u32> {
        let having = self.bulk.having.get(&(work.rollout, payload_bytes(work)));
        let near = locality.near().filter_map(|node| self.fleet.place(*node));
        having.and_then(|parts| parts.get(part as usize)).map_or_else(Vec::new, |having| having.among(near))
    }

    /// Asks a few holders of a part, those of parts and those of the whole.
    fn ask(&mut self, node: u32, work: &Work, part: u32) -> Asked {
        let mut luck = self.machines[node as usize].luck().split("ask", u64::from(part) ^ self.now.0);
        let mut asked = Vec::with_capacity(2 * ASKED_MAX);
        let blob = (work.rollout, payload_bytes(work));
        if let Some(having) = self.bulk.having.get(&blob).and_then(|parts| parts.get(part as usize)) {
            let order = &having.order;
            asked.extend((0..ASKED_MAX.min(order.len())).map(|_| order[luck.place(order.len())]));
        }
        if let Some(fetch) = self.machines[node as usize].fetching.get(&work.rollout) {
            let named = &fetch.holders;
            let named = (0..ASKED_MAX.min(named.len())).map(|_| named[luck.place(named.len())]);
            asked.extend(named.filter_map(|holder| self.fleet.place(holder)));
        }
        let fetch = self.machines[node as usize].fetching.get(&work.rollout);
        let locality = fetch.map(|fetch| &fetch.locality).filter(|locality| !locality.is_alone());
        let mut may_come_in = true;
        if let Some(locality) = locality {
            let near = self.near_holders(work, part, locality);
            asked.extend((0..ASKED_MAX.min(near.len())).map(|_| near[luck.place(near.len())]));
            let is_near = |holder: &u32| locality.is_near(&self.machines[*holder as usize].id);
            let inside = asked.iter().any(|holder| is_near(holder) && self.serves(*holder, node, work, part));
            may_come_in = locality.allows(time(self.now), part, inside);
        }
        let mut answer = Asked::Nobody;
        let mut fastest = 0;
        for holder in asked {
            if holder == node || !self.serves(holder, node, work, part) {
                continue;
            }
            let is_near = |locality: &Locality| locality.is_near(&self.machines[holder as usize].id);
            if !may_come_in && !locality.is_some_and(is_near) {
                answer = if matches!(answer, Asked::Nobody) { Asked::Busy } else { answer };
                continue;
            }
            let sends = self.bulk.flows.sends(holder);
            // The agent rates its peers by how fast they were: so the best share of a line is taken.
            let share = self.links.rates(holder).0 / (sends as u64 + 1);
            if sends < SENDS_MAX && share >= fastest {
                (answer, fastest) = (Asked::From(holder, share), share);
            } else if matches!(answer, Asked::Nobody) {
                answer = Asked::Busy;
            }
        }
        answer
    }

    fn serves(&self, holder: u32, to: u32, work: &Work, part: u32) -> bool {
        let machine = &self.machines[holder as usize];
        machine.is_on()
            && !self.withholds(holder)
            && self.links.flows(holder, to)
            && machine.slots.get(&work.component).is_some_and(|slots| {
                slots.serves(work.rollout, work.tree)
                    || slots
                        .parts
                        .get(&work.rollout)
                        .is_some_and(|parts| parts.bytes() == payload_bytes(work) && parts.has(part))
            })
    }

    fn seek_again(&mut self, node: u32, rollout: RolloutId, busy: bool) {
        let machine = &mut self.machines[node as usize];
        let Some(fetch) = machine.fetching.get_mut(&rollout) else { return };
        let pause = if busy {
            fetch.busy = (fetch.busy + 1).min(3);
            BUSY_MILLISECONDS << fetch.busy
        } else {
            fetch.tries += 1;
            SEEK_AGAIN_MILLISECONDS
        };
        if fetch.tries > SEEK_TRIES {
            machine.fetching.remove(&rollout);
            let outcome = Err(Trouble::Unreachable("no holder answered".to_owned()));
            self.deliver(node, Input::Stored { rollout, outcome });
            return;
        }
        let pause = if busy { machine.luck().between(pause / 2, pause) } else { pause };
        self.seek_at(self.now.after_milliseconds(pause), node, rollout);
    }

    /// Puts into the queue when flows that now run faster are to be looked at.
    fn look_sooner(&mut self) {
        for (flow, at) in self.bulk.flows.sooner() {
            if let Some(to) = self.bulk.flows.get(flow).map(|flow| flow.to) {
                self.push(at, to, Happening::Flow { flow });
            }
        }
    }

    /// A flow may be at its end.
    pub(super) fn look_at_flow(&mut self, id: FlowId) {
        match self.bulk.flows.look(self.now, id) {
            Look::Gone => {}
            Look::Until(at) => {
                if let Some(to) = self.bulk.flows.get(id).map(|flow| flow.to) {
                    self.push(at, to, Happening::Flow { flow: id });
                }
            }
            Look::Done(flow) => {
                self.look_sooner();
                let bytes = flow.moved();
                self.moved(flow.from, flow.to, flow.what.rollout, bytes);
                let node = flow.to;
                let at = self.now.after_micros(self.links.latency_micros(flow.from, node));
                let life = self.machines[node as usize].life;
                let part = Coming { rollout: flow.what.rollout, part: flow.what.part, bytes, flow: id };
                self.push(at, node, Happening::Part { node, life, part: Box::new(part) });
            }
        }
    }

    fn moved(&mut self, from: u32, to: u32, rollout: RolloutId, bytes: u64) {
        self.counters.payload_bytes += bytes;
        let from_publisher = self.story.publisher(rollout) == Some(from);
        if from_publisher {
            self.counters.publisher_bytes += bytes;
        }
        self.recorder.payload(self.now, bytes, from_publisher);
        let zones = (self.links.zone(from), self.links.zone(to));
        self.bulk.traffic.count((from, zones.0), (to, zones.1), bytes);
    }

    /// A part has come, or some of it.
    pub(super) fn part_came(&mut self, node: u32, life: u32, coming: Coming) {
        if !self.lives(node, life) {
            return;
        }
        let machine = &mut self.machines[node as usize];
        let Coming { rollout, part, bytes, flow } = coming;
        let Some(fetch) = machine.fetching.get_mut(&rollout) else { return };
        fetch.flows.remove(&flow);
        fetch.locality.came(time(self.now));
        let component = fetch.work.component.clone();
        if machine.disk.refuses() {
            return self.no_room(node, rollout);
        }
        let slots = machine.slots_of(&component);
        let Some(parts) = slots.parts.get_mut(&rollout) else { return };
        parts.came(part, bytes);
        if parts.left_of(part) == 0 {
            parts.put(part);
            let (bytes, count) = (parts.bytes(), parts.count());
            let none = || vec![Having::default(); count as usize];
            self.bulk.having.entry((rollout, bytes)).or_insert_with(none)[part as usize].add(node);
        }
        self.look_for_parts(node, life, rollout);
    }

    /// The disk takes no bytes of a release: the fetch ends, and what is here stays.
    fn no_room(&mut self, node: u32, rollout: RolloutId) {
        let full = self.machines[node as usize].disk.is_full();
        let Some(fetch) = self.machines[node as usize].fetching.remove(&rollout) else { return };
        fetch.flows.into_iter().for_each(|(id, _)| self.tear(id));
        let outcome = Err(if full {
            Trouble::NoSpace("no space left on device".to_owned())
        } else {
            Trouble::Local("the disk refuses writes".to_owned())
        });
        self.deliver(node, Input::Stored { rollout, outcome });
    }

    /// A flow breaks off. What it brought stays, and the rest is sought elsewhere.
    fn tear(&mut self, id: FlowId) {
        let Some(flow) = self.bulk.flows.end(self.now, id) else { return };
        self.look_sooner();
        let (node, Load { rollout, part }) = (flow.to, flow.what);
        self.moved(flow.from, node, rollout, flow.moved());
        let machine = &mut self.machines[node as usize];
        for slots in machine.slots.values_mut() {
            if let Some(parts) = slots.parts.get_mut(&rollout) {
                parts.came(part, flow.moved());
            }
        }
        if let Some(fetch) = machine.fetching.get_mut(&rollout) {
            fetch.flows.remove(&id);
            self.seek_at(self.now.after_milliseconds(SEEK_AGAIN_MILLISECONDS), node, rollout);
        }
    }

    /// A machine lost its power: what it sent and received breaks off.
    pub(super) fn tear_flows_of(&mut self, node: u32) {
        for id in self.bulk.flows.of(node) {
            self.tear(id);
        }
        for slots in self.machines[node as usize].slots.values_mut() {
            slots.parts.values_mut().for_each(Parts::crash);
        }
    }

    /// Who can reach whom changed: flows between those that cannot any more break off.
    pub(super) fn tear_cut_flows(&mut self) {
        let cut = self.bulk.flows.all().filter(|(_, flow)| !self.links.flows(flow.from, flow.to));
        let cut: Vec<FlowId> = cut.map(|(id, _)| id).collect();
        cut.into_iter().for_each(|id| self.tear(id));
    }

    pub(super) fn fetched(&mut self, node: u32, life: u32, rollout: RolloutId) {
        if !self.lives(node, life) {
            return;
        }
        let machine = &mut self.machines[node as usize];
        let Some(fetch) = machine.fetching.get(&rollout) else { return };
        if machine.disk.refuses() {
            return self.no_room(node, rollout);
        }
        let component = fetch.work.component.clone();
        machine.fetching.remove(&rollout);
        let slots = machine.slots_of(&component);
        slots.blobs.insert(rollout);
        slots.parts.remove(&rollout);
        self.deliver(node, Input::Stored { rollout, outcome: Ok(()) });
    }
}
