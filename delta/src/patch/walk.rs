//! Rebuilding a region: old bytes, fields predicted, all corrected. One walk for making a patch and for following one.

use super::differences::Correct;
use super::made::Made;
use super::old::OldWindow;
use crate::error::Reason;
use crate::matching::Region;
use crate::models::{BEFORE_BYTES_MAX, Counts, Field, Model, Piece};

/// Most bytes rebuilt at one time, but for a field that lies across the end.
const PIECE_BYTES: u32 = 32 << 10;

/// Rebuilds regions piece by piece, with one model.
pub(super) struct Walk<M: Model> {
    model: M,
    fields: Vec<Field<M::Name>>,
    /// Some of what is before a piece, if the model looks at it.
    before: Vec<u8>,
    /// The place that it ends at.
    before_at: u32,
    pub(super) counts: Counts,
}

impl<M: Model> Walk<M> {
    pub(super) fn new(model: M) -> Self {
        Self { model, fields: Vec::new(), before: Vec::new(), before_at: 0, counts: Counts::default() }
    }

    /// Appends the next piece of a region, of which `done` bytes were rebuilt before. Returns how many bytes it has.
    pub(super) fn piece(
        &mut self,
        region: &Region,
        done: u32,
        old: &mut OldWindow<'_>,
        corrections: &mut impl Correct,
        out: &mut Made,
    ) -> Result<u32, Reason> {
        let start = region.old + done;
        let mut bytes = (region.bytes - done).min(PIECE_BYTES);
        let reach = bytes.saturating_add(8).min(region.bytes - done);
        let room = out.room(reach as usize);
        old.read(u64::from(start), room)?;
        self.find_fields(region, start, old, room)?;
        while self.fields.last().is_some_and(|field| field.at >= start + bytes) {
            self.fields.pop();
        }
        if let Some(last) = self.fields.last() {
            bytes = bytes.max(last.at + u32::from(last.bytes) - start);
        }
        let piece = room.get_mut(..bytes as usize).unwrap_or_default();
        self.keep_before(start + bytes, piece);
        self.rebuild(start, region.new + done, piece, corrections)?;
        out.fill(bytes as usize);
        Ok(bytes)
    }

    fn find_fields(
        &mut self,
        region: &Region,
        at: u32,
        old: &mut OldWindow<'_>,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let before = (at as usize).min(BEFORE_BYTES_MAX);
        if M::LOOKS_BEFORE && (self.before_at != at || self.before.len() != before) {
            self.before.resize(before, 0);
            old.read(u64::from(at) - before as u64, &mut self.before)?;
            self.before_at = at;
        }
        self.fields.clear();
        let region = region.old..region.old + region.bytes;
        let piece = Piece { region, at, bytes, before: &self.before };
        self.model.fields(&piece, &mut self.fields);
        Ok(())
    }

    /// Keeps what is before the next piece of the region, now that it is at hand.
    fn keep_before(&mut self, end: u32, piece: &[u8]) {
        if M::LOOKS_BEFORE
            && let Some(last) = piece.last_chunk::<BEFORE_BYTES_MAX>()
        {
            self.before.clear();
            self.before.extend_from_slice(last);
            self.before_at = end;
        }
    }

    /// Turns a piece of the old window into one of the new window.
    fn rebuild(
        &mut self,
        old_at: u32,
        new_at: u32,
        piece: &mut [u8],
        corrections: &mut impl Correct,
    ) -> Result<(), Reason> {
        let mut corrected = 0;
        let mut sure = corrections.sure();
        for field in &self.fields {
            let at = (field.at - old_at) as usize;
            let end = at + usize::from(field.bytes);
            if end <= sure {
                // Most fields: what is predicted is right.
                let bytes = piece.get_mut(at..end).unwrap_or_default();
                let new_at = new_at + (field.at - old_at);
                let was = read(bytes);
                if let Some(predicted) = self.model.confirm(field, was, new_at) {
                    write(bytes, predicted);
                    self.counts.right += 1;
                }
                continue;
            }
            corrections.correct(piece.get_mut(corrected..at).unwrap_or_default())?;
            let bytes = piece.get_mut(at..end).unwrap_or_default();
            let new_at = new_at + (field.at - old_at);
            let was = read(bytes);
            let predicted = self.model.predict(field, was, new_at);
            if let Some(predicted) = predicted {
                write(bytes, predicted);
            }
            corrections.correct(bytes)?;
            let is = read(bytes);
            if let Some(predicted) = predicted {
                self.counts.count(field.bytes, predicted, is);
            }
            self.model.learn(field, was, new_at, is);
            corrected = end;
            sure = end.saturating_add(corrections.sure());
        }
        corrections.correct(piece.get_mut(corrected..).unwrap_or_default())
    }
}

#[inline]
fn read(field: &[u8]) -> u64 {
    match *field {
        [a] => u64::from(a),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => {
            let mut bytes = [0; 8];
            for (to, from) in bytes.iter_mut().zip(field) {
                *to = *from;
            }
            u64::from_le_bytes(bytes)
        }
    }
}

#[inline]
fn write(field: &mut [u8], value: u64) {
    let bytes = value.to_le_bytes();
    match (field, bytes) {
        ([byte], [a, ..]) => *byte = a,
        ([first, second, third, fourth], [a, b, c, d, ..]) => {
            (*first, *second, *third, *fourth) = (a, b, c, d);
        }
        (field, bytes) => {
            for (to, from) in field.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}
