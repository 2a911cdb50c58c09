//! Decoding most instructions with two look-ups and almost no branches: all code that moved is decoded whenever a patch is
//! followed, so this is done with as little work as can be.
//!
//! A table says for each opcode of which class it is; another, for each class and ModRM byte, how many bytes there are and
//! what is in them. Prefixes but one before REX, vector instructions and the third opcode maps are left to the slow way.

use super::decode::{
    BRANCH, DISPLACEMENT, IMMEDIATE, INSTRUCTION_BYTES_MAX, Instruction, LOADS, MOVES, RELATIVE,
    SHORT_BRANCH, SLOT, STACK, STACK_POINTER, facts_of_adding, facts_of_opcode,
};
use super::opcodes::{ESCAPE, Form, ONE_BYTE, TWO_BYTE};

/// What instructions with an opcode are like, but for what the ModRM byte says.
#[derive(Clone, Copy)]
struct Class {
    /// Bytes of the immediate.
    immediate: u32,
    facts: u16,
    /// A ModRM byte follows.
    has_modrm: bool,
    /// The immediate is there only where the ModRM byte says TEST.
    is_test: bool,
    /// It may add to the stack pointer.
    is_adding: bool,
    /// Bits that say when the quick way does not know it.
    unless: u32,
}

const BARE: Class =
    Class { immediate: 0, facts: 0, has_modrm: false, is_test: false, is_adding: false, unless: 0 };
const MODRM: Class = Class { has_modrm: true, ..BARE };

/// How many classes there are.
pub(super) const CLASSES: usize = 16;

/// By number; opcodes of the first are not known.
const CLASS_OF: [Class; CLASSES] = [
    Class { unless: UNKNOWN, ..BARE },
    BARE,
    Class { immediate: 1, ..BARE },
    Class { immediate: 2, ..BARE },
    Class { immediate: 4, facts: IMMEDIATE, unless: SHORT, ..BARE },
    Class { immediate: 4, facts: IMMEDIATE | MOVES, unless: SHORT | WIDE, ..BARE },
    Class { immediate: 4, facts: BRANCH, ..BARE },
    Class { immediate: 1, facts: SHORT_BRANCH, ..BARE },
    MODRM,
    Class { immediate: 1, ..MODRM },
    Class { immediate: 4, facts: IMMEDIATE, unless: SHORT, ..MODRM },
    Class { immediate: 1, is_test: true, ..MODRM },
    Class { immediate: 4, facts: IMMEDIATE, is_test: true, unless: SHORT, ..MODRM },
    Class { immediate: 1, is_adding: true, ..MODRM },
    Class { immediate: 4, facts: IMMEDIATE, is_adding: true, unless: SHORT, ..MODRM },
    Class { facts: LOADS, ..MODRM },
];

/// The number of an opcode's class, in the first map or the second.
const fn class_of(form: Form, opcode: u8, is_first: bool) -> u16 {
    match (form, opcode, is_first) {
        // What it pushes is looked at.
        (_, 0x68, true) | (_, 0x38 | 0x3a, false) => 0,
        (_, 0x81, true) => 14,
        (_, 0x83, true) => 13,
        (_, 0x8d, true) => 15,
        (Form::Bare, ..) => 1,
        (Form::Byte, _, true) if facts_of_opcode(opcode) == SHORT_BRANCH => 7,
        (Form::Byte, ..) => 2,
        (Form::Word, ..) => 3,
        (Form::Immediate, ..) => 4,
        (Form::Wide, ..) => 5,
        (Form::Branch, ..) => 6,
        (Form::Modrm, ..) => 8,
        (Form::ModrmByte, ..) => 9,
        (Form::ModrmImmediate, ..) => 10,
        (Form::TestByte, ..) => 11,
        (Form::TestImmediate, ..) => 12,
        _ => 0,
    }
}

/// The class of an opcode in the upper byte, for both opcode maps in a row; in the lower one all bits if a ModRM byte follows.
const OPCODES: [u16; 512] = opcodes();

const fn opcodes() -> [u16; 512] {
    let mut table = [0; 512];
    let mut at = 0;
    while at < 512 {
        let form = if at < 256 { ONE_BYTE[at] } else { TWO_BYTE[at - 256] };
        let class = class_of(form, low(at as u64), at < 256);
        let modrm = if CLASS_OF[class as usize].has_modrm { 0xff } else { 0 };
        table[at] = class << 8 | modrm;
        at += 1;
    }
    table
}

/// What is known of a class and a ModRM byte: how many bytes there are before the immediate, without prefixes,
const BEFORE: u32 = 0xf;
/// the bytes of the immediate,
const AFTER_SHIFT: u32 = 4;
const AFTER: u32 = 7;
/// whether the byte after the ModRM byte says that the displacement is from RSP, or R12,
const MAYBE_STACK: u32 = 0x80;
/// or that there is one at all,
const SCALED: u32 = 0x100;
/// and whether the quick way does not know it,
const UNKNOWN: u32 = 0x200;
/// or not with REX.W,
const WIDE: u32 = 0x400;
/// or not with an operand-size prefix.
const SHORT: u32 = 0x800;
/// Above these are the facts.
const FACTS_SHIFT: u32 = 16;

static FORMS: [u32; 4096] = forms();

