//! Moves bytes and slots: fetching, staging, switching, probing.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::{Input, Recipe, Trouble, Work};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::Probe;

use super::{Happening, World};
use crate::machine::service::{HealthLaw, Probing};
use crate::scenario::CrashPoint;

/// A fetch that nobody can serve looks again after this.
const SEEK_AGAIN_MILLISECONDS: u64 = 500;
/// And gives up after so many tries.
const SEEK_TRIES: u32 = 40;
/// A slot is filled from local bytes at this speed.
const BUILD_BYTES_PER_SECOND: u64 = 200_000_000;
/// What a slot costs besides its bytes: directories and their fsync.
const BUILD_MILLISECONDS: u64 = 30;
/// Shortest and longest time of a switch, forward or back.
const SWITCH_MILLISECONDS: (u64, u64) = (20, 80);

fn payload_bytes(work: &Work) -> u64 {
    match &work.recipe {
        Recipe::Present => 0,
        Recipe::Deltas { steps, .. } => steps.iter().map(|step| step.bytes).sum(),
        Recipe::Chunks => work.index_bytes + work.bytes,
    }
}

impl World {
    pub(super) fn fetch(&mut self, node: u32, work: Box<Work>, holders: Vec<NodeId>) {
        let machine = &mut self.machines[node as usize];
        let life = machine.life;
        if machine.fetching.insert(work.rollout, holders).is_none() {
            self.push(self.now, node, Happening::Seek { node, life, work, tries: 0 });
        }
    }

    pub(super) fn seek(&mut self, node: u32, life: u32, work: Box<Work>, tries: u32) {
        if !self.lives(node, life) {
            return;
        }
        let machine = &mut self.machines[node as usize];
        let Some(holders) = machine.fetching.get(&work.rollout).cloned() else { return };
        let slots = machine.slots_of(&work.component);
        let here = slots.serves(work.rollout, work.tree);
        if here || work.recipe == Recipe::Present {
            return self.push(self.now.after_milliseconds(1), node, Happening::Fetched { node, life, work });
        }
        let serving: Vec<u32> = holders
            .iter()
            .filter_map(|holder| self.fleet.place(*holder))
            .filter(|holder| *holder != node && self.serves(*holder, node, &work))
            .collect();
        if serving.is_empty() {
            return self.seek_again(node, life, work, tries);
        }
        let bytes = payload_bytes(&work);
        self.counters.payload_bytes += bytes;
        let place = self.luck.place(serving.len());
        let from_publisher =
            self.machines[serving[place] as usize].slots_of(&work.component).blobs.contains(&work.rollout)
                && self.story.publisher(work.rollout) == Some(serving[place]);
        if from_publisher {
            self.counters.publisher_bytes += bytes;
        }
        self.recorder.payload(self.now, bytes, from_publisher);
        let micros = bytes.saturating_mul(1_000_000) / self.links.law().down_bytes.max(1);
        let at = self.now.after_micros(micros + 2 * self.links.latency_micros(node, serving[place]));
        self.push(at, node, Happening::Fetched { node, life, work });
    }

    fn serves(&self, holder: u32, to: u32, work: &Work) -> bool {
        let machine = &self.machines[holder as usize];
        machine.is_on()
            && self.links.connected(holder, to)
            && machine.slots.get(&work.component).is_some_and(|s| s.serves(work.rollout, work.tree))
    }

    fn seek_again(&mut self, node: u32, life: u32, work: Box<Work>, tries: u32) {
        if tries < SEEK_TRIES {
            let at = self.now.after_milliseconds(SEEK_AGAIN_MILLISECONDS);
            return self.push(at, node, Happening::Seek { node, life, work, tries: tries + 1 });
        }
        self.machines[node as usize].fetching.remove(&work.rollout);
        let outcome = Err(Trouble::Unreachable("no holder answered".to_owned()));
        self.deliver(node, Input::Stored { rollout: work.rollout, outcome });
    }

    pub(super) fn fetched(&mut self, node: u32, life: u32, work: &Work) {
        if !self.lives(node, life) {
            return;
        }
        let machine = &mut self.machines[node as usize];
        if machine.fetching.remove(&work.rollout).is_some() {
            machine.slots_of(&work.component).blobs.insert(work.rollout);
            self.deliver(node, Input::Stored { rollout: work.rollout, outcome: Ok(()) });
        }
    }

    pub(super) fn stage(&mut self, node: u32, work: Box<Work>) {
        let machine = &mut self.machines[node as usize];
        let life = machine.life;
        if machine.staging.insert(work.rollout) {
            let milliseconds = BUILD_MILLISECONDS + work.bytes * 1000 / BUILD_BYTES_PER_SECOND;
            let at = self.now.after_milliseconds(milliseconds);
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
        let slots = machine.slots_of(&work.component);
        let outcome = if slots.serves(work.rollout, work.tree) {
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
        let at = self.now.after_milliseconds(milliseconds);
        self.push(at, node, Happening::Switched { node, life, component, tree });
    }

    pub(super) fn switched(&mut self, node: u32, life: u32, component: ComponentName, tree: Option<Digest>) {
        if !self.lives(node, life) || self.trips(node, CrashPoint::BeforeSwitch) {
            return;
        }
        let slots = self.machines[node as usize].slots_of(&component);
        let changed = slots.active != tree;
        let outcome = if slots.switch(tree) {
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
            HealthLaw::Good | HealthLaw::FailsAfter(_) | HealthLaw::FailsOn(_) => {}
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
        self.push(first, node, Happening::Probe { node, life, component, serial });
    }

    pub(super) fn probe(&mut self, node: u32, life: u32, component: &ComponentName, serial: u64) {
        if !self.lives(node, life) {
            return;
        }
        let Some(tree) = self.machines[node as usize].slots_of(component).active else { return };
        let law = self.law(tree);
        let machine = &self.machines[node as usize];
        let (spoiled, since) = (machine.spoiled, machine.running_since.get(component).copied());
        let running = self.now.milliseconds_since(since.unwrap_or(self.now));
        let Some(probing) = self.machines[node as usize].probing.get_mut(component) else { return };
        if probing.serial != serial {
            return;
        }
        let works = !spoiled && law.works(node, running);
        let report = probing.try_once(self.now, works);
        let next = self.now.after_milliseconds(probing.period);
        self.push(next, node, Happening::Probe { node, life, component: component.clone(), serial });
        if let Some(report) = report {
            self.deliver(node, Input::Probed { component: component.clone(), tree, report });
        }
    }

    fn law(&self, tree: Digest) -> HealthLaw {
        self.releases.iter().find(|r| r.tree == tree).map_or(HealthLaw::Good, |r| r.law.health)
    }
}
