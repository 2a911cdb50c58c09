//! A frame on its way: its bytes, held once however many machines it goes to, and what was read in them.

use std::sync::{Arc, OnceLock};

use groundswell_protocol::wire::frame::BadFrame;

use groundswell_protocol::node::reader::Heard;

use crate::generator::digest;

/// A frame that many machines hold at once.
pub type Payload = Arc<Message>;

/// A frame.
#[derive(Debug)]
pub struct Message {
    bytes: Box<[u8]>,
    id: u64,
    heard: OnceLock<Result<Heard, BadFrame>>,
}

impl Message {
    /// A frame of these bytes.
    pub fn new(bytes: Vec<u8>) -> Payload {
        let id = digest(&bytes);
        Arc::new(Self { bytes: bytes.into(), id, heard: OnceLock::new() })
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

    /// What was read in it; the first who asks reads.
    pub fn heard(&self, read: impl FnOnce(&[u8]) -> Result<Heard, BadFrame>) -> &Result<Heard, BadFrame> {
        self.heard.get_or_init(|| read(&self.bytes))
    }
}
