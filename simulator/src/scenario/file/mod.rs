//! Scenarios as TOML files.
//!
//! Reading goes in four steps: TOML with the place of every word; the file's short forms made long
//! (`sugar`); serde; and the scenario's own check. Every refusal is a [`Fault`] that names the line, the
//! word and the nearest valid word (`fault`). Writing is the way back (`emit`).

mod emit;
mod fault;
mod sugar;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use fault::Fault;
use fault::Mistake;

use super::{Scenario, Unfit};

/// Bytes of a scenario file at most.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads a scenario. `name` is the file's, for refusals; `nodes` replaces the number of machines.
///
/// # Errors
/// When it is no TOML, has unknown words, or names what does not exist.
pub fn parse(text: &str, name: &str, nodes: Option<u32>) -> Result<Scenario, Box<Fault>> {
    read(text, nodes).map_err(|mistake| Box::new(Fault::new(name, text, mistake)))
}

fn read(text: &str, nodes: Option<u32>) -> Result<Scenario, Mistake> {
    let mut root = DeTable::parse(text).map_err(|error| Mistake::from_toml(&error))?;
    sugar::lengthen(root.get_mut())?;
    let places = root.clone();
    let mut scenario =
        Scenario::deserialize(toml::Deserializer::from(root)).map_err(|error| Mistake::from_toml(&error))?;
    scenario.nodes = nodes.unwrap_or(scenario.nodes);
    scenario.check().map_err(|unfit| locate(&places, unfit))?;
    Ok(scenario)
}

/// Reads another TOML file, with refusals like those of scenarios.
///
/// # Errors
/// When it is no TOML, or not of this form.
pub fn read_as<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T, Box<Fault>> {
    toml::from_str(text).map_err(|error| Box::new(Fault::new(name, text, Mistake::from_toml(&error))))
}

/// Reads the scenario in a file.
///
/// # Errors
/// When the file cannot be read, or as for [`parse`].
pub fn load(path: &std::path::Path, nodes: Option<u32>) -> Result<Scenario, Box<Fault>> {
    let name = path.display().to_string();
    let unreadable = |why: String| Box::new(Fault::unreadable(&name, &why));
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("it has {size} bytes, more than {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&text, &name, nodes)
}

/// Writes a scenario as a file that [`parse`] reads as the same scenario.
pub fn write(scenario: &Scenario) -> String {
    emit::text(scenario)
}

/// Finds where the word of a refusal stands.
fn locate(root: &Spanned<DeTable<'_>>, unfit: Unfit) -> Mistake {
    let (list, place) = unfit.part;
    let part = root.get_ref().get(list).map(|value| match value.get_ref() {
        DeValue::Array(items) if !items.is_empty() => &items[place.min(items.len() - 1)],
        _ => value,
    });
    let span = part.map(|part| find(part, &unfit.word).unwrap_or_else(|| part.span()));
    Mistake { span, word: Some(unfit.word), what: unfit.what, nearest: unfit.nearest }
}

/// The place of a word inside a value.
fn find(value: &Spanned<DeValue<'_>>, word: &str) -> Option<Range<usize>> {
    let here = match value.get_ref() {
        DeValue::String(text) => text.as_ref() == word,
        DeValue::Integer(number) => number.as_str() == word,
        DeValue::Array(items) => return items.iter().find_map(|item| find(item, word)),
        DeValue::Table(table) => {
            return table.iter().find_map(|(key, value)| {
                if key.get_ref() == word { Some(key.span()) } else { find(value, word) }
            });
        }
        _ => false,
    };
    here.then(|| value.span())
}
