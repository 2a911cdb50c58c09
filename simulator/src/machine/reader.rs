//! The reader that all machines of a run share: what one of them has read or verified, the others are told.
//!
//! It answers as the reader of production does (a test compares them): a fact is remembered with all its
//! bytes and a signature with its key and the digest of what it signs, and both are compared in full. Only
//! so much is remembered; what fell out is read or verified again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{BadFact, Fact, KeySignature, RolloutId, SignedFact};
use groundswell_protocol::identity::{KeyPair, Signature};
use groundswell_protocol::node::Record;
use groundswell_protocol::node::reader::{Heard, Reader, Strict};
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::trust::census::{Census, Members};
use groundswell_protocol::trust::manifest::Manifest;
use groundswell_protocol::trust::policy::FleetId;
use groundswell_protocol::wire::frame::BadFrame;

use super::message::Payload;
use super::notary::Notary;
use super::records::Name;

/// Facts and signatures that are remembered for each machine of the run, and at most in all. A fact takes a kilobyte,
/// and is mostly asked for while it is on its way.
const REMEMBERED_PER_MACHINE: usize = 64;
const REMEMBERED_MIN: usize = 1 << 10;
const FACTS_MAX: usize = 1 << 16;
const SIGNATURES_MAX: usize = 1 << 18;
/// Of the signatures that nodes of the run have made themselves, one of so many is verified all the same.
const MADE_VERIFIED: u64 = 64;

/// How often signatures were asked for, and how often one was really verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Asked for.
    pub asked: u64,
    /// Verified, in this run or in the one of the same story before it.
    pub verified: u64,
}

struct Checked {
    body: Digest,
    one: KeySignature,
    holds: bool,
}

struct Memory {
    /// The frame that is being delivered.
    at_hand: Option<Payload>,
    facts: Vec<Option<Arc<Fact>>>,
    /// What people sign: few, large, and kept.
    documents: BTreeMap<u64, Arc<Fact>>,
    checked: Vec<Option<Checked>>,
    rosters: BTreeMap<RolloutId, Arc<Roster>>,
    members: Vec<(Arc<Census>, Arc<Members>)>,
    checks: Checks,
}

/// The shared reader.
pub struct Remembering {
    memory: Mutex<Memory>,
    /// What an earlier run of the same story has worked out, where there was one.
    notary: Option<Arc<Notary>>,
}

/// A signature's first bytes: as good as random, and the same for equal facts.
fn mark(signed: &SignedFact) -> Option<u64> {
    signed.signatures.first().map(first_bytes)
}

/// Whether the body's header names this fleet: see the table of `facts::fact`.
fn of_fleet(fleet: FleetId, signed: &SignedFact) -> bool {
    signed.body.get(2..34).is_some_and(|named| named == fleet.0.0)
}

fn first_bytes(one: &KeySignature) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&one.signature.0[..8]);
    u64::from_le_bytes(first)
}

