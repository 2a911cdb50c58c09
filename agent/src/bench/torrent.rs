//! The metainfo file (BEP 3) by which other clients know the blob.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::{Digest as _, Sha1};

use super::network::SWITCH_ADDRESS;
use super::tracker;

/// Bytes of a piece: as many as ours have.
const PIECE_BYTES: u64 = 64 << 10;
/// The blob's name in it.
pub(super) const NAME: &str = "blob";

/// The announced address.
pub(super) fn announce() -> String {
    format!("http://{SWITCH_ADDRESS}:{}/announce", tracker::PORT)
}

/// The metainfo of a file.
///
/// # Errors
/// When it cannot be read.
pub(super) fn metainfo(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut hashes = Vec::new();
    let mut piece = Vec::new();
    while file.by_ref().take(PIECE_BYTES).read_to_end(&mut piece)? > 0 {
        hashes.extend_from_slice(&Sha1::digest(&piece));
        piece.clear();
    }
    let announce = announce();
    let head = format!(
        "d8:announce{}:{announce}4:infod6:lengthi{bytes}e4:name{}:{NAME}12:piece lengthi{PIECE_BYTES}e6:pieces{}:",
        announce.len(),
        NAME.len(),
        hashes.len()
    );
    Ok([head.as_bytes(), &hashes, b"ee"].concat())
}
