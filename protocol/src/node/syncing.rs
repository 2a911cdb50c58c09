//! Syncs with peers: when they begin, and this node's part in them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Node;
use super::accept::Judged;
use super::event::{Event, Refusal};
use super::outbox::Outbox;
use crate::bounds::{
    FACTS_PER_FRAME_MAX, FRAME_MAX, PAGES_MAX, SETTLED_AFTER, SYNC_EVERY_ACTIVE, SYNC_EVERY_FAR,
    SYNC_EVERY_IDLE, SYNC_EVERY_RECOVERING, SYNC_EXTRA_EVERY, SYNC_TIMEOUT, SYNCS_MAX,
};
use crate::facts::{Beacon, Fact, Key, SignedFact};
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::places::first_bytes;
use crate::sync::summary::{self, Page};
use crate::time::{Span, Time};
use crate::wire::frame::{Entry, Frame};

/// Peers that are remembered because a sync with them ended: more than a jury's confirmers.
const ENDED_MAX: usize = 32;

/// One sync that this node began.
#[derive(Debug)]
struct Session {
    began: Time,
    learned: u32,
    /// Pages whose facts were asked for and have not all come.
    open_pages: u32,
    /// The pages that came: the lowest and the highest key of each.
    pages: BTreeMap<u64, u64>,
}

impl Session {
    /// Whether all pages came, and all facts that they called for.
    fn is_over(&self) -> bool {
        let mut next = Some(0);
        for (first, last) in &self.pages {
            if next != Some(*first) {
                return false;
            }
            next = last.checked_add(1);
        }
        next.is_none() && self.open_pages == 0
    }
}

/// The syncs that this node began, at most `SYNCS_MAX`, and when the next one is due.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    sessions: Vec<(NodeId, Session)>,
    next_at: Option<Time>,
    last_extra: Option<Time>,
    /// With whom syncs ended lately, the oldest first, by their names' first bytes; at most `ENDED_MAX`.
    ended: VecDeque<(Time, u64)>,
}

impl Syncs {
    pub(super) fn start(&mut self, now: Time) {
        self.next_at = Some(now);
    }

    fn ended(&mut self, now: Time, peer: NodeId) {
        let peer = first_bytes(&peer);
        self.ended.retain(|(_, other)| *other != peer);
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((now, peer));
    }

    /// With how many peers a sync ended within this time.
    pub(super) fn ended_since(&self, now: Time, within: Span) -> usize {
        self.ended.iter().filter(|(at, _)| now < *at + within).count()
    }

    /// A rollout has come, or this node has a part in it now: the next sync is due at the active pace.
    pub(super) fn live(&mut self, now: Time) {
        let soon = now + SYNC_EVERY_ACTIVE;
        self.next_at = Some(self.next_at.map_or(soon, |at| at.min(soon)));
    }

    /// A link came or went: what was under way over it will not end.
    pub(super) fn drop_session(&mut self, peer: &NodeId) {
        self.take_session(peer);
    }

    fn session(&self, peer: &NodeId) -> Option<&Session> {
        self.sessions.iter().find(|(with, _)| with == peer).map(|(_, session)| session)
    }

    fn session_mut(&mut self, peer: &NodeId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|(with, _)| with == peer).map(|(_, session)| session)
    }

    fn take_session(&mut self, peer: &NodeId) -> Option<Session> {
        let place = self.sessions.iter().position(|(with, _)| with == peer)?;
        let (_, session) = self.sessions.swap_remove(place);
        if self.sessions.is_empty() {
            self.sessions = Vec::new();
        }
        Some(session)
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.next_at
    }
}

