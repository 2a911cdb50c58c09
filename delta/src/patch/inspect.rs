//! Looking into a patch: what its streams take, and what the new file is made of.

use std::cell::Cell;
use std::io;

use super::PATCH_VERSION;
use super::body::Body;
use super::control::Control;
use super::header::Header;
use super::window::Located;
use crate::access::{ReadAt, ScratchMemory};
use crate::codec::{Section, Stream as PackedStream};
use crate::error::Reason;
use crate::inspect::{Containers, Inspection, Map, NEAR_BYTES, Origin, References, Stream, Subject, Window};
use crate::limits::APPLY_MEMORY_BYTES;
use crate::models::Counts;
use crate::numbers;

/// Reads all of a patch but its literals and differences; with the old file follows it, to count what it predicts.
pub(crate) fn inspect(delta: &dyn ReadAt, old: Option<&dyn ReadAt>) -> Result<Inspection, Reason> {
    let mut section = Section::new(delta, 0..delta.size())?;
    let header = Header::read(&mut section)?;
    let body = Body::read(&mut section, delta, header.old_bytes, header.new_bytes)?;
    let mut seen = Seen { map: Map::new(header.new_bytes), streams: Vec::new(), windows: Vec::new() };
    let mut containers = Vec::new();
    match &body {
        Body::Whole(stream) => {
            seen.stream("whole", stream);
            seen.map.add(Origin::Literal, header.new_bytes);
        }
        Body::Windows(windows) => {
            for window in windows {
                seen.window(window, delta)?;
            }
        }
        Body::Module { windows, .. } => {
            seen.map = Map::new(windows.iter().map(|window| u64::from(window.span.new_bytes)).sum());
            for window in windows {
                seen.window(window, delta)?;
            }
        }
        Body::Weights(weights) => {
            let in_tensors = weights.pairs.iter().map(|pair| pair.bytes).sum::<u64>();
            let coded_bytes = weights.coded.end - weights.coded.start;
            seen.streams.push(Stream {
                name: "tensors".to_owned(),
                raw_bytes: in_tensors,
                packed_bytes: coded_bytes,
                method: "range coder".to_owned(),
            });
            seen.map = Map::new(header.new_bytes - in_tensors);
            for window in &weights.windows {
                seen.window(window, delta)?;
            }
        }
        Body::Opened(opened) => {
            seen.map = Map::new(opened.new.plain_bytes().unwrap_or_default());
            for (name, stream) in ["old containers", "new containers"].into_iter().zip(&opened.streams) {
                seen.stream(name, stream);
            }
            for window in &opened.windows {
                seen.window(window, delta)?;
            }
            containers.push(Containers {
                kind: "all kinds".to_owned(),
                count: opened.new.count() as u64,
                bytes: header.new_bytes,
            });
        }
    }
    let references = old.map(|old| count_references(body, old, delta)).transpose()?;
    let packed_bytes = seen.streams.iter().map(|stream| stream.packed_bytes).sum::<u64>();
    Inspection {
        engine: "regions, differences and literals".to_owned(),
        format: u16::from(PATCH_VERSION),
        subject: Subject::File,
        delta_bytes: delta.size(),
        old_bytes: Some(header.old_bytes),
        new_bytes: header.new_bytes,
        framing_bytes: delta.size().saturating_sub(packed_bytes),
        apply_memory_bytes: APPLY_MEMORY_BYTES as u64,
        streams: seen.streams,
        windows: seen.windows,
        map: Some(seen.map),
        references: references.unwrap_or_default(),
        containers,
    }
    .balanced()
}

/// Follows a body to count what it predicts. Its containers may take what they need.
fn count_references(body: Body, old: &dyn ReadAt, delta: &dyn ReadAt) -> Result<Vec<References>, Reason> {
    let counts = Cell::new(Counts::default());
    body.follow_counting(old, delta, &ScratchMemory, u64::MAX, Some(&counts), &mut io::sink())?;
    let Counts { right, wrong } = counts.get();
    let all = References { kind: "fields".to_owned(), predicted: right, wrong };
    Ok(if right + wrong > 0 { vec![all] } else { Vec::new() })
}

struct Seen {
    map: Map,
    streams: Vec<Stream>,
    windows: Vec<Window>,
}

impl Seen {
    fn stream(&mut self, name: &str, stream: &PackedStream) {
        let method = stream.method.name();
        match self.streams.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.raw_bytes += stream.raw_bytes;
                known.packed_bytes += stream.packed_bytes;
                if !known.method.split(", ").any(|known| known == method) {
                    known.method = format!("{}, {method}", known.method);
                }
            }
            None => self.streams.push(Stream {
                name: name.to_owned(),
                raw_bytes: stream.raw_bytes,
                packed_bytes: stream.packed_bytes,
                method: method.to_owned(),
            }),
        }
    }

    fn window(&mut self, window: &Located, delta: &dyn ReadAt) -> Result<(), Reason> {
        let mut packed_bytes = 0;
        for (name, stream) in window.streams() {
            packed_bytes += stream.packed_bytes;
            self.stream(name, stream);
        }
        let span = window.span;
        self.windows.push(Window {
            new_bytes: u64::from(span.new_bytes),
            packed_bytes,
            regions: u64::from(span.regions),
        });
        let ([lengths, gaps, turns, shifts], rest) = window.open(delta)?;
        let control = Control { lengths, gaps, turns, shifts };
        let regions = control.decode(span.regions as usize, span.old_bytes, span.new_bytes)?;
        let [rights, runs] = rest.differences()?;
        let mut spans = Spans { rights: &rights, runs: &runs, right: 0, wrong: 0 };
        let (mut made, mut old_end) = (0, 0);
        for region in regions {
            self.map.add(Origin::Literal, u64::from(region.new - made));
            let is_far = u64::from(region.old.abs_diff(old_end)) > NEAR_BYTES;
            let unchanged = if is_far { Origin::Moved } else { Origin::Copied };
            spans.pass(u64::from(region.bytes), |is_right, bytes| {
                self.map.add(if is_right { unchanged } else { Origin::Corrected }, bytes);
            })?;
            made = region.new + region.bytes;
            old_end = region.old + region.bytes;
        }
        self.map.add(Origin::Literal, u64::from(span.new_bytes - made));
        Ok(())
    }
}

/// Stretches of right and of wrong bytes, in turn.
struct Spans<'a> {
    rights: &'a [u8],
    runs: &'a [u8],
    right: u64,
    wrong: u64,
}

impl Spans<'_> {
    /// Tells what the next bytes are.
    fn pass(&mut self, mut bytes: u64, mut tell: impl FnMut(bool, u64)) -> Result<(), Reason> {
        while bytes > 0 {
            if self.right == 0 && self.wrong == 0 {
                if self.rights.is_empty() {
                    self.right = u64::MAX;
                } else {
                    self.right = numbers::take(&mut self.rights)?;
                    self.wrong = numbers::take(&mut self.runs)?;
                }
            }
            let is_right = self.right > 0;
            let left = if is_right { &mut self.right } else { &mut self.wrong };
            let now = bytes.min(*left);
            *left -= now;
            bytes -= now;
            tell(is_right, now);
            if now == 0 {
                return Err(Reason::Malformed("a run of differences has no length"));
            }
        }
        Ok(())
    }
}
