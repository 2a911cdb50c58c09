//! Large files are cut into windows, each with the part of the old file that it has most in common with.
//!
//! Both files are read once, in order. A place is sampled when a rolling hash of the 64 bytes before it begins with
//! enough zeros ("gear" hash: Xia et al., FastCDC, 2016), so that what is common to both files is sampled at the same
//! places wherever it lies. Few enough are kept for both files' samples to stay in some 40 MiB.

use std::io;
use std::ops::Range;

use crate::access::ReadAt;

use super::present::hash;

/// Neither part of a window is larger.
pub(crate) const WINDOW_BYTES_MAX: u64 = 256 << 20;
/// No more samples are kept of a file.
const SAMPLES_MAX: usize = 1 << 20;
/// One in two to the power of this many bytes is sampled at first.
const RARITY_MIN: u32 = 9;
/// Beyond this rarity samples say nothing: the file repeats itself.
const RARITY_MAX: u32 = 40;
/// Content that is in more places of the old file does not say where to look.
const PLACES_MAX: usize = 4;
/// A file is read so much at a time.
const READ_BYTES: usize = 1 << 20;
/// A cut is moved at most so far to fall between two files of an archive.
const CUT_SLACK: u64 = 16 << 20;
/// The unit of a tar archive, and what stands where in a header.
const TAR_BLOCK: u64 = 512;
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// A part of the new file and the part of the old one to make it from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// What to look in.
    pub(crate) old: Range<u64>,
    /// What to make.
    pub(crate) new: Range<u64>,
}

/// Cuts a pair of files into windows, which cover the new file in order.
///
/// # Errors
/// When one of the files cannot be read.
pub(crate) fn windows(old: &dyn ReadAt, new: &dyn ReadAt) -> io::Result<Vec<Window>> {
    cut(old, new, WINDOW_BYTES_MAX)
}

pub(super) fn cut(old: &dyn ReadAt, new: &dyn ReadAt, most: u64) -> io::Result<Vec<Window>> {
    let mut cuts = Cuts::new(new.size(), most);
    if old.size() <= most && cuts.count <= 1 {
        return Ok(cuts.parts().map(|new| Window { old: 0..old.size(), new }).collect());
    }
    let mut places = Samples::default();
    if old.size() > most {
        read(old, |block, at| places.take(block, at))?;
    }
    let places = Places::new(places);
    let mut samples = Samples { kept: Vec::new(), rarity: places.rarity, ..Samples::default() };
    read(new, |block, at| {
        cuts.look(block, at);
        samples.take(block, at);
    })?;
    let mut pairs: Vec<Pair> = samples.kept.iter().flat_map(|sample| places.pairs(sample)).collect();
    pairs.sort_unstable();
    let whole = old.size();
    Ok(cuts
        .parts()
        .map(|part| {
            let first = pairs.partition_point(|pair| pair.new < part.start);
            let after = pairs.partition_point(|pair| pair.new < part.end);
            Window { old: most_common(&pairs[first..after], &part, whole, most), new: part }
        })
        .collect())
}

/// Shows a file block by block, each with where it begins. Blocks begin at multiples of [`READ_BYTES`].
fn read(file: &dyn ReadAt, mut show: impl FnMut(&[u8], u64)) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    while at < file.size() {
        let left = usize::try_from(file.size() - at).unwrap_or(READ_BYTES).min(READ_BYTES);
        file.read_exact_at(&mut buffer[..left], at)?;
        show(&buffer[..left], at);
        at += left as u64;
    }
    Ok(())
}

/// The part of the old file, of at most so many bytes, in which the most pairs are.
fn most_common(pairs: &[Pair], part: &Range<u64>, whole: u64, most: u64) -> Range<u64> {
    let most = most.min(whole);
    let mut places: Vec<u64> = pairs.iter().map(|pair| pair.old).collect();
    places.sort_unstable();
    let (mut first, mut best) = (0, 0..0);
    for (last, place) in places.iter().enumerate() {
        while place - places[first] >= most {
            first += 1;
        }
        if last + 1 - first > best.len() {
            best = first..last + 1;
        }
    }
    // What is around the pairs may be common too; without any, what lies at the same place.
    let middle = match best.is_empty() {
        true => part.start.midpoint(part.end),
        false => places[best.start].midpoint(places[best.end - 1]),
    };
    let start = middle.saturating_sub(most / 2).min(whole - most);
    start..start + most
}

