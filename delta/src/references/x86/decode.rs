//! x86-64 code: where instructions end, and which of their fields name addresses.
//!
//! A table says for every opcode whether a ModRM byte follows and how large its immediate is; nothing else about
//! an instruction matters here. Code is read from front to back. Where data lies between functions the reader may lose
//! step for a few instructions. That is found out soon, because almost every byte begins some instruction, and costs at
//! most a few fields that are predicted wrongly.

/// The longest instruction. A piece of code is decoded with so many bytes after its end.
pub(super) const INSTRUCTION_BYTES_MAX: usize = 15;

/// What an instruction has that names an address. Places count from the instruction's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its length; at least one.
    pub(super) bytes: u8,
    /// Where four bytes of distance from the instruction's end are; zero if there are none.
    pub(super) relative: u8,
    /// Where four bytes of displacement are that are added to no program counter; zero if there are none.
    pub(super) displacement: u8,
    /// Where an immediate of four bytes is; zero if there is none.
    pub(super) immediate: u8,
    /// Where a displacement from the stack or frame pointer is; zero if there is none.
    pub(super) slot: u8,
    /// Its opcode; that of the escape if it has two bytes, and nothing in particular behind a vector prefix.
    pub(super) opcode: u8,
    /// The ModRM byte; zero if there is none.
    pub(super) modrm: u8,
    /// Whether it has a prefix for the segment that Linux keeps a processor's own data in.
    pub(super) own_segment: bool,
}

/// How an opcode goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Byte,
    Word,
    /// Four bytes, or two with an operand-size prefix.
    Immediate,
    /// Four bytes, two, or eight with REX.W.
    Wide,
    /// An address of eight bytes, or four with an address-size prefix.
    Address,
    /// Two bytes and one.
    Enter,
    /// Four bytes of distance.
    Branch,
    Modrm,
    ModrmByte,
    ModrmImmediate,
    /// An immediate only where the ModRM byte says TEST.
    TestByte,
    TestImmediate,
    Prefix,
    Rex,
    Escape,
    Vex2,
    Vex3,
    Evex,
    Invalid,
}

/// The opcode that says that another follows.
const ESCAPE: u8 = 0x0f;

const ONE_BYTE: [Form; 256] = one_byte();
const TWO_BYTE: [Form; 256] = two_byte();

const fn fill(table: &mut [Form; 256], from: usize, to: usize, form: Form) {
    let mut at = from;
    while at <= to {
        table[at] = form;
        at += 1;
    }
}

const fn one_byte() -> [Form; 256] {
    let mut table = [Form::Bare; 256];
    let mut row = 0;
    while row < 0x40 {
        fill(&mut table, row, row + 3, Form::Modrm);
        table[row + 4] = Form::Byte;
        table[row + 5] = Form::Immediate;
        fill(&mut table, row + 6, row + 7, Form::Invalid);
        row += 8;
    }
    table[0x0f] = Form::Escape;
    table[0x26] = Form::Prefix;
    table[0x2e] = Form::Prefix;
    table[0x36] = Form::Prefix;
    table[0x3e] = Form::Prefix;
    fill(&mut table, 0x40, 0x4f, Form::Rex);
    fill(&mut table, 0x60, 0x61, Form::Invalid);
    table[0x62] = Form::Evex;
    table[0x63] = Form::Modrm;
    fill(&mut table, 0x64, 0x67, Form::Prefix);
    table[0x68] = Form::Immediate;
    table[0x69] = Form::ModrmImmediate;
    table[0x6a] = Form::Byte;
    table[0x6b] = Form::ModrmByte;
    fill(&mut table, 0x70, 0x7f, Form::Byte);
    table[0x80] = Form::ModrmByte;
    table[0x81] = Form::ModrmImmediate;
    table[0x82] = Form::Invalid;
    table[0x83] = Form::ModrmByte;
    fill(&mut table, 0x84, 0x8f, Form::Modrm);
    table[0x9a] = Form::Invalid;
    fill(&mut table, 0xa0, 0xa3, Form::Address);
    table[0xa8] = Form::Byte;
    table[0xa9] = Form::Immediate;
    fill(&mut table, 0xb0, 0xb7, Form::Byte);
    fill(&mut table, 0xb8, 0xbf, Form::Wide);
    fill(&mut table, 0xc0, 0xc1, Form::ModrmByte);
    table[0xc2] = Form::Word;
    table[0xc4] = Form::Vex3;
    table[0xc5] = Form::Vex2;
    table[0xc6] = Form::ModrmByte;
    table[0xc7] = Form::ModrmImmediate;
    table[0xc8] = Form::Enter;
    table[0xca] = Form::Word;
    table[0xcd] = Form::Byte;
    table[0xce] = Form::Invalid;
    fill(&mut table, 0xd0, 0xd3, Form::Modrm);
    fill(&mut table, 0xd4, 0xd6, Form::Invalid);
    fill(&mut table, 0xd8, 0xdf, Form::Modrm);
    fill(&mut table, 0xe0, 0xe7, Form::Byte);
    fill(&mut table, 0xe8, 0xe9, Form::Branch);
    table[0xea] = Form::Invalid;
    table[0xeb] = Form::Byte;
    table[0xf0] = Form::Prefix;
    fill(&mut table, 0xf2, 0xf3, Form::Prefix);
    table[0xf6] = Form::TestByte;
    table[0xf7] = Form::TestImmediate;
    fill(&mut table, 0xfe, 0xff, Form::Modrm);
    table
}

