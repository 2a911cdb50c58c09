//! Programs written in Go: the tables that the runtime finds functions and types by. They hold no addresses but distances of
//! four bytes from one of a few beginnings, which only the program's description of itself tells.

mod functions;
mod module;
mod types;

use std::io;

use super::find::File;
use super::prepared::Prepared;
use super::store::Writer;

pub(super) use functions::SECTIONS;

/// Finds what stands in sections that hold other things as well.
pub(super) fn prepare(file: &File<'_>, out: &mut Prepared) -> io::Result<()> {
    let Some(table) = functions::Table::read(file)? else { return Ok(()) };
    let Some(module) = module::Module::find(file, &table)? else { return Ok(()) };
    functions::prepare(file, &table, &module, out)?;
    types::prepare(file, &module, out)
}

/// Finds the references of the table of functions.
pub(super) fn find_function_table(file: &File<'_>, prepared: &Prepared, out: &mut Writer) -> io::Result<()> {
    let Some(table) = functions::Table::read(file)? else { return Ok(()) };
    let module = module::Module::find(file, &table)?;
    functions::find(file, &table, module.as_ref(), prepared, out)
}
