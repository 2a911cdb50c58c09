//! The two sides of a module, read in step: whoever knows the grammar asks for one thing after another, and a tape takes
//! it from the one side and writes it on the other.

use super::leb;

/// What a field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A function, by its index.
    Function,
    /// A type.
    Type,
    /// A global.
    Global,
    /// A number in code that may be an address or a place in a table.
    Constant,
    /// The same, after a global was taken, to which it is probably added.
    Relative,
    /// What is added to an address by a load or a store.
    Offset,
    /// A word of data.
    Word,
    /// A local of a function.
    Local,
    /// Nothing that could be predicted.
    Plain,
}

/// A function's body.
pub(super) enum Body {
    /// Its instructions follow.
    Open,
    /// So many bytes follow as they are.
    Raw(u32),
}

/// Takes what is asked for from one side and writes it on the other. Nothing: there is no such thing there.
pub(super) trait Tape {
    /// Whether there is nothing more.
    fn is_at_end(&mut self) -> bool;
    /// Makes sure that an instruction, or a step of a list, is at hand.
    fn more(&mut self);
    /// A byte.
    fn byte(&mut self) -> Option<u8>;
    /// Bytes, any number.
    fn bytes(&mut self, count: u32) -> Option<()>;
    /// Bytes of a data segment; the address of the first, as far as it is known.
    fn data(&mut self, count: u32, address: u32) -> Option<()>;
    /// A number that is not widened, and the size of its encoding.
    fn number(&mut self) -> Option<(u32, u32)>;
    /// A number that is not widened, signed or not, of whatever size.
    fn any_number(&mut self) -> Option<()>;
    /// An index or size that is widened. The wide side has its distance from the base.
    fn field(&mut self, kind: Kind, base: u32) -> Option<u32>;
    /// The size of a section.
    fn section_size(&mut self) -> Option<u32>;
    /// The section must be at its end.
    fn end_section(&mut self) -> Option<()>;
    /// How a function's body begins.
    fn begin_body(&mut self) -> Option<Body>;
    /// The body must be at its end.
    fn end_body(&mut self) -> Option<()>;
    /// Some instructions at once that are the same on both sides, if any come next.
    fn copied_instructions(&mut self);
    /// An instruction's first byte.
    fn opcode(&mut self) -> Option<u8>;
    /// The number of an `i32.const`.
    fn constant(&mut self) -> Option<u32>;
    /// The number of an `i64.const`.
    fn long_constant(&mut self) -> Option<()>;
    /// The index of a local.
    fn local(&mut self) -> Option<()>;
    /// The alignment and offset of a load or store.
    fn memory_argument(&mut self) -> Option<()>;
}

/// Opcodes of the wide side for what stands in other ways than the shortest. No proposal has them.
pub(super) mod wide {
    /// `i32.const`, four bytes.
    pub(in super::super) const CONSTANT: u8 = 0xf0;
    /// `i32.const`, four bytes, for an encoding of five bytes.
    pub(in super::super) const CONSTANT_PADDED: u8 = 0xf1;
    /// `i32.const`, the encoding's size, four bytes.
    pub(in super::super) const CONSTANT_SIZED: u8 = 0xf2;
    /// `i64.const`, four bytes, to be sign-extended.
    pub(in super::super) const LONG_CONSTANT: u8 = 0xf3;
    /// `i64.const`, eight bytes.
    pub(in super::super) const LONG_CONSTANT_WHOLE: u8 = 0xf4;
    /// `i64.const`, the encoding's size, eight bytes.
    pub(in super::super) const LONG_CONSTANT_SIZED: u8 = 0xf5;
    /// `local.get`, two bytes; `local.set` and `local.tee` follow.
    pub(in super::super) const LOCAL_GET: u8 = 0xf6;
    pub(in super::super) const LOCAL_TEE: u8 = 0xf8;
    /// The first of them.
    pub(in super::super) const FIRST: u8 = CONSTANT;
    /// The last.
    pub(in super::super) const LAST: u8 = LOCAL_TEE;
    /// In an alignment: the offset has four bytes.
    pub(in super::super) const OFFSET: u8 = 0x80;
    /// In an alignment: the offset's encoding has five bytes.
    pub(in super::super) const OFFSET_PADDED: u8 = 0x20;
    /// In the byte before a body: it is raw.
    pub(in super::super) const RAW: u8 = 0x80;
}

pub(super) const I32_CONST: u8 = 0x41;
pub(super) const I64_CONST: u8 = 0x42;
pub(super) const LOCAL_GET: u8 = 0x20;
pub(super) const GLOBAL_GET: u8 = 0x23;

/// A widened index keeps the size of its encoding above these bits, or nothing there if that is the shortest.
pub(super) const INDEX_BITS: u32 = 28;
/// Every index is less.
pub(super) const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// What the size of an encoding is kept as: nothing for the shortest.
pub(super) fn size_kept(value: u32, size: usize) -> u8 {
    if size == leb::unsigned_size(value) { 0 } else { u8::try_from(size).unwrap_or(0) }
}

/// The size of the encoding that was kept so, if there is such an encoding.
pub(super) fn size_of(value: u32, kept: u8) -> Option<usize> {
    let shortest = leb::unsigned_size(value);
    let size = usize::from(kept);
    match kept {
        0 => Some(shortest),
        _ => (size > shortest && size <= leb::SHORT_BYTES_MAX).then_some(size),
    }
}
