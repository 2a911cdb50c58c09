//! x86-64 code: where instructions end, and which of their fields name addresses.
//!
//! A table says for every opcode whether a ModRM byte follows and how large its immediate is; nothing else about
//! an instruction matters here. Code is read from front to back. Where data lies between functions the reader may lose
//! step for a few instructions. That is found out soon, because almost every byte begins some instruction, and costs at
//! most a few fields that are predicted wrongly.

use super::opcodes::{ESCAPE, Form, ONE_BYTE, TWO_BYTE};

/// The longest instruction. A piece of code is decoded with so many bytes after its end.
pub(super) const INSTRUCTION_BYTES_MAX: usize = 15;

/// What an instruction has that may name something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its length; at least one.
    pub(super) bytes: u8,
    /// How much of it stands before its immediate: where a displacement ends.
    pub(super) before_immediate: u8,
    /// Its opcode; that of the escape if it has two bytes, and nothing in particular behind a vector prefix.
    pub(super) opcode: u8,
    /// The ModRM byte; nothing in particular if there is none.
    pub(super) modrm: u8,
    /// What it has.
    pub(super) facts: u16,
}

/// It has four bytes of distance from its end, before its immediate.
pub(super) const RELATIVE: u16 = 0x08;
/// It has a displacement of four bytes that is added to no program counter.
pub(super) const DISPLACEMENT: u16 = 0x10;
/// It has a displacement from the stack or frame pointer, of one byte, or of four if it has [`DISPLACEMENT`] as well.
pub(super) const SLOT: u16 = 0x20;
/// Its immediate is four bytes of distance from its end.
pub(super) const BRANCH: u16 = 0x40;
/// Its immediate is a byte of distance from its end.
pub(super) const SHORT_BRANCH: u16 = 0x80;
/// It has an immediate of four bytes.
pub(super) const IMMEDIATE: u16 = 0x100;
/// Its opcode is one of those that may add to the stack pointer.
pub(super) const ADDS: u16 = 0x200;
/// It has a prefix for the segment that Linux keeps a processor's own data in.
pub(super) const OWN_SEGMENT: u16 = 0x400;

/// What the quick way knows of an opcode, for both opcode maps in a row. What it knows of the ModRM byte is added.
const OPCODES: [u32; 512] = opcodes();
/// What it knows of a ModRM byte.
const MODRMS: [u32; 256] = modrms();

/// How many bytes there are before an immediate, without prefixes.
const BEFORE: u32 = 0xf;
/// The bytes of the immediate.
const AFTER_SHIFT: u32 = 4;
const AFTER: u32 = 7;
/// A ModRM byte follows.
const HAS_MODRM: u32 = 0x80;
/// The byte after the ModRM byte says whether the displacement is from RSP, or R12.
const STACK: u32 = 0x100;
/// The quick way does not know this one.
const UNKNOWN: u32 = 0x200;
/// Nor this one, if it has REX.W.
const WIDE: u32 = 0x400;
/// Above these are the facts.
const FACTS_SHIFT: u32 = 16;

/// What the byte after the ModRM byte is if the displacement is from RSP, or R12.
const STACK_POINTER: u8 = 0x24;

const fn opcodes() -> [u32; 512] {
    const FOUR: u32 = 4 << AFTER_SHIFT;
    const ONE: u32 = 1 << AFTER_SHIFT;
    let mut table = [UNKNOWN; 512];
    let mut at = 0;
    while at < 512 {
        let form = if at < 256 { ONE_BYTE[at] } else { TWO_BYTE[at - 256] };
        table[at] = match form {
            Form::Bare => 1,
            Form::Byte => 1 | ONE,
            Form::Immediate => 1 | FOUR | facts(IMMEDIATE),
            Form::Wide => 1 | FOUR | facts(IMMEDIATE) | WIDE,
            Form::Branch => 1 | FOUR | facts(BRANCH),
            Form::Modrm => 1 | HAS_MODRM,
            Form::ModrmByte => 1 | ONE | HAS_MODRM,
            Form::ModrmImmediate => 1 | FOUR | facts(IMMEDIATE) | HAS_MODRM,
            _ => UNKNOWN,
        };
        at += 1;
    }
    let mut opcode = 0_u8;
    while opcode < u8::MAX {
        if is_short_branch(opcode) {
            table[opcode as usize] |= facts(SHORT_BRANCH);
        }
        opcode += 1;
    }
    table[0x81] |= facts(ADDS);
    table[0x83] |= facts(ADDS);
    table[256 + 0x38] = UNKNOWN;
    table[256 + 0x3a] = UNKNOWN;
    table
}

