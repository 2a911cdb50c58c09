//! Bytes of releases on their way: flows that share the lines of both ends.
//!
//! A flow gets an equal share of its sender's line and of its receiver's, whichever is less; what one of
//! them leaves over is nobody's. So a flow that begins or ends changes those of its own two machines alone,
//! and a fleet of 100,000 costs what its busiest machines cost. All is counted in whole bytes, and in
//! millionths of them while a flow is under way.

use super::queue::Moment;

/// Millionths of a byte.
const MILLION: u64 = 1_000_000;

/// Names a flow: its slot, and how often the slot was used before.
pub type FlowId = u64;

/// A flow.
#[derive(Debug)]
pub struct Flow<T> {
    /// Who sends.
    pub from: u32,
    /// Who receives.
    pub to: u32,
    /// What.
    pub what: T,
    bytes: u64,
    /// Millionths of bytes that are still to come.
    left: u64,
    /// Bytes a second.
    rate: u64,
    since: Moment,
    /// When the owner looks at it next.
    looked_at: Moment,
}

impl<T> Flow<T> {
    /// Whole bytes that have come so far.
    pub fn moved(&self) -> u64 {
        (self.bytes * MILLION - self.left) / MILLION
    }

    /// Counts what came since the last change.
    fn settle(&mut self, now: Moment) {
        let micros = now.0.saturating_sub(self.since.0);
        self.left = self.left.saturating_sub(self.rate.saturating_mul(micros));
        self.since = now;
    }

    /// When it ends if nothing changes.
    fn due(&self) -> Moment {
        self.since.after_micros(self.left.div_ceil(self.rate))
    }
}

/// What a look at a flow finds.
pub enum Look<T> {
    /// It ended before.
    Gone,
    /// It takes until then.
    Until(Moment),
    /// All has come.
    Done(Flow<T>),
}

#[derive(Default)]
struct Ends {
    up: Vec<FlowId>,
    down: Vec<FlowId>,
}

struct Slot<T> {
    used: u32,
    flow: Option<Flow<T>>,
}

/// All flows.
pub struct Flows<T> {
    rates: Vec<(u64, u64)>,
    ends: Vec<Ends>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    count: usize,
    /// Flows that end sooner than they were to be looked at.
    sooner: Vec<(FlowId, Moment)>,
}

fn slot_of(id: FlowId) -> usize {
    usize::try_from(id & u64::from(u32::MAX)).unwrap_or(usize::MAX)
}

impl<T> Flows<T> {
    /// No flows, between machines that send and take in so many bytes a second.
    pub fn new(rates: Vec<(u64, u64)>) -> Self {
        let ends = rates.iter().map(|_| Ends::default()).collect();
        Self { rates, ends, slots: Vec::new(), free: Vec::new(), count: 0, sooner: Vec::new() }
    }

    /// Flows under way.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing flows.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many flows a machine sends.
    pub fn sends(&self, node: u32) -> usize {
        self.ends[node as usize].up.len()
    }

    /// The flows from and to a machine, as (who sends, who receives, what).
    pub fn of(&self, node: u32) -> Vec<FlowId> {
        let ends = &self.ends[node as usize];
        ends.up.iter().chain(&ends.down).copied().collect()
    }

    /// All flows.
    pub fn all(&self) -> impl Iterator<Item = (FlowId, &Flow<T>)> {
        (0..).zip(&self.slots).filter_map(|(place, slot): (u64, _)| {
            Some((u64::from(slot.used) << 32 | place, slot.flow.as_ref()?))
        })
    }

    /// A flow.
    pub fn get(&self, id: FlowId) -> Option<&Flow<T>> {
        let slot = self.slots.get(slot_of(id))?;
        if u64::from(slot.used) == id >> 32 { slot.flow.as_ref() } else { None }
    }

