//! Machines that run different versions and get the same one: each by the cheapest way that it has.

use std::collections::BTreeSet;

use groundswell_agent::demo::publisher::Draft;
use groundswell_agent::release::directory::ReleaseDirectory;
use groundswell_delta::chunks;
use groundswell_tests::field::{Field, PAYLOAD_BYTES};
use groundswell_tests::trees;

/// Versions that some machine runs when the last one comes; that has deltas from the later two of them.
const BASES: [&str; 4] = ["1.0", "2.0", "3.0", "4.0"];
const WITH_DELTAS: [&str; 2] = ["3.0", "4.0"];
const NEWEST: &str = BASES[3];
const LAST: &str = "5.0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_on_four_versions_and_one_on_none_each_fetch_what_their_own_cheapest_way_takes() {
    // With three of them away the others are still as many as a jury needs.
    let mut field = Field::start(9).await;
    let mut running = field.everybody();
    let mut releases: Vec<ReleaseDirectory> = Vec::new();
    let mut stayed: Vec<(usize, Option<&str>)> = Vec::new();
    for (sequence, version) in (1..).zip(BASES) {
        let from = releases.last().map(|release| release.path().to_owned()).into_iter().collect();
        let release = field.build(Draft { from, ..field.draft(version, sequence) }).await;
        field.publish(&release, 0).await;
        field.confirmed(version, &running).await;
        releases.push(release);
        if version != NEWEST {
            let stays = running.pop().expect("somebody");
            field.fleet.machine(stays).kill();
            stayed.push((stays, Some(version)));
        }
    }
    let from = releases[2..].iter().map(|release| release.path().to_owned()).collect();
    let last = field.build(Draft { from, ..field.draft(LAST, 5) }).await;
    let before = downloaded(&field, running[1]).await;
    field.publish(&last, 0).await;
    // Who comes back before that takes what is done by then, and this one afterwards.
    field.confirmed(LAST, &running).await;
    for (place, _) in &stayed {
        field.fleet.start(*place).expect("started again");
    }
    stayed.push((field.join("n10").await, None));
    field.confirmed(LAST, &field.everybody()).await;

    stayed.push((running[1], Some(NEWEST)));
    for (place, version) in stayed {
        let earlier = if version == Some(NEWEST) { before } else { 0 };
        let fetched = downloaded(&field, place).await - earlier;
        let cheapest = cheapest(&last, version);
        assert!(fetched > 0 && fetched <= cheapest * 105 / 100, "{version:?}: {fetched} of {cheapest}");
    }
}

async fn downloaded(field: &Field, place: usize) -> u64 {
    field.status(place).await.expect("an agent").counters.downloaded_bytes
}

/// Bytes of the delta from `version`, or of the index and of the chunks that `version`, or nothing, has not.
fn cheapest(last: &ReleaseDirectory, version: Option<&str>) -> u64 {
    let manifest = last.manifest();
    match WITH_DELTAS.iter().position(|base| Some(*base) == version) {
        Some(delta) => manifest.deltas[delta].bytes,
        None => manifest.index_bytes + missing_chunk_bytes(version),
    }
}

fn missing_chunk_bytes(version: Option<&str>) -> u64 {
    let files = |version: &str| [version.as_bytes().to_vec(), trees::payload(version, PAYLOAD_BYTES)];
    let of = |version: &str| {
        files(version).into_iter().flat_map(|file| {
            let cut: Vec<_> = chunks(&file[..]).map(|chunk| chunk.expect("memory can be read")).collect();
            cut
        })
    };
    let held: BTreeSet<[u8; 32]> =
        version.into_iter().flat_map(of).map(|chunk| *chunk.digest.as_bytes()).collect();
    of(LAST)
        .filter(|chunk| !held.contains(chunk.digest.as_bytes()))
        .map(|chunk| chunk.bytes.len() as u64)
        .sum()
}
