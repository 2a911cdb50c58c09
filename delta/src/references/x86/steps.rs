//! How far it is to the next instruction, with one look-up for most.
//!
//! Where an instruction begins is known only once the one before was measured, so measuring is what takes the time, and most
//! instructions name nothing. A table says of an opcode and the byte after it how long the instruction is, and whether
//! there is reason to decode it. Vector instructions, other prefixes than REX, 66, F2 and F3, and what is rare are left to the decoder.

use std::sync::LazyLock;

use super::decode::{
    BRANCH, DISPLACEMENT, FIELDS, IMMEDIATE, LOADS, MOVES, RELATIVE, SHORT_BRANCH, SLOT, STACK_POINTER,
};
use super::opcodes::{ESCAPE, Form, ONE_BYTE};
use super::quick::{CLASSES, Measure, class, measure};

/// In an entry's upper bits: the bytes of the instruction, without REX and the escape.
const BYTES: u8 = 0xf0;
const BYTES_SHIFT: u32 = 4;
/// In the lower bits: what it may name, as a number of [`Names`], or more than that:
const HOW: u8 = 0x0f;
/// four bytes more, and to be decoded, if the byte after the ModRM byte has no base;
const BASELESS: u8 = 8;
/// it has a slot of the stack if the byte after the ModRM byte says so;
const MAYBE_STACK: u8 = 9;
/// it is not known with REX.W, and moves a number without;
const UNLESS_WIDE: u8 = 10;
/// nothing is known;
const NOT_KNOWN: u8 = 11;
/// four bytes of a slot from the frame pointer come last, or a displacement from another register;
const LONG_FRAME_SLOT: u8 = 12;
/// four bytes of a slot from the stack pointer come last if the byte after the ModRM byte says so, else a displacement;
const MAYBE_LONG_SLOT: u8 = 13;
/// a displacement comes last.
const DISPLACED: u8 = 14;

/// What an instruction may name, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Names {
    /// Nothing of interest.
    Nothing = 0,
    /// A place, in its last four bytes, that may be near: a jump or a call.
    Branch = 1,
    /// A place, in its last four bytes.
    Relative = 2,
    /// A slot from the frame pointer, in its last byte.
    FrameSlot = 3,
    /// A slot from the stack pointer, in its last byte.
    Slot = 4,
    /// An address, in its last four bytes, if addresses stand in code.
    Address = 5,
    /// A place, in its last byte, that is near.
    ShortBranch = 6,
    /// It has to be decoded to know.
    Other = 7,
    /// A slot from the stack pointer, in its last four bytes.
    LongSlot = 8,
    /// A slot from the frame pointer, in its last four bytes.
    LongFrameSlot = 9,
    /// A displacement from another register, in its last four bytes.
    Displacement = 10,
    /// A number that is moved to a register, in its last four bytes.
    Number = 11,
}

impl Names {
    /// By number.
    pub(super) const ALL: [Self; 12] = [
        Self::Nothing,
        Self::Branch,
        Self::Relative,
        Self::FrameSlot,
        Self::Slot,
        Self::Address,
        Self::ShortBranch,
        Self::Other,
        Self::LongSlot,
        Self::LongFrameSlot,
        Self::Displacement,
        Self::Number,
    ];
}

/// Prefixes: of vector instructions, or operands of two bytes.
const SHORT: usize = 0x66;
const REPEAT_NOT: usize = 0xf2;
const REPEAT: usize = 0xf3;

const ENTRIES: usize = 1 << 17;

/// For an opcode and the byte after it, in the first map and then in the second.
static TABLE: LazyLock<Box<[u8; ENTRIES]>> = LazyLock::new(table);

/// The step to the next instruction: what it may name, as a number of [`Names`], and its size, in four bits each; then two bits.
#[derive(Clone, Copy)]
pub(super) struct Step(u16);

impl Step {
    /// It names something of interest.
    const COUNTS: u16 = 1 << 8;
    const UNKNOWN: u16 = 1 << 15;

    /// Whether it is known. If not, the instruction has to be decoded.
    #[inline(always)]
    pub(super) fn is_known(self) -> bool {
        self.0 & Self::UNKNOWN == 0
    }

