//! What fuzzers begin with: a few inputs for each entry, small and of every kind. `examples/seeds.rs` writes them.

use super::pairs::KINDS;
use super::script::{choices, sample};
use crate::access::{ReadAt, load};
use crate::codec::{self, Strength};
use crate::forms::container::{Options, open};
use crate::memory::Memory;
use crate::scan;

/// Seeds for an entry, by its name.
#[must_use]
pub fn seeds(entry: &str) -> Vec<Vec<u8>> {
    match entry {
        "body" => kinds().filter_map(body).collect(),
        "changed_delta" => (0..8).map(|which| [&[which % 4, which][..], &steps(which)].concat()).collect(),
        "changed_patch" => kinds().map(|which| [&[which, 0][..], &steps(which)].concat()).collect(),
        "chunks" => (0..4).map(cuttable).collect(),
        "containers" => {
            let edited = |which| [&[which][..], &part(&[]), &steps(which)].concat();
            kinds().map(edited).chain(kinds().map(|which| vec![which])).collect()
        }
        "delta_parts" => (0..4).map(|which| [&[which][..], &part(&PLAN), b"body"].concat()).collect(),
        "references" => kinds().map(|which| [&[which][..], &part(&steps(which)), &LAYOUT].concat()).collect(),
        "round_trip" => kinds().map(round_trip).collect(),
        "round_trip_edited" => {
            let edited = |which| [&[which, which / 2][..], &part(&steps(which)), &steps(!which)].concat();
            kinds().map(edited).collect()
        }
        "round_trip_pair" => kinds().map(|which| [&[which][..], &choices(which.into())].concat()).collect(),
        "shells" => kinds().filter_map(shells).collect(),
        "streams" => (0..6).map(stream).collect(),
        "tree" => (0..3).map(tree).collect(),
        "windows" => kinds().map(window).collect(),
        _ => Vec::new(),
    }
}

/// One whole group of one file, entry 0; one patch of entry 1 from entry 1.
const PLAN: [u8; 11] = [2, 1, 1, 0, 4, 0, 1, 2, 1, 2, 0];
/// A place in the window, then the layout of one ELF file with one segment.
const LAYOUT: [u8; 9] = [0, 1, 0, 2, 1, 0, 8, 2, 2];

fn kinds() -> impl Iterator<Item = u8> {
    (0_u8..).take(2 * KINDS.len())
}

/// A stretch after its length.
fn part(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("BUG: seeds are small");
    [&length.to_le_bytes()[..], bytes].concat()
}

/// A script of three changes.
fn steps(which: u8) -> Vec<u8> {
    choices(usize::from(which) + 1000).into_iter().take(12).collect()
}

/// The body of a sample's patch, without header.
fn body(which: u8) -> Option<Vec<u8>> {
    const HEADER_BYTES: usize = 4 + 1 + 16 + 32;
    let sample = sample(which);
    let number = |number: usize| if number < 128 { 1 } else { 2 + usize::from(number >= 1 << 14) };
    let header = HEADER_BYTES + number(sample.pair.old.len()) + number(sample.pair.new.len());
    let body = sample.patch.get(header..)?;
    let [a, b, c, ..] = sample.pair.new.len().to_le_bytes();
    (body.len() < 6000).then(|| [&[which, a, b, c][..], body].concat())
}

fn round_trip(which: u8) -> Vec<u8> {
    let pair = &sample(which).pair;
    let some = |bytes: &[u8]| bytes[..bytes.len().min(3000)].to_vec();
    [vec![which], part(&some(&pair.old)), some(&pair.new)].concat()
}

/// A window of two regions with a difference and literals.
fn window(which: u8) -> Vec<u8> {
    let layout = if which % 2 == 1 { part(&[]) } else { Vec::new() };
    let streams: [&[u8]; 8] = [&[100, 20], &[5, 7], &[16, 1], &[60], &[30], &[2], &[1, 255], &[9; 12]];
    let streams: Vec<u8> = streams.into_iter().flat_map(part).collect();
    [&[which, 132, 0, 2 * (which % 2), 0][..], &layout, &streams].concat()
}

/// The shells of a sample's old file, and what it holds.
fn shells(which: u8) -> Option<Vec<u8>> {
    let pair = &sample(which).pair;
    let options = Options { plain_bytes_max: 1 << 20, memory_bytes_max: 64 << 20 };
    let (old, _) = open(&pair.old, &pair.new, options).expect("what is opened can be held")?;
    let mut out = vec![which];
    old.chain.put(&mut out);
    let plain = load(&old.plain, 0..old.plain.size().min(3000)).expect("what is held can be read");
    out.extend(plain);
    Some(out)
}

fn stream(which: u8) -> Vec<u8> {
    let raw = &sample(which).pair.new;
    let strength = if which.is_multiple_of(2) { Strength::Fast } else { Strength::Best };
    let primer = sample(which).pair.old.get(..64).unwrap_or_default();
    let mut out = vec![which, 8];
    codec::pack(&raw[..raw.len().min(1500)], primer, 20, strength).expect("memory").write(&mut out);
    out
}

fn tree(which: u8) -> Vec<u8> {
    let mut files = Memory::default();
    for part in 0..which {
        let content = &sample(which + part).pair.old;
        files = files.with(&format!("lib/{part}/file"), content.clone());
        files = files.with_link(&format!("link-{part}"), "lib/0");
    }
    scan(&files).expect("memory").encode()
}

fn cuttable(which: u8) -> Vec<u8> {
    let noise = choices(usize::from(which));
    [&[which * 3, 200][..], &part(&noise), &[255], &part(&noise[..usize::from(which)])].concat()
}
