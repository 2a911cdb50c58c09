//! Own facts: nothing is signed before the node has heard what it signed earlier, and nothing that was
//! signed leaves before it is durable (S9, S10; hole H11).

use std::sync::Arc;

use super::event::Event;
use super::input::WriteId;
use super::outbox::Outbox;
use super::record::Record;
use super::status::Signing;
use super::writes::Then;
use super::{Frame, Node};
use crate::bounds::JURY_MAX;
use crate::facts::{Beacon, Fact, SignedFact, Statement};
use crate::few::FewOf;
use crate::identity::NodeId;
use crate::marks::mark;
use crate::mutations::{self, Mutation};
use crate::rollout::quorum::Quorum;
use crate::time::Time;

/// What a node knows about its own right to sign.
#[derive(Debug)]
pub(super) struct Signer {
    /// The boot before this one, or the highest that others have seen.
    pub(super) last_boot: u32,
    /// Drawn anew at each start.
    pub(super) incarnation: u64,
    /// Electors with whom a whole sync ended since the start.
    heard: FewOf<NodeId>,
    /// This start's number, once it is being written.
    boot: Option<u32>,
    durable: bool,
    cloned: bool,
    /// Whether it has begun anew after it met a past that nobody had told it.
    began_anew: bool,
}

impl Signer {
    pub(super) fn new(last_boot: u32, incarnation: u64) -> Self {
        Self {
            last_boot,
            incarnation,
            heard: FewOf::default(),
            boot: None,
            durable: false,
            cloned: false,
            began_anew: false,
        }
    }

    /// This start's number, when it may be used.
    pub(super) fn boot(&self) -> Option<u32> {
        self.boot.filter(|_| self.durable)
    }

    pub(super) fn heard(&mut self, node: NodeId) {
        if self.boot.is_none() {
            self.heard.insert(node);
        }
    }

    /// Recovers once more, to take a higher number. A disk that was lost may have had a past that none of those
    /// asked remembered: others keep beacons in memory alone. A past rests; a clone goes on, and is met again.
    fn begin_anew(&mut self) {
        self.began_anew = true;
        self.boot = None;
        self.durable = false;
        self.heard.clear();
    }

    pub(super) fn has_heard(&self, node: &NodeId) -> bool {
        self.heard.contains(node)
    }
}

impl Node {
    /// Whether this node may sign now.
    pub(super) fn may_sign(&self) -> bool {
        self.signer.boot().is_some() && !self.signer.cloned && self.enrolled
    }

    pub(super) fn is_recovering(&self) -> bool {
        self.signer.boot.is_none()
    }

    pub(super) fn signing(&self) -> Signing {
        if self.signer.cloned {
            Signing::Cloned
        } else if !self.enrolled {
            Signing::NotEnrolled
        } else if self.may_sign() {
            Signing::Yes
        } else {
            let heard = u32::try_from(self.signer.heard.len()).unwrap_or(u32::MAX);
            Signing::Recovering { heard, needed: self.electors().confirmers() }
        }
    }

    /// Notes who is on the newest census.
    pub(super) fn list_members(&mut self) {
        if let Some((_, census)) = self.trust.newest_census() {
            self.members = self.reader.members(census);
            self.enrolled = census.member(&self.me).is_some();
        }
    }

    /// The arithmetic of all electors of the newest census, as far as they fit a jury.
    pub(super) fn electors(&self) -> Quorum {
        let count = self.members.electors.len().min(JURY_MAX);
        Quorum::of(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Takes this start's number once enough electors have told what this node signed earlier.
    pub(super) fn recover(&mut self, now: Time, out: &mut impl Outbox) {
        if self.signer.boot.is_some() || !self.enrolled {
            return;
        }
        let needed = match self.electors().confirmers() {
            _ if mutations::is(Mutation::SignBeforeRecovered) => 0,
            needed => needed,
        };
        let Some((_, census)) = self.trust.newest_census() else { return };
        let elector = |node: &&NodeId| **node != self.me && census.is_elector(node);
        let heard = self.signer.heard.iter().filter(elector).count();
        if heard as u64 >= u64::from(needed) {
            let boot = self.signer.last_boot.saturating_add(1);
            if self.writes.write(Record::Boot(boot), Then::Boot, out) {
                self.signer.boot = Some(boot);
                self.signer.heard.clear();
                self.beacons.hurry(now);
            }
        }
    }

    /// Sees a beacon under my own key: news of my past, or of a clone.
    pub(super) fn saw_myself(&mut self, beacon: &Beacon, out: &mut impl Outbox) {
        match self.signer.boot {
            None => {
                mark!(RestoredDiskDetected if beacon.boot > self.signer.last_boot);
                self.signer.last_boot = self.signer.last_boot.max(beacon.boot);
            }
            Some(boot) => {
                if beacon.incarnation == self.signer.incarnation || beacon.boot < boot || self.signer.cloned {
                    return;
                }
                if self.signer.began_anew {
                    self.signer.cloned = true;
                    return out.report(Event::Cloned);
                }
                self.signer.last_boot = beacon.boot;
                if self.signer.durable {
                    self.signer.begin_anew();
                }
            }
        }
    }

    /// Signs a statement, unless its register holds as much already or a greater one is being written.
    /// It is merged and sent when it is durable. Returns whether it was taken.
    pub(super) fn state(&mut self, statement: Statement, out: &mut impl Outbox) -> bool {
        if !self.may_sign() {
            return false;
        }
        // Most of what a node states again and again it has stated before: that costs no signature.
        let (Some(key), rank) = (statement.key_as_said(), statement.rank()) else { return false };
        if self.writes.pending(&key).is_some_and(|pending| pending.rank >= rank) {
            return false;
        }
        if let Some(held) = self.registers.get(&key)
            && (held.rank, &held.signed.body) >= (rank, &statement.body(self.fleet))
        {
            mark!(LowerStatementNotSigned if held.rank > rank);
            return false;
        }
        let fact = self.sign(statement, out);
        if mutations::is(Mutation::SendBeforePersisted) {
            self.publish(&fact.signed, out);
        }
        self.writes.write(Record::Fact(fact.signed.clone()), Then::Publish(fact), out)
    }

    /// Signs a statement, and lets whoever remembers signatures know that this one holds.
    pub(super) fn sign(&mut self, statement: Statement, out: &mut impl Outbox) -> Arc<Fact> {
        let fact = Arc::new(self.hand.sign(self.fleet, statement, &*self.reader, out));
        self.reader.made(&fact);
        fact
    }

    /// All writes up to `id` are durable: what waited for them goes on.
    pub(super) fn persisted(&mut self, now: Time, id: WriteId, out: &mut impl Outbox) {
        for then in self.writes.persisted(id) {
            match then {
                Then::Nothing => {}
                Then::Boot => {
                    let boot = self.signer.boot.unwrap_or(0);
                    if self.signer.last_boot >= boot {
                        self.signer.begin_anew();
                    } else {
                        self.signer.durable = true;
                        out.report(Event::Recovered { boot });
                    }
                }
                Then::Switch(rollout) => self.switch_on_record(rollout, now, out),
                Then::Publish(fact) => {
                    self.merge(now, &fact, out);
                    self.spread(&fact, out);
                }
            }
        }
    }

    /// Gossips a fact, if it fits a gossiped frame; larger ones travel by sync.
    pub(super) fn publish(&mut self, signed: &SignedFact, out: &mut impl Outbox) {
        let frame = Frame::Gossip(signed.clone()).encode();
        if frame.len() <= crate::bounds::FRAME_MAX {
            out.broadcast(frame);
        }
    }
}
