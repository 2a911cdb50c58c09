//! Finds how a packed stretch is made again from what it holds.

use super::deflate::{self, Habits, Notes};
use super::find::Found;
use super::method::{EXTREME, Lzma, Method, dictionary_for};
use super::packer::Packer;

/// What is packed at a time while trying.
const STEP_BYTES: usize = 128 << 10;
/// Presets of xz that differ in more than the dictionary, the likeliest first.
const PRESETS: [u8; 9] = [6, 6 | EXTREME, 5, 4, 3, 2, 1, 0, 5 | EXTREME];
/// Levels of zstd, the likeliest first.
const LEVELS: [u8; 22] = [3, 19, 22, 10, 9, 6, 15, 12, 1, 2, 4, 5, 7, 8, 11, 13, 14, 16, 17, 18, 20, 21];
/// Notes are at most this part of the packed bytes: beyond, packed bytes that change little travel cheaper as they are.
const NOTES_PART: usize = 3;

/// What the last stretches were like: the next ones mostly are the same.
#[derive(Default)]
pub(crate) struct Student {
    deflate: Option<Habits>,
    lzma: Option<Lzma>,
    zstd: Option<u8>,
    /// Bytes of notes that may still be written.
    notes_left: usize,
}

impl Student {
    pub(crate) fn new(notes_bytes_max: usize) -> Self {
        Self { notes_left: notes_bytes_max, ..Self::default() }
    }

    /// The method that makes the packed bytes exactly, and the notes that it needs, with so much memory.
    pub(crate) fn study(
        &mut self,
        packed: &[u8],
        found: &Found,
        memory_bytes: u64,
    ) -> Option<(Method, Notes)> {
        let plain = &found.plain[..];
        let fits = |method: &Method| method.packing_bytes() <= memory_bytes;
        let makes = |method: &Method| fits(method) && reproduces(*method, plain, packed);
        match found.method {
            Method::Deflate { check, .. } if fits(&found.method) => {
                let notes_max = self.notes_left.min(packed.len() / NOTES_PART + 16);
                let (habits, notes) = deflate::study(packed, notes_max, self.deflate)?;
                self.deflate = Some(habits);
                self.notes_left -= notes.bytes();
                Some((Method::Deflate { habits, check }, notes))
            }
            Method::Lzma2 { filter, lzma } => {
                let make = |lzma| Method::Lzma2 { filter, lzma };
                let lzma = self.presets(lzma, plain.len()).find(|lzma| makes(&make(*lzma)))?;
                self.lzma = Some(lzma);
                Some((make(lzma), Notes::default()))
            }
            Method::Lzma(lzma) => {
                let lzma = self.presets(lzma, plain.len()).find(|lzma| makes(&Method::Lzma(*lzma)))?;
                self.lzma = Some(lzma);
                Some((Method::Lzma(lzma), Notes::default()))
            }
            Method::Zstd { checksum, sized, window, .. } => {
                let make = |level| Method::Zstd { level, checksum, sized, window };
                let level = self.zstd.into_iter().chain(LEVELS).find(|level| makes(&make(*level)))?;
                self.zstd = Some(level);
                Some((make(level), Notes::default()))
            }
            method => makes(&method).then(|| (method, Notes::default())),
        }
    }

    /// Ways to make LZMA data. A dictionary beyond the data mostly only costs memory, so a smaller one is tried first;
    /// but it also makes the search a little different.
    fn presets(&self, lzma: Lzma, plain_bytes: usize) -> impl Iterator<Item = Lzma> + use<> {
        let dictionary = lzma.dictionary.min(dictionary_for(plain_bytes as u64));
        let last = self.lzma.filter(|last| last.properties == lzma.properties);
        let presets = last.map(|last| last.preset).into_iter().chain(PRESETS);
        presets.flat_map(move |preset| {
            let enough = Lzma { dictionary, preset, ..lzma };
            let whole = Lzma { preset, ..lzma };
            [enough, whole].into_iter().take(if enough == whole { 1 } else { 2 })
        })
    }
}

/// Whether packing some bytes gives exactly those.
fn reproduces(method: Method, plain: &[u8], packed: &[u8]) -> bool {
    let Ok(mut packer) = Packer::new(method, Notes::default(), plain.len() as u64) else { return false };
    let mut out = Vec::new();
    let mut at = 0;
    for part in plain.chunks(STEP_BYTES) {
        if packer.feed(part, &mut out).is_err() || !packed[at..].starts_with(&out) {
            return false;
        }
        at += out.len();
        out.clear();
    }
    packer.finish(&mut out).is_ok() && packed[at..] == out[..]
}
