//! Randomness that is handed in: used for jitter and the choice of sync partners, never for a verdict.

/// 32 bytes that no other start of any node shares.
#[derive(Clone, Copy)]
pub struct Entropy(pub [u8; 32]);

/// A small integer generator (SplitMix64; Steele, Lea, Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// A generator for one purpose, so that one purpose's draws leave the others' unmoved.
    pub fn new(entropy: &Entropy, purpose: &str) -> Self {
        let digest = crate::digest::Digest::of_parts(purpose, &[&entropy.0]);
        let mut seed = [0; 8];
        seed.copy_from_slice(&digest.0[..8]);
        Self(u64::from_le_bytes(seed))
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.draw()) * u128::from(bound)) >> 64).unwrap_or(0)
    }
}
