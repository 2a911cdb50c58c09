//! Moves slots: staging, switching, probing.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::node::{Input, Trouble, Work};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::Probe;

use super::{Happening, World};
use crate::machine::service::{HealthLaw, Probing};
use crate::scenario::CrashPoint;

/// A slot is filled from local bytes at this speed.
const BUILD_BYTES_PER_SECOND: u64 = 200_000_000;
/// What a slot costs besides its bytes: directories and their fsync.
const BUILD_MILLISECONDS: u64 = 30;
/// Shortest and longest time of a switch, forward or back.
const SWITCH_MILLISECONDS: (u64, u64) = (20, 80);

impl World {
    pub(super) fn stage(&mut self, node: u32, work: Box<Work>) {
        let machine = &mut self.machines[node as usize];
        let life = machine.life;
        if machine.staging.insert(work.rollout) {
            let milliseconds = BUILD_MILLISECONDS + work.bytes * 1000 / BUILD_BYTES_PER_SECOND;
            let at = self.now.after_milliseconds(milliseconds * machine.disk.slowness());
            self.push(at, node, Happening::Built { node, life, work });
        }
    }

    pub(super) fn built(&mut self, node: u32, life: u32, work: &Work) {
        if !self.lives(node, life) {
            return;
        }
        let machine = &mut self.machines[node as usize];
        if !machine.staging.remove(&work.rollout) {
            return;
        }
        let (refuses, full) = (machine.disk.refuses(), machine.disk.is_full());
        let slots = machine.slots_of(&work.component);
        let outcome = if full {
            Err(Trouble::NoSpace("no space left on device".to_owned()))
        } else if refuses {
            Err(Trouble::Local("the disk refuses writes".to_owned()))
        } else if slots.serves(work.rollout, work.tree) {
            slots.trees.insert(work.tree);
            Ok(())
        } else {
            Err(Trouble::Local("the bytes are not here".to_owned()))
        };
        self.deliver(node, Input::Staged { rollout: work.rollout, outcome });
    }

    pub(super) fn activate(&mut self, node: u32, component: ComponentName, tree: Digest) {
        let current = self.machines[node as usize].slots_of(&component).active;
        self.referees.activating(self.now, node, current, tree);
        self.switch_later(node, component, Some(tree));
    }

    pub(super) fn revert(&mut self, node: u32, component: ComponentName, tree: Option<Digest>) {
        let slots = self.machines[node as usize].slots_of(&component);
        let (current, here) = (slots.active, tree.is_none_or(|tree| slots.trees.contains(&tree)));
        self.referees.reverting(self.now, node, current, tree, here);
        self.switch_later(node, component, tree);
    }

    fn switch_later(&mut self, node: u32, component: ComponentName, tree: Option<Digest>) {
        let machine = &mut self.machines[node as usize];
        let milliseconds = machine.luck().between(SWITCH_MILLISECONDS.0, SWITCH_MILLISECONDS.1);
        let life = machine.life;
        let at = self.now.max(machine.switches_end).after_milliseconds(milliseconds);
        machine.switches_end = at;
        self.push(at, node, Happening::Switched { node, life, switch: Box::new((component, tree)) });
    }

    pub(super) fn switched(&mut self, node: u32, life: u32, component: ComponentName, tree: Option<Digest>) {
        if !self.lives(node, life) || self.trips(node, CrashPoint::BeforeSwitch) {
            return;
        }
        let dead = tree.filter(|tree| self.law(*tree) == HealthLaw::FailsAtBoot);
        let slots = self.machines[node as usize].slots_of(&component);
        let changed = slots.active != tree;
        let outcome = if let Some(tree) = dead.filter(|tree| slots.trees.contains(tree)) {
            // The machine has run it, if only for a moment.
            self.ran.entry(tree).or_default().insert(node);
            Err(Trouble::Local("the service ended before it was ready".to_owned()))
        } else if slots.switch(tree) {
            Ok(())
        } else {
            Err(Trouble::Local("the tree is in no slot".to_owned()))
        };
        if changed && outcome.is_ok() {
            self.service_starts(node);
        }
        if self.trips(node, CrashPoint::AfterSwitch) {
            return;
        }
        self.deliver(node, Input::Activated { component, tree, outcome });
        self.due_steps();
    }

    /// What is in the active slot starts to run.
    pub(super) fn service_starts(&mut self, node: u32) {
        let component = self.fleet.component.clone();
        let active = self.machines[node as usize].slots_of(&component).active;
        self.recorder.runs(self.now, node, active);
        let Some(tree) = active else { return };
        if self.ran.entry(tree).or_default().insert(node) {
            self.last_switched = Some(node);
        }
        self.machines[node as usize].running_since.insert(component.clone(), self.now);
        match self.law(tree) {
            HealthLaw::CrashesHost(after) => {
                let life = self.machines[node as usize].life;
                self.push(self.now.after_milliseconds(after), node, Happening::HostDies { node, life });
            }
            HealthLaw::SpoilsState => self.machines[node as usize].spoiled = true,
            _ => {}
        }
        let machine = &mut self.machines[node as usize];
        if let Some(probing) = machine.probing.get(&component)
            && probing.tree != tree
        {
            machine.probing.remove(&component);
        }
    }

    pub(super) fn confirm(&mut self, node: u32, component: &ComponentName, tree: Digest, keep: &[Digest]) {
        let slots = self.machines[node as usize].slots_of(component);
        let active = slots.active;
        slots.collect(keep);
        self.referees.confirming(self.now, node, active, tree, keep);
    }

    pub(super) fn probe_anew(
        &mut self,
        node: u32,
        component: ComponentName,
        tree: Digest,
        probes: Vec<Probe>,
    ) {
        self.serial += 1;
        let serial = self.serial;
        let probing = Probing::new(serial, self.now, tree, probes);
        let first = probing.first_try();
        let machine = &mut self.machines[node as usize];
        machine.probing.insert(component.clone(), probing);
        let life = machine.life;
        self.push(first, node, Happening::Probe { node, life, serial, component: Box::new(component) });
    }

    pub(super) fn probe(&mut self, node: u32, life: u32, component: Box<ComponentName>, serial: u64) {
        if !self.lives(node, life) {
            return;
        }
        let Some(tree) = self.machines[node as usize].slots_of(&component).active else { return };
        let law = self.law(tree);
        let machine = &self.machines[node as usize];
        let (spoiled, since) = (machine.spoiled, machine.running_since.get(&*component).copied());
        let running = self.now.milliseconds_since(since.unwrap_or(self.now));
        let Some(probing) = self.machines[node as usize].probing.get_mut(&*component) else { return };
        if probing.serial != serial {
            return;
        }
        let class = self.fleet.labels.get(node as usize).map_or("", |labels| labels.class.as_str());
        let passes = !spoiled && law.condition(node, class, running).shows_healthy;
        let report = probing.try_once(self.now, passes);
        let next = self.now.after_milliseconds(probing.period);
        if let Some(report) = report {
            let component = ComponentName::clone(&component);
            self.deliver(node, Input::Probed { component, tree, report });
        }
        self.push(next, node, Happening::Probe { node, life, serial, component });
    }

    pub(super) fn law(&self, tree: Digest) -> HealthLaw {
        self.releases.iter().find(|r| r.tree == tree).map_or(HealthLaw::Good, |r| r.law.health)
    }
}