const fn facts(facts: u16) -> u32 {
    (facts as u32) << FACTS_SHIFT
}

const fn is_short_branch(opcode: u8) -> bool {
    matches!(opcode, 0x70..=0x7f | 0xe0..=0xe3 | 0xeb)
}

const fn modrms() -> [u32; 256] {
    let mut table = [1; 256];
    let mut at = 0;
    while at < 0xc0 {
        let (mode, register) = (at >> 6, at & 7);
        table[at] = match (mode, register) {
            (0, 5) => 5 | facts(RELATIVE),
            (0, 4) => UNKNOWN,
            (0, _) => 1,
            (1, 4) => 3 | STACK,
            (1, 5) => 2 | facts(SLOT),
            (1, _) => 2,
            (_, 4) => 6 | facts(DISPLACEMENT) | STACK,
            (_, 5) => 5 | facts(DISPLACEMENT | SLOT),
            _ => 5 | facts(DISPLACEMENT),
        };
        at += 1;
    }
    table
}

/// Decodes the instruction at the beginning of the bytes. What is none, or is cut off, passes as one byte without facts.
#[inline(always)]
pub(super) fn decode(code: &[u8]) -> Instruction {
    if let Some((first, _)) = code.split_first_chunk::<INSTRUCTION_BYTES_MAX>()
        && let Some(instruction) = decode_quickly(first)
    {
        return instruction;
    }
    decode_slowly(code)
}

/// Most instructions: REX at most, one or two opcode bytes, and no rare way to address memory. Almost without branches that
/// depend on the code, and with as little work as can be: all code is decoded whenever a patch is applied.
#[inline(always)]
fn decode_quickly(code: &[u8; INSTRUCTION_BYTES_MAX]) -> Option<Instruction> {
    let word = u64::from_le_bytes(*code.first_chunk()?);
    let rex = low(word);
    let has_rex = u32::from(rex & 0xf0 == 0x40);
    let word = word >> (8 * has_rex);
    let escaped = u32::from(low(word) == ESCAPE);
    let word = word >> (8 * escaped);
    let opcode = low(word);
    let modrm = low(word >> 8);
    let of_opcode = OPCODES[usize::from(opcode) | (escaped as usize) << 8];
    let has_modrm = ((of_opcode / HAS_MODRM) & 1).wrapping_neg();
    let known = of_opcode + (MODRMS[usize::from(modrm)] & has_modrm);
    let wide = ((u32::from(rex) >> 3) & has_rex) * WIDE;
    if known & (UNKNOWN | wide) != 0 {
        return None;
    }
    let on_stack = (known / STACK) & u32::from(low(word >> 16) & 0x3f == STACK_POINTER);
    let high_base = u32::from(rex) & has_rex;
    let slot = u32::from(SLOT);
    let facts = ((known >> FACTS_SHIFT) | (on_stack * slot)) & !(high_base * slot);
    let before_immediate = low(u64::from((known & BEFORE) + has_rex + escaped));
    Some(Instruction {
        bytes: before_immediate + low(((known >> AFTER_SHIFT) & AFTER).into()),
        before_immediate,
        opcode: if escaped == 1 { ESCAPE } else { opcode },
        modrm,
        facts: u16::try_from(facts).unwrap_or_default(),
    })
}

