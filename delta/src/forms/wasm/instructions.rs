//! Which immediates an instruction has: WebAssembly 3.0 (SIMD, threads, exceptions old and new, tail calls, references,
//! garbage collection, several memories), wide arithmetic.

use super::tape::{Kind, Tape};

/// Most steps of one list within an instruction; what has longer ones is left as it is.
pub(super) const LIST_MAX: u32 = 1 << 13;

/// Most bytes of instructions that are copied at one time.
const COPIED_BYTES: usize = 64;

/// For each opcode: how many bytes the instruction has if its second and third byte are at most so large. Only
/// instructions that are the same on both sides, and neither open nor close a block; others have no bytes here.
const COPIED: [[u8; 3]; 256] = {
    let mut copied = [[0; 3]; 256];
    let mut opcode = 0;
    while opcode < 256 {
        copied[opcode] = match opcode {
            0x00 | 0x01 | 0x05 | 0x0f | 0x1a | 0x1b | 0x45..=0xc4 | 0xd1 => [1, 0xff, 0xff],
            0x0c | 0x0d | 0x20..=0x22 | 0x41 | 0x42 => [2, 0x7f, 0xff],
            0x28..=0x3e => [3, 0x1f, 0x7f],
            _ => [0; 3],
        };
        opcode += 1;
    }
    copied
};

/// How many bytes of instructions can be copied off the front. Visits the places of the locals among them.
#[inline]
pub(super) fn copied(bytes: &[u8], mut visit_local: impl FnMut(usize)) -> usize {
    let mut at = 0;
    while at < COPIED_BYTES
        && let Some([opcode, second, third]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
    {
        let [size, most_second, most_third] = COPIED[usize::from(*opcode)];
        if size == 0 || *second > most_second || *third > most_third {
            break;
        }
        if matches!(opcode, 0x20..=0x22) {
            visit_local(at + 1);
        }
        at += usize::from(size);
    }
    at
}

/// What an instruction says to whoever reads an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing of interest.
    Other,
    /// A number of 32 bits.
    Constant(u32),
    /// A list, maybe a long one.
    List,
    /// The end of the expression.
    End,
}

/// Takes one instruction. `depth` is the number of blocks that are open.
#[inline]
pub(super) fn instruction<T: Tape>(tape: &mut T, depth: &mut u32) -> Option<Seen> {
    tape.more();
    let opcode = tape.opcode()?;
    match opcode {
        0x20..=0x22 => tape.local()?,
        0x28..=0x3e => tape.memory_argument()?,
        0x41 => return Some(Seen::Constant(tape.constant()?)),
        0x00 | 0x01 | 0x05 | 0x0a | 0x0f | 0x19..=0x1b | 0x45..=0xc4 | 0xd1 | 0xd3 | 0xd4 => {}
        0x0b => {
            if *depth == 0 {
                return Some(Seen::End);
            }
            *depth -= 1;
        }
        0x02..=0x04 | 0x06 => {
            *depth += 1;
            tape.any_number()?;
        }
        0x07..=0x09 | 0x0c | 0x0d | 0x25 | 0x26 | 0x3f | 0x40 | 0xd5 | 0xd6 => _ = tape.number()?,
        0x10 | 0x12 | 0xd2 => _ = tape.field(Kind::Function, 0)?,
        0x11 | 0x13 => {
            tape.field(Kind::Type, 0)?;
            tape.number()?;
        }
        0x23 | 0x24 => _ = tape.field(Kind::Global, 0)?,
        0x42 => tape.long_constant()?,
        0x0e | 0x1c | 0x1f => return lists(tape, depth, opcode),
        other => rare(tape, depth, other)?,
    }
    Some(Seen::Other)
}

fn lists<T: Tape>(tape: &mut T, depth: &mut u32, opcode: u8) -> Option<Seen> {
    match opcode {
        0x0e => {
            list(tape, T::any_number)?;
            tape.any_number()?;
        }
        0x1c => list(tape, value_type)?,
        _ => {
            *depth += 1;
            tape.any_number()?;
            list(tape, catch)?;
        }
    }
    Some(Seen::List)
}

fn rare<T: Tape>(tape: &mut T, depth: &mut u32, opcode: u8) -> Option<()> {
    match opcode {
        0x14 | 0x15 => _ = tape.field(Kind::Type, 0)?,
        0x18 => {
            *depth = depth.checked_sub(1)?;
            tape.number()?;
        }
        0x43 => tape.bytes(4)?,
        0x44 => tape.bytes(8)?,
        0xd0 => tape.any_number()?,
        0xfb => structured(tape)?,
        0xfc => bulk(tape)?,
        0xfd => vector(tape)?,
        0xfe => atomic(tape)?,
        _ => return None,
    }
    Some(())
}

fn list<T: Tape>(tape: &mut T, mut step: impl FnMut(&mut T) -> Option<()>) -> Option<()> {
    let (count, _) = tape.number()?;
    for _ in 0..(count <= LIST_MAX).then_some(count)? {
        tape.more();
        step(tape)?;
    }
    tape.more();
    Some(())
}

/// A value's type: a byte, or a reference to a kind of thing.
pub(super) fn value_type<T: Tape>(tape: &mut T) -> Option<()> {
    match tape.byte()? {
        0x63 | 0x64 => tape.any_number(),
        _ => Some(()),
    }
}

fn catch<T: Tape>(tape: &mut T) -> Option<()> {
    match tape.byte()? {
        0 | 1 => {
            tape.number()?;
            tape.number()?;
        }
        2 | 3 => _ = tape.number()?,
        _ => return None,
    }
    Some(())
}

fn structured<T: Tape>(tape: &mut T) -> Option<()> {
    match tape.number()?.0 {
        0 | 1 | 6 | 7 | 11..=14 | 16 => _ = tape.field(Kind::Type, 0)?,
        2..=5 | 8..=10 | 18 | 19 => {
            tape.field(Kind::Type, 0)?;
            tape.number()?;
        }
        17 => {
            tape.field(Kind::Type, 0)?;
            tape.field(Kind::Type, 0)?;
        }
        20..=23 => tape.any_number()?,
        24 | 25 => {
            tape.byte()?;
            tape.number()?;
            tape.any_number()?;
            tape.any_number()?;
        }
        15 | 26..=30 => {}
        _ => return None,
    }
    Some(())
}

fn bulk<T: Tape>(tape: &mut T) -> Option<()> {
    match tape.number()?.0 {
        0..=7 | 19..=22 => {}
        9 | 11 | 13 | 15..=17 => _ = tape.number()?,
        8 | 10 | 12 | 14 => {
            tape.number()?;
            tape.number()?;
        }
        _ => return None,
    }
    Some(())
}

fn vector<T: Tape>(tape: &mut T) -> Option<()> {
    match tape.number()?.0 {
        0..=11 | 92 | 93 => tape.memory_argument()?,
        84..=91 => {
            tape.memory_argument()?;
            tape.byte()?;
        }
        12 | 13 => tape.bytes(16)?,
        21..=34 => _ = tape.byte()?,
        14..=20 | 35..=83 | 94..=0x113 => {}
        _ => return None,
    }
    Some(())
}

fn atomic<T: Tape>(tape: &mut T) -> Option<()> {
    match tape.number()?.0 {
        0..=2 | 0x10..=0x4e => tape.memory_argument()?,
        3 => _ = tape.byte()?,
        _ => return None,
    }
    Some(())
}
