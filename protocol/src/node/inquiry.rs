//! What a juror misses it asks of another.
//!
//! Signs of life, and with a drawn jury votes too, go straight from their author to the jurors. Two machines behind
//! routers that let nobody in never hear each other that way, and without gossip hardly anybody is heard. But each is
//! heard by somebody. So a juror that has not heard from other jurors, or from members that are open, for longer than
//! it should asks one juror after another for what it has of them ([`Frame::Missed`]), and is answered with facts.
//!
//! It asks while it still counts the silent as fresh, at its pace while answers help and ever more rarely while they
//! do not: who is dead is missed by all. An answer is hearsay of signed facts, and as good as any gossip. A juror that
//! withholds or delays what it has costs time; the next one is asked, whom nobody can choose for long.

use super::Node;
use super::outbox::Outbox;
use super::syncing::send_facts;
use super::tracked::Tracked;
use crate::bounds::{
    INQUIRY_EVERY_MAX, INQUIRY_PAUSE_MAX, INQUIRY_RANKS_LOOKED_AT, JURY_MAX, MISSED_PERIODS,
};
use crate::facts::{Key, RolloutId};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::time::{Span, Time};
use crate::wire::frame::Frame;

/// What a juror has asked others for, in one rollout.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    next_at: Time,
    /// Until the next question, if this one does not help.
    pause: Span,
    /// How many it missed when it last asked.
    missed: usize,
    /// The rank from which it looks on.
    rank: u32,
    /// Who was answered of late, and when: no more than there are jurors.
    answered: Vec<(NodeId, Time)>,
}

impl Inquiry {
    /// So many were missed now, and the next look goes on from `rank`.
    fn looked(&mut self, now: Time, period: Span, missed: usize, rank: u32) {
        let pace = period.min(INQUIRY_EVERY_MAX);
        let in_vain = missed > 0 && missed == self.missed;
        self.pause = if in_vain { self.pause.times(2).min(INQUIRY_PAUSE_MAX).max(pace) } else { pace };
        self.next_at = now + self.pause;
        (self.missed, self.rank) = (missed, rank);
    }

    /// Whether a juror may be answered now, which is then taken to be done: an answer weighs much more than a question, so
    /// whoever asks twice as often as jurors ask all others together gets none.
    fn may_answer(&mut self, now: Time, juror: NodeId, period: Span) -> bool {
        let pause = Span(period.min(INQUIRY_EVERY_MAX).0 / 2);
        self.answered.retain(|(_, at)| now < *at + pause);
        let may = self.answered.iter().all(|(answered, _)| *answered != juror);
        if may {
            self.answered.push((juror, now));
        }
        may
    }
}

impl Node {
    /// Asks a juror for news of those from whom this one has not heard for too long, if it is time to.
    pub(super) fn ask_for_what_is_missed(&mut self, tracked: &mut Tracked, now: Time, out: &mut impl Outbox) {
        if now >= tracked.inquiry.next_at {
            let seats = self.jurors_missed(tracked, now);
            let scene = tracked.scene(self.me, now);
            let (ranks, rank) = tracked.view.missed(&scene, tracked.inquiry.rank, INQUIRY_RANKS_LOOKED_AT);
            let missed = seats.count_ones() as usize + ranks.len();
            tracked.inquiry.looked(now, tracked.manifest.plan.beacon_period(), missed, rank);
            if missed > 0
                && let Some(juror) = self.choose_juror(tracked, seats)
            {
                mark!(JurorMissed if seats != 0);
                mark!(MemberMissed if !ranks.is_empty());
                out.send(juror, Frame::Missed { rollout: tracked.id, seats, ranks }.encode());
            }
        }
        tracked.look_at = tracked.look_at.min(tracked.inquiry.next_at);
    }