#[inline]
fn low(word: u64) -> u8 {
    word.to_le_bytes()[0]
}

/// Every instruction.
fn decode_slowly(code: &[u8]) -> Instruction {
    Cursor { code, at: 0, wide: false, high_base: false, short: false, short_address: false }
        .decode()
        .filter(|instruction| usize::from(instruction.bytes) <= code.len().min(INSTRUCTION_BYTES_MAX))
        .unwrap_or(Instruction { bytes: 1, ..Instruction::default() })
}

struct Cursor<'a> {
    code: &'a [u8],
    at: u8,
    /// REX.W, REX.B, operand size and address size.
    wide: bool,
    high_base: bool,
    short: bool,
    short_address: bool,
}

impl Cursor<'_> {
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.code.get(usize::from(self.at)).copied();
        self.at += 1;
        byte
    }

    #[inline]
    fn decode(&mut self) -> Option<Instruction> {
        let mut instruction = Instruction::default();
        let mut opcode = self.next()?;
        let mut form = form_of(&ONE_BYTE, opcode);
        while form == Form::Prefix {
            match opcode {
                0x65 => instruction.facts |= OWN_SEGMENT,
                0x66 => self.short = true,
                0x67 => self.short_address = true,
                _ => {}
            }
            if usize::from(self.at) >= INSTRUCTION_BYTES_MAX {
                return None;
            }
            opcode = self.next()?;
            form = form_of(&ONE_BYTE, opcode);
        }
        if form == Form::Rex {
            self.wide = opcode & 8 != 0;
            self.high_base = opcode & 1 != 0;
            opcode = self.next()?;
            form = form_of(&ONE_BYTE, opcode);
            if form == Form::Rex || form == Form::Prefix {
                return None;
            }
        }
        instruction.opcode = opcode;
        match form {
            Form::Escape => form = self.escaped()?,
            Form::Vex2 => form = self.vector(1, 1)?,
            Form::Vex3 => {
                let payload = *self.code.get(usize::from(self.at))?;
                self.high_base = payload & 0x20 == 0;
                let map = payload & 0x1f;
                form = self.vector(map, 2)?;
            }
            Form::Evex => {
                let map = *self.code.get(usize::from(self.at))? & 7;
                form = self.vector(map, 3)?;
            }
            _ => {}
        }
        if form == Form::Byte && is_short_branch(instruction.opcode) {
            instruction.facts |= SHORT_BRANCH;
        }
        if matches!(instruction.opcode, 0x81 | 0x83) {
            instruction.facts |= ADDS;
        }
        instruction.before_immediate = self.at;
        self.operands(form, &mut instruction)?;
        instruction.bytes = self.at;
        Some(instruction)
    }

    fn escaped(&mut self) -> Option<Form> {
        match self.next()? {
            0x38 => self.next().map(|_| Form::Modrm),
            0x3a => self.next().map(|_| Form::ModrmByte),
            opcode => Some(form_of(&TWO_BYTE, opcode)),
        }
    }

    /// An opcode behind a vector prefix, of which `payload` bytes are left.
    fn vector(&mut self, map: u8, payload: u8) -> Option<Form> {
        self.at += payload;
        let opcode = self.next()?;
        match map {
            1 => match form_of(&TWO_BYTE, opcode) {
                form @ (Form::Bare | Form::Modrm | Form::ModrmByte) => Some(form),
                _ => Some(Form::Modrm),
            },
            2 | 5 | 6 => Some(Form::Modrm),
            3 => Some(Form::ModrmByte),
            _ => None,
        }
    }

    fn operands(&mut self, form: Form, instruction: &mut Instruction) -> Option<()> {
        match form {
            Form::Bare => {}
            Form::Byte => self.at += 1,
            Form::Word => self.at += 2,
            Form::Enter => self.at += 3,
            Form::Immediate => self.immediate(instruction),
            Form::Wide if self.wide => self.at += 8,
            Form::Wide => self.immediate(instruction),
            Form::Address => self.at += if self.short_address { 4 } else { 8 },
            Form::Branch => {
                instruction.facts |= BRANCH;
                self.at += 4;
            }
            Form::Modrm => drop(self.modrm(instruction)?),
            Form::ModrmByte => {
                self.modrm(instruction)?;
                self.at += 1;
            }
            Form::ModrmImmediate => {
                self.modrm(instruction)?;
                self.immediate(instruction);
            }
            Form::TestByte => {
                if self.modrm(instruction)? & 0x30 == 0 {
                    self.at += 1;
                }
            }
            Form::TestImmediate => {
                if self.modrm(instruction)? & 0x30 == 0 {
                    self.immediate(instruction);
                }
            }
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn immediate(&mut self, instruction: &mut Instruction) {
        if self.short {
            self.at += 2;
        } else {
            instruction.facts |= IMMEDIATE;
            self.at += 4;
        }
    }

    /// Passes over a ModRM byte and what belongs to it. Returns it.
    #[inline]
    fn modrm(&mut self, instruction: &mut Instruction) -> Option<u8> {
        let modrm = self.next()?;
        instruction.modrm = modrm;
        let (mode, register) = (modrm >> 6, modrm & 7);
        if mode == 3 {
            instruction.before_immediate = self.at;
            return Some(modrm);
        }
        let mut base = register;
        let mut slot = register == 5;
        if register == 4 {
            let scaled = self.next()?;
            slot = scaled & 0x3f == STACK_POINTER;
            base = scaled & 7;
        }
        if slot && mode > 0 && !self.high_base {
            instruction.facts |= SLOT;
        }
        match (mode, base) {
            (0, 5) if register == 5 => {
                instruction.facts |= RELATIVE;
                self.at += 4;
            }
            (0, 5) | (2, _) => {
                instruction.facts |= DISPLACEMENT;
                self.at += 4;
            }
            (1, _) => self.at += 1,
            _ => {}
        }
        instruction.before_immediate = self.at;
        Some(modrm)
    }
}

#[inline]
fn form_of(table: &[Form; 256], opcode: u8) -> Form {
    table[usize::from(opcode)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(code: &[u8], facts: u16, before_immediate: usize) {
        let padded = [code, &[0x90; 16]].concat();
        let found = decode(&padded);
        let found = (usize::from(found.bytes), found.facts, usize::from(found.before_immediate));
        assert_eq!(found, (code.len(), facts, before_immediate), "{code:02x?}");
    }

    #[test]
    fn fields_are_found_behind_prefixes_and_before_immediates() {
        // call, jmp, je, jmp short
        check(&[0xe8, 1, 2, 3, 4], BRANCH, 1);
        check(&[0xe9, 1, 2, 3, 4], BRANCH, 1);
        check(&[0x0f, 0x84, 1, 2, 3, 4], BRANCH, 2);
        check(&[0xeb, 1], SHORT_BRANCH, 1);
        // lea rdi, [rip + x]
        check(&[0x48, 0x8d, 0x3d, 1, 2, 3, 4], RELATIVE, 7);
        // cmp dword [rip + x], 5 and cmp dword [rip + x], imm32
        check(&[0x83, 0x3d, 1, 2, 3, 4, 5], RELATIVE | ADDS, 6);
        check(&[0x81, 0x3d, 1, 2, 3, 4, 5, 6, 7, 8], RELATIVE | IMMEDIATE | ADDS, 6);
        // mov word [rip + x], imm16
        check(&[0x66, 0xc7, 0x05, 1, 2, 3, 4, 5, 6], RELATIVE, 7);
        // test byte [rip + x], 1 and not byte [rip + x]
        check(&[0xf6, 0x05, 1, 2, 3, 4, 1], RELATIVE, 6);
        check(&[0xf6, 0x15, 1, 2, 3, 4], RELATIVE, 6);
        // jmp [rax * 8 + table]
        check(&[0xff, 0x24, 0xc5, 1, 2, 3, 4], DISPLACEMENT, 7);
        // mov rax, gs:[x]
        check(&[0x65, 0x48, 0x8b, 0x04, 0x25, 1, 2, 3, 4], DISPLACEMENT | OWN_SEGMENT, 9);
        // mov edi, imm32 and movabs rax, imm64
        check(&[0xbf, 1, 2, 3, 4], IMMEDIATE, 1);
        check(&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 0, 2);
        // vmovdqa ymm0, [rip + x]; vpshufd xmm0, [rip + x], 1; vmovdqu64 zmm0, [rip + x]; vzeroupper
        check(&[0xc5, 0xfd, 0x6f, 0x05, 1, 2, 3, 4], RELATIVE, 8);
        check(&[0xc5, 0xf9, 0x70, 0x05, 1, 2, 3, 4, 1], RELATIVE, 8);
        check(&[0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x05, 1, 2, 3, 4], RELATIVE, 10);
        check(&[0xc5, 0xf8, 0x77], 0, 3);
        // pshufb xmm0, [rip + x]; palignr xmm0, [rip + x], 8
        check(&[0x66, 0x0f, 0x38, 0x00, 0x05, 1, 2, 3, 4], RELATIVE, 9);
        check(&[0x66, 0x0f, 0x3a, 0x0f, 0x05, 1, 2, 3, 4, 8], RELATIVE, 9);
        // mov rax, [rsp + 8]; mov [rbp - 8], eax; mov rax, [rsp + x]; the first two with r12 and r13
        check(&[0x48, 0x8b, 0x44, 0x24, 8], SLOT, 5);
        check(&[0x89, 0x45, 0xf8], SLOT, 3);
        check(&[0x48, 0x8b, 0x84, 0x24, 1, 2, 3, 4], SLOT | DISPLACEMENT, 8);
        check(&[0x49, 0x8b, 0x44, 0x24, 8], 0, 5);
        check(&[0x41, 0x89, 0x45, 0xf8], 0, 4);
        // vmovups [rsp + x], ymm0; mov rax, [rsp + rbx + 8]; sub rsp, 24
        check(&[0xc5, 0xfc, 0x11, 0x84, 0x24, 1, 2, 3, 4], SLOT | DISPLACEMENT, 9);
        check(&[0x48, 0x8b, 0x44, 0x1c, 8], 0, 5);
        check(&[0x48, 0x83, 0xec, 24], ADDS, 3);
        // ret, endbr64, nop word [rax + rax], enter
        check(&[0xc3], 0, 1);
        check(&[0xf3, 0x0f, 0x1e, 0xfa], 0, 4);
        check(&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], DISPLACEMENT, 10);
        check(&[0xc8, 1, 2, 3], 0, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_an_instruction_within_them(code in proptest::collection::vec(any::<u8>(), 1..20)) {
            let found = decode(&code);
            prop_assert!(found.bytes >= 1);
            prop_assert!(usize::from(found.bytes) <= code.len());
            let facts = |of: u16| found.facts & of != 0;
            let immediate = if facts(IMMEDIATE | BRANCH) { 4 } else { u8::from(facts(SHORT_BRANCH)) };
            prop_assert!(found.before_immediate + immediate <= found.bytes);
            prop_assert!(found.before_immediate > 4 || !facts(RELATIVE | DISPLACEMENT));
            prop_assert!(found.before_immediate > 1 || !facts(SLOT));
        }

        #[test]
        fn the_quick_way_agrees_with_the_slow_one(code: [u8; INSTRUCTION_BYTES_MAX]) {
            if let Some(quick) = decode_quickly(&code) {
                let slow = decode_slowly(&code);
                let modrm = if slow.facts & (SLOT | ADDS) != 0 { quick.modrm } else { slow.modrm };
                prop_assert_eq!(Instruction { modrm, ..quick }, slow);
            }
        }
    }
}
