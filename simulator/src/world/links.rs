//! Links between machines: latency, loss, duplication, partition.
//!
//! Latency has a fixed part for each pair and a varying part for each frame, so frames overtake each
//! other. There is no congestion here: bytes of releases are counted by `machine::transfer` alone.

use serde::{Deserialize, Serialize};

use crate::generator::Generator;
use crate::scenario::words::{Bytes, Micros, Permille, Written};

/// How links behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LinkLaw {
    /// Shortest one-way latency of a pair, in microseconds.
    #[serde(rename = "latency-min", with = "Written::<Micros>")]
    pub latency_min_micros: u64,
    /// Longest fixed one-way latency of a pair, in microseconds.
    #[serde(rename = "latency-max", with = "Written::<Micros>")]
    pub latency_max_micros: u64,
    /// The varying part goes up to this, in microseconds.
    #[serde(rename = "jitter", with = "Written::<Micros>")]
    pub jitter_micros: u64,
    /// Frames lost, of 1,000.
    #[serde(rename = "loss", with = "Written::<Permille>")]
    pub loss_permille: u32,
    /// Frames that arrive twice, of 1,000.
    #[serde(rename = "duplicates", with = "Written::<Permille>")]
    pub duplicate_permille: u32,
    /// Bytes of releases that a machine takes in each second.
    #[serde(rename = "bytes-per-second", with = "Written::<Bytes>")]
    pub bytes_per_second: u64,
}

impl Default for LinkLaw {
    /// A fleet over a few sites: 1 to 40 ms, 100 Mbit/s, nothing lost.
    fn default() -> Self {
        Self {
            latency_min_micros: 1_000,
            latency_max_micros: 40_000,
            jitter_micros: 5_000,
            loss_permille: 0,
            duplicate_permille: 2,
            bytes_per_second: 12_500_000,
        }
    }
}

/// The links of a run.
pub struct Links {
    law: LinkLaw,
    seed: Generator,
    weather: Generator,
    /// Each machine's side; machines of different sides cannot reach each other.
    sides: Vec<u8>,
}

impl Links {
    /// Links between `nodes` machines, all on one side.
    pub fn new(law: LinkLaw, nodes: usize, root: &Generator) -> Self {
        Self { law, seed: root.split("latency", 0), weather: root.split("weather", 0), sides: vec![0; nodes] }
    }

    /// How they behave.
    pub fn law(&self) -> &LinkLaw {
        &self.law
    }

    /// Whether frames can pass between two machines at all.
    pub fn connected(&self, one: u32, other: u32) -> bool {
        self.sides[one as usize] == self.sides[other as usize]
    }

    /// Which side a machine is on.
    pub fn side(&self, node: u32) -> u8 {
        self.sides[node as usize]
    }

    /// Puts a machine on a side.
    pub fn set_side(&mut self, node: u32, side: u8) {
        self.sides[node as usize] = side;
    }

    /// Lets everybody reach everybody.
    pub fn heal(&mut self) {
        self.sides.fill(0);
    }

    /// One-way latency of the next frame from one machine to another, in microseconds.
    pub fn latency_micros(&mut self, from: u32, to: u32) -> u64 {
        let (low, high) = (from.min(to), from.max(to));
        let pair = u64::from(low) << 32 | u64::from(high);
        let fixed =
            self.seed.split("pair", pair).between(self.law.latency_min_micros, self.law.latency_max_micros);
        fixed + self.weather.below(self.law.jitter_micros + 1)
    }

    /// How often the next frame arrives: 0, 1 or 2 times.
    pub fn copies(&mut self) -> u32 {
        if self.weather.chance(self.law.loss_permille) {
            return 0;
        }
        1 + u32::from(self.weather.chance(self.law.duplicate_permille))
    }
}