const fn two_byte() -> [Form; 256] {
    let mut table = [Form::Modrm; 256];
    table[0x04] = Form::Invalid;
    fill(&mut table, 0x05, 0x09, Form::Bare);
    table[0x0a] = Form::Invalid;
    table[0x0b] = Form::Bare;
    table[0x0c] = Form::Invalid;
    table[0x0e] = Form::Bare;
    table[0x0f] = Form::ModrmByte;
    fill(&mut table, 0x24, 0x27, Form::Invalid);
    fill(&mut table, 0x30, 0x35, Form::Bare);
    table[0x36] = Form::Invalid;
    table[0x37] = Form::Bare;
    table[0x39] = Form::Invalid;
    fill(&mut table, 0x3b, 0x3f, Form::Invalid);
    fill(&mut table, 0x70, 0x73, Form::ModrmByte);
    table[0x77] = Form::Bare;
    fill(&mut table, 0x80, 0x8f, Form::Branch);
    fill(&mut table, 0xa0, 0xa2, Form::Bare);
    table[0xa4] = Form::ModrmByte;
    fill(&mut table, 0xa6, 0xa7, Form::Invalid);
    fill(&mut table, 0xa8, 0xaa, Form::Bare);
    table[0xac] = Form::ModrmByte;
    table[0xba] = Form::ModrmByte;
    table[0xc2] = Form::ModrmByte;
    fill(&mut table, 0xc4, 0xc6, Form::ModrmByte);
    fill(&mut table, 0xc8, 0xcf, Form::Bare);
    table
}

/// What the quick way knows of an opcode, for both opcode maps in a row.
const QUICK: [u8; 512] = quick();
/// How many bytes belong to a ModRM byte, itself among them, and what else it says.
const MODRM: [u8; 256] = modrm();

/// Bytes of immediate, with an operand-size prefix half of them.
const QUICK_IMMEDIATE: u8 = 7;
const QUICK_MODRM: u8 = 8;
const QUICK_BRANCH: u8 = 0x10;
/// Only some values of the ModRM byte have the immediate.
const QUICK_TEST: u8 = 0x20;
/// REX.W changes the length.
const QUICK_WIDE: u8 = 0x40;
const QUICK_NOT: u8 = 0x80;

const MODRM_BYTES: u8 = 7;
const MODRM_RELATIVE: u8 = 8;
const MODRM_DISPLACEMENT: u8 = 0x10;
/// The byte after it may ask for a displacement.
const MODRM_SCALED: u8 = 0x20;
/// The displacement is from RBP, or R13.
const MODRM_FRAME: u8 = 0x40;
/// The displacement is from what the byte after it says.
const MODRM_STACK: u8 = 0x80;
/// What that byte is for RSP, or R12, alone.
const STACK_POINTER: u8 = 0x24;

const fn quick() -> [u8; 512] {
    let mut table = [QUICK_NOT; 512];
    let mut at = 0;
    while at < 512 {
        let form = if at < 256 { ONE_BYTE[at] } else { TWO_BYTE[at - 256] };
        table[at] = match form {
            Form::Bare => 0,
            Form::Byte => 1,
            Form::Immediate => 4,
            Form::Wide => 4 | QUICK_WIDE,
            Form::Branch => 4 | QUICK_BRANCH,
            Form::Modrm => QUICK_MODRM,
            Form::ModrmByte => 1 | QUICK_MODRM,
            Form::ModrmImmediate => 4 | QUICK_MODRM,
            Form::TestByte => 1 | QUICK_MODRM | QUICK_TEST,
            Form::TestImmediate => 4 | QUICK_MODRM | QUICK_TEST,
            _ => QUICK_NOT,
        };
        at += 1;
    }
    table[256 + 0x38] = QUICK_NOT;
    table[256 + 0x3a] = QUICK_NOT;
    table
}