impl Node {
    /// Begins a sync with `peer`, unless one is under way.
    pub(super) fn begin_sync(&mut self, now: Time, peer: NodeId, out: &mut impl Outbox) {
        let sessions = &mut self.syncs.sessions;
        mark!(SyncGivenUp if sessions.iter().any(|(_, session)| now >= session.began + SYNC_TIMEOUT));
        sessions.retain(|(_, session)| now < session.began + SYNC_TIMEOUT);
        let is_full = sessions.len() >= SYNCS_MAX;
        if peer == self.me || is_full || sessions.iter().any(|(with, _)| *with == peer) {
            return;
        }
        if sessions.is_empty() {
            // Mostly it stays the only one.
            sessions.reserve_exact(1);
        }
        sessions.push((peer, Session { began: now, learned: 0, open_pages: 0, pages: BTreeMap::new() }));
        let frame = Frame::Digest {
            digest: self.registers.digest(),
            beacon: self.beacon_at_hand(),
            yours: None,
            equal: false,
        };
        out.send(peer, frame.encode());
    }

    /// A sync that is not due, but called for; not too often.
    pub(super) fn begin_extra_sync(&mut self, now: Time, peer: NodeId, out: &mut impl Outbox) {
        if self.syncs.last_extra.is_none_or(|at| at + SYNC_EXTRA_EVERY <= now) {
            self.syncs.last_extra = Some(now);
            self.begin_sync(now, peer, out);
        }
    }

    /// A beacon says that its author knows something that this node does not.
    pub(super) fn sync_if_behind(&mut self, now: Time, beacon: &Beacon, out: &mut impl Outbox) {
        let mine = self.heads();
        let lacks = beacon.heads.policy > mine.policy || beacon.heads.census > mine.census;
        // While facts are spreading digests differ all the time; a difference that stays is a gap.
        let gap = beacon.heads.facts != mine.facts && now >= self.last_change + SETTLED_AFTER;
        mark!(StopSeenInBeacon if self.knows_a_stop(beacon));
        mark!(GapFound if gap);
        if lacks || gap || self.knows_a_stop(beacon) {
            self.begin_extra_sync(now, beacon.node, out);
        }
    }

    /// Whether the beacon names a stop that this node does not know.
    pub(super) fn knows_a_stop(&self, beacon: &Beacon) -> bool {
        let news =
            |id| self.rollouts.get(&id).is_none_or(|r| !r.is_stopped()) && !self.tombstones.contains(id);
        beacon.active.iter().any(|active| active.stop && news(active.rollout))
    }

    pub(super) fn sync_if_due(&mut self, now: Time, out: &mut impl Outbox) {
        let every = self.sync_every(now);
        if every == SYNC_EVERY_ACTIVE {
            // Who waited at a slower pace has just been opened.
            self.syncs.live(now);
        }
        if self.syncs.next_at.is_some_and(|at| now < at) {
            return;
        }
        let jitter = self.generator.below(every.0 / 4 + 1);
        self.syncs.next_at = Some(now + every - Span(jitter));
        if let Some(partner) = self.choose_partner() {
            self.begin_sync(now, partner, out);
        }
    }

    fn sync_every(&self, now: Time) -> Span {
        if self.is_recovering() || mutations::is(Mutation::NeverIdle) {
            return SYNC_EVERY_RECOVERING;
        }
        let live = || self.rollouts.values().filter(|tracked| Self::is_live(tracked, now));
        if live().any(|tracked| tracked.takes_part()) {
            SYNC_EVERY_ACTIVE
        } else if live().next().is_some() {
            SYNC_EVERY_FAR
        } else {
            SYNC_EVERY_IDLE
        }
    }

    /// A uniform member of the census, so that nobody can choose with whom I sync (hole H38); while
    /// recovering rather a linked elector that was not heard yet. One that is asked already is not waited for: it may
    /// never answer.
    fn choose_partner(&mut self) -> Option<NodeId> {
        let (_, census) = self.trust.newest_census()?;
        let census = Arc::clone(census);
        if self.is_recovering() {
            let fresh: Vec<NodeId> = self
                .links
                .iter()
                .copied()
                .filter(|node| census.is_elector(node) && !self.signer.has_heard(node) && *node != self.me)
                .filter(|node| self.syncs.session(node).is_none())
                .collect();
            if !fresh.is_empty() {
                return fresh.get(self.draw(fresh.len())).copied();
            }
        }
        let place = self.draw(census.members.len());
        let chosen = census.members.get(place)?.node;
        // One step on from myself keeps the draw uniform over the others.
        if chosen != self.me {
            return Some(chosen);
        }
        census.members.get((place + 1) % census.members.len()).map(|member| member.node)
    }

