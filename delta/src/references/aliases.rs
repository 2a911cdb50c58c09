//! Slots through which code reaches what other libraries define: each stands for its symbol.
//!
//! Slots, the stubs that jump through them and the relocations that fill them are all alike, so a table of them matches
//! with itself one further down. What tells them apart is the name behind them.

use std::collections::HashMap;
use std::io;

use super::dynamic::{RELOCATION_BYTES, SYMBOL_BYTES, long, short};
use super::elf::{Header, KIND_RELOCATIONS};
use super::layout::Layout;
use super::source::Source;

/// The types of relocations of slots: GLOB_DAT and JUMP_SLOT of both machines.
const SLOT_TYPES: [u32; 4] = [6, 7, 1025, 1026];

/// For the place of each slot that of its symbol.
#[derive(Default)]
pub(super) struct Aliases(HashMap<u32, u32>);

impl Aliases {
    pub(super) fn read(layout: &Layout, window: &[u8]) -> Self {
        let mut aliases = Self::default();
        aliases.collect(layout, window).expect("BUG: memory cannot be read");
        aliases
    }

    /// The symbol that a slot stands for, or the place itself.
    pub(super) fn resolve(&self, place: u32) -> u32 {
        self.0.get(&place).copied().unwrap_or(place)
    }

    fn collect(&mut self, layout: &Layout, window: &[u8]) -> io::Result<()> {
        let source = Source::new(&window, 0..window.len() as u64);
        for (index, element) in (0..).zip(&layout.elements) {
            let Some(at) = layout.place_in_window(element.at).filter(|_| !element.is_relocatable()) else {
                continue;
            };
            let Some(header) = Header::read(&source, u64::from(at))? else { continue };
            let sections = header.sections(&source)?;
            for section in sections.iter().filter(|section| section.kind == KIND_RELOCATIONS) {
                let Some(symbols) = sections.get(section.link as usize) else { continue };
                for number in 0..section.bytes / RELOCATION_BYTES as u64 {
                    let at = section.at.saturating_add(number * RELOCATION_BYTES as u64);
                    let Some(entry) = source.get::<RELOCATION_BYTES>(at)? else { break };
                    let symbol = u64::from(short(&entry, 12)) * SYMBOL_BYTES as u64;
                    let symbol = u32::try_from(symbols.at.saturating_add(symbol));
                    let slot = layout.place_of(index, long(&entry, 0));
                    let is_slot = SLOT_TYPES.contains(&short(&entry, 8));
                    if let (Ok(symbol), Some(slot), true) = (symbol, slot, is_slot) {
                        self.0.insert(slot, symbol);
                    }
                }
            }
        }
        Ok(())
    }
}
