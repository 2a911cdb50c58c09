//! Which rare branches of the core the stories of CI reach.

use std::collections::BTreeMap;

use groundswell_protocol::marks::{self, Mark};

use super::{play, stories};
use crate::scenario::{Scenario, catalogue};

/// Machines of the stories with names.
const NODES: u32 = 7;

/// Where each mark was reached first: the story's name, and the seed.
pub type Reached = BTreeMap<Mark, (String, u64)>;

/// The seeds of CI, beside the stories with names: `swell-exam --marks 300` says which are worth a place.
pub const SEEDS: [u64; 24] =
    [1, 3, 4, 6, 11, 14, 18, 19, 20, 21, 26, 29, 35, 40, 42, 60, 64, 79, 108, 146, 161, 335, 813, 980];

/// Plays every story with a name and the stories of these seeds, until every mark is reached.
pub fn survey(seeds: impl IntoIterator<Item = u64>) -> Reached {
    let mut reached = Reached::new();
    let named = catalogue::names()
        .into_iter()
        .filter_map(|name| Some((catalogue::find(name, Some(NODES))?.ok()?, 1)));
    let drawn = seeds.into_iter().map(|seed| (stories::story(seed), seed));
    for (story, seed) in named.chain(drawn) {
        if reached.len() == Mark::ALL.len() {
            break;
        }
        note(&mut reached, &story, seed);
    }
    reached
}

fn note(reached: &mut Reached, story: &Scenario, seed: u64) {
    let name = story.name.clone();
    let (_, marks) = marks::collect(|| play(None, story, seed));
    for mark in marks {
        reached.entry(mark).or_insert_with(|| (name.clone(), seed));
    }
}

/// The marks that were not reached, each with its file and what it means.
pub fn unreached(reached: &Reached) -> Vec<String> {
    let missing = Mark::ALL.iter().filter(|mark| !reached.contains_key(mark));
    missing.map(|mark| format!("{} (protocol/src/{}): {}", mark.name(), mark.file(), mark.means())).collect()
}
