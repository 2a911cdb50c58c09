//! The few old files that together have most of a new one.

use std::collections::BTreeMap;

use crate::limits::SOURCES_MAX;

use super::marks::Hit;

/// A further source must have at least this part of the new file that the others have not,
const GAIN_PART: u64 = 64;
/// and at least so many bytes.
const GAIN_BYTES_MIN: u64 = 256;
/// The file at the same path is taken to have this part more of what it has: samples are not exact.
const SAME_PATH_PART: u64 = 16;

/// Old files, the best first, and how many bytes of the new one they are thought to have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cover {
    pub(super) sources: Vec<u32>,
    pub(super) bytes: u64,
}

/// Takes the file that has most, then the one that has most of what is left, and so on.
pub(super) fn cover(
    mut hits: Vec<Hit>,
    bytes: u64,
    same_path: Option<u32>,
    admits: &dyn Fn(u32) -> bool,
) -> Cover {
    let least = (bytes / GAIN_PART).max(GAIN_BYTES_MIN.min(bytes / 2));
    let mut cover = Cover::default();
    while cover.sources.len() < SOURCES_MAX {
        let Some((best, gain)) = best(&hits, same_path, admits) else { break };
        if gain < least {
            break;
        }
        cover.sources.push(best);
        cover.bytes += gain;
        hits.retain(|hit| hit.places.iter().all(|place| place.entry != best));
    }
    cover
}

/// The file with most bytes, and their number; among equals the one at the same path, then the first.
fn best(hits: &[Hit], same_path: Option<u32>, admits: &dyn Fn(u32) -> bool) -> Option<(u32, u64)> {
    let mut sums = BTreeMap::new();
    for place in hits.iter().flat_map(|hit| &hit.places) {
        *sums.entry(place.entry).or_insert(0) += place.bytes;
    }
    let worth = |entry: u32, bytes: u64| {
        let same = same_path == Some(entry);
        (if same { bytes + bytes / SAME_PATH_PART } else { bytes }, same)
    };
    let admitted = sums.into_iter().filter(|(entry, _)| admits(*entry));
    admitted.min_by_key(|(entry, bytes)| (std::cmp::Reverse(worth(*entry, *bytes)), *entry))
}

#[cfg(test)]
mod tests {
    use super::super::marks::Place;
    use super::*;

    fn hits(groups: &[(usize, &[u32])]) -> Vec<Hit> {
        let hit = |entries: &&[u32]| Hit {
            places: entries.iter().map(|entry| Place { entry: *entry, bytes: 10 }).collect(),
        };
        groups.iter().flat_map(|(count, entries)| (0..*count).map(move |_| hit(entries))).collect()
    }

    #[test]
    fn each_source_has_most_of_what_the_others_have_not() {
        let all = hits(&[(50, &[1, 2]), (30, &[1]), (40, &[3]), (1, &[4])]);
        let found = cover(all, 1500, None, &|_| true);
        assert_eq!(found, Cover { sources: vec![1, 3], bytes: 1200 });
    }

    #[test]
    fn what_is_not_admitted_is_no_source() {
        let found = cover(hits(&[(50, &[1, 2])]), 500, None, &|entry| entry != 1);
        assert_eq!(found.sources, [2]);
    }

    #[test]
    fn the_same_path_wins_a_tie_and_loses_to_content() {
        assert_eq!(cover(hits(&[(50, &[1, 2])]), 500, Some(2), &|_| true).sources, [2]);
        let better = hits(&[(60, &[1]), (40, &[1, 2])]);
        assert_eq!(cover(better, 1000, Some(2), &|_| true).sources, [1]);
    }
}
