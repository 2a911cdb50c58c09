//! A fact: a signed body, kept and relayed byte for byte.
//!
//! | bytes of a body | what |
//! |---|---|
//! | 1 | tag: which statement follows |
//! | 1 | version of the format: 1 |
//! | 32 | fleet |
//! | rest | the statement, in the codec's canonical form |
//!
//! What is signed is `SIGNED_DOMAIN` followed by the body. A fact is named by the digest of its body
//! alone: signatures are no part of its identity (hole H39).

use std::sync::Arc;

use wincode::{SchemaRead, SchemaWrite};

use super::body::{Body, Signatures};
use super::key::Key;
use super::statements::{Ballot, Beacon, Propose, RolloutId, Vote};
use crate::bounds::{CENSUS_MAX, MANIFEST_MAX, POLICY_MAX, SIGNATURES_MAX, STATEMENT_MAX};
use crate::digest::Digest;
use crate::identity::{KeyPair, NodeId, PublicKey, Signature};
use crate::mutations::{self, Mutation};
use crate::trust::census::Census;
use crate::trust::command::Command;
use crate::trust::manifest::Manifest;
use crate::trust::names::is_note;
use crate::trust::policy::{FleetId, Policy, Role};
use crate::wire::codec;

const SIGNED_DOMAIN: &[u8] = b"groundswell fact\0";
const FORMAT_VERSION: u8 = 1;
const HEADER_BYTES: usize = 34;

/// One key's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct KeySignature {
    /// Whose.
    pub key: PublicKey,
    /// Over `SIGNED_DOMAIN` and the body.
    pub signature: Signature,
}

/// A fact as it travels and as it lies on disk: not yet verified.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SignedFact {
    /// See the table above.
    pub body: Body,
    /// By rising key; at most `SIGNATURES_MAX`.
    pub signatures: Signatures,
}

/// What a fact states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Who may sign what.
    Policy(Arc<Policy>),
    /// Who takes part.
    Census(Arc<Census>),
    /// What is released.
    Manifest(Arc<Manifest>),
    /// How a node fares.
    Vote(Vote),
    /// What a juror says.
    Ballot(Ballot),
    /// What a leader proposes.
    Propose(Propose),
    /// What an operator orders.
    Command(Command),
    /// That a node lives.
    Beacon(Beacon),
}

/// A decoded fact with its place in the merged state. Whether it is *accepted* is another matter.
#[derive(Clone, Debug)]
pub struct Fact {
    /// As it travels.
    pub signed: SignedFact,
    /// What it states.
    pub statement: Statement,
    /// Its register.
    pub key: Key,
    /// [`Key::short`] of its register, so that it is computed once.
    pub short: u64,
    /// Its place in the register's order.
    pub rank: u64,
    /// Digest of the body.
    pub id: Digest,
    /// What the fact adds to the digest of all registers: its id, hashed apart.
    pub(super) mixed: Digest,
}

/// Why bytes are no fact of this fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFact {
    /// Longer than its sort allows.
    #[error("the fact is larger than its sort allows")]
    TooLarge,
    /// A newer format, or none.
    #[error("the fact has an unknown tag or format version")]
    UnknownFormat,
    /// Another fleet's.
    #[error("the fact belongs to another fleet")]
    OtherFleet,
    /// Not canonical.
    #[error("the fact is not in canonical form")]
    Malformed,
    /// A bound inside it is broken.
    #[error("the fact breaks a bound of its sort")]
    OutOfBounds,
    /// Signatures are missing, too many, unsorted or doubled.
    #[error("the fact's signatures are missing, too many or out of order")]
    Signatures,
}

impl Statement {
    fn tag(&self) -> u8 {
        match self {
            Self::Policy(_) => 1,
            Self::Census(_) => 2,
            Self::Manifest(_) => 3,
            Self::Vote(_) => 4,
            Self::Ballot(_) => 5,
            Self::Propose(_) => 6,
            Self::Command(_) => 7,
            Self::Beacon(_) => 8,
        }
    }

    fn payload(&self) -> Vec<u8> {
        match self {
            Self::Policy(x) => codec::encode(x.as_ref()),
            Self::Census(x) => codec::encode(x.as_ref()),
            Self::Manifest(x) => codec::encode(x.as_ref()),
            Self::Vote(x) => codec::encode(x),
            Self::Ballot(x) => codec::encode(x),
            Self::Propose(x) => codec::encode(x),
            Self::Command(x) => codec::encode(x),
            Self::Beacon(x) => codec::encode(x),
        }
    }

