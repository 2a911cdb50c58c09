//! The cheapest way along the diagonals that were found.
//!
//! The scan looks at two diagonals at a time and counts bytes that agree. What a patch costs is another matter: a
//! region has its price whatever its length, a wrong byte costs more than one that is sent as it is. Here all
//! regions are weighed at once. At each byte of the new file one may be on any diagonal of the regions nearby, or on
//! none, and the cheapest way to get there is kept for each (Viterbi's algorithm). So regions are dropped, joined,
//! lengthened and cut wherever that pays, and the result is never dearer than what was given.

use super::Region;
use super::agree::{common, differing};

/// So many regions before and after the one at a byte lend their diagonals.
const NEARBY: usize = 6;
/// No more diagonals are followed at once.
const FOLLOWED_MAX: usize = 20;
/// An agreeing stretch of this length is passed at once.
const STRETCH_BYTES: usize = 16;

/// What things cost in a patch, in some unit; a bit or so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prices {
    /// A region, whatever its length.
    pub(crate) region: u32,
    /// A byte in a region that differs from the old file's.
    pub(crate) wrong: u32,
    /// A byte in no region.
    pub(crate) literal: u32,
}

impl Default for Prices {
    fn default() -> Self {
        Self { region: 100, wrong: 10, literal: 6 }
    }
}

/// The cheapest regions on the diagonals given. Regions are in the new file's order and do not overlap there.
pub(crate) fn clean(old: &[u8], new: &[u8], regions: &[Region], prices: &Prices) -> Vec<Region> {
    let mut ways = Ways {
        old,
        new,
        prices: *prices,
        at: 0,
        open: vec![Way { diagonal: None, cost: 0, start: 0, before: NOWHERE, kept: NOWHERE }],
        kept: Vec::new(),
    };
    for index in 0..=regions.len() {
        // From here to the next region's beginning.
        let here = index.saturating_sub(1);
        let nearby = &regions[here.saturating_sub(NEARBY)..(index + NEARBY).min(regions.len())];
        ways.follow(nearby);
        ways.advance(regions.get(index).map_or(new.len(), |region| region.new as usize));
    }
    ways.finish()
}

/// The price of regions.
#[cfg(test)]
pub(super) fn price(old: &[u8], new: &[u8], regions: &[Region], prices: &Prices) -> u64 {
    let mut literals = new.len();
    let mut wrong = 0;
    for region in regions {
        let (from, at, bytes) = (region.old as usize, region.new as usize, region.bytes as usize);
        literals -= bytes;
        wrong += differing(&old[from..from + bytes], &new[at..at + bytes]);
    }
    regions.len() as u64 * u64::from(prices.region)
        + wrong as u64 * u64::from(prices.wrong)
        + literals as u64 * u64::from(prices.literal)
}

/// No step is kept.
const NOWHERE: u32 = u32::MAX;

/// The cheapest way to the byte at hand that ends on one diagonal.
#[derive(Clone, Copy)]
struct Way {
    /// None: in no region.
    diagonal: Option<isize>,
    cost: u64,
    /// Since where it has been on the diagonal.
    start: usize,
    /// The step before that.
    before: u32,
    /// The step on this diagonal, once another way needs it.
    kept: u32,
}

/// A stretch on one diagonal, up to the start of the step after it.
struct Step {
    diagonal: Option<isize>,
    start: usize,
    before: u32,
}

struct Ways<'a> {
    old: &'a [u8],
    new: &'a [u8],
    prices: Prices,
    /// The byte of the new file that comes next.
    at: usize,
    /// The first is that in no region.
    open: Vec<Way>,
    kept: Vec<Step>,
}

impl<'a> Ways<'a> {
    /// Sees to it that the diagonals of these regions are followed, and forgets others that are not worth it.
    fn follow(&mut self, nearby: &[Region]) {
        let ceiling = self.ceiling();
        // The others go on from the cheapest: it stays whatever it is.
        let cheapest = self.open[self.cheapest()].diagonal;
        let wanted = |diagonal: isize| nearby.iter().any(|region| region.diagonal() == diagonal);
        let room = FOLLOWED_MAX - nearby.len();
        let mut others = 0;
        self.open.retain(|way| {
            let Some(diagonal) = way.diagonal else { return true };
            if wanted(diagonal) || way.diagonal == cheapest {
                return true;
            }
            others += 1;
            way.cost < ceiling && others <= room
        });
        for region in nearby {
            let diagonal = Some(region.diagonal());
            if self.open.iter().all(|way| way.diagonal != diagonal) {
                let cheapest = self.cheapest();
                let before = self.keep(cheapest);
                self.open.push(Way { diagonal, cost: ceiling, start: self.at, before, kept: NOWHERE });
            }
        }
    }

