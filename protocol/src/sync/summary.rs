//! Summaries: registers as short entries, in pages that each stand for a range of keys.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::bounds::SUMMARY_ENTRIES_MAX;
use crate::digest::first_number;
use crate::facts::{Fact, Registers};
use crate::wire::frame::Entry;

/// A fact as a summary names it.
pub fn entry(fact: &Fact) -> Entry {
    Entry { key: fact.short, rank: fact.rank, id: first_number(&fact.id.0) }
}

/// One page of a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Lowest key that the page speaks for.
    pub first: u64,
    /// Highest key that the page speaks for.
    pub last: u64,
    /// Every register in that range.
    pub entries: Vec<Entry>,
}

/// What this node holds of a range of keys, as a summary names it, by key and name. Two registers that share a key stand
/// side by side.
fn held<'a>(registers: &'a Registers, keys: &RangeInclusive<u64>) -> Vec<(Entry, &'a Arc<Fact>)> {
    let here = registers.synced().filter(|fact| keys.contains(&fact.short));
    let mut held: Vec<_> = here.map(|fact| (entry(fact), fact)).collect();
    held.sort_unstable_by_key(|(entry, _)| (entry.key, entry.id));
    held
}

/// The summary of all registers that syncs carry. The pages' ranges cover all keys.
pub fn pages(registers: &Registers) -> Vec<Page> {
    let entries: Vec<Entry> = held(registers, &(0..=u64::MAX)).into_iter().map(|(entry, _)| entry).collect();
    let mut pages: Vec<Page> = entries
        .chunks(SUMMARY_ENTRIES_MAX)
        .map(|chunk| {
            let mut entries = chunk.to_vec();
            entries.sort_unstable();
            Page { first: 0, last: 0, entries }
        })
        .collect();
    if pages.is_empty() {
        pages.push(Page { first: 0, last: 0, entries: Vec::new() });
    }
    let mut first = 0;
    let starts: Vec<Option<u64>> =
        pages.iter().skip(1).map(|page| page.entries.first().map(|e| e.key)).chain([None]).collect();
    for (page, next) in pages.iter_mut().zip(starts) {
        page.first = first;
        page.last = match next {
            Some(key) => key.saturating_sub(1).max(page.entries.last().map_or(first, |e| e.key)),
            None => u64::MAX,
        };
        first = page.last.saturating_add(1);
    }
    pages
}

/// What a page of a peer calls for.
#[derive(Debug, Default)]
pub struct Difference {
    /// Keys that the peer has greater, or other bytes of.
    pub wanted: Vec<u64>,
    /// Facts that this node has greater, or other bytes of, by key.
    pub surplus: Vec<Arc<Fact>>,
}

/// Compares a peer's page with the registers of its range; costs as much as the page and all registers are long.
pub fn compare(registers: &Registers, keys: RangeInclusive<u64>, entries: &[Entry]) -> Difference {
    let mut entries = Cow::Borrowed(entries);
    if !entries.is_sorted() {
        entries.to_mut().sort_unstable();
    }
    let mine = held(registers, &keys);
    let mut difference = Difference::default();
    let mut from = 0;
    for theirs in entries.iter() {
        from += mine[from..].iter().take_while(|(own, _)| own.key < theirs.key).count();
        let held = || mine[from..].iter().map(|(own, _)| own).take_while(|own| own.key == theirs.key);
        let same = held().any(|own| own == theirs);
        let behind = held().all(|own| own.rank <= theirs.rank);
        if !same && behind && difference.wanted.last() != Some(&theirs.key) {
            difference.wanted.push(theirs.key);
        }
    }
    let mut from = 0;
    for (own, fact) in &mine {
        from += entries[from..].iter().take_while(|theirs| theirs.key < own.key).count();
        let theirs = || entries[from..].iter().take_while(|theirs| theirs.key == own.key);
        let same = theirs().any(|theirs| theirs == own);
        let ahead = theirs().all(|theirs| theirs.rank <= own.rank);
        if !same && ahead {
            difference.surplus.push(Arc::clone(fact));
        }
    }
    difference.surplus.sort_by(|a, b| a.key.cmp(&b.key));
    difference
}

/// The facts of these short keys, each once, in the order of their full keys.
pub fn facts_of(registers: &Registers, keys: &[u64]) -> Vec<Arc<Fact>> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let mut facts: Vec<Arc<Fact>> =
        registers.synced().filter(|fact| keys.binary_search(&fact.short).is_ok()).map(Arc::clone).collect();
    facts.sort_by(|a, b| a.key.cmp(&b.key));
    facts
}
