//! Large fleets: where the jury is drawn from many, news of single nodes is the jury's alone.
//!
//! With more electors than a jury has seats it is not for everybody to hear from everybody: that would
//! cost each node as much as there are nodes. So in a rollout whose jury was drawn
//!
//! - votes go from their author to the jurors, and syncs do not carry them; `Staged` is not said, since the gate
//!   takes it for silence;
//! - jurors and open nodes send their beacon to the jurors, with their vote: what was lost on the way comes again with
//!   the next one. At the plan's pace speaks who leads, has a new vote or is in a short bake; the others speak rarely
//!   ([`crate::bounds::BEACON_QUIET`]);
//! - who sits on no jury counts nothing, and hears from jurors when it asks for fresh news: it wants their beacon
//!   and nothing else;
//! - the more nodes are open the more rarely each that is no juror speaks, so that a juror hears from no more
//!   than [`crate::bounds::JURY_NEWS_PER_SECOND`] of them; its first words after a new vote come at the plan's pace;
//! - bytes are looked for at the peers that are linked, since nobody hears of holders.
//!
//! Manifests, ballots, proposals and commands spread as ever. In fleets of fewer electors nothing differs.

use std::sync::Arc;

use super::Node;
use super::outbox::Outbox;
use super::tracked::Tracked;
use crate::bounds::{COUNT_EVERY, FREEZE_AFTER, JURY_MAX, SYNC_EVERY_IDLE};
use crate::facts::{Fact, Key, RolloutId, Statement};
use crate::identity::NodeId;
use crate::time::{Span, Time};
use crate::wire::frame::Frame;

/// One more count a second for so many members fewer: a juror's count costs as much as ranks are open.
const COUNTED_PER_MILLISECOND: u64 = 20;

impl Tracked {
    /// Whether its jury was drawn from many.
    pub(super) fn is_far(&self) -> bool {
        !self.roster.everybody_judges
    }

    /// Whether this node counts votes of it.
    pub(super) fn counts(&self) -> bool {
        self.i_judge || !self.is_far()
    }

    /// How long votes wait to be counted together.
    pub(super) fn count_every(&self) -> Span {
        COUNT_EVERY.max(Span(u64::from(self.roster.count()) / COUNTED_PER_MILLISECOND))
    }
}

impl Node {
    /// Whether the fleet has more electors than a jury has seats.
    pub(super) fn is_large(&self) -> bool {
        self.members.electors.len() > JURY_MAX
    }

    /// Whether anything here turns on a node's signs of life.
    pub(super) fn is_watched(&self, node: &NodeId) -> bool {
        !self.is_large()
            || self.rollouts.values().any(|tracked| {
                !tracked.is_far()
                    || tracked.roster.is_juror(node)
                    || tracked.i_judge && tracked.roster.rank(node).is_some()
            })
    }

    /// Whether it is noted here when a node was last heard from.
    pub(super) fn keeps_fresh(&self, node: &NodeId) -> bool {
        let near = |tracked: &Tracked| !tracked.is_far() || tracked.roster.is_juror(node);
        !self.is_large() || self.rollouts.values().any(|tracked| near(tracked))
    }

    /// Whether everybody hears from everybody: in a small fleet, or for a rollout that all electors judge.
    pub(super) fn is_near(&self) -> bool {
        !self.is_large() || self.rollouts.values().any(|tracked| !tracked.is_far())
    }

    /// Whether others turn on this node's signs of life, so that a sync is to carry one.
    pub(super) fn is_watched_by_all(&self) -> bool {
        self.is_near() || self.rollouts.values().any(|tracked| tracked.i_judge)
    }

    /// The rollouts, of those that are live, whose jurors must hear from this node.
    fn juries(&self, now: Time) -> impl Iterator<Item = &Tracked> {
        self.rollouts
            .values()
            .map(|tracked| &**tracked)
            .filter(move |tracked| tracked.is_far() && Self::is_live(tracked, now) && tracked.takes_part())
    }

