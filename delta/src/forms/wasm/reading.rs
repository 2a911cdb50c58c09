//! Taking things from a wide form, for whoever wants to know of them.

use std::io::Read;

use super::buffered::Buffered;
use super::instructions::copied;
use super::leb;
use super::tape::{
    self, Body, GLOBAL_GET, I32_CONST, I64_CONST, INDEX_BITS, INDEX_MASK, Kind, LOCAL_GET, Tape, wide,
};

/// A field of the wide form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: u64,
    pub(super) bytes: u8,
    pub(super) kind: Kind,
}

/// What is told of a wide form while it is read.
pub(super) trait Listener {
    /// Bytes that are the same on both sides.
    fn copied(&mut self, bytes: &[u8]);
    /// A number that is not widened on the other side; its encoding there has so many bytes.
    fn number(&mut self, value: i64, bytes: usize);
    /// A field.
    fn field(&mut self, found: Found);
    /// Bytes of a data segment.
    fn data(&mut self, at: u64, address: u32, bytes: &[u8]);
    /// A body begins. The encoding of its size has so many bytes, or is the shortest.
    fn begin_body(&mut self, kept: u8);
    /// It ends. Nothing: it must not be so long.
    fn end_body(&mut self) -> Option<()>;
}

/// Takes from a wide form, tells a listener.
pub(super) struct Reading<R, L> {
    pub(super) source: Buffered<R>,
    pub(super) listener: L,
    /// The opcode of the wide side before the immediates that are taken next.
    opcode: u8,
    before: u8,
}

impl<R: Read, L: Listener> Reading<R, L> {
    pub(super) fn new(source: Buffered<R>, listener: L) -> Self {
        Self { source, listener, opcode: 0, before: 0 }
    }

    /// Goes on at another place, after an opcode.
    pub(super) fn restart(&mut self, source: R, position: u64, after: u8) {
        self.source.restart(source, position);
        self.opcode = after;
        self.before = 0;
    }

    #[inline]
    fn u32(&mut self) -> Option<u32> {
        self.source.array().map(u32::from_le_bytes)
    }

    #[inline]
    fn tell(&mut self, kind: Kind, bytes: u8) {
        let at = self.source.position() - u64::from(bytes);
        self.listener.field(Found { at, bytes, kind });
    }

    /// A number of seven bits that stands as it is.
    #[inline]
    fn small(&mut self) -> Option<u8> {
        let byte = self.source.byte().filter(|byte| *byte < 0x80)?;
        self.listener.copied(&[byte]);
        Some(byte)
    }

    /// The kind of a number in code.
    #[inline]
    fn constant_kind(&self) -> Kind {
        if self.before == GLOBAL_GET { Kind::Relative } else { Kind::Constant }
    }
}

