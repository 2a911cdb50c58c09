//! The table of functions: for each of them offsets into tables of names, files, lines and frame sizes, and what
//! it has beside code.

use std::io;

use super::module::Module;
use crate::references::elf::Section;
use crate::references::find::File;
use crate::references::kind::Kind;
use crate::references::prepared::Prepared;
use crate::references::store::Writer;

/// The sections that it may be in.
pub(in crate::references) const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];

const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_20: u32 = 0xffff_fff1;

/// The table's header: where in it other tables begin.
pub(super) struct Table {
    pub(super) at: u64,
    pub(super) address: u64,
    end: u64,
    /// The size of a function's entry, before what its numbers of tables add.
    function_bytes: u64,
    functions: u64,
    pub(super) names: u64,
    units: u64,
    files: u64,
    values: u64,
    index: u64,
}

/// A function's entry.
struct Function {
    at: u64,
    /// How many offsets of values follow, then how many of data.
    values: u64,
    datas: u64,
}

/// Most data of functions that are looked at.
const BLOBS_MAX: usize = 512 << 10;
/// Data that a function has beside code, by number.
const STACK_OBJECTS: u64 = 2;
const INLINED_CALLS: u64 = 3;

impl Table {
    pub(super) fn read(file: &File<'_>) -> io::Result<Option<Self>> {
        let Some(section) = SECTIONS.iter().find_map(|name| file.section(name)) else { return Ok(None) };
        let at = section.at;
        let (magic, pointer) = (file.source.u32(at)?, file.source.u8(at.saturating_add(7))?);
        let function_bytes = match (magic, pointer) {
            (Some(MAGIC_1_18), Some(8)) => 40,
            (Some(MAGIC_1_20), Some(8)) => 44,
            _ => return Ok(None),
        };
        let mut fields = [0; 8];
        for (number, field) in (0..).zip(&mut fields) {
            *field = file.source.u64(at + 8 + 8 * number)?.unwrap_or(u64::MAX);
        }
        let [functions, _, _, names, units, files, values, index] = fields;
        let end = file.visible(section).end;
        let address = section.address;
        let table = Self { at, address, end, function_bytes, functions, names, units, files, values, index };
        Ok((functions <= section.bytes / function_bytes).then_some(table))
    }

    pub(super) fn is_recent(&self) -> bool {
        self.function_bytes > 40
    }

    fn place(&self, file: &File<'_>, offset: u64) -> Option<u32> {
        file.place(self.at.saturating_add(offset))
    }

    /// Visits the functions that are in order and do not overlap.
    fn each(&self, file: &File<'_>, mut visit: impl FnMut(Function) -> io::Result<()>) -> io::Result<()> {
        const TABLES_MAX: u32 = 64;
        let index = self.at.saturating_add(self.index);
        let mut end = index;
        for number in 0..self.functions {
            let Some(offset) = file.source.u32(index.saturating_add(8 * number + 4))? else { break };
            let at = index.saturating_add(u64::from(offset));
            if at < end || at.saturating_add(self.function_bytes) > self.end {
                continue;
            }
            let values = file.source.u32(at + 28)?.filter(|values| *values <= TABLES_MAX);
            let datas = file.source.u8(at + self.function_bytes - 1)?;
            let (Some(values), Some(datas)) = (values.map(u64::from), datas.map(u64::from)) else { continue };
            end = at + self.function_bytes + 4 * (values + datas);
            visit(Function { at, values, datas })?;
        }
        Ok(())
    }
}

