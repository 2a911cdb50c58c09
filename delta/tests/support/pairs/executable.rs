//! Executables small enough for a test: ELF files of 64 bits whose code calls, jumps and points, with tables, relocations
//! and symbols, linked anew after a change.

use super::{Choices, Pair};

/// The smallest program that has all kinds of references; its functions and strings are known by number.
#[derive(Clone)]
struct Program {
    machine: Machine,
    functions: Vec<(usize, Vec<Step>)>,
    strings: Vec<(usize, Vec<u8>)>,
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    X86,
    Aarch64,
}

#[derive(Clone, Copy)]
enum Step {
    Plain(u8),
    Call(usize),
    Jump(usize),
    Point(usize),
}

/// Two versions of a program.
pub(crate) fn pair(choices: &mut Choices<'_>) -> Pair {
    let machine = if choices.below(4) == 3 { Machine::Aarch64 } else { Machine::X86 };
    let mut program = Program { machine, functions: Vec::new(), strings: Vec::new(), next: 0 };
    for at in 0..10 {
        program.insert_string(at, choices);
        program.insert_function(at, choices);
    }
    let old = program.link();
    for _ in 0..=choices.below(6) {
        let at = choices.below(program.functions.len());
        match choices.below(5) {
            0 => program.insert_function(at, choices),
            1 => program.insert_string(at.min(program.strings.len()), choices),
            2 if program.functions.len() > 2 => drop(program.functions.remove(at)),
            3 if program.strings.len() > 2 => drop(program.strings.remove(at % program.strings.len())),
            _ => program.change_function(at, choices),
        }
    }
    Pair { old, new: program.link() }
}

impl Program {
    fn insert_function(&mut self, at: usize, choices: &mut Choices<'_>) {
        let steps = (0..12).map(|_| self.step(choices)).collect();
        self.functions.insert(at, (self.next, steps));
        self.next += 1;
    }

    fn insert_string(&mut self, at: usize, choices: &mut Choices<'_>) {
        let repeated = b"an error message, ".repeat(1 + choices.below(3));
        self.strings.insert(at, (self.next, repeated));
        self.next += 1;
    }

    fn change_function(&mut self, at: usize, choices: &mut Choices<'_>) {
        let step = self.step(choices);
        let steps = &mut self.functions[at].1;
        let place = choices.below(steps.len());
        if choices.below(2) == 0 { steps[place] = step } else { steps.insert(place, step) }
    }

    fn step(&self, choices: &mut Choices<'_>) -> Step {
        let what = choices.byte();
        let named = choices.below(self.next + 1);
        match what % 8 {
            0 | 1 => Step::Call(named),
            2 => Step::Jump(named),
            3 => Step::Point(named),
            _ => Step::Plain(what),
        }
    }

    fn link(&self) -> Vec<u8> {
        Linker::new(self).link()
    }
}

const PAGE: usize = 0x1000;
const HEADER_BYTES: usize = 64;
const SEGMENT_HEADER_BYTES: usize = 56;
const SEGMENTS: usize = 3;
const NAMES: &[u8] = b"\0.text\0.rodata\0.data.rel.ro\0.rela.dyn\0.symtab\0.shstrtab\0";

struct Linker<'a> {
    program: &'a Program,
    /// Where in memory each function and string is.
    functions: Vec<(usize, usize)>,
    strings: Vec<(usize, usize)>,
    out: Vec<u8>,
    sections: Vec<Section>,
}

struct Section {
    name: &'static [u8],
    kind: u32,
    flags: u64,
    address: usize,
    at: usize,
    bytes: usize,
    entry: u64,
}

impl<'a> Linker<'a> {
    fn new(program: &'a Program) -> Self {
        let mut at = HEADER_BYTES + SEGMENTS * SEGMENT_HEADER_BYTES;
        let mut functions = Vec::new();
        for (name, steps) in &program.functions {
            functions.push((*name, at + PAGE));
            at += steps.iter().map(|step| program.machine.encode(*step, 0, 0).len()).sum::<usize>();
        }
        let mut strings = Vec::new();
        for (name, string) in &program.strings {
            strings.push((*name, at + 2 * PAGE));
            at += string.len() + 1;
        }
        Self { program, functions, strings, out: Vec::new(), sections: Vec::new() }
    }

    fn link(mut self) -> Vec<u8> {
        self.out.resize(HEADER_BYTES + SEGMENTS * SEGMENT_HEADER_BYTES, 0);
        let code = self.code();
        let code_at = self.section(b".text", 1, 6, PAGE, 0, &code);
        let constants = self.constants();
        let constants_at = self.section(b".rodata", 1, 2, 2 * PAGE, 0, &constants);
        let pointers: Vec<usize> = self.functions.iter().map(|(_, address)| *address).collect();
        let table: Vec<u8> = pointers.iter().flat_map(|to| (*to as u64).to_le_bytes()).collect();
        let table_at = self.section(b".data.rel.ro", 1, 3, 3 * PAGE, 0, &table);
        let relocation: u64 = if self.program.machine == Machine::X86 { 8 } else { 1027 };
        let mut relocations = Vec::new();
        let mut symbols = vec![0; 24];
        for (index, to) in pointers.iter().enumerate() {
            for number in [(table_at + 3 * PAGE + 8 * index) as u64, relocation, *to as u64] {
                relocations.extend(number.to_le_bytes());
            }
            symbols.extend([1, 0, 0, 0, 2, 0, 1, 0]);
            symbols.extend((*to as u64).to_le_bytes());
            symbols.extend(16_u64.to_le_bytes());
        }
        self.section(b".rela.dyn", 4, 2, 3 * PAGE, 24, &relocations);
        let loaded = self.out.len();
        self.section(b".symtab", 2, 0, 0, 24, &symbols);
        self.section(b".shstrtab", 3, 0, 0, 0, NAMES);
        let segments = [(code_at, constants_at, 5), (constants_at, table_at, 4), (table_at, loaded, 6)];
        self.headers(segments);
        self.out
    }

