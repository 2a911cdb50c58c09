//! Rebuilding a region: old bytes, fields predicted, all corrected. One walk for making a patch and for following one.

use super::differences::Correct;
use super::old::OldWindow;
use crate::error::Reason;
use crate::matching::Region;
use crate::models::{Field, Model};

/// Most bytes rebuilt at one time, but for a field that lies across the end.
const PIECE_BYTES: u32 = 64 << 10;

/// Rebuilds regions piece by piece.
#[derive(Default)]
pub(super) struct Walk {
    fields: Vec<Field>,
}

impl Walk {
    /// Appends the next piece of a region, of which `done` bytes were rebuilt before. Returns how many bytes it has.
    pub(super) fn piece(
        &mut self,
        region: &Region,
        done: u32,
        old: &mut OldWindow<'_>,
        model: &mut dyn Model,
        corrections: &mut impl Correct,
        out: &mut Vec<u8>,
    ) -> Result<u32, Reason> {
        let start = region.old + done;
        let mut bytes = (region.bytes - done).min(PIECE_BYTES);
        self.fields.clear();
        let reach = bytes.saturating_add(8).min(region.bytes - done);
        model.fields(start..start + reach, &mut self.fields);
        self.fields.retain(|field| field.at < start + bytes);
        if let Some(last) = self.fields.last() {
            bytes = bytes.max(last.at + u32::from(last.bytes) - start);
        }
        let from = out.len();
        old.read(u64::from(start), bytes as usize, out)?;
        let piece = out.get_mut(from..).unwrap_or_default();
        let mut corrected = 0;
        for field in &self.fields {
            let at = (field.at - start) as usize;
            let end = at + usize::from(field.bytes);
            corrections.correct(piece.get_mut(corrected..at).unwrap_or_default())?;
            let bytes = piece.get_mut(at..end).unwrap_or_default();
            let new_at = region.new + done + (field.at - start);
            let was = read(bytes);
            if let Some(predicted) = model.predict(field, was, new_at) {
                write(bytes, predicted);
            }
            corrections.correct(bytes)?;
            model.learn(field, was, new_at, read(bytes));
            corrected = end;
        }
        corrections.correct(piece.get_mut(corrected..).unwrap_or_default())?;
        Ok(bytes)
    }
}

fn read(field: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(field) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

fn write(field: &mut [u8], value: u64) {
    for (to, from) in field.iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}
