//! What is kept, and for how long.

use super::Node;
use super::outbox::Outbox;
use super::record::{Ending, Record};
use super::tombstones::Tombstone;
use super::writes::Then;
use crate::bounds::{CENSUSES_MAX, ROLLOUTS_MAX};
use crate::facts::{Key, RolloutId};
use crate::trust::manifest::ReleaseOrder;
use crate::trust::names::ComponentName;

impl Node {
    /// Whether a rollout has no place here: its ending is known, or enough later ones of the component
    /// are. A release that was stopped keeps its place until then, so that its stop spreads.
    pub(super) fn is_collected(&self, component: &ComponentName, order: ReleaseOrder, id: RolloutId) -> bool {
        if self.tombstones.contains(id) {
            return true;
        }
        let orders: Vec<(ReleaseOrder, bool)> = self
            .rollouts
            .values()
            .filter(|r| r.manifest.component == *component && r.id != id)
            .map(|r| (r.manifest.order, r.is_done()))
            .collect();
        let done = orders.iter().filter(|(_, done)| *done).map(|(order, _)| *order).max();
        let later = orders.iter().filter(|(other, _)| *other > order).count();
        done.max(self.tombstones.done(component)).is_some_and(|done| order < done) || later > ROLLOUTS_MAX
    }

    /// Puts away rollouts that have no place any more, and censuses that nothing pins.
    pub(super) fn collect(&mut self, out: &mut impl Outbox) {
        let over: Vec<RolloutId> = self
            .rollouts
            .values()
            .filter(|r| !r.install.is_under_way())
            .filter(|r| self.is_collected(&r.manifest.component, r.manifest.order, r.id))
            .map(|r| r.id)
            .collect();
        for id in &over {
            self.put_away(*id, out);
        }
        if !over.is_empty() || self.trust.census_names().len() > CENSUSES_MAX {
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
        self.writes.write(tombstone.record(), Then::Nothing, out);
        if let Some(oldest) = self.tombstones.add(tombstone) {
            out.forget(Record::tombstone_key(oldest.rollout));
        }
        self.forget_bindings(&tracked.manifest.component, out);
        let keys: Vec<Key> = self
            .registers
            .iter()
            .map(|(key, _)| key)
            .filter(|key| key.rollout() == Some(id))
            .cloned()
            .collect();
        for key in keys {
            self.registers.remove(&key);
            out.forget(Record::fact_key(&key));
        }
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
            self.bindings.remove(&(component.clone(), order));
            let record = Record::Binding { component: component.clone(), order, rollout };
            out.forget(record.key(self.config.fleet));
        }
    }

    fn collect_censuses(&mut self, out: &mut impl Outbox) {
        let names = self.trust.census_names();
        let older = names.len().saturating_sub(CENSUSES_MAX);
        for (version, id) in names.into_iter().take(older) {
            if self.rollouts.values().all(|r| r.manifest.census != id) {
                self.trust.remove_census(version, id);
                let key = Key::Census(version, id);
                self.registers.remove(&key);
                out.forget(Record::fact_key(&key));
            }
        }
    }
}
