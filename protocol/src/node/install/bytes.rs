//! From known to staged: which recipe, from whom, and what to do when it fails.

use super::recipes::recipes;
use super::{Install, Node, Part};
use crate::bounds::{HOLDERS_MAX, STAGE_RETRY, STAGE_RETRY_MAX};
use crate::digest::Digest;
use crate::facts::{RolloutId, SkipReason, Statement, VoteState};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::node::event::{Event, Stage};
use crate::node::input::Trouble;
use crate::node::outbox::{Outbox, Recipe, Work};
use crate::time::Time;
use crate::trust::manifest::Manifest;

impl Node {
    pub(super) fn begin_staging(&mut self, id: RolloutId, now: Time, out: &mut impl Outbox) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        if tracked.is_stopped() || tracked.install.deadline.is_some_and(|at| now < at) {
            return;
        }
        match self.part(tracked) {
            Part::Member(_) => {}
            Part::Late if tracked.is_done() || mutations::is(Mutation::LateJoinerUngated) => {
                mark!(LateJoinerTakes);
            }
            Part::Late | Part::None => {
                mark!(LateJoinerWaits if self.part(tracked) == Part::Late && tracked.derived.open > 0);
                return self.enter(id, Stage::NotMine, None, "not for this node, or not yet", out);
            }
        }
        let manifest = &tracked.manifest;
        let Some(component) = self.components.get(&manifest.component) else {
            return self.skip(id, SkipReason::NoComponent, "the component is not configured here", out);
        };
        if component.installed.active.as_ref().is_some_and(|slot| slot.rollout == id) {
            // The manifest came back to a machine that runs its release.
            return self.enter(id, Stage::Healthy, None, "runs here already", out);
        }
        let not_older = component.installed.active.as_ref().is_some_and(|slot| slot.order >= manifest.order);
        mark!(SkipsOlder if not_older);
        if not_older && !mutations::is(Mutation::LowerSequence) {
            return self.skip(id, SkipReason::Newer, "what runs here is not older", out);
        }
        let slots: Vec<Digest> = component.slots().map(|slot| slot.tree).collect();
        let earlier: Vec<&Manifest> = self.earlier_than(manifest).collect();
        let choices = recipes(manifest, &earlier, &slots);
        let Some(recipe) = choices.get(tracked.install.choice % choices.len()).cloned() else { return };
        let work = Work {
            rollout: id,
            component: manifest.component.clone(),
            tree: manifest.tree,
            index_bytes: manifest.index_bytes,
            bytes: manifest.bytes,
            recipe,
        };
        let here = work.recipe == Recipe::Present;
        if let Some(install) = self.install(id) {
            install.work = Some(work.clone());
            install.holders_grew = false;
        }
        if here {
            out.stage(&work);
            self.enter(id, Stage::Staging, None, "the tree is here already", out);
        } else {
            out.fetch(&work, &self.holders(id));
            self.enter(id, Stage::Fetching, None, "", out);
        }
    }

    /// Releases of the same component before this one, whose deltas may lead on.
    fn earlier_than(&self, manifest: &Manifest) -> impl Iterator<Item = &Manifest> {
        let of_component = self.rollouts.values().filter(|r| r.manifest.component == manifest.component);
        let earlier = of_component.filter(|r| r.manifest.order < manifest.order && !r.is_stopped());
        earlier.map(|r| &*r.manifest)
    }

    fn skip(&mut self, id: RolloutId, reason: SkipReason, note: &str, out: &mut impl Outbox) {
        self.set_words(id, note);
        self.ensure_vote(id, VoteState::Skip(reason), out);
        self.enter(id, Stage::Skipped, None, note, out);
    }

    pub(super) fn set_words(&mut self, id: RolloutId, note: &str) {
        if let Some(install) = self.install(id) {
            note.clone_into(&mut install.note);
        }
    }

    /// A peer is linked that may hold what this node looks for.
    pub(in crate::node) fn linked_holder(&mut self) {
        for tracked in self.rollouts.values_mut().filter(|tracked| tracked.is_far()) {
            tracked.install.holders_grew = true;
        }
    }

    /// Members that say they hold the whole tree; where nobody hears that, the peers that are linked.
    pub(in crate::node) fn holders(&self, id: RolloutId) -> Vec<NodeId> {
        if self.rollouts.get(&id).is_some_and(|tracked| tracked.is_far()) {
            return self.links.iter().take(HOLDERS_MAX).copied().collect();
        }
        self.registers
            .votes(id)
            .into_iter()
            .filter_map(|fact| match &fact.statement {
                Statement::Vote(vote) if !matches!(vote.state, VoteState::Skip(_)) => Some(vote.node),
                _ => None,
            })
            .filter(|node| *node != self.me)
            .take(HOLDERS_MAX)
            .collect()
    }

    pub(super) fn name_new_holders(&mut self, id: RolloutId, out: &mut impl Outbox) {
        let Some(install) = self.install(id) else { return };
        if !std::mem::take(&mut install.holders_grew) {
            return;
        }
        if let Some(work) = install.work.clone() {
            mark!(HoldersGrew);
            out.fetch(&work, &self.holders(id));
        }
    }

    pub(in crate::node) fn stored(
        &mut self,
        now: Time,
        id: RolloutId,
        outcome: Result<(), Trouble>,
        out: &mut impl Outbox,
    ) {
        if self.stage(id) != Some(Stage::Fetching) {
            return;
        }
        match (outcome, self.install(id).and_then(|install| install.work.clone())) {
            (Ok(()), Some(work)) => {
                out.stage(&work);
                self.enter(id, Stage::Staging, None, "", out);
            }
            (Ok(()), None) => {}
            (Err(trouble), _) => self.stage_again_later(id, now, &trouble, out),
        }
    }

    pub(in crate::node) fn staged(
        &mut self,
        now: Time,
        id: RolloutId,
        outcome: Result<(), Trouble>,
        out: &mut impl Outbox,
    ) {
        if self.stage(id) != Some(Stage::Staging) {
            return;
        }
        match outcome {
            Ok(()) => {
                if let Some(install) = self.install(id) {
                    install.note.clear();
                    install.retries = 0;
                }
                self.enter(id, Stage::Staged, None, "", out);
            }
            Err(trouble) => self.stage_again_later(id, now, &trouble, out),
        }
    }

    /// Tries the next recipe after a pause. A node without room says so, and is replaced meanwhile.
    fn stage_again_later(&mut self, id: RolloutId, now: Time, trouble: &Trouble, out: &mut impl Outbox) {
        out.report(Event::Trouble { rollout: id, what: trouble.words().to_owned() });
        self.set_words(id, trouble.words());
        let Some(install) = self.install(id) else { return };
        let at = now + pause(install);
        if matches!(trouble, Trouble::NoSpace(_)) {
            self.ensure_vote(id, VoteState::Skip(SkipReason::NoSpace), out);
            self.enter(id, Stage::Skipped, Some(at), trouble.words(), out);
        } else {
            mark!(DeltaFallsBack);
            install.choice = install.choice.wrapping_add(1);
            self.enter(id, Stage::Known, Some(at), trouble.words(), out);
        }
    }
}

fn pause(install: &mut Install) -> crate::time::Span {
    let pause = STAGE_RETRY.times(1 << install.retries.min(8)).min(STAGE_RETRY_MAX);
    install.retries = install.retries.saturating_add(1);
    pause
}
