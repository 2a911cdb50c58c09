//! A recording as bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 9 | `swell-rec` |
//! | 1 | version of the format: 1 |
//! | rest | blocks |
//!
//! | bytes of a block | what |
//! |---|---|
//! | 4 | length of its body, little-endian |
//! | 8 | the first bytes of the body's digest |
//! | length | the body: [`Block`] in the codec's canonical form |
//!
//! The first block is the [`Head`]; then inputs and effects take turns; a [`Closing`] is last where there was time
//! for one. A file may end anywhere: what follows the last whole block is left unread.

use wincode::{SchemaRead, SchemaWrite};

use super::effects::Effects;
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::node::{Input, Record};
use crate::time::Time;
use crate::trust::names::ComponentName;
use crate::trust::policy::FleetId;
use crate::wire::codec;

/// What every recording begins with.
pub const MAGIC: &[u8; 9] = b"swell-rec";
/// The version of the format.
pub const VERSION: u8 = 1;
/// Bytes before a block's body.
const BLOCK_HEAD_BYTES: usize = 12;
const OPENING_BYTES: usize = MAGIC.len() + 1;

/// The node as it was when the recording began.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Head {
    /// Its fleet.
    pub fleet: FleetId,
    /// Its public key; the secret one is in no recording.
    pub node: NodeId,
    /// Its components, rising.
    pub components: Vec<ComponentName>,
    /// Version of the program that recorded it.
    pub program: String,
    /// The wall clock when the core's clock showed nought, in milliseconds since 1970: to lay recordings of several
    /// nodes beside each other.
    pub origin_unix_ms: u64,
    /// Its randomness: for jitter and partners, no secret.
    pub entropy: [u8; 32],
    /// The records that it was given.
    pub restored: Vec<Record>,
}

/// Why a recording ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Closing {
    /// The agent was told to end.
    Ended,
    /// The recording had reached its size. The agent ran on.
    Full,
}

/// One block.
#[derive(Clone, Debug, SchemaRead, SchemaWrite)]
pub enum Block<'a> {
    /// The first one.
    Head(Head),
    /// The node was told something.
    Input {
        /// When, on its clock.
        now: Time,
        /// What.
        input: Input<'a>,
    },
    /// What it decided thereupon.
    Effects(Effects),
    /// Nothing follows.
    Closing(Closing),
}

/// Why bytes are no recording that this program can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It begins otherwise.
    #[error("this is no recording of an agent")]
    NoRecording,
    /// Another version of the format.
    #[error("the recording has format {0}, this program reads format {VERSION}")]
    Version(u8),
    /// It was torn before the node's state was written.
    #[error("the recording ends before it tells what the node began with")]
    NoHead,
    /// A block is whole, and is not what can stand there.
    #[error(
        "the block at byte {at} is whole but cannot be read: another version of the program recorded it; replay it with that one"
    )]
    Strange {
        /// Where the block begins.
        at: usize,
    },
}

/// The bytes that a recording begins with, the head among them.
pub fn opening(head: Head) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    append(&mut bytes, &Block::Head(head));
    bytes
}

/// Appends a block.
///
/// # Panics
/// Never: a block is far smaller than 4 GiB, since frames and records are bounded.
pub fn append(bytes: &mut Vec<u8>, block: &Block<'_>) {
    let body = codec::encode(block);
    let length = u32::try_from(body.len()).expect("BUG: a block of 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&Digest::of(&body).0[..8]);
    bytes.extend_from_slice(&body);
}

/// A recording that is being read, block by block.
#[derive(Clone, Debug)]
pub struct Recording<'a> {
    head: Head,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Recording<'a> {
    /// Whether bytes begin as a recording does.
    pub fn is_recording(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads the head.
    ///
    /// # Errors
    /// Why it is no recording.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        if !Self::is_recording(bytes) {
            return Err(Unreadable::NoRecording);
        }
        match bytes.get(MAGIC.len()) {
            None => return Err(Unreadable::NoHead),
            Some(&VERSION) => {}
            Some(&version) => return Err(Unreadable::Version(version)),
        }
        let (body, at) = whole_block(bytes, OPENING_BYTES).ok_or(Unreadable::NoHead)?;
        match codec::decode(body) {
            Ok(Block::Head(head)) => Ok(Self { head, bytes, at }),
            _ => Err(Unreadable::Strange { at: OPENING_BYTES }),
        }
    }

    /// The node as it was.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next whole block.
    ///
    /// # Errors
    /// [`Unreadable::Strange`].
    pub fn next_block(&mut self) -> Result<Option<Block<'a>>, Unreadable> {
        let at = self.at;
        let Some((body, end)) = whole_block(self.bytes, at) else { return Ok(None) };
        self.at = end;
        match codec::decode(body) {
            Ok(Block::Head(_)) | Err(_) => Err(Unreadable::Strange { at }),
            Ok(block) => Ok(Some(block)),
        }
    }

    /// Bytes after the last whole block that was read.
    pub fn unread_bytes(&self) -> usize {
        self.bytes.len() - self.at
    }
}

/// The body of the block at `at` and where the next one begins, if all of it is here and undamaged.
fn whole_block(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let head = bytes.get(at..at.checked_add(BLOCK_HEAD_BYTES)?)?;
    let (length, digest) = head.split_at(4);
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let begin = at + BLOCK_HEAD_BYTES;
    let end = begin.checked_add(length)?;
    let body = bytes.get(begin..end)?;
    (Digest::of(body).0[..8] == *digest).then_some((body, end))
}
