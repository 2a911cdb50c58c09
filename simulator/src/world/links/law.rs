//! How links behave, as scenarios say it.

use serde::{Deserialize, Serialize};

use crate::scenario::words::{Bytes, Maybe, Micros, Permille, Written};

/// How links behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LinkLaw {
    /// Shortest one-way latency of a pair, in microseconds.
    #[serde(rename = "latency-min", with = "Written::<Micros>")]
    pub latency_min_micros: u64,
    /// Longest fixed one-way latency of a pair, in microseconds.
    #[serde(rename = "latency-max", with = "Written::<Micros>")]
    pub latency_max_micros: u64,
    /// What the way from one zone (row) to another (column) adds to this; none: all zones are one place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distances: Vec<Vec<Distance>>,
    /// The varying part goes up to this, in microseconds.
    #[serde(rename = "jitter", with = "Written::<Micros>")]
    pub jitter_micros: u64,
    /// What a gossiped frame waits at a machine before it is passed on: until the agent comes to it and the core has
    /// judged it. Whoever sends the machine a copy meanwhile is sent none. On average, in microseconds.
    #[serde(rename = "judging", with = "Written::<Micros>", skip_serializing_if = "is_zero")]
    pub judging_micros: u64,
    /// Frames lost, of 1,000, each by itself.
    #[serde(rename = "loss", with = "Written::<Permille>")]
    pub loss_permille: u32,
    /// Losses that come in bursts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bursts: Option<Bursts>,
    /// Frames that arrive twice, of 1,000.
    #[serde(rename = "duplicates", with = "Written::<Permille>")]
    pub duplicate_permille: u32,
    /// Frames that are held up on the way, so that later ones overtake them, of 1,000.
    #[serde(rename = "reordered", with = "Written::<Permille>")]
    pub late_permille: u32,
    /// They are held up for at most this, in microseconds.
    #[serde(rename = "reordered-by", with = "Written::<Micros>")]
    pub late_by_micros: u64,
    /// Frames that arrive with a flipped bit, of 1,000.
    #[serde(rename = "damage", with = "Written::<Permille>")]
    pub damage_permille: u32,
    /// Bytes that a machine sends each second, unless its class says otherwise.
    #[serde(rename = "up", with = "Written::<Bytes>")]
    pub up_bytes: u64,
    /// Bytes that a machine takes in each second, unless its class says otherwise.
    #[serde(rename = "down", with = "Written::<Bytes>")]
    pub down_bytes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(micros: &u64) -> bool {
    *micros == 0
}

/// One-way latency, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distance(#[serde(with = "Written::<Micros>")] pub u64);

/// Bursts of loss, after Gilbert (1960) and Elliott (1963): a machine's line is well or ill, and may change
/// with every frame that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bursts {
    /// How often a well line falls ill, of 1,000 frames.
    #[serde(with = "Written::<Permille>")]
    pub begin: u32,
    /// How often an ill line gets well, of 1,000 frames.
    #[serde(with = "Written::<Permille>")]
    pub end: u32,
    /// What an ill line loses, of 1,000 frames.
    #[serde(with = "Written::<Permille>")]
    pub loss: u32,
}

impl Default for LinkLaw {
    /// A fleet over a few sites: 1 to 40 ms, 100 Mbit/s, nothing lost.
    fn default() -> Self {
        Self {
            latency_min_micros: 1_000,
            latency_max_micros: 40_000,
            distances: Vec::new(),
            jitter_micros: 5_000,
            judging_micros: 0,
            loss_permille: 0,
            bursts: None,
            duplicate_permille: 2,
            late_permille: 0,
            late_by_micros: 200_000,
            damage_permille: 0,
            up_bytes: 12_500_000,
            down_bytes: 12_500_000,
        }
    }
}

/// A class of machines: how they are connected. The census carries its name as their label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClassLaw {
    /// Its name.
    pub name: ClassName,
    /// Bytes that each sends a second; as the links say, if left out.
    #[serde(rename = "up", default, with = "Maybe::<Bytes>", skip_serializing_if = "Option::is_none")]
    pub up_bytes: Option<u64>,
    /// Bytes that each takes in a second; as the links say, if left out.
    #[serde(rename = "down", default, with = "Maybe::<Bytes>", skip_serializing_if = "Option::is_none")]
    pub down_bytes: Option<u64>,
    /// Who can reach them.
    #[serde(default)]
    pub reach: Reach,
}

/// Who can be reached by whom. A link carries both ways, so two machines have one if either can dial the
/// other. There is no hole punching and no relay, as in the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Anybody can dial it.
    #[default]
    Open,
    /// Machines of its own zone can dial it: behind one router with them.
    Zone,
    /// Nobody can dial it: behind a router of its own.
    Nobody,
}

impl Reach {
    /// Whether two machines can have a link.
    pub fn meets(self, other: Self, one_zone: bool) -> bool {
        let dialled = |reach| reach == Self::Open || (reach == Self::Zone && one_zone);
        dialled(self) || dialled(other)
    }
}

/// Longest name of a class, in bytes.
const CLASS_NAME_MAX: usize = 31;

/// The name of a class: 1 to 31 letters, digits and other signs, without spaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassName {
    bytes: [u8; CLASS_NAME_MAX],
    length: u8,
}

impl ClassName {
    /// The name, if it is one.
    pub fn new(name: &str) -> Option<Self> {
        let good = |b: u8| b.is_ascii_graphic();
        if name.is_empty() || name.len() > CLASS_NAME_MAX || !name.bytes().all(good) {
            return None;
        }
        let mut bytes = [0; CLASS_NAME_MAX];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes, length: u8::try_from(name.len()).ok()? })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl std::fmt::Debug for ClassName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ClassName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ClassName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("a class is named by 1 to 31 letters, digits or signs");
        Self::new(&name).ok_or_else(wrong)
    }
}