    /// Sends this node's newest beacon to those who must hear it.
    pub(super) fn spread_beacon(&mut self, now: Time, fact: &Arc<Fact>, out: &mut impl Outbox) {
        let small = |tracked: &Tracked| !tracked.is_far() && Self::is_live(tracked, now);
        if !self.is_large() || self.rollouts.values().any(|tracked| small(tracked)) {
            self.publish(&fact.signed, out);
        }
        if self.is_large() {
            for tracked in self.juries(now) {
                let vote = self.registers.get(&Key::Vote(tracked.id, self.me));
                let facts: Vec<_> = std::iter::once(fact).chain(vote).collect();
                self.tell_jury(tracked, &facts, out);
            }
        }
    }

    /// Whether anybody waits for this node's beacon.
    pub(super) fn is_awaited(&self, now: Time) -> bool {
        let small = |tracked: &Tracked| !tracked.is_far() && Self::is_live(tracked, now);
        !self.is_large()
            || self.rollouts.values().any(|tracked| small(tracked))
            || self.juries(now).next().is_some()
    }

    /// Sends a fact of mine that has become durable to those who must hear it.
    pub(super) fn spread(&mut self, fact: &Arc<Fact>, out: &mut impl Outbox) {
        let far = |id: &RolloutId| self.rollouts.get(id).filter(|tracked| tracked.is_far());
        match &fact.statement {
            Statement::Vote(vote) if far(&vote.rollout).is_some() => {
                if let Some(tracked) = far(&vote.rollout) {
                    self.tell_jury(tracked, &[fact], out);
                    self.beacons.repeat_news();
                }
            }
            _ => self.publish(&fact.signed, out),
        }
    }

    /// Asks a juror for news of itself alone. A sync would bring it too, and with it everything that differs while
    /// ballots are on their way: of half a fleet at once that is more than any juror can send.
    pub(super) fn ask_for_news(juror: NodeId, out: &mut impl Outbox) {
        out.send(juror, Frame::Want { keys: vec![Key::Beacon(juror).short()] }.encode());
    }

    /// Whether what a peer wants is news of this node: no sync carries beacons.
    pub(super) fn is_asked_for_news(&self, keys: &[u64]) -> bool {
        keys.len() == 1 && self.is_large() && keys[0] == Key::Beacon(self.me).short()
    }

    /// Answers whoever asks for news of this node, and tells it with what it has voted itself: no sync does, and its
    /// disk may be an old one.
    pub(super) fn answer_with_news(&mut self, now: Time, to: NodeId, out: &mut impl Outbox) {
        if let Some(beacon) = self.beacon_on_demand(now, out) {
            let of_asker = self.rollouts.values().filter(|tracked| tracked.is_far() && !tracked.ended());
            let votes = of_asker.filter_map(|tracked| self.registers.get(&Key::Vote(tracked.id, to)));
            let facts = votes.map(|vote| vote.signed.clone()).chain([beacon]).collect();
            out.send(to, Frame::Facts { facts, confirm: false, last: false }.encode());
        }
    }

    fn tell_jury(&self, tracked: &Tracked, facts: &[&Arc<Fact>], out: &mut impl Outbox) {
        let facts = facts.iter().map(|fact| fact.signed.clone()).collect();
        let frame = Frame::Facts { facts, confirm: false, last: false }.encode();
        out.send_all(tracked.roster.jury.iter().copied().filter(|juror| *juror != self.me), frame);
    }

    /// For how long a node that hears from few may be without news before that is suspicious.
    pub(super) fn freeze_after(&self) -> Span {
        if self.is_large() {
            FREEZE_AFTER.max(SYNC_EVERY_IDLE.times(2 * u64::from(self.electors().confirmers())))
        } else {
            FREEZE_AFTER
        }
    }
}