    /// A number below `count`, each as likely.
    pub(super) fn draw(&mut self, count: usize) -> usize {
        usize::try_from(self.generator.below(count as u64)).unwrap_or(0)
    }

    /// A direct frame.
    pub(super) fn synced(&mut self, now: Time, from: NodeId, frame: &Frame, out: &mut impl Outbox) {
        match frame {
            Frame::Digest { digest, beacon, yours, equal } => {
                let shown = beacon.as_ref();
                self.take_beacon(now, from, shown, out);
                self.take_beacon(now, from, yours.as_ref(), out);
                if *equal {
                    return self.end_sync(now, from, out);
                }
                let beacon = self.beacon_for_sync(now, out);
                let yours = self.later_beacon_of(from, shown);
                if *digest == self.registers.digest() {
                    out.send(from, Frame::Digest { digest: *digest, beacon, yours, equal: true }.encode());
                } else {
                    self.send_summary(from, beacon, yours.as_ref(), out);
                }
            }
            Frame::Summary { first, last, entries, beacon, yours } => {
                self.take_beacon(now, from, beacon.as_ref(), out);
                self.take_beacon(now, from, yours.as_ref(), out);
                self.answer_page(now, from, *first..=*last, entries, out);
            }
            Frame::Want { keys } if self.is_asked_for_news(keys) => self.answer_with_news(now, from, out),
            Frame::Want { keys } => {
                let facts = summary::facts_of(&self.registers, keys);
                send_facts(from, &facts, false, true, out);
            }
            Frame::Facts { facts, confirm, last } => {
                self.take_facts(now, from, facts, *confirm, *last, out);
            }
            Frame::Missed { rollout, seats, ranks } => {
                self.answer_inquiry(now, from, *rollout, *seats, ranks, out);
            }
            Frame::Seen { entries } => self.acknowledged(from, entries),
            // Gossip frames are taken before; one that comes here came by the wrong way.
            Frame::Gossip(_) => out.report(Event::Refused { from: Some(from), why: Refusal::BadFrame }),
        }
    }

    /// The peer's own beacon as it was last heard, if it is not the one that it shows: a machine whose
    /// disk was restored, or a copy of a running one, learns so how far its name has come (hole H11).
    fn later_beacon_of(&self, peer: NodeId, shown: Option<&SignedFact>) -> Option<SignedFact> {
        let held = self.registers.get(&Key::Beacon(peer))?;
        (Some(&held.signed) != shown).then(|| held.signed.clone())
    }

    fn send_summary(
        &mut self,
        to: NodeId,
        mut beacon: Option<SignedFact>,
        yours: Option<&SignedFact>,
        out: &mut impl Outbox,
    ) {
        for Page { first, last, entries } in summary::pages(&self.registers) {
            // On every page: it must not be lost before the sync ends.
            let (beacon, yours) = (beacon.take(), yours.cloned());
            out.send(to, Frame::Summary { first, last, entries, beacon, yours }.encode());
        }
    }

    fn answer_page(
        &mut self,
        now: Time,
        from: NodeId,
        keys: RangeInclusive<u64>,
        entries: &[Entry],
        out: &mut impl Outbox,
    ) {
        // Only who began a sync compares: a page that nobody asked for costs nothing.
        let Some(session) = self.syncs.session_mut(&from) else { return };
        let difference = summary::compare(&self.registers, keys.clone(), entries);
        if session.pages.len() >= PAGES_MAX {
            return;
        }
        session.pages.insert(*keys.start(), *keys.end());
        if !difference.wanted.is_empty() {
            session.open_pages = session.open_pages.saturating_add(1);
        }
        send_facts(from, &difference.surplus, false, false, out);
        if !difference.wanted.is_empty() {
            out.send(from, Frame::Want { keys: difference.wanted }.encode());
        }
        self.end_sync_if_over(now, from, out);
    }

