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
use crate::forms::container::{Chain, Method};
use crate::inspect::{Containers, Inspection, Map, NEAR_BYTES, Origin, References, Stream, Subject, Window};
use crate::limits::APPLY_MEMORY_BYTES;
use crate::models::Counts;
use crate::numbers;

/// Reads all of a patch but its literals and differences; with the old file follows it, to count what it predicts.
pub(crate) fn inspect(delta: &dyn ReadAt, old: Option<&dyn ReadAt>) -> Result<Inspection, Reason> {
    let mut section = Section::new(delta, 0..delta.size())?;
    let header = Header::read(&mut section)?;
    let body = Body::read(&mut section, delta, header.old_bytes, header.new_bytes)?;
    let mut seen = Seen::new(mapped_bytes(&body, header.new_bytes));
    seen.body(&body, delta, header.new_bytes)?;
    if let Some(old) = old {
        seen.follow(body, old, delta)?;
    }
    let format = u16::from(PATCH_VERSION);
    seen.finish(delta.size(), Subject::File, format, header.old_bytes, header.new_bytes)
}

/// How many bytes a body makes as they are mapped: in plain and wide forms, and without tensors.
pub(crate) fn mapped_bytes(body: &Body, new_bytes: u64) -> u64 {
    let in_windows =
        |windows: &[Located]| windows.iter().map(|window| u64::from(window.span.new_bytes)).sum();
    match body {
        Body::Whole(_) => new_bytes,
        Body::Windows(windows) | Body::Module { windows, .. } => in_windows(windows),
        Body::Weights(weights) => in_windows(&weights.windows),
        Body::Opened(opened) => in_windows(&opened.windows),
    }
}

/// What was seen in bodies.
pub(crate) struct Seen {
    map: Map,
    streams: Vec<Stream>,
    windows: Vec<Window>,
    containers: Vec<Containers>,
    /// How predictions came out.
    counts: Counts,
    /// The most that containers take.
    container_memory_bytes: u64,
}

impl Seen {
    /// Nothing yet, of bodies that make so many bytes as they are mapped.
    pub(crate) fn new(mapped_bytes: u64) -> Self {
        Self {
            map: Map::new(mapped_bytes),
            streams: Vec::new(),
            windows: Vec::new(),
            containers: Vec::new(),
            counts: Counts::default(),
            container_memory_bytes: 0,
        }
    }

    /// Looks at a body, whose bytes come next in the map.
    pub(crate) fn body(&mut self, body: &Body, delta: &dyn ReadAt, new_bytes: u64) -> Result<(), Reason> {
        let windows = match body {
            Body::Whole(stream) => {
                self.stream("whole", stream);
                self.map.add(Origin::Literal, new_bytes);
                return Ok(());
            }
            Body::Windows(windows) | Body::Module { windows, .. } => windows,
            Body::Weights(weights) => {
                let raw_bytes = weights.pairs.iter().map(|pair| pair.bytes).sum::<u64>();
                self.part("tensors", raw_bytes, weights.coded.end - weights.coded.start, "range coder");
                &weights.windows
            }
            Body::Opened(opened) => {
                for (name, stream) in ["old containers", "new containers"].into_iter().zip(&opened.streams) {
                    self.stream(name, stream);
                }
                self.containers(&opened.new);
                let mut at = self.map.filled();
                for shell in &opened.new.shells {
                    at = at.saturating_add(shell.gap);
                    let bytes = shell.chain.plain_bytes().unwrap_or_default();
                    self.map.open(at, bytes);
                    at = at.saturating_add(bytes);
                }
                let packing = opened.new.memory_bytes(Method::packing_bytes);
                let memory_bytes = packing.max(opened.old.memory_bytes(Method::unpacking_bytes));
                self.container_memory_bytes = self.container_memory_bytes.max(memory_bytes);
                &opened.windows
            }
        };
        windows.iter().try_for_each(|window| self.window(window, delta))
    }

    /// Follows a body to count what it predicts. Its containers may take what they need.
    pub(crate) fn follow(&mut self, body: Body, old: &dyn ReadAt, delta: &dyn ReadAt) -> Result<(), Reason> {
        let counts = Cell::new(Counts::default());
        body.follow_counting(old, delta, &ScratchMemory, u64::MAX, Some(&counts), &mut io::sink())?;
        self.counts = self.counts.plus(counts.get());
        Ok(())
    }

    /// Says that new files have the bytes of old ones.
    pub(crate) fn same(&mut self, bytes: u64) {
        self.map.add(Origin::Copied, bytes);
    }

    /// Everything that was seen in a delta.
    pub(crate) fn finish(
        self,
        delta_bytes: u64,
        subject: Subject,
        format: u16,
        old_bytes: u64,
        new_bytes: u64,
    ) -> Result<Inspection, Reason> {
        let packed_bytes = self.streams.iter().map(|stream| stream.packed_bytes).sum::<u64>();
        let Counts { right, wrong } = self.counts;
        let fields = References { kind: "fields".to_owned(), predicted: right, wrong };
        Inspection {
            engine: "regions, differences and literals".to_owned(),
            format,
            subject,
            delta_bytes,
            old_bytes: Some(old_bytes),
            new_bytes,
            framing_bytes: delta_bytes.saturating_sub(packed_bytes),
            apply_memory_bytes: APPLY_MEMORY_BYTES as u64 + self.container_memory_bytes,
            streams: self.streams,
            windows: self.windows,
            map: Some(self.map),
            references: if right + wrong > 0 { vec![fields] } else { Vec::new() },
            containers: self.containers,
        }
        .balanced()
    }

    /// Counts containers by kind.
    fn containers(&mut self, chain: &Chain) {
        for shell in &chain.shells {
            let kind = shell.method.name();
            match self.containers.iter_mut().find(|known| known.kind == kind) {
                Some(known) => {
                    known.count += 1;
                    known.bytes = known.bytes.saturating_add(shell.size);
                }
                None => {
                    self.containers.push(Containers { kind: kind.to_owned(), count: 1, bytes: shell.size });
                }
            }
            self.containers(&shell.chain);
        }
    }

    fn stream(&mut self, name: &str, stream: &PackedStream) {
        self.part(name, stream.raw_bytes, stream.packed_bytes, stream.method.name());
    }

    /// Adds up bytes of one name.
    pub(crate) fn part(&mut self, name: &str, raw_bytes: u64, packed_bytes: u64, method: &str) {
        match self.streams.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.raw_bytes += raw_bytes;
                known.packed_bytes += packed_bytes;
                if !known.method.split(", ").any(|known| known == method) {
                    known.method = format!("{}, {method}", known.method);
                }
            }
            None => self.streams.push(Stream {
                name: name.to_owned(),
                raw_bytes,
                packed_bytes,
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
