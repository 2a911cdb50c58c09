//! Following a body: windows one after another, regions and literals in the new file's order. Every number in it is
//! checked before it is used.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use super::control::Control;
use super::differences::Corrections;

use super::made::Made;
use super::old::OldWindow;
use super::predict::{Rebuilder, Windows};
use super::primer;
use super::window::Located;
use crate::access::ReadAt;
use crate::codec::Unpacker;
use crate::error::Reason;
use crate::forms::wasm::Map;
use crate::limits::BUFFER_BYTES;
use crate::matching::Region;
use crate::models::Counts;

/// Most literals unpacked at one time.
const LITERALS_BYTES: u32 = 64 << 10;

/// Makes the new file's plain form, piece by piece.
pub(super) struct Follower<'a> {
    old: &'a dyn ReadAt,
    delta: &'a dyn ReadAt,
    windows: std::vec::IntoIter<Located>,
    window: Option<OpenWindow<'a>>,
    /// If the old file is the wide form of a WebAssembly module: where its fields are.
    module: Option<&'a Map>,
    /// Where the next window begins in the new file.
    new_at: u64,
    /// How predictions came out, for whoever wants to know.
    counts: Option<&'a Cell<Counts>>,
    /// Made and not yet read.
    block: Made,
    given: usize,
}

impl<'a> Follower<'a> {
    pub(super) fn new(old: &'a dyn ReadAt, delta: &'a dyn ReadAt, windows: Vec<Located>) -> Self {
        let windows = windows.into_iter();
        Self {
            old,
            delta,
            windows,
            window: None,
            module: None,
            new_at: 0,
            counts: None,
            block: Made::default(),
            given: 0,
        }
    }

    /// The old file is the wide form of a module.
    pub(super) fn with_module(self, map: &'a Map) -> Self {
        Self { module: Some(map), ..self }
    }

    /// Adds up how predictions came out.
    pub(super) fn counted(self, counts: Option<&'a Cell<Counts>>) -> Self {
        Self { counts, ..self }
    }

    /// Writes all of it.
    pub(super) fn write_all(mut self, out: &mut impl Write) -> Result<(), Reason> {
        while self.make_block()? {
            out.write_all(self.block.bytes()).map_err(Reason::Write)?;
        }
        Ok(())
    }

    /// Ends it: everything must have been made and read.
    pub(super) fn end(mut self) -> Result<(), Reason> {
        if self.given < self.block.bytes().len() || self.make_block()? {
            return Err(Reason::Malformed("windows make more than is used"));
        }
        Ok(())
    }

    /// Makes the next block; false at the end.
    fn make_block(&mut self) -> Result<bool, Reason> {
        self.block.clear();
        self.given = 0;
        while self.block.bytes().len() < BUFFER_BYTES {
            if let Some(window) = &mut self.window {
                if window.make_piece(&mut self.block)? {
                    continue;
                }
                if let Some(window) = self.window.take() {
                    if let Some(counts) = self.counts {
                        counts.set(counts.get().plus(window.rebuilder.counts()));
                    }
                    window.end()?;
                }
            }
            match self.windows.next() {
                Some(next) => {
                    self.window =
                        Some(OpenWindow::new(self.old, self.delta, &next, self.new_at, self.module)?);
                    self.new_at += u64::from(next.span.new_bytes);
                }
                None => break,
            }
        }
        Ok(!self.block.bytes().is_empty())
    }
}

impl Read for Follower<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.block.bytes().len() && !self.make_block().map_err(Reason::into_io)? {
            return Ok(0);
        }
        let read = self.block.bytes().get(self.given..).unwrap_or_default().read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

/// A window being made.
struct OpenWindow<'a> {
    old: OldWindow<'a>,
    regions: Rc<[Region]>,
    /// Regions that are done.
    done_regions: usize,
    /// Bytes done of the region in work.
    done_bytes: u32,
    /// New bytes made.
    made: u32,
    new_bytes: u32,
    rebuilder: Rebuilder<'a>,
    corrections: Corrections<'a>,
    literals: Unpacker<'a>,
}

impl<'a> OpenWindow<'a> {
    fn new(
        source: &'a dyn ReadAt,
        delta: &'a dyn ReadAt,
        located: &Located,
        new_at: u64,
        module: Option<&'a Map>,
    ) -> Result<Self, Reason> {
        let span = located.span;
        let end = span.old_at.saturating_add(u64::from(span.old_bytes));
        let mut old = OldWindow::new(source, span.old_at..end)?;
        let ([lengths, gaps, turns, shifts], rest) = located.open(delta)?;
        let control = Control { lengths, gaps, turns, shifts };
        let regions: Rc<[Region]> =
            control.decode(span.regions as usize, span.old_bytes, span.new_bytes)?.into();
        drop(control);
        let windows = Windows { old: span.old_at..end, new: new_at..new_at + u64::from(span.new_bytes) };
        let layout = located.layout(delta)?;
        let rebuilder = Rebuilder::new(source, windows, module, layout.as_deref(), &regions)?;
        let primer = primer::gather(&regions, span.old_bytes, span.new_bytes, &mut old)?;
        let [rights, runs, values, literals] = rest.unpack(&primer)?;
        Ok(Self {
            old,
            regions,
            done_regions: 0,
            done_bytes: 0,
            made: 0,
            new_bytes: span.new_bytes,
            rebuilder,
            corrections: Corrections::new(rights, runs, values)?,
            literals,
        })
    }

    /// Appends the next piece; false when the window is whole.
    fn make_piece(&mut self, out: &mut Made) -> Result<bool, Reason> {
        let region = self.regions.get(self.done_regions);
        let literals_end = region.map_or(self.new_bytes, |region| region.new);
        if self.made < literals_end {
            let bytes = (literals_end - self.made).min(LITERALS_BYTES);
            self.literals.fill(out.room(bytes as usize))?;
            out.fill(bytes as usize);
            self.made += bytes;
            return Ok(true);
        }
        let Some(region) = region else { return Ok(false) };
        let (old, corrections) = (&mut self.old, &mut self.corrections);
        let made = self.rebuilder.piece(region, self.done_bytes, old, corrections, out)?;
        self.made += made;
        self.done_bytes += made;
        if self.done_bytes == region.bytes {
            self.done_regions += 1;
            self.done_bytes = 0;
        }
        Ok(true)
    }

    /// Ends it: everything that was sent must have been used.
    fn end(self) -> Result<(), Reason> {
        self.corrections.end()?;
        self.literals.end()
    }
}