    fn take_facts(
        &mut self,
        now: Time,
        from: NodeId,
        facts: &[SignedFact],
        confirm: bool,
        last: bool,
        out: &mut impl Outbox,
    ) {
        let mut seen: Vec<Entry> = Vec::new();
        let deaf = mutations::is(Mutation::SyncDeaf) && !confirm;
        for signed in facts.iter().filter(|_| !deaf) {
            let read = self.reader.fact(self.fleet, signed);
            let asked = read.as_ref().ok().filter(|_| confirm).map(Arc::clone);
            match self.judge_read(read) {
                Ok(Judged::Rises(fact)) => {
                    self.take(now, &fact, out);
                    if let Some(session) = self.syncs.session_mut(&from) {
                        session.learned = session.learned.saturating_add(1);
                    }
                }
                Ok(Judged::Known) => {}
                Err(why) => out.report(Event::Refused { from: Some(from), why }),
            }
            if let Some(fact) = asked
                && let Some(held) = self.registers.get(&fact.key)
            {
                seen.push(summary::entry(held));
            }
        }
        if confirm {
            out.send(from, Frame::Seen { entries: seen }.encode());
        }
        if last {
            if let Some(session) = self.syncs.session_mut(&from) {
                session.open_pages = session.open_pages.saturating_sub(1);
            }
            self.end_sync_if_over(now, from, out);
        }
    }

    fn take_beacon(&mut self, now: Time, from: NodeId, beacon: Option<&SignedFact>, out: &mut impl Outbox) {
        let watched = |signed: &&SignedFact| {
            signed.signatures.iter().all(|one| self.is_watched(&one.key) || one.key == self.me)
        };
        let beacon = beacon.filter(watched);
        match beacon.map(|signed| self.judge(signed)) {
            Some(Ok(Judged::Rises(fact))) => self.take(now, &fact, out),
            Some(Err(why)) => out.report(Event::Refused { from: Some(from), why }),
            Some(Ok(Judged::Known)) | None => {}
        }
    }

    fn end_sync_if_over(&mut self, now: Time, peer: NodeId, out: &mut impl Outbox) {
        if self.syncs.session(&peer).is_some_and(Session::is_over) {
            self.end_sync(now, peer, out);
        }
    }

    fn end_sync(&mut self, now: Time, peer: NodeId, out: &mut impl Outbox) {
        if let Some(session) = self.syncs.take_session(&peer) {
            self.rest.stir();
            self.signer.heard(peer);
            self.syncs.ended(now, peer);
            out.report(Event::Synced { with: peer, learned: session.learned });
        }
    }
}

/// Sends facts in frames that fit; with `last` the final frame says so, even if it is empty.
pub(super) fn send_facts(to: NodeId, facts: &[Arc<Fact>], confirm: bool, last: bool, out: &mut impl Outbox) {
    let mut batches: Vec<Vec<SignedFact>> = Vec::new();
    let mut room = 0;
    for fact in facts {
        let bytes = fact.signed.body.len() + fact.signed.signatures.len() * 96 + 16;
        if batches.last().is_none_or(|batch| bytes > room || batch.len() >= FACTS_PER_FRAME_MAX) {
            batches.push(Vec::new());
            room = FRAME_MAX - 64;
        }
        room = room.saturating_sub(bytes);
        if let Some(batch) = batches.last_mut() {
            batch.push(fact.signed.clone());
        }
    }
    if batches.is_empty() && last {
        batches.push(Vec::new());
    }
    let count = batches.len();
    for (number, facts) in (1..).zip(batches) {
        out.send(to, Frame::Facts { facts, confirm, last: last && number == count }.encode());
    }
}