    /// Its size in the upper four bits, what it may name in the lower ones.
    #[inline(always)]
    pub(super) fn low(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// One if it is of interest, else none.
    #[inline(always)]
    pub(super) fn counts(self) -> usize {
        usize::from((self.0 / Self::COUNTS) & 1)
    }
}

/// Which steps count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting(u8);

impl Counting {
    /// Those that name something else than an address or a place that is near, and these as told.
    pub(super) fn new(addresses: bool, short_branches: bool) -> Self {
        Self(if addresses { ADDRESSES } else { 0 } | if short_branches { SHORT_BRANCHES } else { 0 })
    }

    /// Whether a step that names so counts.
    pub(super) fn has(self, names: Names) -> bool {
        counts(self.0, names as u8)
    }
}

const ADDRESSES: u8 = 1;
const SHORT_BRANCHES: u8 = 2;

const fn counts(counting: u8, names: u8) -> bool {
    const NOTHING: u8 = Names::Nothing as u8;
    const ADDRESS: u8 = Names::Address as u8;
    const SHORT_BRANCH: u8 = Names::ShortBranch as u8;
    match names {
        NOTHING => false,
        ADDRESS => counting & ADDRESSES != 0,
        SHORT_BRANCH => counting & SHORT_BRANCHES != 0,
        _ => true,
    }
}

/// Measures instructions.
#[derive(Clone, Copy)]
pub(super) struct Steps(&'static [u8; ENTRIES]);

impl Steps {
    pub(super) fn new() -> Self {
        Self(&TABLE)
    }

    /// The step from an instruction, given its first eight bytes. Prefixes that change nothing are steps of their own.
    #[inline(always)]
    pub(super) fn step(self, word: u64, counting: Counting) -> Step {
        let rex = REX[usize::from(low(word))];
        let word = word >> (rex & 8);
        let escaped = u8::from(low(word) == ESCAPE);
        let word = word >> (8 * escaped);
        let place = u16::from_be_bytes([low(word), low(word >> 8)]);
        let entry = self.0[usize::from(place) | usize::from(escaped) << 16];
        let looks = entry & HOW | SCALED[usize::from(low(word >> 16))] | rex & !0xf;
        let look = LOOKS[usize::from(u16::from_le_bytes([looks, counting.0])) & (LOOKS.len() - 1)];
        let bytes = (entry & BYTES) + (rex << 1 & 0x10) + (escaped << BYTES_SHIFT);
        Step(look + u16::from(bytes))
    }
}

/// What a first byte tells as REX: in bit 3 whether it is one, and in the upper bits whether the base is another register, which looks
/// like the stack's or the frame's pointer but for that bit, and whether it is wide.
static REX: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x40;
    while byte < 0x50 {
        let (other_base, wide) = (byte & 1, byte >> 3 & 1);
        table[byte] = 8 | low((other_base << 6 | wide << 7) as u64);
        byte += 1;
    }
    table
};

/// What the byte after a ModRM byte tells: in two bits whether the base is the stack pointer, without an index, and whether there is no base.
static SCALED: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        let on_stack = byte & 0x3f == STACK_POINTER as usize;
        table[byte] = (on_stack as u8) << 4 | ((byte & 7 == 5) as u8) << 5;
        byte += 1;
    }
    table
};

/// The step of an instruction by how its entry says so, whether its displacement is from the stack pointer or from nothing, two
/// bits of REX: whether the base is another register, and whether it is wide; and by what counts. Without its entry's bytes.
static LOOKS: [u16; 1024] = looks();

const fn looks() -> [u16; 1024] {
    let mut table = [0; 1024];
    let mut at = 0_usize;
    while at < 1024 {
        let how = low(at as u64 & 0xf);
        let (on_stack, baseless, other_base, wide) =
            (at & 16 != 0, at & 32 != 0, at & 64 != 0, at & 128 != 0);
        let names = match how {
            BASELESS if baseless => Names::Other as u8,
            MAYBE_STACK if on_stack && !other_base => Names::Slot as u8,
            BASELESS | MAYBE_STACK => Names::Nothing as u8,
            UNLESS_WIDE if !wide => Names::Number as u8,
            UNLESS_WIDE | NOT_KNOWN => Names::Other as u8,
            LONG_FRAME_SLOT if !other_base => Names::LongFrameSlot as u8,
            MAYBE_LONG_SLOT if on_stack && !other_base => Names::LongSlot as u8,
            LONG_FRAME_SLOT.. => Names::Displacement as u8,
            how if how == Names::FrameSlot as u8 && other_base => Names::Nothing as u8,
            how => how,
        };
        let is_unknown = how == NOT_KNOWN || how == UNLESS_WIDE && wide;
        let more: u16 = if how == BASELESS && baseless { 4 } else { 0 };
        table[at] = names as u16
            | more << BYTES_SHIFT
            | if counts(low(at as u64 >> 8), names) { Step::COUNTS } else { 0 }
            | if is_unknown { Step::UNKNOWN } else { 0 };
        at += 1;
    }
    table
}