/// Finds the references of the section that it is in.
pub(super) fn find(
    file: &File<'_>,
    table: &Table,
    module: Option<&Module>,
    prepared: &Prepared,
    out: &mut Writer,
) -> io::Result<()> {
    let place = |offset| table.place(file, offset);
    let text = file.place_of(file.section(b".text"));
    let data = module.and_then(|module| file.file_at(module.function_data)).and_then(|at| file.place(at));
    let data = data.or_else(|| file.place_of(file.section(b".rodata")));
    let (Some(text), Some(data), Some(index)) = (text, data, place(table.index)) else { return Ok(()) };
    let (Some(names), Some(units)) = (place(table.names), place(table.units)) else { return Ok(()) };
    let (Some(files), Some(values)) = (place(table.files), place(table.values)) else { return Ok(()) };
    for place in (units..files.max(units)).step_by(4) {
        if file.source.u32(table.at + table.units + u64::from(place - units))? != Some(u32::MAX) {
            out.push(place, Kind::Based, files);
        }
    }
    for number in 0..=table.functions {
        let Some(place) = place(table.index.saturating_add(8 * number)) else { break };
        out.push(place, Kind::Based, text);
        if number < table.functions {
            out.push(place.saturating_add(4), Kind::Based, index);
        }
    }
    table.each(file, |function| {
        let Some(place) = file.place(function.at) else { return Ok(()) };
        out.push(place, Kind::Based, text);
        out.push(place + 4, Kind::Based, names);
        for offset in [16_u32, 20, 24] {
            if file.source.u32(function.at + u64::from(offset))? != Some(0) {
                out.push(place + offset, Kind::Based, values);
            }
        }
        out.push(place + 32, Kind::Word, units);
        for number in 0..function.values + function.datas {
            let at = function.at + table.function_bytes + 4 * number;
            let (Some(value), Some(place)) = (file.source.u32(at)?, file.place(at)) else { break };
            if number < function.values && value != 0 {
                out.push(place, Kind::Based, values);
            }
            if number >= function.values && value != u32::MAX {
                out.push(place, Kind::Based, data);
            }
        }
        Ok(())
    })?;
    prepared.write(out.end()..u32::MAX, out);
    Ok(())
}

/// Finds what stands in the data that functions have beside code.
pub(super) fn prepare(file: &File<'_>, table: &Table, module: &Module, out: &mut Prepared) -> io::Result<()> {
    let Some(start) = file.file_at(module.function_data) else { return Ok(()) };
    let (Some(names), Some(types)) =
        (table.place(file, table.names), file.file_at(module.types).and_then(|at| file.place(at)))
    else {
        return Ok(());
    };
    let mut blobs: Vec<(u64, bool, bool)> = Vec::new();
    table.each(file, |function| {
        for number in 0..function.datas {
            let at = function.at + table.function_bytes + 4 * (function.values + number);
            let offset = file.source.u32(at)?.filter(|offset| *offset != u32::MAX);
            if let Some(offset) = offset.filter(|_| blobs.len() < BLOBS_MAX) {
                blobs.push((start + u64::from(offset), number == INLINED_CALLS, number == STACK_OBJECTS));
            }
        }
        Ok(())
    })?;
    blobs.sort_unstable();
    blobs.dedup();
    for (index, (at, inlined, objects)) in blobs.iter().enumerate() {
        let end = blobs.get(index + 1).map_or(*at, |(next, ..)| *next);
        if *inlined {
            prepare_inlined(file, *at..end, names, out);
        }
        if *objects {
            prepare_objects(file, *at..end, types, out)?;
        }
    }
    prepare_buckets(file, table, module, out);
    Ok(())
}

/// Calls that were inlined: 16 bytes each, of which the second four name the function.
fn prepare_inlined(file: &File<'_>, range: std::ops::Range<u64>, names: u32, out: &mut Prepared) {
    for at in range.clone().step_by(16).take_while(|at| at + 16 <= range.end) {
        if let Some(place) = file.place(at) {
            out.add(place + 4, Kind::Based, names);
        }
    }
}

/// Objects on the stack: their number, then 16 bytes each, of which the last four say where their pointers are told.
fn prepare_objects(
    file: &File<'_>,
    range: std::ops::Range<u64>,
    types: u32,
    out: &mut Prepared,
) -> io::Result<()> {
    let count = file.source.u64(range.start)?.unwrap_or(0);
    let at = range.start.saturating_add(8);
    for at in
        (at..range.end).step_by(16).take_while(|at| at + 16 <= range.end).zip(0..count).map(|(at, _)| at)
    {
        if let Some(place) = file.place(at) {
            out.add(place + 12, Kind::Based, types);
        }
    }
    Ok(())
}

/// For each 4096 bytes of code, the number of the first function, then 16 bytes for its parts.
fn prepare_buckets(file: &File<'_>, table: &Table, module: &Module, out: &mut Prepared) {
    const BUCKET_BYTES: usize = 20;
    let Some(start) = file.file_at(module.function_buckets) else { return };
    let Some(index) = table.place(file, table.index) else { return };
    let text = file.section(b".text").map_or(0, |section: &Section| section.bytes);
    for number in 0..text / 4096 {
        if let Some(place) = file.place(start.saturating_add(number * BUCKET_BYTES as u64)) {
            out.add(place, Kind::Function, index);
        }
    }
}
