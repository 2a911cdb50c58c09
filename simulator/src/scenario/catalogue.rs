//! The stories with names: the files of `simulator/scenarios`, carried inside the program.

use super::words::nearest;
use super::{Scenario, file};
use crate::fleet::{ReleaseLaw, Thief};
use crate::machine::service::HealthLaw;

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Every shipped story: its name, and its file's text, in the order in which they are listed.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*];
    };
}

shipped![
    "calm-day",
    "bad-release",
    "late-bad",
    "genesis",
    "leader-killed",
    "split-brain",
    "minority",
    "loss",
    "sync-only",
    "black-friday",
    "trial-crash",
    "crashes-host",
    "spoils-state",
    "liar-stops",
    "flood",
    "supersede",
    "fixed",
    "second-bad",
    "pause",
    "abort",
    "promote",
    "twins",
    "stolen-key",
    "slow-leak",
    "lying-leader",
    "lying-third",
    "flash-crowd",
    "region-outage",
    "dark-zone",
    "restored-disk",
    "mixed-versions",
];

/// The names of the shipped stories.
pub fn names() -> Vec<&'static str> {
    SHIPPED.iter().map(|(name, _)| *name).collect()
}

/// The shipped story of this name, for `nodes` machines or for as many as its file says.
///
/// # Errors
/// When it needs more machines; `None` if there is no such story.
pub fn find(name: &str, nodes: Option<u32>) -> Option<Result<Scenario, Box<file::Fault>>> {
    let (name, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
    Some(file::parse(text, &format!("{name}.toml"), nodes))
}

/// The shipped story of this name for `nodes` machines, if there is one for so many.
pub fn named(name: &str, nodes: u32) -> Option<Scenario> {
    find(name, Some(nodes))?.ok()
}

/// The shipped story whose name is nearest to what was written.
pub fn nearest_name(written: &str) -> Option<&'static str> {
    nearest(written, &names())
}

/// A release that works.
pub fn release(version: &str, sequence: u64) -> ReleaseLaw {
    ReleaseLaw {
        version: version.to_owned(),
        sequence,
        bytes: 20_000_000,
        delta_bytes: Some(800_000),
        health: HealthLaw::Good,
        signed: true,
        thief: Thief::default(),
    }
}