impl Remembering {
    /// A reader for so many machines, of which runs of one story may share a memory of signatures.
    pub fn new(machines: usize, notary: Option<Arc<Notary>>) -> Arc<Self> {
        let size = machines.saturating_mul(REMEMBERED_PER_MACHINE).next_power_of_two();
        let size = |most: usize| size.clamp(REMEMBERED_MIN, most);
        let memory = Memory {
            at_hand: None,
            facts: (0..size(FACTS_MAX)).map(|_| None).collect(),
            documents: BTreeMap::new(),
            checked: (0..size(SIGNATURES_MAX)).map(|_| None).collect(),
            rosters: BTreeMap::new(),
            members: Vec::new(),
            checks: Checks::default(),
        };
        Arc::new(Self { memory: Mutex::new(memory), notary })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This frame is being delivered: whoever reads its bytes now reads what others have read.
    pub fn hand(&self, message: &Payload) {
        self.memory().at_hand = Some(Arc::clone(message));
    }

    /// What is in a frame.
    pub fn heard(&self, fleet: FleetId, message: &Payload) -> Result<Heard, BadFrame> {
        message.heard(|bytes| self.read(fleet, bytes)).clone()
    }

    /// The key of a record on disk: see `Record::key`.
    pub fn record_key(&self, fleet: FleetId, record: &Record) -> Name {
        match record {
            Record::Fact(signed) => match self.fact(fleet, signed) {
                Ok(fact) => Name::Fact(fact.short),
                Err(_) => record.key(fleet).into(),
            },
            _ => record.key(fleet).into(),
        }
    }

    /// How often signatures were checked.
    pub fn checks(&self) -> Checks {
        self.memory().checks
    }

    /// As `Reader::fact`, remembered by the fact's own bytes.
    fn remember(&self, fleet: FleetId, signed: &SignedFact) -> Result<Arc<Fact>, BadFact> {
        let Some(mark) = mark(signed) else { return Strict.fact(fleet, signed) };
        let mut memory = self.memory();
        let place = slot(&memory.facts, mark);
        let known = memory.facts[place].as_ref();
        let same = |fact: &&Arc<Fact>| fact.signed == *signed && of_fleet(fleet, signed);
        if let Some(fact) = known.filter(same).or_else(|| memory.documents.get(&mark).filter(same)) {
            return Ok(Arc::clone(fact));
        }
        let fact = Strict.fact(fleet, signed)?;
        if fact.statement.author().is_none() {
            memory.documents.insert(mark, Arc::clone(&fact));
        } else {
            memory.facts[place] = Some(Arc::clone(&fact));
        }
        Ok(fact)
    }

    fn read(&self, fleet: FleetId, bytes: &[u8]) -> Result<Heard, BadFrame> {
        use groundswell_protocol::wire::frame::Frame;
        Ok(match Frame::decode(bytes)? {
            Frame::Gossip(signed) => Heard::Gossip(self.fact(fleet, &signed)),
            frame => Heard::Direct(Arc::new(frame)),
        })
    }
}

fn slot<T>(table: &[T], mark: u64) -> usize {
    usize::try_from(mark & (table.len() as u64 - 1)).expect("BUG: a mark within a table fits into usize")
}

impl Reader for Remembering {
    fn frame(&self, fleet: FleetId, bytes: &[u8]) -> Result<Heard, BadFrame> {
        let memory = self.memory();
        let at_hand = memory.at_hand.as_ref().filter(|message| std::ptr::eq(message.bytes(), bytes));
        if let Some(heard) = at_hand.and_then(|message| message.read()) {
            return heard.clone();
        }
        let at_hand = at_hand.cloned();
        drop(memory);
        match at_hand {
            Some(message) => self.heard(fleet, &message),
            None => self.read(fleet, bytes),
        }
    }

    fn fact(&self, fleet: FleetId, signed: &SignedFact) -> Result<Arc<Fact>, BadFact> {
        let memory = self.memory();
        let at_hand = memory.at_hand.as_ref().filter(|_| of_fleet(fleet, signed));
        let Some((message, cell)) = at_hand.and_then(|message| Some((message, message.fact(signed)?))) else {
            drop(memory);
            return self.remember(fleet, signed);
        };
        if let Some(read) = cell.get() {
            return read.clone();
        }
        let message = Payload::clone(message);
        drop(memory);
        let read = self.remember(fleet, signed);
        if let Some(cell) = message.fact(signed) {
            cell.get_or_init(|| read.clone());
        }
        read
    }

    fn is_signed(&self, fact: &Arc<Fact>, one: &KeySignature) -> bool {
        let mut memory = self.memory();
        memory.checks.asked += 1;
        let place = slot(&memory.checked, first_bytes(one));
        if let Some(known) = &memory.checked[place]
            && known.body == fact.id
            && known.one == *one
        {
            return known.holds;
        }
        let verify = || Strict.is_signed(fact, one);
        let holds = match &self.notary {
            Some(notary) => notary.holds(fact.id, one, verify),
            None => verify(),
        };
        memory.checks.verified += 1;
        memory.checked[place] = Some(Checked { body: fact.id, one: *one, holds });
        holds
    }