/// Asks about every entry. Opcodes of a class have the same.
fn table() -> Box<[u8; ENTRIES]> {
    let mut table = Box::new([0; ENTRIES]);
    let mut rows: [Option<[u8; 256]>; CLASSES] = [None; CLASSES];
    for (opcode, entries) in table.chunks_exact_mut(256).enumerate() {
        let Some(row) = rows.get_mut(class(opcode)) else { continue };
        let row = row.get_or_insert_with(|| std::array::from_fn(|next| entry_of(opcode, low(next as u64))));
        entries.copy_from_slice(row);
        for (next, entry) in (0..=u8::MAX).zip(entries) {
            if is_step(opcode, next) {
                *entry = 1 << BYTES_SHIFT;
            }
        }
    }
    table
}

/// Whether what a prefix stands before is the same without it, but for its size.
fn is_step(prefix: usize, next: u8) -> bool {
    match prefix {
        REPEAT_NOT | REPEAT => true,
        SHORT => matches!(ONE_BYTE[usize::from(next)], Form::Bare | Form::Modrm | Form::Escape),
        _ => false,
    }
}

fn entry_of(opcode: usize, next: u8) -> u8 {
    let Some(measure) = measure(opcode, next) else { return NOT_KNOWN };
    let how = match measure {
        Measure { unless_wide: true, facts, .. } if facts & !MOVES == IMMEDIATE && facts & MOVES != 0 => {
            UNLESS_WIDE
        }
        Measure { unless_wide: true, .. } => NOT_KNOWN,
        Measure { baseless: true, immediate: 0, facts: 0 | LOADS, .. } => BASELESS,
        Measure { baseless: true, .. } => NOT_KNOWN,
        Measure { maybe_stack: true, immediate: 0, facts: 0 | LOADS, .. } => MAYBE_STACK,
        Measure { maybe_stack: true, immediate: 0, facts, .. } if facts & FIELDS == DISPLACEMENT => {
            MAYBE_LONG_SLOT
        }
        Measure { maybe_stack: true, .. } => Names::Other as u8,
        Measure { immediate: 0, facts, .. } if facts & FIELDS == DISPLACEMENT | SLOT => LONG_FRAME_SLOT,
        Measure { immediate: 0, facts, .. } if facts & FIELDS == DISPLACEMENT => DISPLACED,
        Measure { immediate: 0, facts, .. } if facts & FIELDS == SLOT => Names::FrameSlot as u8,
        Measure { immediate: 0, facts, .. } if facts & FIELDS == RELATIVE => Names::Relative as u8,
        Measure { facts: BRANCH, .. } => Names::Branch as u8,
        Measure { facts: SHORT_BRANCH, .. } => Names::ShortBranch as u8,
        Measure { facts, .. } if facts & FIELDS == 0 => Names::Nothing as u8,
        Measure { facts: IMMEDIATE, .. } => Names::Address as u8,
        _ => Names::Other as u8,
    };
    measure.bytes << BYTES_SHIFT | how
}

