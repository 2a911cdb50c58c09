//! Descriptions of types, which name each other, their own names and their methods by distances of four bytes.

use std::collections::HashSet;
use std::io;

use super::module::Module;
use crate::references::find::File;
use crate::references::kind::Kind;
use crate::references::prepared::Prepared;

/// Most descriptions that are followed.
const TYPES_MAX: usize = 1 << 18;
/// Most methods, fields and parameters of all types.
const ALL_MEMBERS_MAX: u64 = 4 << 20;
/// Most methods or fields of one type.
const MEMBERS_MAX: u64 = 4096;

/// The size of what all descriptions begin with.
const HEAD_BYTES: usize = 48;
const HAS_METHODS: u8 = 1;

const KIND_ARRAY: u8 = 17;
const KIND_CHANNEL: u8 = 18;
const KIND_FUNCTION: u8 = 19;
const KIND_INTERFACE: u8 = 20;
const KIND_MAP: u8 = 21;
const KIND_POINTER: u8 = 22;
const KIND_SLICE: u8 = 23;
const KIND_STRUCT: u8 = 25;

pub(super) fn prepare(file: &File<'_>, module: &Module, out: &mut Prepared) -> io::Result<()> {
    let base = |address| file.file_at(address).and_then(|at| file.place(at));
    let (Some(types), Some(text)) = (base(module.types), base(module.text)) else { return Ok(()) };
    let mut walk = Walk {
        file,
        module,
        types,
        text,
        seen: HashSet::new(),
        open: Vec::new(),
        left: ALL_MEMBERS_MAX,
        out,
    };
    walk.links()?;
    while let Some(address) = walk.open.pop() {
        walk.describe(address)?;
    }
    Ok(())
}

struct Walk<'a, 'b> {
    file: &'a File<'a>,
    module: &'a Module,
    types: u32,
    text: u32,
    seen: HashSet<u64>,
    open: Vec<u64>,
    /// Members that may still be looked at.
    left: u64,
    out: &'b mut Prepared,
}

impl Walk<'_, '_> {
    /// The list of types that can be found by name.
    fn links(&mut self) -> io::Result<()> {
        let Some(section) = self.file.section(b".typelink") else { return Ok(()) };
        let range = self.file.visible(section);
        for at in range.clone().step_by(4).take_while(|at| at + 4 <= range.end) {
            self.distance(at)?;
        }
        Ok(())
    }

    /// A distance of four bytes to a type, at a place in the file.
    fn distance(&mut self, at: u64) -> io::Result<()> {
        if let Some(distance) = self.name(at)? {
            self.visit(self.module.types.saturating_add(u64::from(distance)));
        }
        Ok(())
    }

    /// A distance of four bytes to a name.
    fn name(&mut self, at: u64) -> io::Result<Option<u32>> {
        let distance = self.file.source.u32(at)?;
        let distance = distance.filter(|distance| {
            *distance > 0 && u64::from(*distance) < self.module.types_end - self.module.types
        });
        if let (Some(_), Some(place)) = (distance, self.file.place(at)) {
            self.out.add(place, Kind::Based, self.types);
        }
        Ok(distance)
    }

    /// A distance of four bytes to code.
    fn code(&mut self, at: u64) -> io::Result<()> {
        let distance = self.file.source.u32(at)?.filter(|distance| !matches!(*distance, 0 | u32::MAX));
        if let (Some(_), Some(place)) = (distance, self.file.place(at)) {
            self.out.add(place, Kind::Based, self.text);
        }
        Ok(())
    }

    /// An address of a type, in eight bytes.
    fn pointer(&mut self, at: u64) -> io::Result<()> {
        if let Some(address) = self.file.source.u64(at)? {
            self.visit(address);
        }
        Ok(())
    }

    /// How many of so many members may be looked at.
    fn afford(&mut self, members: u64) -> u64 {
        let afforded = members.min(self.left);
        self.left -= afforded;
        afforded
    }

