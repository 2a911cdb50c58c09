//! A frame on its way: its bytes, held once however many machines it goes to, and what was read in them.

use std::sync::{Arc, OnceLock};

use groundswell_protocol::facts::{BadFact, Fact, SignedFact};
use groundswell_protocol::node::reader::Heard;
use groundswell_protocol::wire::frame::{BadFrame, Frame};

use crate::generator::digest;

/// A frame that many machines hold at once.
pub type Payload = Arc<Message>;

/// A frame.
#[derive(Debug)]
pub struct Message {
    bytes: Box<[u8]>,
    id: u64,
    heard: OnceLock<Result<Heard, BadFrame>>,
    /// The facts in it as they were read, where it carries few: such a frame goes to a whole jury.
    facts: OnceLock<Box<[OnceLock<ReadFact>]>>,
}

/// A fact as it was read, or why it is none.
pub type ReadFact = Result<Arc<Fact>, BadFact>;

/// Facts of a frame that are remembered with it.
const FACTS_MAX: usize = 2;

impl Message {
    /// A frame of these bytes.
    pub fn new(bytes: Vec<u8>) -> Payload {
        let id = digest(&bytes);
        Arc::new(Self { bytes: bytes.into(), id, heard: OnceLock::new(), facts: OnceLock::new() })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its name in the overlay and in fingerprints: a digest of the bytes.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What was read in it, if anybody did.
    pub fn read(&self) -> Option<&Result<Heard, BadFrame>> {
        self.heard.get()
    }

    /// Where a fact that lies in this frame is put when it was read. `None`: it lies elsewhere, or is one of many.
    pub fn fact(&self, signed: &SignedFact) -> Option<&OnceLock<ReadFact>> {
        let Some(Ok(Heard::Direct(frame))) = self.heard.get() else { return None };
        let Frame::Facts { facts, .. } = &**frame else { return None };
        if facts.len() > FACTS_MAX {
            return None;
        }
        let place = facts.iter().position(|fact| std::ptr::eq(fact, signed))?;
        let cells = self.facts.get_or_init(|| facts.iter().map(|_| OnceLock::new()).collect());
        cells.get(place)
    }

    /// What was read in it; the first who asks reads.
    pub fn heard(&self, read: impl FnOnce(&[u8]) -> Result<Heard, BadFrame>) -> &Result<Heard, BadFrame> {
        self.heard.get_or_init(|| read(&self.bytes))
    }
}