const fn modrm() -> [u8; 256] {
    let mut table = [1; 256];
    let mut at = 0;
    while at < 0xc0 {
        let (mode, register) = (at >> 6, at & 7);
        table[at] = match (mode, register) {
            (0, 5) => 5 | MODRM_RELATIVE,
            (0, 4) => 2 | MODRM_SCALED,
            (0, _) => 1,
            (1, 4) => 3 | MODRM_STACK,
            (1, 5) => 2 | MODRM_FRAME,
            (1, _) => 2,
            (_, 4) => 6 | MODRM_DISPLACEMENT | MODRM_STACK,
            (_, 5) => 5 | MODRM_DISPLACEMENT | MODRM_FRAME,
            _ => 5 | MODRM_DISPLACEMENT,
        };
        at += 1;
    }
    table
}

/// Decodes the instruction at the beginning of the bytes. What is none, or is cut off, passes as one byte.
#[inline]
pub(super) fn decode(code: &[u8]) -> Instruction {
    if let Some((first, _)) = code.split_first_chunk::<16>()
        && let Some(instruction) = decode_quickly(first)
    {
        return instruction;
    }
    decode_slowly(code)
}

/// Almost all instructions: at most one prefix, REX, two opcode bytes. Without branches that depend on the code, because
/// those are what decoding spends its time on.
#[inline]
fn decode_quickly(code: &[u8; 16]) -> Option<Instruction> {
    let word = u64::from_le_bytes(*code.first_chunk()?);
    let byte = |at: u32| word.wrapping_shr(8 * at).to_le_bytes()[0];
    let first = byte(0);
    let short = first == 0x66;
    let mut at = u32::from(short | (first == 0xf3) | (first == 0xf2));
    let rex = byte(at);
    let has_rex = rex & 0xf0 == 0x40;
    at += u32::from(has_rex);
    let escaped = byte(at) == ESCAPE;
    at += u32::from(escaped);
    let opcode = byte(at);
    let quick = QUICK[usize::from(opcode) | usize::from(escaped) << 8];
    let wide = has_rex && rex & 8 != 0;
    if quick & QUICK_NOT != 0 || (short && quick & QUICK_BRANCH != 0) || (wide && quick & QUICK_WIDE != 0) {
        return None;
    }
    at += 1;
    let modrm = byte(at);
    let has_modrm = quick & QUICK_MODRM != 0;
    let more = if has_modrm { MODRM[usize::from(modrm)] } else { 0 };
    let scaled = (more & MODRM_SCALED != 0) & (byte(at + 1) & 7 == 5);
    let displaced = (more & MODRM_DISPLACEMENT != 0) | scaled;
    let after = at + u32::from(more & MODRM_BYTES) + 4 * u32::from(scaled);
    let absent = (quick & QUICK_TEST != 0) & (modrm & 0x30 != 0);
    let full = if absent { 0 } else { quick & QUICK_IMMEDIATE };
    let immediate = if short & (full == 4) { 2 } else { full };
    let low_register = !has_rex || rex & 1 == 0;
    let stack = (more & MODRM_STACK != 0) & (byte(at + 1) & 0x3f == STACK_POINTER);
    let slot = ((more & MODRM_FRAME != 0) | stack) & low_register;
    let slot_bytes = if more & MODRM_DISPLACEMENT != 0 { 4 } else { 1 };
    let place = |is: bool, at: u32| if is { at.to_le_bytes()[0] } else { 0 };
    let branch = quick & QUICK_BRANCH != 0;
    Some(Instruction {
        bytes: (after + u32::from(immediate)).to_le_bytes()[0],
        relative: place(more & MODRM_RELATIVE != 0, at + 1) | place(branch, at),
        displacement: place(displaced, after.wrapping_sub(4)),
        immediate: place((immediate == 4) & !branch, after),
        slot: place(slot, after.wrapping_sub(slot_bytes)),
        opcode: if escaped { ESCAPE } else { opcode },
        modrm: if has_modrm { modrm } else { 0 },
        own_segment: false,
    })
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
                0x65 => instruction.own_segment = true,
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
                instruction.relative = self.at;
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
            instruction.immediate = self.at;
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
            instruction.slot = self.at;
        }
        match (mode, base) {
            (0, 5) if register == 5 => {
                instruction.relative = self.at;
                self.at += 4;
            }
            (0, 5) | (2, _) => {
                instruction.displacement = self.at;
                self.at += 4;
            }
            (1, _) => self.at += 1,
            _ => {}
        }
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
    fn check(code: &[u8], expected: Instruction) {
        let padded = [code, &[0x90; 16]].concat();
        let found = decode(&padded);
        let (opcode, modrm) = (found.opcode, found.modrm);
        let bytes = code.len().try_into().unwrap();
        assert_eq!(found, Instruction { bytes, opcode, modrm, ..expected }, "{code:02x?}");
    }

    #[test]
    fn fields_are_found_behind_prefixes_and_before_immediates() {
        let none = Instruction::default();
        let relative = |relative| Instruction { relative, ..none };
        // call, jmp, je
        check(&[0xe8, 1, 2, 3, 4], relative(1));
        check(&[0xe9, 1, 2, 3, 4], relative(1));
        check(&[0x0f, 0x84, 1, 2, 3, 4], relative(2));
        // lea rdi, [rip + x]
        check(&[0x48, 0x8d, 0x3d, 1, 2, 3, 4], relative(3));
        // cmp dword [rip + x], 5 and cmp dword [rip + x], imm32
        check(&[0x83, 0x3d, 1, 2, 3, 4, 5], relative(2));
        check(&[0x81, 0x3d, 1, 2, 3, 4, 5, 6, 7, 8], Instruction { immediate: 6, ..relative(2) });
        // mov word [rip + x], imm16
        check(&[0x66, 0xc7, 0x05, 1, 2, 3, 4, 5, 6], relative(3));
        // test byte [rip + x], 1 and not byte [rip + x]
        check(&[0xf6, 0x05, 1, 2, 3, 4, 1], relative(2));
        check(&[0xf6, 0x15, 1, 2, 3, 4], relative(2));
        // jmp [rax * 8 + table]
        check(&[0xff, 0x24, 0xc5, 1, 2, 3, 4], Instruction { displacement: 3, ..none });
        // mov rax, gs:[x]
        check(
            &[0x65, 0x48, 0x8b, 0x04, 0x25, 1, 2, 3, 4],
            Instruction { displacement: 5, own_segment: true, ..none },
        );
        // mov edi, imm32 and movabs rax, imm64
        check(&[0xbf, 1, 2, 3, 4], Instruction { immediate: 1, ..none });
        check(&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], none);
        // vmovdqa ymm0, [rip + x]; vpshufd xmm0, [rip + x], 1; vmovdqu64 zmm0, [rip + x]; vzeroupper
        check(&[0xc5, 0xfd, 0x6f, 0x05, 1, 2, 3, 4], relative(4));
        check(&[0xc5, 0xf9, 0x70, 0x05, 1, 2, 3, 4, 1], relative(4));
        check(&[0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x05, 1, 2, 3, 4], relative(6));
        check(&[0xc5, 0xf8, 0x77], none);
        // pshufb xmm0, [rip + x]; palignr xmm0, [rip + x], 8
        check(&[0x66, 0x0f, 0x38, 0x00, 0x05, 1, 2, 3, 4], relative(5));
        check(&[0x66, 0x0f, 0x3a, 0x0f, 0x05, 1, 2, 3, 4, 8], relative(5));
        // mov rax, [rsp + 8]; mov [rbp - 8], eax; mov rax, [rsp + x]; the same with r12 and r13; vmovups [rsp + x], ymm0
        let slot = |slot| Instruction { slot, ..none };
        check(&[0x48, 0x8b, 0x44, 0x24, 8], slot(4));
        check(&[0x89, 0x45, 0xf8], slot(2));
        check(&[0x48, 0x8b, 0x84, 0x24, 1, 2, 3, 4], Instruction { displacement: 4, ..slot(4) });
        check(&[0x49, 0x8b, 0x44, 0x24, 8], none);
        check(&[0x41, 0x89, 0x45, 0xf8], none);
        check(&[0xc5, 0xfc, 0x11, 0x84, 0x24, 1, 2, 3, 4], Instruction { displacement: 5, ..slot(5) });
        // mov rax, [rsp + rbx + 8]
        check(&[0x48, 0x8b, 0x44, 0x1c, 8], none);
        // ret, endbr64, nop word [rax + rax], enter
        check(&[0xc3], none);
        check(&[0xf3, 0x0f, 0x1e, 0xfa], none);
        check(&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], Instruction { displacement: 6, ..none });
        check(&[0xc8, 1, 2, 3], none);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_an_instruction_within_them(code in proptest::collection::vec(any::<u8>(), 1..20)) {
            let found = decode(&code);
            prop_assert!(found.bytes >= 1);
            prop_assert!(usize::from(found.bytes) <= code.len());
            for field in [found.relative, found.displacement, found.immediate] {
                prop_assert!(field == 0 || field + 4 <= found.bytes);
            }
            prop_assert!(found.slot == 0 || found.slot < found.bytes);
        }

        #[test]
        fn the_quick_way_agrees_with_the_slow_one(code: [u8; 16]) {
            if let Some(quick) = decode_quickly(&code) {
                prop_assert_eq!(quick, decode_slowly(&code));
            }
        }
    }
}
