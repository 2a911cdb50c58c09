//! What is said of a run: counters, verdicts, and the command that repeats it.

pub mod kinds;
pub mod page;
pub mod story;
pub mod trace;

use std::fmt::Write as _;

use serde::Serialize;

use crate::checkers::impossible::Impossible;
use crate::checkers::{Property, Violation};
use crate::world::fetch::Traffic;
use crate::world::links::Tally;
use kinds::Kinds;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    /// Entries of the queue.
    pub happenings: u64,
    /// The same by kind.
    pub kinds: Kinds,
    /// Inputs that cores handled.
    pub inputs: u64,
    /// Frames that were sent, copies of gossip among them.
    pub frames: u64,
    /// Their bytes.
    pub frame_bytes: u64,
    /// Bytes of releases that were fetched.
    pub payload_bytes: u64,
    /// How many of these came from the machine that the release was published on.
    pub publisher_bytes: u64,
    /// How many of these went from one zone to another.
    pub crossed_bytes: u64,
    /// How many of these the machine sent that sent most.
    pub most_sent_bytes: u64,
    /// Frames by what befell them on the way.
    pub way: Tally,
    /// Gossiped frames that a machine got for the first time, and the hops of all of them together.
    pub first_copies: u64,
    /// See `first_copies`.
    pub hops: u64,
    /// Most hops of any of them.
    pub hops_max: u64,
    /// How many of the first copies came straight from whoever began to gossip them.
    pub straight: u64,
    /// Neighbours in the mesh of all machines together, at the end.
    pub mesh_neighbours: u64,
    /// Gossiped frames that a machine had already.
    pub duplicates: u64,
    /// Frames that were not sent because the neighbour had said in time that it has them.
    pub not_wanted: u64,
    /// Frames that a machine asked for after they were announced to it.
    pub asked_for: u64,
    /// Signatures that were asked for, and those of them that were verified.
    pub signatures_asked: u64,
    /// See `signatures_asked`.
    pub signatures_verified: u64,
    /// Commits to disks.
    pub commits: u64,
    /// Frames or facts that cores refused.
    pub refusals: u64,
    /// Bytes that a machine sent each second when all was over.
    pub idle_bytes_per_second: u64,
}

/// A wave as it went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Wave {
    /// Ranks that it opened.
    pub nodes: u32,
    /// Milliseconds until the next opening.
    pub milliseconds: u64,
}

/// What came out of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// What it shows.
    pub about: String,
    /// Machines.
    pub nodes: u32,
    /// The seed.
    pub seed: u64,
    /// How the release that it is about ended; `None` if it did not.
    pub ending: Option<String>,
    /// Virtual time at the end.
    pub virtual_ms: u64,
    /// Virtual time when everybody had settled.
    pub settled_ms: Option<u64>,
    /// Machines that ever ran the release.
    pub exposed: u32,
    /// Machines that run a release at the end that does not work and says that it is healthy.
    pub unnoticed: u32,
    /// Machines that found it bad on themselves, and stayed on the version before although it is done.
    pub left_behind: u32,
    /// Its waves.
    pub waves: Vec<Wave>,
    /// What was counted.
    pub counters: Counters,
    /// Who sent and received bytes of releases; too long for a summary.
    #[serde(skip)]
    pub traffic: Traffic,
    /// Digest of everything that happened: equal for equal seeds.
    pub fingerprint: String,
    /// Why it could not end, if that is nobody's fault.
    pub impossible: Option<Impossible>,
    /// Breaches.
    pub violations: Vec<Violation>,
    /// The command that repeats the run.
    pub again: String,
    /// Real time that the run took; no part of the fingerprint.
    pub real_ms: u64,
}

/// Exit code: all held.
pub const EXIT_OK: u8 = 0;
/// Exit code: a property of safety was breached.
pub const EXIT_UNSAFE: u8 = 1;
/// Exit code: wrong usage, or a file that cannot be used.
pub const EXIT_USAGE: u8 = 2;
/// Exit code: a property of liveness was breached.
pub const EXIT_STUCK: u8 = 3;
/// Exit code: the core panicked.
pub const EXIT_CRASHED: u8 = 4;
/// Exit code: two runs of one seed differed.
pub const EXIT_DIFFERS: u8 = 5;

impl Outcome {
    /// The exit code that fits.
    pub fn exit_code(&self) -> u8 {
        if self.violations.iter().any(|v| v.property.is_safety()) {
            EXIT_UNSAFE
        } else if self.violations.is_empty() {
            EXIT_OK
        } else {
            EXIT_STUCK
        }
    }

    /// The summary for people.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let seconds = |ms: u64| format!("{}.{:01} s", ms / 1000, ms % 1000 / 100);
        let nodes = u64::from(self.nodes.max(1));
        let rate = self.counters.happenings.saturating_mul(1000) / self.real_ms.max(1);
        let settled = self.settled_ms.map_or("never".to_owned(), seconds);
        let ending = self.ending.as_deref().unwrap_or("not ended");
        let exposed = self.exposed;
        let waves: Vec<String> =
            self.waves.iter().map(|w| format!("{} in {}", w.nodes, seconds(w.milliseconds))).collect();
        let _ = writeln!(text, "{}: {}", self.scenario, self.about);
        let behind = match self.left_behind {
            0 => String::new(),
            behind => format!(", {behind} found it bad alone"),
        };
        let unnoticed = match self.unnoticed {
            0 => String::new(),
            broken => format!(", {broken} run it broken and do not know"),
        };
        let of = self.nodes;
        let _ = writeln!(
            text,
            "  release    {ending}; {exposed} of {of} machines ran it{behind}{unnoticed}; settled {settled}"
        );
        let _ = writeln!(
            text,
            "  waves      {}",
            if waves.is_empty() { "none".to_owned() } else { waves.join(", ") }
        );
        let _ = writeln!(
            text,
            "  time       {} virtual, {} real, {} events ({rate}/s)",
            seconds(self.virtual_ms),
            seconds(self.real_ms),
            self.counters.happenings
        );
        let _ = writeln!(
            text,
            "  a machine  {} B frames, {} B payload, {} commits; idle {} B/s",
            self.counters.frame_bytes / nodes,
            self.counters.payload_bytes / nodes,
            self.counters.commits / nodes,
            self.counters.idle_bytes_per_second
        );
        let _ = writeln!(text, "  checks     {}", self.verdicts());
        if let Some(why) = &self.impossible {
            let _ = writeln!(text, "  impossible {why}");
        }
        for violation in &self.violations {
            let machine = violation.machine.map_or(String::new(), |n| format!(" machine {n}"));
            let at = seconds(violation.at_ms);
            let _ =
                writeln!(text, "  BREACH     {:?} at {at}{machine}: {}", violation.property, violation.what);
        }
        let _ = writeln!(text, "  again      {}  (fingerprint {})", self.again, self.fingerprint);
        text
    }

    fn verdicts(&self) -> String {
        let breached = |p: &Property| self.violations.iter().any(|v| v.property == *p);
        let words: Vec<String> = Property::ALL
            .iter()
            .map(|p| if breached(p) { format!("{p:?} BREACHED") } else { format!("{p:?} ok") })
            .collect();
        words.join(", ")
    }
}