/// Where the new file is cut: in equal parts, or nearby between two files of an archive.
struct Cuts {
    size: u64,
    count: u64,
    slack: u64,
    /// The best so far for each cut.
    at: Vec<u64>,
    /// Whether it is between two files.
    between: Vec<bool>,
}

impl Cuts {
    fn new(size: u64, most: u64) -> Self {
        let count = size.div_ceil(most);
        let at: Vec<u64> = (1..count).map(|cut| even_cut(size, count, cut)).collect();
        let slack = (most - size.div_ceil(count.max(1))) / 2;
        Self { size, count, slack: slack.min(CUT_SLACK), between: vec![false; at.len()], at }
    }

    /// Looks for headers of an archive in a block.
    fn look(&mut self, block: &[u8], at: u64) {
        for cut in 1..self.count {
            let aim = even_cut(self.size, self.count, cut);
            let first = aim.saturating_sub(self.slack).max(at).next_multiple_of(TAR_BLOCK);
            let last = (aim + self.slack).min(at + block.len() as u64);
            let place = index(cut) - 1;
            for header in (first..last).step_by(index(TAR_BLOCK)) {
                let nearer = header.abs_diff(aim) < self.at[place].abs_diff(aim) || !self.between[place];
                if nearer && is_header(&block[index(header - at)..]) {
                    self.at[place] = header;
                    self.between[place] = true;
                }
            }
        }
    }

    fn parts(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = std::iter::once(0).chain(self.at.iter().copied());
        let ends = self.at.iter().copied().chain([self.size]);
        starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| start..end)
    }
}

fn even_cut(size: u64, count: u64, cut: u64) -> u64 {
    let place = u128::from(size) * u128::from(cut) / u128::from(count);
    u64::try_from(place).expect("BUG: a cut beyond the end")
}

/// A number that is within a block.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("BUG: a block beyond memory")
}

fn is_header(block: &[u8]) -> bool {
    let (at, magic) = TAR_MAGIC;
    block.get(at..at + magic.len()) == Some(magic)
}

/// Content that was sampled: its hash and where it ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sample {
    hash: u64,
    at: u64,
}

/// The samples of a file.
struct Samples {
    kept: Vec<Sample>,
    /// A hash begins with so many zeros to be kept.
    rarity: u32,
    rolling: u64,
    last: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self { kept: Vec::new(), rarity: RARITY_MIN, rolling: u64::MAX, last: u64::MAX }
    }
}

impl Samples {
    fn take(&mut self, block: &[u8], at: u64) {
        for (at, byte) in (at..).zip(block) {
            self.rolling = (self.rolling << 1).wrapping_add(GEAR[usize::from(*byte)]);
            // A long run of one byte has one hash all along.
            if self.rolling.leading_zeros() >= self.rarity && self.rolling != self.last {
                self.last = self.rolling;
                self.keep(Sample { hash: self.rolling, at });
            }
        }
    }

    fn keep(&mut self, sample: Sample) {
        self.kept.push(sample);
        while self.kept.len() >= SAMPLES_MAX {
            self.rarity += 1;
            let rarity = self.rarity;
            self.kept.retain(|sample| sample.hash.leading_zeros() >= rarity && rarity <= RARITY_MAX);
        }
    }
}

/// Where the content sampled is in the old file.
struct Places {
    by_hash: Vec<Sample>,
    rarity: u32,
}

impl Places {
    fn new(samples: Samples) -> Self {
        let mut by_hash = samples.kept;
        by_hash.sort_unstable();
        Self { by_hash, rarity: samples.rarity }
    }

    /// The sample of the new file with each place of the same content in the old one.
    fn pairs(&self, sample: &Sample) -> impl Iterator<Item = Pair> {
        let first = self.by_hash.partition_point(|place| place.hash < sample.hash);
        let same = self.by_hash[first..].iter().take_while(|place| place.hash == sample.hash);
        let known = same.clone().take(PLACES_MAX + 1).count() <= PLACES_MAX;
        let new = sample.at;
        same.filter(move |_| known).map(move |place| Pair { new, old: place.at })
    }
}

/// The same content in both files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    new: u64,
    old: u64,
}

/// A random number for each byte.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        gear[byte] = hash(0x6765_6172 + ((byte as u64) << 32));
        byte += 1;
    }
    gear
};
