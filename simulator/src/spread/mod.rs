//! A blob that spreads from one publisher to a fleet, with the downloads and the serving sides of production.
//!
//! One door: [`play`] takes a [`Plan`] and returns an [`Outcome`]. Which piece to ask of whom, and whom to serve, is
//! decided by `groundswell_protocol::transfer`, the very code of the agent; here are the machines around it, the
//! lines between them and one queue of what will happen. The same plan gives the same run, to the last piece.
//!
//! Rooms: `places` says who is where and who is linked with whom; `line` is a machine's way out; `machine` is one
//! machine; `run` lets things happen; `churn` takes machines away and brings them back.
//!
//! What is modelled: each machine's line out, of so many bytes a second, shared by its streams in turns as a fair
//! queue does; the latency of each pair; a round trip more for who is not linked yet; the weight of every message;
//! a line into each site, if one is given. What is not: packets' headers and losses, processors and disks, lines in.
//! So what is lost against the bound is lost by choices.

mod churn;
mod line;
mod machine;
mod places;
mod run;
#[cfg(test)]
mod tests;

use serde::Serialize;

/// Machines that fetch, at most.
pub const NODES_MAX: u32 = 100_000;

/// Sites, at most.
pub const SITES_MAX: u32 = 1_000;

/// What is to be played.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Machines that fetch, 1 to [`NODES_MAX`]; the publisher comes on top.
    pub nodes: u32,
    /// Size of the blob.
    pub bytes: u64,
    /// What every machine's line carries out, in bytes a second; at least 1.
    pub upload: u64,
    /// One way between two machines, in the mean, in microseconds.
    pub latency_micros: u64,
    /// The same between two machines of one site.
    pub inside_micros: u64,
    /// Sites of equal size; 0 for none. The publisher is in none of them.
    pub sites: u32,
    /// The machines know the sites, by a label.
    pub labelled: bool,
    /// What the line into each site carries, in bytes a second; none for no bound.
    pub site_line: Option<u64>,
    /// Machines that leave in a minute, in thousandths of all.
    pub churn_permille: u32,
    /// The seed.
    pub seed: u64,
}

impl Default for Plan {
    /// A hundred machines of 4 MiB/s, 10 ms from each other and 1 ms within a site; no sites, nobody leaves.
    fn default() -> Self {
        Self {
            nodes: 100,
            bytes: 16 << 20,
            upload: 4 << 20,
            latency_micros: 10_000,
            inside_micros: 1_000,
            sites: 0,
            labelled: true,
            site_line: None,
            churn_permille: 0,
            seed: 1,
        }
    }
}

impl Plan {
    /// The time that no way of sharing can beat: the publisher sends each byte once, and all together send what all
    /// receive; and with a line into a site, each byte enters it once.
    pub fn bound_micros(&self) -> u64 {
        let micros = |bytes: u128, rate: u64| bytes * 1_000_000 / u128::from(rate.max(1));
        let once = micros(u128::from(self.bytes), self.upload);
        let all = once * u128::from(self.nodes) / (u128::from(self.nodes) + 1);
        let enters = self.site_line.filter(|_| self.sites > 0);
        let enters = enters.map_or(0, |line| micros(u128::from(self.bytes), line));
        u64::try_from(once.max(all).max(enters)).unwrap_or(u64::MAX)
    }

    /// How to play it again.
    pub fn command(&self) -> String {
        let mut text = format!(
            "swell-sim spread --nodes {} --bytes {}B --upload {}B --latency {}us --seed {}",
            self.nodes, self.bytes, self.upload, self.latency_micros, self.seed
        );
        if self.sites > 0 {
            text.push_str(&format!(" --sites {} --inside {}us", self.sites, self.inside_micros));
            if !self.labelled {
                text.push_str(" --unlabelled");
            }
            if let Some(line) = self.site_line {
                text.push_str(&format!(" --site-line {line}B"));
            }
        }
        if self.churn_permille > 0 {
            text.push_str(&format!(" --churn {}‰", self.churn_permille));
        }
        text
    }
}

/// What it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// When the last machine had everything, in microseconds; who was away is counted by the time it was there.
    pub micros: u64,
    /// The same of half of the machines.
    pub median_micros: u64,
    /// The time that no way of sharing can beat.
    pub bound_micros: u64,
    /// Payload that the publisher sent.
    pub publisher_bytes: u64,
    /// Payload that was of no use, of all machines.
    pub wasted_bytes: u64,
    /// What messages other than pieces weighed, of all machines.
    pub message_bytes: u64,
    /// Payload that came into each site from outside.
    pub entered: Vec<u64>,
    /// How often a machine left.
    pub departures: u64,
    /// Events.
    pub events: u64,
    /// Of every piece that came: when, to whom, from whom.
    pub fingerprint: u64,
}

impl Outcome {
    /// Time over bound, in thousandths.
    pub fn ratio_permille(&self) -> u64 {
        self.micros.saturating_mul(1000) / self.bound_micros.max(1)
    }

    /// Copies of a blob of `bytes` that entered the site into which most came, in thousandths.
    pub fn copies_permille(&self, bytes: u64) -> u64 {
        self.entered.iter().max().map_or(0, |most| most.saturating_mul(1000) / bytes.max(1))
    }
}

/// Why a run has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The plan is out of its bounds.
    #[error("the plan cannot be played: {0}")]
    Plan(String),
    /// The blob did not reach everybody within many times the bound, or nothing would happen any more.
    #[error("{left} machines lack some of the blob after {milliseconds} ms")]
    Standstill {
        /// Who lacks something.
        left: u32,
        /// When that was seen.
        milliseconds: u64,
    },
}

/// Plays a plan to its end. `watch` hears now and then which part, in thousandths, of all pieces has come.
///
/// # Errors
/// When the plan is out of bounds, or the blob does not reach everybody.
pub fn play(plan: &Plan, watch: &mut dyn FnMut(u64)) -> Result<Outcome, Stuck> {
    let refuse = |what: &str| Err(Stuck::Plan(what.to_owned()));
    if plan.nodes == 0 || plan.nodes > NODES_MAX {
        return refuse("there are 1 to 100,000 machines");
    }
    if plan.bytes == 0 || plan.bytes > groundswell_protocol::transfer::BLOB_BYTES_MAX {
        return refuse("a blob has 1 byte to 4 GiB");
    }
    if plan.upload == 0 || plan.site_line == Some(0) {
        return refuse("a line carries at least a byte a second");
    }
    if plan.sites > SITES_MAX || plan.sites > plan.nodes {
        return refuse("there are at most 1,000 sites, each of a machine at least");
    }
    run::Run::new(plan).play(watch)
}