impl<R: Read, L: Listener> Tape for Reading<R, L> {
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
        self.listener.copied(&[byte]);
        Some(byte)
    }

    fn bytes(&mut self, count: u32) -> Option<()> {
        let mut left = count as usize;
        while left > 0 {
            let some = self.source.some(left)?;
            self.listener.copied(some);
            left -= some.len();
        }
        Some(())
    }

    fn data(&mut self, count: u32, address: u32) -> Option<()> {
        if !self.source.has(count as usize) {
            return None;
        }
        let at = self.source.position();
        let bytes = self.source.some(count as usize).unwrap_or_default();
        self.listener.data(at, address, bytes);
        Some(())
    }

    #[inline]
    fn number(&mut self) -> Option<(u32, u32)> {
        let rest = self.source.rest();
        let (value, size) = leb::unsigned(rest)?;
        self.listener.copied(rest.get(..size)?);
        self.source.skip(size);
        Some((value, u32::try_from(size).ok()?))
    }

    #[inline]
    fn any_number(&mut self) -> Option<()> {
        let rest = self.source.rest();
        let size = leb::length(rest)?;
        self.listener.copied(rest.get(..size)?);
        self.source.skip(size);
        Some(())
    }

    #[inline]
    fn field(&mut self, kind: Kind, base: u32) -> Option<u32> {
        let field = self.u32()?;
        self.tell(kind, 4);
        let value = (field & INDEX_MASK).wrapping_add(base) & INDEX_MASK;
        let kept = (field >> INDEX_BITS).to_le_bytes()[0];
        self.listener.number(i64::from(value), tape::size_of(value, kept)?);
        Some(value)
    }

    fn section_size(&mut self) -> Option<u32> {
        let kept = self.source.byte()?;
        let value = self.u32()?;
        self.listener.number(i64::from(value), tape::size_of(value, kept)?);
        Some(value)
    }

    fn end_section(&mut self) -> Option<()> {
        Some(())
    }

    fn begin_body(&mut self) -> Option<Body> {
        let kept = self.source.byte()?;
        if kept & wide::RAW == 0 {
            self.before = 0;
            self.listener.begin_body(kept);
            return Some(Body::Open);
        }
        let bytes = self.u32()?;
        self.listener.number(i64::from(bytes), tape::size_of(bytes, kept & !wide::RAW)?);
        Some(Body::Raw(bytes))
    }

    fn end_body(&mut self) -> Option<()> {
        self.listener.end_body()
    }

    #[inline]
    fn copied_instructions(&mut self) {
        let position = self.source.position();
        let rest = self.source.rest();
        let listener = &mut self.listener;
        let bytes = copied(rest, |at| {
            listener.field(Found { at: position + at as u64, bytes: 1, kind: Kind::Local });
        });
        if bytes > 0 {
            listener.copied(rest.get(..bytes).unwrap_or_default());
            self.source.skip(bytes);
            self.opcode = 0;
        }
    }

    #[inline]
    fn opcode(&mut self) -> Option<u8> {
        self.before = self.opcode;
        let opcode = self.source.byte()?;
        self.opcode = opcode;
        let plain = match opcode {
            wide::CONSTANT..=wide::CONSTANT_SIZED => I32_CONST,
            wide::LONG_CONSTANT..=wide::LONG_CONSTANT_SIZED => I64_CONST,
            wide::LOCAL_GET..=wide::LOCAL_TEE => opcode - wide::LOCAL_GET + LOCAL_GET,
            _ => opcode,
        };
        self.listener.copied(&[plain]);
        Some(plain)
    }

    #[inline]
    fn constant(&mut self) -> Option<u32> {
        if self.opcode == I32_CONST {
            let value = u32::from(self.small()?);
            // The sign of seven bits.
            return Some(if value & 0x40 == 0 { value } else { value | !0x7f });
        }
        let size = match self.opcode {
            wide::CONSTANT_PADDED => leb::SHORT_BYTES_MAX,
            wide::CONSTANT_SIZED => usize::from(self.source.byte()?),
            _ => 0,
        };
        let value = self.u32()?;
        self.tell(self.constant_kind(), 4);
        let signed = i64::from(value.cast_signed());
        let size = long_size(signed, size, leb::SHORT_BYTES_MAX)?;
        self.listener.number(signed, size);
        Some(value)
    }

    #[inline]
    fn long_constant(&mut self) -> Option<()> {
        if self.opcode == I64_CONST {
            return self.small().map(drop);
        }
        let size = match self.opcode {
            wide::LONG_CONSTANT_SIZED => usize::from(self.source.byte()?),
            _ => 0,
        };
        let value = if self.opcode == wide::LONG_CONSTANT {
            let value = self.u32()?.cast_signed();
            self.tell(self.constant_kind(), 4);
            i64::from(value)
        } else {
            self.source.array().map(i64::from_le_bytes)?
        };
        self.listener.number(value, long_size(value, size, leb::LONG_BYTES_MAX)?);
        Some(())
    }

    #[inline]
    fn local(&mut self) -> Option<()> {
        if self.opcode < wide::FIRST {
            self.small()?;
            self.tell(Kind::Local, 1);
            return Some(());
        }
        let value = u32::from(u16::from_le_bytes(self.source.array()?));
        self.tell(Kind::Local, 2);
        self.listener.number(i64::from(value), leb::unsigned_size(value));
        Some(())
    }

    #[inline]
    fn memory_argument(&mut self) -> Option<()> {
        const MEMORY: u8 = 0x40;
        let alignment = self.source.byte()?;
        self.listener.copied(&[alignment & !(wide::OFFSET | wide::OFFSET_PADDED)]);
        if alignment & MEMORY != 0 {
            self.number()?;
        }
        if alignment & wide::OFFSET == 0 {
            return self.small().map(drop);
        }
        let value = self.u32()?;
        self.tell(Kind::Offset, 4);
        let size = match alignment & wide::OFFSET_PADDED {
            0 => leb::unsigned_size(value),
            _ => leb::SHORT_BYTES_MAX,
        };
        self.listener.number(i64::from(value), size);
        Some(())
    }
}

/// The size of a signed number's encoding: the shortest if none was kept.
#[inline]
fn long_size(value: i64, kept: usize, most: usize) -> Option<usize> {
    let shortest = leb::signed_size(value);
    match kept {
        0 => Some(shortest),
        _ => (kept >= shortest && kept <= most).then_some(kept),
    }
}

const _: () = assert!(wide::FIRST > 0xee && wide::LAST < 0xfb);