const fn forms() -> [u32; 4096] {
    let mut table = [0; 4096];
    let mut at = 0;
    while at < 4096 {
        let class = CLASS_OF[at / 256];
        let modrm = at % 256;
        let mut facts = class.facts;
        let mut immediate = class.immediate;
        if class.is_test && modrm & 0x30 != 0 {
            immediate = 0;
            facts &= !IMMEDIATE;
        }
        if class.is_adding {
            facts |= facts_of_adding(low(modrm as u64));
        }
        let mut known = 1 | class.unless;
        if class.has_modrm {
            known += 1;
            let (mode, register) = (modrm >> 6, modrm & 7);
            match (mode, register) {
                (3, _) => {}
                (0, 5) => {
                    known += 4;
                    facts |= RELATIVE;
                }
                (0, 4) => known = (known + 1) | SCALED,
                (0, _) => {}
                (1, 4) => known = (known + 2) | MAYBE_STACK,
                (1, 5) => {
                    known += 1;
                    facts |= SLOT;
                }
                (1, _) => known += 1,
                (_, 4) => {
                    known = (known + 5) | MAYBE_STACK;
                    facts |= DISPLACEMENT;
                }
                (_, 5) => {
                    known += 4;
                    facts |= DISPLACEMENT | SLOT;
                }
                _ => {
                    known += 4;
                    facts |= DISPLACEMENT;
                }
            }
        }
        table[at] = known | immediate << AFTER_SHIFT | (facts as u32) << FACTS_SHIFT;
        at += 1;
    }
    table
}

/// What the opcode and the byte after it say of an instruction's size.
pub(super) struct Measure {
    /// Its bytes from the opcode on, without the escape before it.
    pub(super) bytes: u8,
    /// How many of them are an immediate.
    pub(super) immediate: u8,
    /// What it has.
    pub(super) facts: u16,
    /// It has a slot of the stack if the byte after the ModRM byte says so.
    pub(super) maybe_stack: bool,
    /// It has four bytes of displacement more if the byte after the ModRM byte has no base.
    pub(super) baseless: bool,
    /// This holds only without REX.W.
    pub(super) unless_wide: bool,
}

/// The number of an opcode's class, of both maps in a row. Opcodes of a class are measured alike.
pub(super) fn class(opcode: usize) -> usize {
    OPCODES.get(opcode).map_or(0, |of_opcode| usize::from(of_opcode >> 8))
}

/// Measures the instructions with an opcode, of both maps in a row, and a byte after it. None: they have to be decoded.
pub(super) fn measure(opcode: usize, next: u8) -> Option<Measure> {
    let of_opcode = *OPCODES.get(opcode)?;
    let known = FORMS[usize::from(of_opcode & (0xff00 | u16::from(next))) & 0xfff];
    let immediate = (known >> AFTER_SHIFT) & AFTER;
    (known & UNKNOWN == 0).then(|| Measure {
        bytes: low(((known & BEFORE) + immediate).into()),
        immediate: low(immediate.into()),
        facts: u16::try_from(known >> FACTS_SHIFT).unwrap_or_default(),
        maybe_stack: known & MAYBE_STACK != 0,
        baseless: known & SCALED != 0,
        unless_wide: known & WIDE != 0,
    })
}

/// The instruction at the beginning of the bytes, if it is one of most.
#[inline(always)]
pub(super) fn decode_quickly(code: &[u8; INSTRUCTION_BYTES_MAX]) -> Option<Instruction> {
    let word = u64::from_le_bytes(*code.first_chunk()?);
    let first = low(word);
    let is_short = u32::from(first == 0x66);
    let prefix = is_short | u32::from(first & 0xfe == 0xf2) | u32::from(first == 0x64);
    let word = word >> (8 * prefix);
    let rex = u32::from(low(word));
    let has_rex = u32::from(rex & 0xf0 == 0x40);
    let word = word >> (8 * has_rex);
    let escaped = u32::from(low(word) == ESCAPE);
    let word = word >> (8 * escaped);
    let opcode = low(word);
    let modrm = low(word >> 8);
    let of_opcode = OPCODES[usize::from(opcode) | (escaped as usize) << 8];
    let known = FORMS[usize::from(of_opcode & (0xff00 | u16::from(modrm))) & 0xfff];
    let unless = UNKNOWN | (((rex >> 3) & has_rex) * WIDE) | (is_short * SHORT);
    if known & unless != 0 {
        return None;
    }
    let scaled = u32::from(low(word >> 16));
    let on_stack = (known / MAYBE_STACK) & u32::from(scaled & 0x3f == u32::from(STACK_POINTER));
    let based = (known / SCALED) & u32::from(scaled & 7 == 5);
    let stack = u32::from(SLOT | STACK);
    let facts = (known >> FACTS_SHIFT) | (on_stack * stack) | (based * u32::from(DISPLACEMENT));
    let facts = facts & !((rex & has_rex) * stack);
    let before_immediate = low(u64::from((known & BEFORE) + prefix + has_rex + escaped + 4 * based));
    Some(Instruction {
        bytes: before_immediate + low(((known >> AFTER_SHIFT) & AFTER).into()),
        before_immediate,
        facts: u16::try_from(facts).unwrap_or_default(),
    })
}

#[inline(always)]
const fn low(word: u64) -> u8 {
    word.to_le_bytes()[0]
}
