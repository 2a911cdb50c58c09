//! How fast streams are cut, and how much of a new version is found again in the chunks of the old one:
//! `cargo bench -p groundswell-delta --bench chunking -- OLD NEW [OLD NEW ...]`.
//!
//! Compares [`chunks`] with FastCDC as its library has it, at each of its levels, in one run. Sizes are scaled until chunks are
//! as long on average as ours: shorter ones are always found more often. Seconds are of the processor, not
//! of the clock on the wall.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;

use fastcdc::v2020::{FastCDC, Normalization};
use groundswell_delta::{CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, chunks};

/// The scale at which sizes are as ours are.
const AS_OURS: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if paths.is_empty() || !paths.len().is_multiple_of(2) {
        println!("usage: cargo bench -p groundswell-delta --bench chunking -- OLD NEW [OLD NEW ...]");
        return Ok(());
    }
    for pair in paths.chunks(2) {
        let [old, new] = pair else { continue };
        println!("\n{old} -> {new}");
        let (old, new) = (std::fs::read(old)?, std::fs::read(new)?);
        speed(&new)?;
        found_again(&old, &new)?;
    }
    Ok(())
}

fn speed(stream: &[u8]) -> Result<(), Box<dyn Error>> {
    let gigabytes = stream.len() as f64 / 1e9;
    let hash = seconds(|| blake3::hash(stream).as_bytes().len())?;
    let library = seconds(|| library(stream, AS_OURS, Normalization::Level1).len())?;
    let ours = seconds(|| chunks(stream).count())?;
    for (name, seconds) in [
        ("BLAKE3 alone", hash),
        ("FastCDC, cut in memory", library),
        ("ours, read, cut and named", ours),
        ("ours without the names", ours - hash),
    ] {
        println!("  {name:<28} {:6.2} GB/s ({:.2} x FastCDC)", gigabytes / seconds, library / seconds);
    }
    Ok(())
}

/// The least of a few times.
fn seconds(work: impl Fn() -> usize) -> Result<f64, Box<dyn Error>> {
    const TIMES: usize = 7;
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let begin = processor_seconds()?;
        std::hint::black_box(work());
        best = best.min(processor_seconds()? - begin);
    }
    Ok(best)
}

/// What this thread has used.
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = text.split_whitespace().next().unwrap_or("0").parse()?;
    Ok(nanoseconds as f64 / 1e9)
}

fn found_again(old: &[u8], new: &[u8]) -> Result<(), Box<dyn Error>> {
    let of = |stream| chunks(stream).map(|chunk| Ok(chunk?.bytes.len())).collect::<io::Result<Vec<_>>>();
    let ours = Found::of(old, &of(old)?, new, &of(new)?);
    ours.print("ours", &ours);
    for (name, level) in [
        ("FastCDC, level 0", Normalization::Level0),
        ("FastCDC, level 1", Normalization::Level1),
        ("FastCDC, level 2", Normalization::Level2),
        ("FastCDC, level 3", Normalization::Level3),
    ] {
        let scale = scale_to(new, ours.mean, level);
        Found::of(old, &library(old, scale, level), new, &library(new, scale, level)).print(name, &ours);
    }
    Ok(())
}

/// The scale of all sizes at which the library's chunks come closest to a mean size.
fn scale_to(stream: &[u8], mean: f64, level: Normalization) -> usize {
    let off = |scale: &usize| {
        let found = stream.len() as f64 / library(stream, *scale, level).len() as f64;
        (found / mean).ln().abs()
    };
    let scales = AS_OURS / 2..=AS_OURS * 2;
    scales.min_by(|one, other| off(one).total_cmp(&off(other))).unwrap_or(AS_OURS)
}

/// The library's cuts, all sizes scaled.
fn library(stream: &[u8], scale: usize, level: Normalization) -> Vec<usize> {
    // The library wants even sizes.
    let size = |bytes: usize| bytes / (2 * AS_OURS) * scale * 2;
    let (min, average, max) = (size(CHUNK_BYTES_MIN), size(CHUNK_BYTES_AVERAGE), size(CHUNK_BYTES_MAX));
    FastCDC::with_level(stream, min, average, max, level).map(|chunk| chunk.length).collect()
}

/// How much of a new version is in chunks of the old one.
struct Found {
    mean: f64,
    share: f64,
    missing: usize,
}

impl Found {
    fn of(old: &[u8], old_cuts: &[usize], new: &[u8], new_cuts: &[usize]) -> Self {
        let held: BTreeSet<[u8; 32]> = pieces(old, old_cuts).map(name).collect();
        let missing =
            pieces(new, new_cuts).filter(|chunk| !held.contains(&name(chunk))).map(<[u8]>::len).sum();
        Self {
            mean: new.len() as f64 / new_cuts.len() as f64,
            share: 1.0 - missing as f64 / new.len() as f64,
            missing,
        }
    }

    fn print(&self, name: &str, ours: &Self) {
        let ratio = self.missing as f64 / ours.missing as f64;
        println!(
            "  {name:<28} mean {:>6.0}, found again {:>5.1} %, to fetch {:>11} ({ratio:.3} x ours)",
            self.mean,
            100.0 * self.share,
            self.missing
        );
    }
}

fn pieces<'a>(stream: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = stream;
    cuts.iter().map(move |length| {
        let (piece, after) = rest.split_at(*length);
        rest = after;
        piece
    })
}

fn name(chunk: &[u8]) -> [u8; 32] {
    *blake3::hash(chunk).as_bytes()
}
