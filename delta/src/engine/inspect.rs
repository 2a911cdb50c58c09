//! Looking into a patch of a file alone, without the old file.

use std::io::{BufReader, Read};

use crate::error::Reason;
use crate::inspect::{Inspection, Map, NEAR_BYTES, Origin, Stream, Subject, Window};
use crate::limits::{APPLY_MEMORY_BYTES, BUFFER_BYTES};
use crate::pack::Unpacker;

use super::follow::Segment;
use super::{Header, PATCH_VERSION};

/// Size of a patch's header.
const HEADER_BYTES: u64 = 6 + 2 + 2 * (8 + 32);

/// Reads a patch to its end; `bytes` is its size.
pub(crate) fn inspect(delta: &mut impl Read, bytes: u64) -> Result<Inspection, Reason> {
    let mut delta = BufReader::with_capacity(BUFFER_BYTES, delta);
    let header = Header::read(&mut delta)?;
    let packed_bytes = bytes.saturating_sub(HEADER_BYTES);
    let mut body = Unpacker::new(&mut delta)?;
    let mut seen = Seen { map: Map::new(header.new.bytes), raw_bytes: 0, moves: 0 };
    let mut segment = Segment::default();
    let mut left = header.new.bytes;
    while left > 0 {
        segment.read(&mut body, left)?;
        left -= segment.bytes();
        seen.look_at(&segment)?;
    }
    body.end()?;
    Inspection {
        engine: "bsdiff's matching, one zstd frame".to_owned(),
        format: PATCH_VERSION,
        subject: Subject::File,
        delta_bytes: bytes,
        old_bytes: Some(header.old.bytes),
        new_bytes: header.new.bytes,
        framing_bytes: bytes.min(HEADER_BYTES),
        apply_memory_bytes: APPLY_MEMORY_BYTES as u64,
        streams: vec![Stream {
            name: "segments".to_owned(),
            raw_bytes: seen.raw_bytes,
            packed_bytes,
            method: "zstd".to_owned(),
        }],
        windows: vec![Window { new_bytes: header.new.bytes, packed_bytes, regions: seen.moves }],
        map: Some(seen.map),
        references: Vec::new(),
        containers: Vec::new(),
    }
    .balanced()
}

struct Seen {
    map: Map,
    raw_bytes: u64,
    moves: u64,
}

impl Seen {
    fn look_at(&mut self, segment: &Segment) -> Result<(), Reason> {
        self.raw_bytes += segment.raw_bytes();
        segment.each_move(|next, added| {
            self.moves += 1;
            let is_near = next.seek.unsigned_abs() <= NEAR_BYTES;
            let unchanged = if is_near { Origin::Copied } else { Origin::Moved };
            for run in added.chunk_by(|one, other| (*one == 0) == (*other == 0)) {
                let origin = if run.first() == Some(&0) { unchanged } else { Origin::Corrected };
                self.map.add(origin, run.len() as u64);
            }
            self.map.add(Origin::Literal, next.insert);
        })
    }
}