    /// Begins a flow of so many bytes. The owner looks at it when [`Flows::sooner`] says so.
    pub fn begin(&mut self, now: Moment, from: u32, to: u32, bytes: u64, what: T) -> FlowId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { used: 0, flow: None });
            u32::try_from(self.slots.len() - 1).expect("BUG: flows are bounded by the machines")
        });
        let slot = &mut self.slots[place as usize];
        let id = u64::from(slot.used) << 32 | u64::from(place);
        let left = bytes.saturating_mul(MILLION);
        let looked_at = Moment(u64::MAX);
        slot.flow = Some(Flow { from, to, what, bytes, left, rate: 1, since: now, looked_at });
        self.ends[from as usize].up.push(id);
        self.ends[to as usize].down.push(id);
        self.count += 1;
        self.share(now, from, to);
        id
    }

    /// Ends a flow, wherever it is; what is left of it never comes.
    pub fn end(&mut self, now: Moment, id: FlowId) -> Option<Flow<T>> {
        self.get(id)?;
        let slot = &mut self.slots[slot_of(id)];
        let mut flow = slot.flow.take()?;
        slot.used = slot.used.wrapping_add(1);
        self.free.push(u32::try_from(slot_of(id)).expect("BUG: a slot was numbered so"));
        flow.settle(now);
        self.ends[flow.from as usize].up.retain(|one| *one != id);
        self.ends[flow.to as usize].down.retain(|one| *one != id);
        self.count -= 1;
        self.share(now, flow.from, flow.to);
        Some(flow)
    }

    /// Looks at a flow that may be at its end.
    pub fn look(&mut self, now: Moment, id: FlowId) -> Look<T> {
        let Some(flow) = self.get(id) else { return Look::Gone };
        if flow.looked_at > now {
            return Look::Gone;
        }
        let due = flow.due();
        if due > now {
            if let Some(flow) = self.slots[slot_of(id)].flow.as_mut() {
                flow.looked_at = due;
            }
            return Look::Until(due);
        }
        self.end(now, id).map_or(Look::Gone, Look::Done)
    }

    /// Takes the flows that must be looked at sooner than their owner knows.
    pub fn sooner(&mut self) -> Vec<(FlowId, Moment)> {
        std::mem::take(&mut self.sooner)
    }

    /// Shares the lines of two machines anew.
    fn share(&mut self, now: Moment, from: u32, to: u32) {
        let (ups, downs) = (&self.ends[from as usize].up, &self.ends[to as usize].down);
        for id in ups.iter().chain(downs) {
            let Some(flow) = self.slots.get_mut(slot_of(*id)).and_then(|slot| slot.flow.as_mut()) else {
                continue;
            };
            let up = self.rates[flow.from as usize].0 / self.ends[flow.from as usize].up.len().max(1) as u64;
            let down = self.rates[flow.to as usize].1 / self.ends[flow.to as usize].down.len().max(1) as u64;
            flow.settle(now);
            flow.rate = up.min(down).max(1);
            let due = flow.due();
            if due < flow.looked_at {
                flow.looked_at = due;
                self.sooner.push((*id, due));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    /// Plays all flows to their end; returns when each ended.
    fn ends(
        flows: &mut Flows<u32>,
        mut now: Moment,
        calendar: &mut Vec<(Moment, FlowId)>,
    ) -> Vec<(u32, Moment)> {
        let mut ended = Vec::new();
        loop {
            calendar.extend(flows.sooner().into_iter().map(|(id, at)| (at, id)));
            calendar.sort_unstable_by(|one, other| other.cmp(one));
            let Some((at, id)) = calendar.pop() else { return ended };
            now = now.max(at);
            match flows.look(now, id) {
                Look::Gone => {}
                Look::Until(due) => calendar.push((due, id)),
                Look::Done(flow) => {
                    assert_eq!(flow.moved(), flow.bytes);
                    ended.push((flow.what, now));
                }
            }
        }
    }

    #[test]
    fn flows_share_both_ends_and_speed_up_when_others_end() {
        // One sender of 1,000 bytes a second; receivers of 1,000.
        let mut flows = Flows::new(vec![(1_000, 1_000); 4]);
        flows.begin(Moment(0), 0, 1, 1_000, 1);
        flows.begin(Moment(0), 0, 2, 3_000, 2);
        let ended = ends(&mut flows, Moment(0), &mut Vec::new());
        // Half each for two seconds; then the second has 2,000 left, alone.
        assert_eq!(ended, [(1, Moment::seconds(2)), (2, Moment::seconds(4))]);
        assert!(flows.is_empty());
    }

    #[test]
    fn a_slow_receiver_is_the_bound() {
        let mut flows = Flows::new(vec![(1_000, 1_000), (1, 100)]);
        flows.begin(Moment(0), 0, 1, 1_000, 1);
        assert_eq!(ends(&mut flows, Moment(0), &mut Vec::new()), [(1, Moment::seconds(10))]);
    }

    #[test]
    fn a_torn_flow_has_moved_what_it_had_time_for() {
        let mut flows = Flows::new(vec![(1_000, 1_000); 2]);
        let id = flows.begin(Moment(0), 0, 1, 5_000, 1);
        let flow = flows.end(Moment(2_500_999), id).expect("it is under way");
        assert_eq!(flow.moved(), 2_500);
        assert!(flows.get(id).is_none() && flows.end(Moment::seconds(9), id).is_none());
        let next = flows.begin(Moment::seconds(3), 1, 0, 10, 2);
        assert_ne!(next, id, "a slot that is used again has another name");
    }

    #[test]
    fn no_line_carries_more_than_it_can_and_every_byte_comes() {
        for seed in 0..20 {
            let mut luck = Generator::new(seed);
            let rates: Vec<(u64, u64)> =
                (0..6).map(|_| (luck.between(1, 5_000), luck.between(1, 5_000))).collect();
            let mut flows = Flows::new(rates.clone());
            let mut calendar = Vec::new();
            let mut sizes = Vec::new();
            for what in 0..40 {
                let from = u32::try_from(luck.below(6)).expect("small");
                let to = (from + 1 + u32::try_from(luck.below(5)).expect("small")) % 6;
                let bytes = luck.between(1, 20_000);
                sizes.push((from, to, bytes));
                flows.begin(Moment(luck.below(3) * u64::from(what)), from, to, bytes, what);
                for node in 0..6 {
                    let up: u64 = flows.all().filter(|(_, f)| f.from == node).map(|(_, f)| f.rate).sum();
                    let down: u64 = flows.all().filter(|(_, f)| f.to == node).map(|(_, f)| f.rate).sum();
                    let most = flows.len() as u64;
                    let (up_most, down_most) = rates[node as usize];
                    assert!(up <= up_most.max(most) && down <= down_most.max(most));
                }
            }
            let ended = ends(&mut flows, Moment(0), &mut calendar);
            assert_eq!(ended.len(), 40);
            for (from, _, bytes) in sizes {
                let soonest = bytes * MILLION / rates[from as usize].0;
                assert!(ended.iter().any(|(_, at)| at.0 >= soonest));
            }
        }
    }
}
