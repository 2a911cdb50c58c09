//! x86-64 code: where instructions end, and which of their fields name addresses.
//!
//! A table says for every opcode whether a ModRM byte follows and how large its immediate is; nothing else about
//! an instruction matters here. Code is read from front to back. Where data lies between functions the reader may lose
//! step for a few instructions. That is found out soon, because almost every byte begins some instruction, and costs at
//! most a few fields that are predicted wrongly.

use super::opcodes::{Form, ONE_BYTE, TWO_BYTE};
use super::quick::decode_quickly;

/// The longest instruction. A piece of code is decoded with so many bytes after its end.
pub(super) const INSTRUCTION_BYTES_MAX: usize = 15;

/// What an instruction has that may name something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its length; at least one.
    pub(super) bytes: u8,
    /// How much of it stands before its immediate: where a displacement ends.
    pub(super) before_immediate: u8,
    /// What it has.
    pub(super) facts: u16,
}

/// It loads an address into a register.
pub(super) const LOADS: u16 = 0x01;
/// It pushes a number onto the stack.
pub(super) const PUSHES: u16 = 0x02;
/// It moves a number into a register.
pub(super) const MOVES: u16 = 0x04;
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
/// Its displacement, if it has [`SLOT`], is from the stack pointer.
pub(super) const STACK: u16 = 0x200;
/// It has a prefix for the segment that Linux keeps a processor's own data in.
pub(super) const OWN_SEGMENT: u16 = 0x400;
/// It takes its immediate, of one byte or of four, from the stack pointer, as functions do at their beginning.
pub(super) const ENTERS: u16 = 0x800;
/// It adds its immediate to the stack pointer, as functions do at their end.
pub(super) const LEAVES: u16 = 0x1000;
/// Facts that speak of a field.
pub(super) const FIELDS: u16 = !(LOADS | PUSHES | MOVES | STACK | OWN_SEGMENT);

/// What an opcode of the first map tells by itself.
pub(super) const fn facts_of_opcode(opcode: u8) -> u16 {
    match opcode {
        0x68 => PUSHES,
        0x70..=0x7f | 0xe0..=0xe3 | 0xeb => SHORT_BRANCH,
        0x8d => LOADS,
        0xb8..=0xbf => MOVES,
        _ => 0,
    }
}

/// What a ModRM byte tells behind an opcode that adds a number.
pub(super) const fn facts_of_adding(modrm: u8) -> u16 {
    match modrm {
        0xec => ENTERS,
        0xc4 => LEAVES,
        _ => 0,
    }
}

/// What the byte after the ModRM byte is if the displacement is from RSP, or R12.
pub(super) const STACK_POINTER: u8 = 0x24;

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
        if form != Form::Escape {
            instruction.facts |= facts_of_opcode(opcode);
        }
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
        instruction.before_immediate = self.at;
        let modrm = self.code.get(usize::from(self.at)).copied().unwrap_or_default();
        self.operands(form, &mut instruction)?;
        if matches!(opcode, 0x81 | 0x83) {
            instruction.facts |= facts_of_adding(modrm);
        }
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
        let (mode, register) = (modrm >> 6, modrm & 7);
        if mode == 3 {
            instruction.before_immediate = self.at;
            return Some(modrm);
        }
        let mut base = register;
        let mut slot = register == 5;
        let mut on_stack = false;
        if register == 4 {
            let scaled = self.next()?;
            slot = scaled & 0x3f == STACK_POINTER;
            on_stack = slot;
            base = scaled & 7;
        }
        if slot && mode > 0 && !self.high_base {
            instruction.facts |= if on_stack { SLOT | STACK } else { SLOT };
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
        check(&[0x48, 0x8d, 0x3d, 1, 2, 3, 4], RELATIVE | LOADS, 7);
        // cmp dword [rip + x], 5 and cmp dword [rip + x], imm32
        check(&[0x83, 0x3d, 1, 2, 3, 4, 5], RELATIVE, 6);
        check(&[0x81, 0x3d, 1, 2, 3, 4, 5, 6, 7, 8], RELATIVE | IMMEDIATE, 6);
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
        check(&[0xbf, 1, 2, 3, 4], IMMEDIATE | MOVES, 1);
        check(&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], MOVES, 2);
        // vmovdqa ymm0, [rip + x]; vpshufd xmm0, [rip + x], 1; vmovdqu64 zmm0, [rip + x]; vzeroupper
        check(&[0xc5, 0xfd, 0x6f, 0x05, 1, 2, 3, 4], RELATIVE, 8);
        check(&[0xc5, 0xf9, 0x70, 0x05, 1, 2, 3, 4, 1], RELATIVE, 8);
        check(&[0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x05, 1, 2, 3, 4], RELATIVE, 10);
        check(&[0xc5, 0xf8, 0x77], 0, 3);
        // pshufb xmm0, [rip + x]; palignr xmm0, [rip + x], 8
        check(&[0x66, 0x0f, 0x38, 0x00, 0x05, 1, 2, 3, 4], RELATIVE, 9);
        check(&[0x66, 0x0f, 0x3a, 0x0f, 0x05, 1, 2, 3, 4, 8], RELATIVE, 9);
        // mov rax, [rsp + 8]; mov [rbp - 8], eax; mov rax, [rsp + x]; the first two with r12 and r13
        check(&[0x48, 0x8b, 0x44, 0x24, 8], SLOT | STACK, 5);
        check(&[0x89, 0x45, 0xf8], SLOT, 3);
        check(&[0x48, 0x8b, 0x84, 0x24, 1, 2, 3, 4], SLOT | STACK | DISPLACEMENT, 8);
        check(&[0x49, 0x8b, 0x44, 0x24, 8], 0, 5);
        check(&[0x41, 0x89, 0x45, 0xf8], 0, 4);
        // vmovups [rsp + x], ymm0; mov rax, [rsp + rbx + 8]; sub rsp, 24
        check(&[0xc5, 0xfc, 0x11, 0x84, 0x24, 1, 2, 3, 4], SLOT | STACK | DISPLACEMENT, 9);
        check(&[0x48, 0x8b, 0x44, 0x1c, 8], 0, 5);
        check(&[0x48, 0x83, 0xec, 24], ENTERS, 3);
        check(&[0x48, 0x81, 0xc4, 1, 2, 3, 4], LEAVES | IMMEDIATE, 3);
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
                prop_assert_eq!(quick, slow);
            }
        }
    }
}