    fn code(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let start = self.out.len() + PAGE;
        for step in self.program.functions.iter().flat_map(|(_, steps)| steps) {
            let target = match step {
                Step::Plain(_) => 0,
                Step::Call(name) | Step::Jump(name) => nearest(&self.functions, *name),
                Step::Point(name) => nearest(&self.strings, *name),
            };
            code.extend(self.program.machine.encode(*step, start + code.len(), target));
        }
        code
    }

    /// The strings, and a jump table: how far each function is from it.
    fn constants(&self) -> Vec<u8> {
        let mut constants = Vec::new();
        for (_, string) in &self.program.strings {
            constants.extend(string);
            constants.push(0);
        }
        constants.resize(constants.len().next_multiple_of(4), 0);
        let table = self.out.len() + 2 * PAGE + constants.len();
        for (_, function) in &self.functions {
            constants.extend(short(*function, table));
        }
        constants
    }

    fn section(
        &mut self,
        name: &'static [u8],
        kind: u32,
        flags: u64,
        beyond: usize,
        entry: u64,
        content: &[u8],
    ) -> usize {
        let at = self.out.len();
        self.out.extend(content);
        let address = if flags == 0 { 0 } else { at + beyond };
        self.sections.push(Section { name, kind, flags, address, at, bytes: content.len(), entry });
        at
    }

    fn headers(&mut self, segments: [(usize, usize, u32); SEGMENTS]) {
        let sections_at = self.out.len() as u64;
        self.out.extend([0; 64]);
        for section in &self.sections {
            let name = NAMES.windows(section.name.len()).position(|name| name == section.name);
            let mut header =
                u32::try_from(name.unwrap_or_default()).unwrap_or_default().to_le_bytes().to_vec();
            header.extend(section.kind.to_le_bytes());
            for number in [section.flags, section.address as u64, section.at as u64, section.bytes as u64] {
                header.extend(number.to_le_bytes());
            }
            header.extend([0; 8]);
            header.extend(1_u64.to_le_bytes());
            header.extend(section.entry.to_le_bytes());
            self.out.extend(header);
        }
        let count = u16::try_from(self.sections.len() + 1).unwrap_or_default();
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        header.extend(if self.program.machine == Machine::X86 { 62_u16 } else { 183 }.to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        header.extend((self.functions[0].1 as u64).to_le_bytes());
        header.extend((HEADER_BYTES as u64).to_le_bytes());
        header.extend(sections_at.to_le_bytes());
        header.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 64, 0]);
        header.extend(count.to_le_bytes());
        header.extend((count - 1).to_le_bytes());
        for (number, (start, end, flags)) in (1..).zip(segments) {
            header.extend([1, 0, 0, 0]);
            header.extend(u32::to_le_bytes(flags));
            let address = start + number * PAGE;
            for number in [start, address, address, end - start, end - start, PAGE] {
                header.extend((number as u64).to_le_bytes());
            }
        }
        self.out[..header.len()].copy_from_slice(&header);
    }
}

/// The address of a function or string, or of another one when it was removed.
fn nearest(things: &[(usize, usize)], name: usize) -> usize {
    let found = things.iter().find(|(known, _)| *known == name);
    found.map_or(things[name % things.len()].1, |(_, address)| *address)
}

/// How far one address is from another, in 32 bits.
fn short(to: usize, from: usize) -> [u8; 4] {
    let [a, b, c, d, ..] = to.wrapping_sub(from).to_le_bytes();
    [a, b, c, d]
}

impl Machine {
    fn encode(self, step: Step, at: usize, target: usize) -> Vec<u8> {
        let plain: [&[u8]; 4] = [b"\x55", b"\x48\x89\xe5", b"\x31\xc0", b"\x83\xc0\x07"];
        let with = |code: &[u8]| [code, &short(target, at + code.len() + 4)].concat();
        let word = |code: u32, field: usize, bits: u32, shift: u32| {
            let field = u32::from_le_bytes(short(field, 0)) & ((1 << bits) - 1);
            (code | (field << shift)).to_le_bytes().to_vec()
        };
        match (self, step) {
            (Self::X86, Step::Plain(which)) => plain[usize::from(which >> 3) % 4].to_vec(),
            (Self::X86, Step::Call(_)) => with(b"\xe8"),
            (Self::X86, Step::Jump(_)) => with(b"\xe9"),
            (Self::X86, Step::Point(_)) => with(b"\x48\x8d\x3d"),
            (Self::Aarch64, Step::Plain(which)) => word(0x5280_0000, usize::from(which), 16, 5),
            (Self::Aarch64, Step::Call(_)) => word(0x9400_0000, target.wrapping_sub(at) >> 2, 26, 0),
            (Self::Aarch64, Step::Jump(_)) => word(0x1400_0000, target.wrapping_sub(at) >> 2, 26, 0),
            (Self::Aarch64, Step::Point(_)) => {
                let pages = (target >> 12).wrapping_sub(at >> 12);
                let page = word(0x9000_0000 | (u32::from(pages & 1 == 1) << 29), pages >> 2, 19, 5);
                [page, word(0x9100_0000, target & 0xfff, 12, 10)].concat()
            }
        }
    }
}