    fn cheapest(&self) -> usize {
        let mut cheapest = 0;
        for (index, way) in self.open.iter().enumerate() {
            if way.cost < self.open[cheapest].cost || (way.cost == self.open[cheapest].cost && cheapest == 0)
            {
                cheapest = index;
            }
        }
        cheapest
    }

    /// What it costs to begin a region here.
    fn ceiling(&self) -> u64 {
        self.open[self.cheapest()].cost + u64::from(self.prices.region)
    }

    /// Keeps the step that a way is in, so that others can go on from it.
    fn keep(&mut self, index: usize) -> u32 {
        let way = &mut self.open[index];
        if way.kept == NOWHERE {
            way.kept = u32::try_from(self.kept.len()).expect("BUG: more steps than bytes");
            self.kept.push(Step { diagonal: way.diagonal, start: way.start, before: way.before });
        }
        way.kept
    }

    fn advance(&mut self, end: usize) {
        while self.at < end {
            let cheapest = self.cheapest();
            if let Some(diagonal) = self.open[cheapest].diagonal {
                let run = common(beneath(self.old, self.at, diagonal), &self.new[self.at..end]);
                if run >= STRETCH_BYTES {
                    self.pass(run);
                    continue;
                }
            }
            self.pass(1);
        }
    }

    /// Goes on by so many bytes: one, or a stretch in which the cheapest way has none wrong.
    fn pass(&mut self, bytes: usize) {
        let ceiling = self.ceiling();
        let cheapest = self.cheapest();
        let new = &self.new[self.at..self.at + bytes];
        for (index, way) in self.open.iter_mut().enumerate() {
            let each = match way.diagonal {
                None => Some(bytes as u64 * u64::from(self.prices.literal)),
                // It could as well begin after the stretch.
                Some(_) if way.cost >= ceiling && bytes > 1 && index != cheapest => None,
                Some(diagonal) => beneath(self.old, self.at, diagonal)
                    .get(..bytes)
                    .map(|old| differing(old, new) as u64 * u64::from(self.prices.wrong)),
            };
            way.cost = each.map_or(u64::MAX, |each| way.cost.saturating_add(each));
        }
        self.at += bytes;
        self.level();
    }

    /// Where changing over from the cheapest way costs no more than a way did, it begins anew here.
    fn level(&mut self) {
        let cheapest = self.cheapest();
        let least = self.open[cheapest].cost;
        for index in 0..self.open.len() {
            let way = &self.open[index];
            let ceiling = least + way.diagonal.map_or(0, |_| u64::from(self.prices.region));
            if way.cost > ceiling {
                let diagonal = way.diagonal;
                let before = self.keep(cheapest);
                self.open[index] = Way { diagonal, cost: ceiling, start: self.at, before, kept: NOWHERE };
            }
        }
    }

    fn finish(mut self) -> Vec<Region> {
        let cheapest = self.cheapest();
        let mut step = self.keep(cheapest);
        let mut end = self.new.len();
        let mut regions = Vec::new();
        while let Some(Step { diagonal, start, before }) = self.kept.get(step as usize) {
            if let Some(diagonal) = diagonal
                && *start < end
            {
                regions.push(region(*start, end, *diagonal));
            }
            (end, step) = (*start, *before);
        }
        regions.reverse();
        regions
    }
}

/// The old file from below a place of the new one on; empty where there is nothing.
fn beneath(old: &[u8], at: usize, diagonal: isize) -> &[u8] {
    at.checked_add_signed(diagonal).and_then(|at| old.get(at..)).unwrap_or_default()
}

fn region(start: usize, end: usize, diagonal: isize) -> Region {
    let short = |number: usize| u32::try_from(number).expect("BUG: a file of 4 GiB or more to match");
    Region { old: short(start.strict_add_signed(diagonal)), new: short(start), bytes: short(end - start) }
}
