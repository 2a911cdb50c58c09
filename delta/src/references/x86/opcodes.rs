//! For every opcode, how the instruction goes on.

/// How an opcode goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
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
pub(super) const ESCAPE: u8 = 0x0f;

pub(super) const ONE_BYTE: [Form; 256] = one_byte();
pub(super) const TWO_BYTE: [Form; 256] = two_byte();

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
