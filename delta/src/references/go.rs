//! Go's table of functions: for each function offsets into tables of names, files, lines and frame sizes.

use std::io;

use super::elf::Section;
use super::find::File;
use super::kind::Kind;
use super::store::Writer;

/// Where things are, in the versions of the table that have offsets of four bytes.
struct Shape {
    /// The size of a function's entry, before what its numbers of tables add.
    function_bytes: u64,
}

const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_20: u32 = 0xffff_fff1;

/// The table's header.
struct Table {
    at: u64,
    end: u64,
    shape: Shape,
    functions: u64,
    names: u64,
    units: u64,
    values: u64,
    index: u64,
}

pub(super) fn find_function_table(file: &File<'_>, section: &Section, out: &mut Writer) -> io::Result<()> {
    let Some(table) = Table::read(file, section)? else { return Ok(()) };
    let text = file.place_of(file.section(b".text"));
    let data = file.place_of(file.section(b".rodata"));
    let index = file.place(table.at.saturating_add(table.index));
    let (Some(text), Some(data), Some(index)) = (text, data, index) else { return Ok(()) };
    for number in 0..=table.functions {
        let at = table.at.saturating_add(table.index).saturating_add(8 * number);
        let (Some(place), true) = (file.place(at), at + 8 <= table.end) else { break };
        out.push(place, Kind::Based, text);
        if number < table.functions {
            out.push(place + 4, Kind::Based, index);
        }
    }
    for number in 0..table.functions {
        let entry = table.at.saturating_add(table.index).saturating_add(8 * number);
        let Some(offset) = file.source.u32(entry + 4)? else { break };
        let at = table.at.saturating_add(table.index).saturating_add(u64::from(offset));
        table.find_function(file, at, text, data, out)?;
    }
    Ok(())
}

impl Table {
    fn read(file: &File<'_>, section: &Section) -> io::Result<Option<Self>> {
        const FUNCTIONS_MAX: u64 = 1 << 24;
        let at = section.at;
        let (magic, pointer) = (file.source.u32(at)?, file.source.u8(at.saturating_add(7))?);
        let shape = match (magic, pointer) {
            (Some(MAGIC_1_18), Some(8)) => Shape { function_bytes: 40 },
            (Some(MAGIC_1_20), Some(8)) => Shape { function_bytes: 44 },
            _ => return Ok(None),
        };
        let mut fields = [0; 8];
        for (number, field) in (0..).zip(&mut fields) {
            *field = file.source.u64(at + 8 + 8 * number)?.unwrap_or(u64::MAX);
        }
        let [functions, _, _, names, units, _, values, index] = fields;
        let end = file.visible(section).end;
        let table = Self { at, end, shape, functions, names, units, values, index };
        Ok((functions <= FUNCTIONS_MAX).then_some(table))
    }

    fn find_function(
        &self,
        file: &File<'_>,
        at: u64,
        text: u32,
        data: u32,
        out: &mut Writer,
    ) -> io::Result<()> {
        const TABLES_MAX: u32 = 64;
        let size = self.shape.function_bytes;
        let (Some(place), true) = (file.place(at), at.saturating_add(size) <= self.end) else {
            return Ok(());
        };
        let base = |offset: u64| file.place(self.at.saturating_add(offset));
        let (Some(names), Some(units), Some(values)) =
            (base(self.names), base(self.units), base(self.values))
        else {
            return Ok(());
        };
        out.push(place, Kind::Based, text);
        out.push(place + 4, Kind::Based, names);
        for offset in [16_u32, 20, 24] {
            if file.source.u32(at + u64::from(offset))? != Some(0) {
                out.push(place + offset, Kind::Based, values);
            }
        }
        out.push(place + 32, Kind::Word, units);
        let tables = file.source.u32(at + 28)?.unwrap_or(0);
        let datas = file.source.u8(at + size - 1)?.unwrap_or(0);
        if tables > TABLES_MAX {
            return Ok(());
        }
        for number in 0..tables + u32::from(datas) {
            let offset = size + 4 * u64::from(number);
            let Some(value) = file.source.u32(at + offset)? else { break };
            let Some(place) = file.place(at + offset).filter(|_| at + offset + 4 <= self.end) else { break };
            if number < tables && value != 0 {
                out.push(place, Kind::Based, values);
            }
            if number >= tables && value != u32::MAX {
                out.push(place, Kind::Based, data);
            }
        }
        Ok(())
    }
}