    /// The seats of the jurors that will soon not count as fresh, a bit each. A leader is missed as soon as it is late:
    /// it is measured by the plan's pace.
    fn jurors_missed(&self, tracked: &Tracked, now: Time) -> u64 {
        let plan = &tracked.manifest.plan;
        let silence = tracked.roster.juror_period(plan).times(MISSED_PERIODS);
        let leaders_silence = Span(plan.beacon_period().0 * 3 / 2);
        let leader = tracked.roster.leader(tracked.derived.term);
        let mut seats = 0;
        for (seat, juror) in tracked.roster.jury.iter().enumerate().filter(|(_, juror)| **juror != self.me) {
            let silence = if leader == Some(*juror) { leaders_silence } else { silence };
            // Before the rollout came all spoke rarely.
            let heard =
                tracked.view.juror_heard(seat).map_or(tracked.watch.since, |at| at.max(tracked.watch.since));
            if now >= heard + silence {
                seats |= bit(seat);
            }
        }
        seats
    }

    /// Another juror, and none of those that are missed unless all are. Every other time it is one that is linked:
    /// such a one can be reached, and the other times nobody can have chosen it.
    fn choose_juror(&mut self, tracked: &Tracked, missed: u64) -> Option<NodeId> {
        let all: Vec<(usize, NodeId)> = tracked.roster.jury.iter().copied().enumerate().collect();
        let others = || all.iter().copied().filter(|(_, juror)| *juror != self.me);
        let heard = || others().filter(|(seat, _)| missed & bit(*seat) == 0);
        let linked: Vec<_> = heard().filter(|(_, juror)| self.links.contains(juror)).collect();
        let heard: Vec<_> = heard().collect();
        let others: Vec<_> = others().collect();
        let from = match (linked.is_empty(), heard.is_empty()) {
            (false, _) if self.generator.below(2) == 0 => linked,
            (_, false) => heard,
            (_, true) => others,
        };
        from.get(self.draw(from.len())).map(|(_, juror)| *juror)
    }

    /// Answers a juror that misses news of others with what is here of them: votes, and signs of life of those who are
    /// not missed here as well, since old ones would keep the dead alive. Of itself it speaks as often as it should.
    pub(super) fn answer_inquiry(
        &mut self,
        now: Time,
        from: NodeId,
        rollout: RolloutId,
        seats: u64,
        ranks: &[u32],
        out: &mut impl Outbox,
    ) {
        let Some(tracked) = self.rollouts.get_mut(&rollout).filter(|tracked| tracked.roster.is_juror(&from))
        else {
            return;
        };
        if !tracked.inquiry.may_answer(now, from, tracked.manifest.plan.beacon_period()) {
            return;
        }
        let ranks = ranks.iter().filter_map(|rank| usize::try_from(*rank).ok());
        let members: Vec<(usize, NodeId)> =
            ranks.filter_map(|rank| Some((rank, *tracked.roster.members.get(rank)?))).collect();
        let votes = members.iter().map(|(_, node)| Key::Vote(rollout, *node)).filter(|_| tracked.is_far());
        let alive = heard_lately(tracked, now, seats, &members);
        let keys = votes.chain(alive.into_iter().filter(|node| *node != self.me).map(Key::Beacon));
        let facts: Vec<_> = keys.filter_map(|key| self.registers.get(&key)).cloned().collect();
        send_facts(from, &facts, false, false, out);
    }
}

/// Of the jurors of these seats and of these members, by rank, those who are not missed here.
fn heard_lately(tracked: &Tracked, now: Time, seats: u64, members: &[(usize, NodeId)]) -> Vec<NodeId> {
    let (roster, plan, view) = (&tracked.roster, &tracked.manifest.plan, &tracked.view);
    let lately =
        |at: Option<Time>, period: Span| at.is_some_and(|at| now < at + period.times(MISSED_PERIODS));
    let (juror_period, member_period) =
        (roster.juror_period(plan), roster.quiet_period(plan, tracked.derived.open));
    let jurors = roster
        .jury
        .iter()
        .enumerate()
        .filter(|(seat, _)| seats & bit(*seat) != 0 && lately(view.juror_heard(*seat), juror_period));
    let members = members.iter().filter(|(rank, _)| lately(view.member_heard(*rank), member_period));
    jurors.map(|(_, juror)| *juror).chain(members.map(|(_, node)| *node)).collect()
}

/// A seat's bit in a question.
fn bit(seat: usize) -> u64 {
    1 << (seat % JURY_MAX)
}

const _: () = assert!(JURY_MAX <= 64, "a question has a bit for each seat");