    /// The body that is signed for this statement in `fleet`.
    pub fn body(&self, fleet: FleetId) -> Body {
        let payload = self.payload();
        let mut body = Vec::with_capacity(HEADER_BYTES + payload.len());
        body.extend_from_slice(&[self.tag(), FORMAT_VERSION]);
        body.extend_from_slice(&fleet.0.0);
        body.extend_from_slice(&payload);
        body.into()
    }

    fn decode(tag: u8, payload: &[u8]) -> Result<Self, BadFact> {
        let bad = |_| BadFact::Malformed;
        Ok(match tag {
            1 => Self::Policy(Arc::new(codec::decode(payload).map_err(bad)?)),
            2 => Self::Census(Arc::new(codec::decode(payload).map_err(bad)?)),
            3 => Self::Manifest(Arc::new(codec::decode(payload).map_err(bad)?)),
            4 => Self::Vote(codec::decode(payload).map_err(bad)?),
            5 => Self::Ballot(codec::decode(payload).map_err(bad)?),
            6 => Self::Propose(codec::decode(payload).map_err(bad)?),
            7 => Self::Command(codec::decode(payload).map_err(bad)?),
            8 => Self::Beacon(codec::decode(payload).map_err(bad)?),
            _ => return Err(BadFact::UnknownFormat),
        })
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Policy(x) => x.is_valid(),
            Self::Census(x) => x.is_valid(),
            Self::Manifest(x) => x.check().is_ok(),
            Self::Vote(x) => x.is_valid(),
            Self::Command(x) => is_note(&x.note),
            Self::Beacon(x) => x.is_valid(),
            Self::Ballot(_) | Self::Propose(_) => true,
        }
    }

    /// The node that speaks, for what nodes say; `None` for what people sign.
    pub fn author(&self) -> Option<NodeId> {
        match self {
            Self::Vote(x) => Some(x.node),
            Self::Ballot(x) => Some(x.juror),
            Self::Propose(x) => Some(x.leader),
            Self::Beacon(x) => Some(x.node),
            Self::Policy(_) | Self::Census(_) | Self::Manifest(_) | Self::Command(_) => None,
        }
    }

    /// The register of what a node says; `None` for what people sign.
    pub(crate) fn key_as_said(&self) -> Option<Key> {
        self.author().map(|_| self.key(Digest([0; 32])))
    }

    /// The rollout that it speaks of. A manifest speaks of itself: `id` is its body's digest.
    fn key(&self, id: Digest) -> Key {
        match self {
            Self::Policy(x) => Key::Policy(x.version, id),
            Self::Census(x) => Key::Census(x.version, id),
            Self::Manifest(x) => Key::Manifest(x.component.clone(), x.order, RolloutId(id)),
            Self::Vote(x) => Key::Vote(x.rollout, x.node),
            Self::Ballot(x) => Key::Ballot(x.rollout, x.juror, x.kind()),
            Self::Propose(x) => Key::Propose(x.rollout, x.leader),
            Self::Command(x) => Key::Command(x.rollout, x.kind()),
            Self::Beacon(x) => Key::Beacon(x.node),
        }
    }

    pub(crate) fn rank(&self) -> u64 {
        match self {
            Self::Policy(_) | Self::Census(_) | Self::Manifest(_) => 0,
            Self::Vote(x) => x.rank(),
            Self::Ballot(x) => x.rank(),
            Self::Propose(x) => x.rank(),
            Self::Command(x) => x.rank(),
            Self::Beacon(x) => x.rank(),
        }
    }
}

fn body_max(tag: u8) -> usize {
    match tag {
        1 => POLICY_MAX,
        2 => CENSUS_MAX,
        3 => MANIFEST_MAX,
        _ => STATEMENT_MAX,
    }
}

/// Digest that names a body.
pub fn body_id(body: &[u8]) -> Digest {
    Digest::of_parts("groundswell 2026 body", &[body])
}

fn signed_message(body: &[u8]) -> Vec<u8> {
    [SIGNED_DOMAIN, body].concat()
}

/// `key`'s signature over `body`: for signers that add theirs to a document that others have signed.
pub fn sign_body(body: &[u8], key: &KeyPair) -> KeySignature {
    KeySignature { key: key.public(), signature: key.sign(&signed_message(body)) }
}

impl Fact {
    /// States `statement` in `fleet`, signed by `keys`.
    pub fn sign(fleet: FleetId, statement: Statement, keys: &[&KeyPair]) -> Self {
        let body = statement.body(fleet);
        let mut signatures: Vec<_> = keys.iter().map(|key| sign_body(&body, key)).collect();
        signatures.sort_unstable();
        signatures.dedup_by_key(|s| s.key);
        Self::assemble(SignedFact { body, signatures: signatures.into() }, statement)
    }

