//! Making a patch's body: matches become moves, moves become segments.

use std::io;

use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_MOVES_BYTES_MAX};
use crate::pack::pack;

use super::matching::{Match, matches};
use super::moves::{MOVE_BYTES_MAX, Move};

/// The packed body that leads from one file to another.
pub(crate) fn make(old: &[u8], new: &[u8]) -> io::Result<Vec<u8>> {
    pack(&segments(old, new, &matches(old, new)))
}

/// The body before packing. The matches are in the new file's order and do not overlap there.
fn segments(old: &[u8], new: &[u8], matches: &[Match]) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut rest = new;
    let mut done = 0;
    for found in matches {
        let (inserted, after) = rest.split_at(found.new - done);
        let (copied, after) = after.split_at(found.bytes);
        writer.insert(inserted);
        writer.add(found.old, &old[found.old..found.old + found.bytes], copied);
        rest = after;
        done = found.new + found.bytes;
    }
    writer.insert(rest);
    writer.end_segment();
    writer.out
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    moves: Vec<u8>,
    added: Vec<u8>,
    inserted: Vec<u8>,
    /// The move that is still growing.
    open: Option<Move>,
    /// Where the old file is read next.
    old_at: usize,
}

impl Writer {
    fn room(&self) -> usize {
        SEGMENT_BYTES_MAX - self.added.len() - self.inserted.len()
    }

    fn add(&mut self, mut old_at: usize, mut old: &[u8], mut new: &[u8]) {
        while !new.is_empty() {
            self.make_room();
            self.close_move();
            let length = new.len().min(self.room());
            let (old_now, old_later) = old.split_at(length);
            let (new_now, new_later) = new.split_at(length);
            self.added.extend(new_now.iter().zip(old_now).map(|(new, old)| new.wrapping_sub(*old)));
            self.open =
                Some(Move { seek: old_at as i64 - self.old_at as i64, add: length as u64, insert: 0 });
            old_at += length;
            self.old_at = old_at;
            (old, new) = (old_later, new_later);
        }
    }

    fn insert(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.make_room();
            let (now, later) = bytes.split_at(bytes.len().min(self.room()));
            self.inserted.extend_from_slice(now);
            self.open.get_or_insert_default().insert += now.len() as u64;
            bytes = later;
        }
    }

    fn make_room(&mut self) {
        if self.room() == 0 || self.moves.len() + 2 * MOVE_BYTES_MAX > SEGMENT_MOVES_BYTES_MAX {
            self.end_segment();
        }
    }

    fn close_move(&mut self) {
        if let Some(done) = self.open.take() {
            done.encode(&mut self.moves);
        }
    }

    fn end_segment(&mut self) {
        self.close_move();
        if self.moves.is_empty() {
            return;
        }
        for part in [&self.moves, &self.added, &self.inserted] {
            let size = u32::try_from(part.len()).expect("BUG: a segment beyond its bounds");
            self.out.extend_from_slice(&size.to_le_bytes());
        }
        self.out.append(&mut self.moves);
        self.out.append(&mut self.added);
        self.out.append(&mut self.inserted);
    }
}