    fn visit(&mut self, address: u64) {
        let within = (self.module.types..self.module.types_end).contains(&address);
        if within && address.is_multiple_of(8) && self.seen.len() < TYPES_MAX && self.seen.insert(address) {
            self.open.push(address);
        }
    }

    fn describe(&mut self, address: u64) -> io::Result<()> {
        let Some(at) = self.file.file_at(address) else { return Ok(()) };
        let Some(head) = self.file.source.get::<HEAD_BYTES>(at)? else { return Ok(()) };
        let (flags, kind) = (head[20], head[23] & 31);
        self.name(at + 40)?;
        self.distance(at + 44)?;
        let more = at + HEAD_BYTES as u64;
        let own_bytes = match kind {
            KIND_ARRAY => {
                self.pointer(more)?;
                self.pointer(more + 8)?;
                24
            }
            KIND_CHANNEL => {
                self.pointer(more)?;
                16
            }
            KIND_POINTER | KIND_SLICE => {
                self.pointer(more)?;
                8
            }
            KIND_FUNCTION => {
                self.function(more, flags & HAS_METHODS != 0)?;
                8
            }
            KIND_INTERFACE => {
                self.members(more + 8, 8, |walk, at| {
                    walk.name(at)?;
                    walk.distance(at + 4)
                })?;
                32
            }
            KIND_STRUCT => {
                self.members(more + 8, 24, |walk, at| walk.pointer(at + 8))?;
                32
            }
            KIND_MAP => {
                for word in 0..3 {
                    self.pointer(more + 8 * word)?;
                }
                self.map_bytes()
            }
            _ => 0,
        };
        if flags & HAS_METHODS != 0 {
            self.methods(more + own_bytes)?;
        }
        Ok(())
    }

    /// Parameters and results follow a function's type.
    fn function(&mut self, at: u64, has_methods: bool) -> io::Result<()> {
        const METHODS_BYTES: u64 = 16;
        let (taken, given) = (self.file.source.u8(at)?, self.file.source.get::<2>(at + 2)?);
        let given = given.map_or(0, |given| u64::from(u16::from_le_bytes(given) & 0x7fff));
        let count = u64::from(taken.unwrap_or(0)) + given;
        let first = at + 8 + if has_methods { METHODS_BYTES } else { 0 };
        for number in 0..self.afford(count.min(MEMBERS_MAX)) {
            self.pointer(first + 8 * number)?;
        }
        Ok(())
    }

    /// Entries of some size, whose address and number stand at a place.
    fn members(
        &mut self,
        at: u64,
        size: u64,
        mut visit: impl FnMut(&mut Self, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let (address, count) = (self.file.source.u64(at)?, self.file.source.u64(at + 8)?);
        let first = address.and_then(|address| self.file.file_at(address));
        if let (Some(first), Some(count @ 1..=MEMBERS_MAX)) = (first, count) {
            for number in 0..self.afford(count) {
                visit(self, first + size * number)?;
            }
        }
        Ok(())
    }

    /// Maps have been described in two ways; the later one came with 1.24.
    fn map_bytes(&self) -> u64 {
        if self.file.section(b".go.fipsinfo").is_some() { 56 } else { 40 }
    }

    /// What a type with methods has behind the rest: its package, and where its methods are.
    fn methods(&mut self, at: u64) -> io::Result<()> {
        const METHOD_BYTES: u64 = 16;
        self.name(at)?;
        let count = self.file.source.get::<2>(at + 4)?.map_or(0, u16::from_le_bytes);
        let offset = self.file.source.u32(at + 8)?.unwrap_or(0);
        for number in 0..self.afford(u64::from(count).min(MEMBERS_MAX)) {
            let method = at.saturating_add(u64::from(offset)) + METHOD_BYTES * number;
            self.name(method)?;
            self.distance(method + 4)?;
            self.code(method + 8)?;
            self.code(method + 12)?;
        }
        Ok(())
    }
}