    /// States what the node `author` says, signed by `sign`: from the message to the signature.
    pub fn sign_as(
        fleet: FleetId,
        statement: Statement,
        author: NodeId,
        sign: impl FnOnce(&[u8]) -> Signature,
    ) -> Self {
        let body = statement.body(fleet);
        let signature = sign(&signed_message(&body));
        let signatures = vec![KeySignature { key: author, signature }];
        Self::assemble(SignedFact { body, signatures: signatures.into() }, statement)
    }

    /// Reads a fact: sizes first, then form, then bounds. Signatures are not verified here.
    ///
    /// # Errors
    /// What is wrong with it; nothing was kept.
    pub fn read(fleet: FleetId, signed: SignedFact) -> Result<Self, BadFact> {
        let statement = Self::read_body(&signed.body, Some(fleet))?.1;
        let signatures = &signed.signatures;
        if signatures.is_empty()
            || signatures.len() > SIGNATURES_MAX
            || !signatures.is_sorted_by(|a, b| a.key < b.key)
        {
            return Err(BadFact::Signatures);
        }
        if let Some(author) = statement.author()
            && (signatures.len() != 1 || signatures[0].key != author)
        {
            return Err(BadFact::Signatures);
        }
        Ok(Self::assemble(signed, statement))
    }

    /// Reads a body that may still lack signatures: for the tools that sign documents.
    /// With `fleet` the body must belong to it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_body(body: &[u8], fleet: Option<FleetId>) -> Result<(FleetId, Statement), BadFact> {
        let (&tag, &version) = match (body.first(), body.get(1)) {
            (Some(tag), Some(version)) => (tag, version),
            _ => return Err(BadFact::Malformed),
        };
        if version != FORMAT_VERSION || !(1..=8).contains(&tag) {
            return Err(BadFact::UnknownFormat);
        }
        if body.len() > body_max(tag) {
            return Err(BadFact::TooLarge);
        }
        let named: [u8; 32] =
            body.get(2..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or(BadFact::Malformed)?;
        let named = FleetId(Digest(named));
        if fleet.is_some_and(|fleet| fleet != named) {
            return Err(BadFact::OtherFleet);
        }
        let statement = Statement::decode(tag, &body[HEADER_BYTES..])?;
        if !statement.is_valid() {
            return Err(BadFact::OutOfBounds);
        }
        Ok((named, statement))
    }

    fn assemble(signed: SignedFact, statement: Statement) -> Self {
        let id = body_id(&signed.body);
        let (key, rank) = (statement.key(id), statement.rank());
        let mixed = Digest::of_parts("groundswell 2026 state", &[&id.0]);
        Self { signed, statement, short: key.short(), key, rank, id, mixed }
    }

    /// Whether the author's own signature holds. Only for what nodes say.
    pub fn author_signed(&self) -> bool {
        self.author_signed_if(|one| self.is_signed(one))
    }

    /// As [`Fact::author_signed`], where `holds` says which signatures hold.
    pub fn author_signed_if(&self, holds: impl Fn(&KeySignature) -> bool) -> bool {
        if mutations::is(Mutation::SkipSignature) {
            return true;
        }
        match (self.statement.author(), self.signed.signatures.as_slice()) {
            (Some(author), [one]) => one.key == author && holds(one),
            _ => false,
        }
    }

    /// Whether at least the role's threshold of its keys signed. Stops at the threshold, so the cost
    /// is bounded by it; signatures of other keys are passed over.
    pub fn role_signed(&self, role: &Role) -> bool {
        self.role_signed_if(role, |one| self.is_signed(one))
    }

    /// Whether one signature over the body holds.
    pub fn is_signed(&self, one: &KeySignature) -> bool {
        one.key.verify(&signed_message(&self.signed.body), &one.signature)
    }

    /// As [`Fact::role_signed`], where `holds` says which signatures hold.
    pub fn role_signed_if(&self, role: &Role, holds: impl Fn(&KeySignature) -> bool) -> bool {
        let less = u8::from(mutations::is(Mutation::TooFewSigners));
        let threshold = usize::from(role.threshold.saturating_sub(less).max(1));
        let ours = self.signed.signatures.iter().filter(|one| role.keys.contains(&one.key));
        let valid = ours.filter(|one| holds(one)).take(threshold);
        valid.count() >= threshold
    }
}
