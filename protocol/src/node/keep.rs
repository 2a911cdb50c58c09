//! What is kept, and for how long.

use super::Node;
use super::outbox::Outbox;
use super::record::{Ending, Record};
use super::tombstones::Tombstone;
use super::tracked::Tracked;
use super::writes::Then;
use crate::bounds::{CENSUSES_MAX, PUT_AWAY_AFTER, ROLLOUTS_KEPT_MAX, ROLLOUTS_MAX};
use crate::facts::{Key, RolloutId};
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::time::Time;
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;

impl Node {
    /// Whether a rollout has no place here: its ending is known, a later one is done, or so many later
    /// ones are here that there is no room. Decides on manifests that arrive.
    pub(super) fn is_collected(&self, component: &ComponentName, order: ReleaseOrder, id: RolloutId) -> bool {
        let done = self.done_order(component);
        mark!(TombstoneKeepsOut if self.tombstones.contains(id) && done.is_none_or(|done| order >= done));
        mark!(OlderThanDone if done.is_some_and(|done| order < done) && !self.rollouts.contains_key(&id));
        self.tombstones.contains(id)
            || done.is_some_and(|done| order < done && !mutations::is(Mutation::LowerSequence))
            || (done != Some(order) && self.later_than(component, order) >= ROLLOUTS_KEPT_MAX)
    }

    fn later_than(&self, component: &ComponentName, order: ReleaseOrder) -> usize {
        let of_component = self.rollouts.values().filter(|r| r.manifest.component == *component);
        of_component.filter(|r| r.manifest.order > order).count()
    }

    /// Whether enough later rollouts have pushed this one out. The newest that is done keeps its place:
    /// late joiners and sleepers take it. A release that was stopped keeps its place until then, so that
    /// its stop spreads.
    fn is_pushed_out(&self, tracked: &Tracked, now: Time) -> bool {
        !tracked.is_done()
            && now >= tracked.watch.since + PUT_AWAY_AFTER
            && self.later_than(&tracked.manifest.component, tracked.manifest.order) > ROLLOUTS_MAX
    }

    /// When the next rollout that was pushed out will have been here for long enough.
    pub(super) fn next_put_away(&self, now: Time) -> Time {
        let mut next = Time(u64::MAX);
        if self.rollouts.len() > ROLLOUTS_MAX {
            let times = self.rollouts.values().map(|tracked| tracked.watch.since + PUT_AWAY_AFTER);
            next = times.filter(|at| *at > now).min().unwrap_or(next);
        }
        next
    }

    /// Puts away rollouts that have no place any more, and censuses that nothing pins.
    pub(super) fn collect(&mut self, now: Time, out: &mut impl Outbox) {
        let over: Vec<RolloutId> = self
            .rollouts
            .values()
            .filter(|r| !r.install.is_under_way())
            .filter(|r| {
                self.is_collected(&r.manifest.component, r.manifest.order, r.id) || self.is_pushed_out(r, now)
            })
            .map(|r| r.id)
            .collect();
        mark!(PutAwayWaits if self.rollouts.values().any(|r| r.install.is_under_way()
            && (self.is_pushed_out(r, now)
                || self.is_collected(&r.manifest.component, r.manifest.order, r.id))));
        for id in &over {
            mark!(PushedOut if self.rollouts.get(id).is_some_and(|r| !r.ended()
                && !self.is_collected(&r.manifest.component, r.manifest.order, *id)));
            self.put_away(*id, out);
        }
        if !over.is_empty() || self.trust.census_count() > CENSUSES_MAX {
            self.collect_censuses(out);
        }
    }

    fn put_away(&mut self, id: RolloutId, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.remove(&id) else { return };
        out.cancel(id);
        let ending = if tracked.is_stopped() {
            Ending::Stopped
        } else if tracked.is_done() {
            Ending::Done
        } else {
            Ending::Superseded
        };
        let component = tracked.manifest.component.clone();
        let tombstone = Tombstone { rollout: id, component, order: tracked.manifest.order, ending };
        if !mutations::is(Mutation::TombstonesDropped) {
            self.writes.write(tombstone.record(), Then::Nothing, out);
            if let Some(oldest) = self.tombstones.add(tombstone) {
                out.forget(Record::tombstone_key(oldest.rollout));
            }
        }
        self.forget_bindings(&tracked.manifest.component, out);
        let of_rollout = |key: &&Key| key.rollout() == Some(id);
        let mut keys: Vec<Key> =
            self.registers.iter().map(|(key, _)| key).filter(of_rollout).cloned().collect();
        keys.sort_unstable();
        for key in keys {
            self.registers.remove(&key);
            out.forget(Record::fact_key(&key));
        }
        self.registers.unhush(id);
    }

    /// Bindings below the newest done order bind nothing any more: such manifests are refused.
    fn forget_bindings(&mut self, component: &ComponentName, out: &mut impl Outbox) {
        let Some(done) = self.done_order(component) else { return };
        let old: Vec<_> = self
            .bindings
            .iter()
            .filter(|((bound, order), _)| bound == component && *order < done)
            .map(|((_, order), rollout)| (*order, *rollout))
            .collect();
        for (order, rollout) in old {
            mark!(BindingForgotten);
            self.bindings.remove(&(component.clone(), order));
            let record = Record::Binding { component: component.clone(), order, rollout };
            out.forget(record.key(self.fleet));
        }
    }

    fn collect_censuses(&mut self, out: &mut impl Outbox) {
        let names = self.trust.census_names();
        let older = names.len().saturating_sub(CENSUSES_MAX);
        for (version, id) in names.into_iter().take(older) {
            let newest = self.trust.newest_census().is_some_and(|(newest, _)| newest == id);
            if !newest && self.rollouts.values().all(|r| r.manifest.census != id) {
                self.trust.remove_census(version, id);
                let key = Key::Census(version, id);
                self.registers.remove(&key);
                out.forget(Record::fact_key(&key));
            }
        }
    }
}
