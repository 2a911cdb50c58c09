//! From a module to its wide form.

use std::io::{self, Read, Write};

use super::buffered::{self, Buffered};
use super::index::Map;
use super::instructions::copied;
use super::leb;
use super::module::{BODY_BYTES_MAX, Module};
use super::notes::{Note, Taken};
use super::tape::{self, Body, GLOBAL_GET, I32_CONST, I64_CONST, INDEX_BITS, INDEX_MASK, Kind, Tape, wide};

/// Written in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;

/// Why a module was not widened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotWasm {
    /// It is none, or none that can be opened.
    #[error("not a WebAssembly module that can be opened")]
    Form,
    /// It could not be read.
    #[error("reading a module")]
    Read(#[source] io::Error),
    /// Its wide form could not be written.
    #[error("writing a module's wide form")]
    Write(#[source] io::Error),
}

/// A module that was widened.
pub(crate) struct Widened {
    /// The size of the wide form.
    pub(crate) bytes: u64,
    /// Where its fields can be found.
    pub(crate) map: Map,
}

/// Widens the module that is the next `bytes` of the reader. Holds one body at a time, at most [`BODY_BYTES_MAX`](super::module::BODY_BYTES_MAX) of it.
pub(crate) fn widen(module: &mut dyn Read, bytes: u64, out: &mut dyn Write) -> Result<Widened, NotWasm> {
    widen_with(Map::new(bytes), module, bytes, out)
}

/// The same with a map that is empty yet.
pub(super) fn widen_with(
    map: Map,
    module: &mut dyn Read,
    bytes: u64,
    out: &mut dyn Write,
) -> Result<Widened, NotWasm> {
    let mut widening = Widening::new(module.take(bytes), map);
    let mut module = Module::new();
    while !module.is_at_end() {
        widening.body_number = module.body();
        if module.step(&mut widening).is_none() {
            if let Some(error) = widening.source.take_failure() {
                return Err(NotWasm::Read(error));
            }
            module.leave_body(widening.roll_back().ok_or(NotWasm::Form)?);
        }
        let at = widening.at();
        if widening.map.pass(at, &module, widening.opcode) {
            widening.is_first = true;
        }
        if widening.out.len() >= PIECE_BYTES && widening.body.is_none() || module.is_at_end() {
            out.write_all(&widening.out).map_err(NotWasm::Write)?;
            widening.written = at;
            widening.out.clear();
        }
    }
    widening.map.end(widening.written, widening.data_end);
    if let Some(error) = widening.source.take_failure() {
        return Err(NotWasm::Read(error));
    }
    if widening.source.position() != bytes {
        return Err(NotWasm::Read(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Widened { bytes: widening.written, map: widening.map })
}

/// Takes from a module, writes its wide form.
struct Widening<R> {
    source: Buffered<R>,
    out: Vec<u8>,
    /// How much was written before the output.
    written: u64,
    map: Map,
    section_end: u64,
    /// Where data ends in memory; at least the size of all data.
    data_end: u64,
    data_bytes: u64,
    body: Option<Opened>,
    /// The number that the body in work has for who takes the wide form apart.
    body_number: u32,
    /// The last opcode, or zero after instructions that were copied, and the one before it.
    opcode: u8,
    before: u8,
    /// Whether no instruction of the block was taken yet, and whether the one in work is its first.
    is_first: bool,
    carries: bool,
}

/// A body in work.
struct Opened {
    /// Where it begins in the output, with the byte before it.
    out: usize,
    /// Where it begins in the source.
    begin: u64,
    bytes: u32,
    /// What is kept of its size's encoding.
    kept: u8,
    /// What was known before it.
    taken: Taken,
    opcode: u8,
    is_first: bool,
}

impl<R: Read> Widening<R> {
    fn new(source: R, map: Map) -> Self {
        let out = Vec::with_capacity(2 * PIECE_BYTES);
        let source = Buffered::new(source, 0, buffered::PIECE_BYTES);
        Self {
            source,
            out,
            written: 0,
            map,
            section_end: 0,
            data_end: 0,
            data_bytes: 0,
            body: None,
            body_number: 0,
            opcode: 0,
            before: 0,
            is_first: false,
            carries: false,
        }
    }

    /// Where in the wide form the next byte comes.
    #[inline]
    fn at(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// Notes a field that comes next.
    #[inline]
    fn note(&mut self, kind: Kind, bytes: u8) {
        let (at, body) = (self.at(), self.body_number);
        self.map.notes().take(Note { at, bytes, kind, body, carried: self.carries });
    }

    /// The same for a number in code.
    #[inline]
    fn note_constant(&mut self) {
        self.note(if self.before == GLOBAL_GET { Kind::Relative } else { Kind::Constant }, 4);
    }

    /// Gives up on the body in work. Returns how many bytes follow as they are.
    fn roll_back(&mut self) -> Option<u32> {
        let body = self.body.take()?;
        let taken = self.source.position() - body.begin;
        self.source.back(usize::try_from(taken).ok()?);
        self.source.lift_fence();
        self.out.truncate(body.out);
        self.map.roll_back(self.at(), body.taken);
        (self.opcode, self.is_first) = (body.opcode, body.is_first);
        self.out.push(wide::RAW | body.kept);
        self.out.extend_from_slice(&body.bytes.to_le_bytes());
        Some(body.bytes)
    }

    /// Takes a number of 32 bits, and the size of its encoding.
    #[inline]
    fn unsigned(&mut self) -> Option<(u32, usize)> {
        let (value, size) = leb::unsigned(self.source.rest())?;
        self.source.skip(size);
        Some((value, size))
    }

    /// Changes the opcode that was written last.
    fn become_opcode(&mut self, opcode: u8) {
        if let Some(last) = self.out.last_mut() {
            *last = opcode;
        }
    }

    fn put_size(&mut self, value: u32, size: usize) {
        self.out.push(tape::size_kept(value, size));
        self.out.extend_from_slice(&value.to_le_bytes());
    }
}

impl<R: Read> Tape for Widening<R> {
    fn is_at_end(&mut self) -> bool {
        !self.source.has(1)
    }

    #[inline]
    fn more(&mut self) {
        self.source.more();
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let byte = self.source.byte()?;
        self.out.push(byte);
        Some(byte)
    }

    fn bytes(&mut self, count: u32) -> Option<()> {
        let mut left = count as usize;
        while left > 0 {
            let some = self.source.some(left)?;
            self.out.extend_from_slice(some);
            left -= some.len();
        }
        Some(())
    }

    fn data(&mut self, count: u32, address: u32) -> Option<()> {
        self.data_bytes += u64::from(count);
        let end = u64::from(address) + u64::from(count);
        self.data_end = self.data_end.max(end).max(self.data_bytes);
        self.map.notes().spoil();
        self.bytes(count)
    }

    #[inline]
    fn number(&mut self) -> Option<(u32, u32)> {
        let rest = self.source.rest();
        let (value, size) = leb::unsigned(rest)?;
        self.out.extend_from_slice(rest.get(..size)?);
        self.source.skip(size);
        Some((value, u32::try_from(size).ok()?))
    }

    #[inline]
    fn any_number(&mut self) -> Option<()> {
        let rest = self.source.rest();
        let size = leb::length(rest)?;
        self.out.extend_from_slice(rest.get(..size)?);
        self.source.skip(size);
        Some(())
    }

    #[inline]
    fn field(&mut self, kind: Kind, base: u32) -> Option<u32> {
        let (value, size) = self.unsigned()?;
        if kind != Kind::Plain {
            self.note(kind, 4);
        }
        let kept = u32::from(tape::size_kept(value, size)) << INDEX_BITS;
        let distance = value.wrapping_sub(base) & INDEX_MASK;
        self.out.extend_from_slice(&(distance | kept).to_le_bytes());
        (value <= INDEX_MASK).then_some(value)
    }

    fn section_size(&mut self) -> Option<u32> {
        let (value, size) = self.unsigned()?;
        self.put_size(value, size);
        self.section_end = self.source.position() + u64::from(value);
        Some(value)
    }

    fn end_section(&mut self) -> Option<()> {
        (self.source.position() == self.section_end).then_some(())
    }

    fn begin_body(&mut self) -> Option<Body> {
        let (bytes, size) = self.unsigned()?;
        let whole = bytes as usize <= BODY_BYTES_MAX && self.source.has(bytes as usize);
        let kept = tape::size_kept(bytes, size);
        let begin = self.source.position();
        if !whole || begin + u64::from(bytes) > self.section_end {
            return None;
        }
        self.source.fence(bytes as usize);
        let (taken, out) = (self.map.notes().taken(), self.out.len());
        let (opcode, is_first) = (self.opcode, self.is_first);
        self.body = Some(Opened { out, begin, bytes, kept, taken, opcode, is_first });
        self.out.push(kept);
        Some(Body::Open)
    }

    fn end_body(&mut self) -> Option<()> {
        if !self.source.rest().is_empty() {
            return None;
        }
        self.source.lift_fence();
        self.body = None;
        Some(())
    }

    #[inline]
    fn copied_instructions(&mut self) {
        let (from, body) = (self.at(), self.body_number);
        let rest = self.source.rest();
        let notes = self.map.notes();
        let bytes = copied(rest, |at| {
            let at = from + at as u64;
            notes.take(Note { at, bytes: 1, kind: Kind::Local, body, carried: false });
        });
        if bytes > 0 {
            self.out.extend_from_slice(rest.get(..bytes).unwrap_or_default());
            self.source.skip(bytes);
            (self.opcode, self.is_first) = (0, false);
        }
    }

    #[inline]
    fn opcode(&mut self) -> Option<u8> {
        let opcode = self.byte()?;
        (self.before, self.opcode) = (self.opcode, opcode);
        (self.carries, self.is_first) = (self.is_first, false);
        Some(opcode)
    }

    #[inline]
    fn constant(&mut self) -> Option<u32> {
        let (value, size) = leb::signed(self.source.rest())?;
        let shortest = leb::signed_size(i64::from(value));
        self.source.skip(size);
        if size == 1 {
            self.out.push(value.to_le_bytes()[0] & 0x7f);
            return Some(value.cast_unsigned());
        }
        match size {
            _ if size == shortest => self.become_opcode(wide::CONSTANT),
            leb::SHORT_BYTES_MAX => self.become_opcode(wide::CONSTANT_PADDED),
            _ => {
                self.become_opcode(wide::CONSTANT_SIZED);
                self.out.push(u8::try_from(size).ok()?);
            }
        }
        self.note_constant();
        self.out.extend_from_slice(&value.to_le_bytes());
        Some(value.cast_unsigned())
    }

    #[inline]
    fn long_constant(&mut self) -> Option<()> {
        let (value, size) = leb::signed_long(self.source.rest())?;
        let shortest = leb::signed_size(value);
        self.source.skip(size);
        if size == 1 {
            self.out.push(value.to_le_bytes()[0] & 0x7f);
        } else if size != shortest {
            self.become_opcode(wide::LONG_CONSTANT_SIZED);
            self.out.push(u8::try_from(size).ok()?);
            self.out.extend_from_slice(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.become_opcode(wide::LONG_CONSTANT);
            self.note_constant();
            self.out.extend_from_slice(&value.to_le_bytes());
        } else {
            self.become_opcode(wide::LONG_CONSTANT_WHOLE);
            self.out.extend_from_slice(&value.to_le_bytes());
        }
        Some(())
    }

    #[inline]
    fn local(&mut self) -> Option<()> {
        let (value, size) = self.unsigned()?;
        if size == 1 {
            self.note(Kind::Local, 1);
            self.out.push(value.to_le_bytes()[0]);
            return Some(());
        }
        let short = u16::try_from(value).ok().filter(|_| size == leb::unsigned_size(value))?;
        let opcode = *self.out.last()?;
        self.become_opcode(opcode - tape::LOCAL_GET + wide::LOCAL_GET);
        self.note(Kind::Local, 2);
        self.out.extend_from_slice(&short.to_le_bytes());
        Some(())
    }

    #[inline]
    fn memory_argument(&mut self) -> Option<()> {
        const MEMORY: u8 = 0x40;
        let alignment = self.source.byte().filter(|byte| byte & (wide::OFFSET | wide::OFFSET_PADDED) == 0)?;
        let at = self.out.len();
        self.out.push(alignment);
        if alignment & MEMORY != 0 {
            self.number()?;
        }
        let (value, size) = self.unsigned()?;
        if size == 1 {
            self.out.push(value.to_le_bytes()[0]);
            return Some(());
        }
        let flags = match size {
            _ if size == leb::unsigned_size(value) => wide::OFFSET,
            leb::SHORT_BYTES_MAX => wide::OFFSET | wide::OFFSET_PADDED,
            _ => return None,
        };
        *self.out.get_mut(at)? |= flags;
        self.note(Kind::Offset, 4);
        self.out.extend_from_slice(&value.to_le_bytes());
        Some(())
    }
}

const _: () = assert!(wide::LOCAL_TEE - wide::LOCAL_GET == 2 && I64_CONST == I32_CONST + 1);