#[inline(always)]
const fn low(word: u64) -> u8 {
    word.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::super::decode::{INSTRUCTION_BYTES_MAX, PUSHES, STACK, decode};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn steps_are_as_long_as_instructions_and_pass_over_no_name(
            mut code: [u8; INSTRUCTION_BYTES_MAX],
            prefix in proptest::sample::subsequence(vec![0x66, 0xf3, 0x48, ESCAPE], 0..=4),
        ) {
            code[..prefix.len()].copy_from_slice(&prefix);
            let instruction = decode(&code);
            let (mut at, mut is_prefix) = (0, true);
            let all = Counting::new(true, true);
            while is_prefix {
                let step = Steps::new().step(u64::from_le_bytes(*code[at..].first_chunk().unwrap()), all);
                is_prefix = matches!(code[at], 0x66 | 0xf2 | 0xf3);
                if !step.is_known() || at > 4 || instruction.bytes == 1 {
                    return Ok(());
                }
                at += usize::from(step.low() >> BYTES_SHIFT);
                if is_prefix {
                    continue;
                }
                prop_assert_eq!(at, usize::from(instruction.bytes));
                let facts = instruction.facts & FIELDS;
                let ends = |bytes: u8| instruction.before_immediate + bytes == instruction.bytes;
                let names = Names::ALL[usize::from(step.low() & 0xf)];
                prop_assert_eq!(step.counts() == 1, names != Names::Nothing);
                let agrees = match names {
                    Names::Nothing => facts == 0,
                    Names::Branch => facts == BRANCH && ends(4),
                    Names::Relative => facts == RELATIVE && ends(0),
                    Names::FrameSlot => facts == SLOT && instruction.facts & STACK == 0 && ends(0),
                    Names::Slot => facts == SLOT && instruction.facts & STACK != 0 && ends(0),
                    Names::Address => facts == IMMEDIATE && instruction.facts & (MOVES | PUSHES) == 0,
                    Names::ShortBranch => facts == SHORT_BRANCH && ends(1),
                    Names::LongSlot => facts == DISPLACEMENT | SLOT && instruction.facts & STACK != 0 && ends(0),
                    Names::LongFrameSlot => {
                        facts == DISPLACEMENT | SLOT && instruction.facts & STACK == 0 && ends(0)
                    }
                    Names::Displacement => facts == DISPLACEMENT && ends(0),
                    Names::Number => facts == IMMEDIATE && instruction.facts & MOVES != 0 && ends(4),
                    Names::Other => true,
                };
                prop_assert!(agrees, "{:?} {:?}", names, instruction);
            }
        }
    }

    #[test]
    fn most_instructions_are_measured_by_one_look_up() {
        // mov rbp, rsp; mov rax, [rsp + 8]; call; lea rdi, [rip + x]; movzx eax, al; jne; movups xmm0, [rsp + rbx]; push r15
        // mov [rsp + 256], rax; mov [rbp + 256], rax; mov [r13 + 256], rax; mov [r12 + 256], rax; mov eax, 300
        let all: [(&[u8], Names); 15] = [
            (&[0x48, 0x89, 0x84, 0x24, 0, 1, 0, 0], Names::LongSlot),
            (&[0x48, 0x89, 0x85, 0, 1, 0, 0], Names::LongFrameSlot),
            (&[0x49, 0x89, 0x85, 0, 1, 0, 0], Names::Displacement),
            (&[0x49, 0x89, 0x84, 0x24, 0, 1, 0, 0], Names::Displacement),
            (&[0xb8, 0x2c, 1, 0, 0], Names::Number),
            (&[0x74, 1], Names::ShortBranch),
            (&[0x48, 0x89, 0xe5], Names::Nothing),
            (&[0x48, 0x8b, 0x44, 0x24, 8], Names::Slot),
            (&[0x49, 0x8b, 0x45, 8], Names::Nothing),
            (&[0xe8, 1, 2, 3, 4], Names::Branch),
            (&[0x48, 0x8d, 0x3d, 1, 2, 3, 4], Names::Relative),
            (&[0x0f, 0xb6, 0xc0], Names::Nothing),
            (&[0x0f, 0x85, 1, 2, 3, 4], Names::Branch),
            (&[0x0f, 0x10, 0x04, 0x1c], Names::Nothing),
            (&[0x41, 0x57], Names::Nothing),
        ];
        for (code, names) in all {
            let padded = [code, &[0x90; 8]].concat();
            let word = u64::from_le_bytes(*padded.first_chunk().unwrap());
            let step = Steps::new().step(word, Counting::new(false, false));
            assert_eq!(
                (usize::from(step.low() >> BYTES_SHIFT), Names::ALL[usize::from(step.low() & 0xf)]),
                (code.len(), names),
                "{code:02x?}"
            );
            assert_eq!(step.counts() == 1, !matches!(names, Names::Nothing | Names::ShortBranch));
        }
    }
}
