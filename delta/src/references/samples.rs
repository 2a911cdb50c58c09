//! Small ELF files for tests.

/// A section to be: name, kind, flags, bytes.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) bytes: Vec<u8>,
}

pub(super) const DATA: u32 = 1;
pub(super) const READ: u64 = 2;
pub(super) const WRITE: u64 = 3;
pub(super) const CODE: u64 = 6;

/// Where the parts' addresses begin.
pub(super) const ADDRESS: u64 = 0x40_0000;
/// The same for kernels.
pub(super) const KERNEL_ADDRESS: u64 = 0xffff_ffff_8100_0000;
/// How many zeros follow in memory.
pub(super) const ZEROS: u64 = 0x3000;

/// An ELF file: one segment of all parts, at addresses as far apart as they are in the file, then zeros.
pub(super) fn linked(machine: u16, parts: &[Part]) -> Vec<u8> {
    elf(machine, 2, parts, ADDRESS)
}

/// The same with addresses like a kernel's.
pub(super) fn kernel(parts: &[Part]) -> Vec<u8> {
    elf(62, 2, parts, KERNEL_ADDRESS)
}

/// An object whose sections have no addresses.
pub(super) fn object(parts: &[Part]) -> Vec<u8> {
    elf(62, 1, parts, 0)
}

/// Where a part is in such a file.
pub(super) fn offset(parts: &[Part], index: usize) -> u64 {
    let before = parts[..index].iter().map(|part| part.bytes.len().next_multiple_of(16) as u64);
    128 + before.sum::<u64>()
}

fn elf(machine: u16, kind: u16, parts: &[Part], start: u64) -> Vec<u8> {
    let mut names = vec![0];
    let mut headers = vec![[0; 8]];
    let mut body = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let at = offset(parts, index);
        let address = if kind == 1 || part.flags & READ == 0 { 0 } else { start + at };
        let symbols =
            parts.iter().position(|other| other.kind == 11 || other.kind == 2).map_or(0, |at| at + 1);
        let strings = parts.iter().position(|other| other.kind == 3).map_or(0, |at| at + 1);
        let link = if matches!(part.kind, 2 | 11) { strings } else { symbols } as u64;
        let size = part.bytes.len() as u64;
        headers.push([names.len() as u64, part.kind.into(), part.flags, address, at, size, link, 1]);
        names.extend_from_slice(part.name.as_bytes());
        names.push(0);
        body.extend_from_slice(&part.bytes);
        body.resize(body.len().next_multiple_of(16), 0);
    }
    let names_at = 128 + body.len() as u64;
    headers.push([0, 3, 0, 0, names_at, names.len() as u64, 0, 0]);
    body.extend_from_slice(&names);
    body.resize(body.len().next_multiple_of(16), 0);
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend(kind.to_le_bytes());
    out.extend(machine.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    for long in [start, 64, 128 + body.len() as u64] {
        out.extend(long.to_le_bytes());
    }
    out.extend([0; 4]);
    let count = headers.len() as u16;
    for short in [64, 56, u16::from(kind != 1), 64, count, count - 1] {
        out.extend(short.to_le_bytes());
    }
    let bytes = 128 + body.len() as u64;
    out.extend(1_u32.to_le_bytes());
    out.extend(7_u32.to_le_bytes());
    for long in [0, start, start, bytes, bytes + ZEROS, 4096] {
        out.extend(long.to_le_bytes());
    }
    out.resize(128, 0);
    out.extend(body);
    for [name, kind, flags, address, at, size, link, info] in headers {
        out.extend((name as u32).to_le_bytes());
        out.extend((kind as u32).to_le_bytes());
        for long in [flags, address, at, size] {
            out.extend(long.to_le_bytes());
        }
        out.extend((link as u32).to_le_bytes());
        out.extend((info as u32).to_le_bytes());
        out.extend([0; 16]);
    }
    out
}
