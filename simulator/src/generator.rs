//! Randomness of a run: one seed, split per subject.
//!
//! A subject's stream depends on the seed and the subject's name alone, never on how many numbers
//! other subjects drew: adding a fault or a checker does not reshuffle the rest of the story.
//! Integers only, so that every machine draws the same.

/// A stream of numbers (SplitMix64: Steele, Lea, Flood, OOPSLA 2014), and the root of other streams.
#[derive(Clone, Debug)]
pub struct Generator {
    origin: u64,
    state: u64,
}

/// Numbers that were drawn together, of which mostly some are never looked at.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    before: u64,
}

impl Dice {
    /// The number that this is, counted from 0.
    pub fn die(self, place: u64) -> u64 {
        mix(self.before.wrapping_add(GOLDEN_GAMMA.wrapping_mul(place + 1)))
    }
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a number over all 64 bits; a bijection.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A quick 64-bit digest of bytes, continuing from `state`: for fingerprints and message ids, not for
/// anything that an adversary may attack.
pub(crate) fn fold(state: u64, bytes: &[u8]) -> u64 {
    let mut digest = state ^ (bytes.len() as u64).wrapping_mul(GOLDEN_GAMMA);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        digest = mix(digest ^ u64::from_le_bytes(word)).wrapping_add(GOLDEN_GAMMA);
    }
    digest
}

/// A quick 64-bit digest of a frame: one multiplication for 16 bytes. As little use against an adversary.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let blend = |one: u64, other: u64| {
        let wide = u128::from(one) * u128::from(other);
        let (high, low) = halves(wide);
        high ^ low
    };
    let mut state = (bytes.len() as u64).wrapping_mul(GOLDEN_GAMMA);
    let mut take_in = |words: [u8; 16]| {
        let (high, low) = halves(u128::from_le_bytes(words));
        state = blend(low ^ GOLDEN_GAMMA, high ^ state ^ 0x94d0_49bb_1331_11eb);
    };
    let (chunks, rest) = bytes.as_chunks();
    chunks.iter().copied().for_each(&mut take_in);
    if !rest.is_empty() {
        let mut words = [0; 16];
        words[..rest.len()].copy_from_slice(rest);
        take_in(words);
    }
    mix(state ^ GOLDEN_GAMMA)
}

/// The upper and the lower half.
fn halves(wide: u128) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, low @ ..] = wide.to_be_bytes();
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(low))
}

/// Hashes the fields of plain data into 64 bits, the same on every machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Folding(pub(crate) u64);

impl std::hash::Hasher for Folding {
    fn finish(&self) -> u64 {
        mix(self.0)
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0 ^ digest(bytes)).wrapping_add(GOLDEN_GAMMA);
    }
    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number).wrapping_add(GOLDEN_GAMMA);
    }
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
    // Which variant an enum is.
    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

impl Generator {
    /// The root stream of a seed.
    pub fn new(seed: u64) -> Self {
        let origin = mix(seed.wrapping_add(GOLDEN_GAMMA));
        Self { origin, state: origin }
    }

    /// The stream of a subject. Splitting twice by one name gives one stream twice.
    pub fn split(&self, subject: &str, number: u64) -> Self {
        let origin = mix(fold(self.origin, subject.as_bytes()) ^ mix(number.wrapping_add(GOLDEN_GAMMA)));
        Self { origin, state: origin }
    }

    /// The next number, from all of `u64`.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// The next so many numbers, each worked out when it is looked at.
    pub fn dice(&mut self, count: u64) -> Dice {
        let before = self.state;
        self.state = before.wrapping_add(GOLDEN_GAMMA.wrapping_mul(count));
        Dice { before }
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias is below 2^-32 for the bounds in use.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` up to and including `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `permille` of 1,000 draws.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// A place in a list of `length`; 0 for an empty one.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// Puts a list into a random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.place(last + 1);
            list.swap(last, other);
        }
    }

    /// 32 bytes: for keys and entropy.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_does_not_depend_on_what_others_drew() {
        let mut root = Generator::new(7);
        let before = root.split("links", 3).draw();
        for _ in 0..100 {
            root.draw();
        }
        assert_eq!(before, root.split("links", 3).draw());
        assert_ne!(before, root.split("links", 4).draw());
        assert_ne!(before, root.split("disks", 3).draw());
    }

    #[test]
    fn numbers_stay_below_their_bound_and_fill_it() {
        let mut generator = Generator::new(1);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[generator.place(10)] = true;
        }
        assert!(seen.iter().all(|s| *s));
        assert_eq!(generator.below(0), 0);
    }
}