    fn sign(&self, key: &KeyPair, message: &[u8]) -> Signature {
        match &self.notary {
            Some(notary) => notary.sign(key, message),
            None => Strict.sign(key, message),
        }
    }

    /// What a key has just signed holds under it, strictly: that need not be worked out.
    fn made(&self, fact: &Arc<Fact>) {
        let [one] = fact.signed.signatures.as_slice() else { return };
        let first = first_bytes(one);
        if first.is_multiple_of(MADE_VERIFIED) {
            assert!(Strict.is_signed(fact, one), "BUG: a key's own signature does not hold");
        }
        let mut memory = self.memory();
        let place = slot(&memory.facts, first);
        memory.facts[place] = Some(Arc::clone(fact));
        memory.checked[place] = Some(Checked { body: fact.id, one: *one, holds: true });
    }

    fn members(&self, census: &Arc<Census>) -> Arc<Members> {
        let mut memory = self.memory();
        if let Some((_, members)) = memory.members.iter().find(|(known, _)| Arc::ptr_eq(known, census)) {
            return Arc::clone(members);
        }
        let members = Strict.members(census);
        memory.members.push((Arc::clone(census), Arc::clone(&members)));
        members
    }

    fn roster(&self, rollout: RolloutId, manifest: &Manifest, census: &Census) -> Arc<Roster> {
        let mut memory = self.memory();
        // The rollout's name is the manifest's digest, and that names the census.
        let roster = memory.rosters.entry(rollout);
        Arc::clone(roster.or_insert_with(|| Strict.roster(rollout, manifest, census)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Fleet;
    use crate::generator::Generator;
    use groundswell_protocol::facts::{Ballot, Say, Statement};

    #[test]
    fn it_answers_as_production_does_and_verifies_each_signature_once() {
        let fleet = Fleet::found(4, &Generator::new(1));
        let reader = Remembering::new(4, None);
        let ballot = |open| {
            let ballot =
                Ballot { rollout: RolloutId(Digest([7; 32])), juror: fleet.nodes[0], say: Say::Open(open) };
            Fact::sign(fleet.id, Statement::Ballot(ballot), &[&fleet.keys[0]]).signed
        };
        let mut forged = ballot(9);
        forged.body = ballot(8).body;
        for open in 10..200 {
            let say = Say::Open(open);
            let ballot = Ballot { rollout: RolloutId(Digest([7; 32])), juror: fleet.nodes[0], say };
            let made = Arc::new(Fact::sign(fleet.id, Statement::Ballot(ballot), &[&fleet.keys[0]]));
            reader.made(&made);
            let one = &made.signed.signatures[0];
            assert!(Strict.is_signed(&made, one), "what is made holds");
            assert!(reader.is_signed(&made, one));
            let read = reader.fact(fleet.id, &made.signed).expect("BUG: the test states well-formed facts");
            let strict = Strict.fact(fleet.id, &made.signed).expect("BUG: the test states well-formed facts");
            assert_eq!((read.id, read.rank, &read.statement), (strict.id, strict.rank, &strict.statement));
        }
        let (asked, verified) = (reader.checks().asked, reader.checks().verified);
        assert_eq!((asked, verified), (190, 0));
        for signed in [ballot(1), ballot(2), forged] {
            let strict = Strict.fact(fleet.id, &signed).expect("BUG: the test states well-formed facts");
            for _ in 0..3 {
                let fact = reader.fact(fleet.id, &signed).expect("BUG: the test states well-formed facts");
                assert_eq!((fact.id, fact.rank, &fact.signed), (strict.id, strict.rank, &signed));
                let one = &signed.signatures[0];
                assert_eq!(reader.is_signed(&fact, one), Strict.is_signed(&strict, one));
            }
        }
        assert_eq!(reader.checks(), Checks { asked: asked + 9, verified: 3 });
        let other = FleetId(Digest([1; 32]));
        for open in [1, 3] {
            assert!(reader.fact(other, &ballot(open)).is_err(), "another fleet's");
        }
    }
}
