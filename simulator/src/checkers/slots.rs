//! Switches, judged before the world performs them: forward, back, and what is let go of.

use std::collections::BTreeSet;

use groundswell_protocol::bounds::TRIAL_BOOTS_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::few::FewOf;

use super::{Property, Referees};
use crate::world::queue::Moment;

impl Referees {
    /// A machine is about to switch forward from `current` to `tree`.
    pub fn activating(&mut self, now: Moment, place: u32, current: Option<Digest>, tree: Digest) {
        if self.liars.contains(&place) || current == Some(tree) {
            return;
        }
        self.began_from.insert((place, tree), current);
        let Some(rollout) = self.releases.values().find(|known| known.tree == tree).map(|k| k.rollout) else {
            let what = format!("activates {tree:?}, which nobody released");
            return self.breach(now, Property::S1, Some(place), what);
        };
        let mut breaches = self.unlawful(place, current, rollout);
        let part = self.part(now, place, rollout);
        let first = !std::mem::replace(&mut part.tried, true);
        if first {
            breaches.extend(self.unprepared(place, rollout));
        }
        self.part(now, place, rollout).news = None;
        let still = self.parts.range(super::of_machine(place)).any(|(_, part)| part.news.is_some());
        if !still {
            self.listening[place as usize] = false;
        }
        for (property, what) in breaches {
            self.breach(now, property, Some(place), what);
        }
    }

    /// What no switch to a release may be, in a first trial or in one that goes on.
    fn unlawful(&mut self, place: u32, current: Option<Digest>, id: RolloutId) -> Vec<(Property, String)> {
        let mut breaches = Vec::new();
        let Some(known) = self.releases.get(&id) else { return breaches };
        if !known.signed {
            breaches.push((Property::S1, "activates a release that too few keys signed".to_owned()));
        }
        let running = current.and_then(|tree| self.releases.values().find(|known| known.tree == tree));
        if running.is_some_and(|running| running.order > known.order) {
            breaches.push((Property::S2, format!("goes down to sequence {}", known.order.sequence)));
        }
        let needed = known.needed(&self.nodes[place as usize]);
        let opened = known.openers(needed);
        if opened < known.quorum && known.promoted < needed {
            let quorum = known.quorum;
            let what = format!(
                "activates rank {} when {opened} of the {quorum} jurors needed had opened it",
                needed - 1
            );
            breaches.push((Property::S4, what));
        }
        if self.parts.get(&(place, id)).is_some_and(|part| part.stopped) {
            breaches.push((Property::S5, "activates a release that it knows to be stopped".to_owned()));
        }
        let twins = self.releases.values().filter(|twin| twin.order == known.order);
        let met: BTreeSet<RolloutId> = twins
            .map(|twin| twin.rollout)
            .filter(|twin| self.parts.get(&(place, *twin)).is_some_and(|part| part.met))
            .collect();
        if met.len() > 1 {
            breaches.push((Property::S8, "activates one of two releases of one order".to_owned()));
        }
        let first = *self.activated.entry(known.order).or_insert(id);
        if first != id {
            let what = format!("activates {id:?}; {first:?} of the same order ran before");
            breaches.push((Property::S8, what));
        }
        breaches
    }

    /// What a machine must have heard and kept before it switches to a release for the first time.
    fn unprepared(&self, place: u32, id: RolloutId) -> Vec<(Property, String)> {
        let mut breaches = Vec::new();
        let (Some(known), Some(part)) = (self.releases.get(&id), self.parts.get(&(place, id))) else {
            return breaches;
        };
        if part.flow.1 && !part.done {
            breaches.push((Property::S5, "activates a release that it knows to be paused".to_owned()));
        }
        let me = self.nodes[place as usize];
        let (news, seat) = (part.news.unwrap_or_default(), known.seat(&me));
        let (fresh, told, needed) = (news.beacons.others(seat), news.seen.others(seat), known.confirmers());
        if fresh < needed {
            let what = format!("activates on fresh news of {fresh} jurors; it needs {needed}");
            breaches.push((Property::S5, what));
        }
        if told < needed && known.needed(&me) <= known.members() {
            let what = format!("activates when {told} jurors know that it tries; it needs {needed}");
            breaches.push((Property::L3, what));
        }
        if self.trials.get(&place).is_none_or(|(tree, boots)| *tree != known.tree || *boots == 0) {
            breaches.push((Property::S9, "activates before the trial is on record".to_owned()));
        }
        breaches
    }

    /// A start inside a trial that should have been given up.
    pub(super) fn count_starts(&mut self, now: Moment, place: u32) {
        if let Some((_, boots)) = self.trials.get(&place)
            && *boots > TRIAL_BOOTS_MAX + 1
            && !self.liars.contains(&place)
        {
            let what = format!("starts inside a trial for the {boots}th time");
            self.breach_once(now, Property::L4, Some(place), what);
        }
    }

    /// A machine gets power: some slot must start.
    pub fn starting(&mut self, now: Moment, place: u32, active: Option<Digest>, here: &FewOf<Digest>) {
        let ran = self.began_from.keys().any(|(other, _)| *other == place);
        if active.is_some_and(|active| !here.contains(&active))
            || (active.is_none() && ran && !here.is_empty())
        {
            self.breach(now, Property::S6, Some(place), "starts and finds no slot to run".to_owned());
        }
    }

    /// A machine is about to go back from `current` to `tree`; `here`: whether that is in a slot.
    pub fn reverting(
        &mut self,
        now: Moment,
        place: u32,
        current: Option<Digest>,
        tree: Option<Digest>,
        here: bool,
    ) {
        if self.liars.contains(&place) || current == tree {
            return;
        }
        if !here {
            let what = format!("goes back to {tree:?}, which is not here any more");
            self.breach(now, Property::S6, Some(place), what);
        }
        let began_from = current.and_then(|current| self.began_from.get(&(place, current)).copied());
        let anchor = self.anchors.get(&place).copied();
        if began_from != Some(tree) && (tree.is_none() || anchor != tree) {
            let what = format!(
                "goes back to {tree:?}; the trial began from {began_from:?}, the anchor is {anchor:?}"
            );
            self.breach(now, Property::S2, Some(place), what);
        }
    }

    /// A machine confirms a tree: it may be gone back to from now on.
    pub fn confirming(
        &mut self,
        now: Moment,
        place: u32,
        active: Option<Digest>,
        tree: Digest,
        keep: &[Digest],
    ) {
        self.anchors.insert(place, tree);
        if active.is_some_and(|active| !keep.contains(&active)) {
            self.breach(now, Property::S6, Some(place), "lets go of the tree that runs".to_owned());
        }
    }
}
