//! One release's journey: gates, terms, proposals, verdicts, stops, and who ran it.

use std::collections::BTreeMap;

use groundswell_protocol::facts::StopReason;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::event::Hold;

use super::timeline::{Coarsen, Series, Sums};
use crate::fleet::Release;
use crate::world::queue::Moment;

/// Entries of each list at most; a rollout needs a few dozen.
const LIST_MAX: usize = 512;

/// More ranks are open.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// When the first machine knew.
    pub at: Moment,
    /// Which.
    pub node: u32,
    /// How many ranks; one more than there are members when it is done.
    pub open: u32,
}

/// A term begins.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// When the first machine knew.
    pub at: Moment,
    /// Its number.
    pub term: u32,
    /// Who leads.
    pub leader: Option<u32>,
}

/// A leader proposes.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    /// When.
    pub at: Moment,
    /// Who.
    pub node: u32,
    /// How many ranks.
    pub open: u32,
}

/// A juror says stop.
#[derive(Clone, Copy, Debug)]
pub struct StopWord {
    /// When.
    pub at: Moment,
    /// Who.
    pub node: u32,
    /// Why.
    pub reason: StopReason,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct End {
    /// When the first machine knew.
    pub at: Moment,
    /// Which.
    pub node: u32,
    /// Why it was stopped; `None`: it is done.
    pub stopped: Option<String>,
}

/// Verdict of a node on itself: it passed its trial.
pub const HEALTHY: usize = 0;
/// Verdict of a node on itself: it failed.
pub const FAILED: usize = 1;

/// The journey.
#[derive(Clone, Debug)]
pub struct Journey {
    /// The release's name.
    pub version: String,
    /// Who takes part.
    pub members: u32,
    /// The sizes of its waves.
    pub targets: Vec<u32>,
    /// Jurors.
    pub jurors: u32,
    /// How many of them must agree to open.
    pub quorum: u32,
    /// How many of them stop it.
    pub stoppers: u32,
    /// When and where it was handed in.
    pub published: Option<(Moment, u32)>,
    /// Openings, by time.
    pub gates: Vec<Gate>,
    /// Terms, by time.
    pub terms: Vec<Term>,
    /// Proposals, by time, each new one once.
    pub proposals: Vec<Proposal>,
    /// Jurors who said stop, by time.
    pub stops: Vec<StopWord>,
    /// How it ended.
    pub end: Option<End>,
    /// Nodes that run it now.
    pub running: Series,
    /// Nodes that ever ran it.
    pub exposed: Series,
    /// Nodes that ever found it bad on themselves.
    pub failed: Series,
    /// How many ranks a quorum had opened.
    pub open: Series,
    /// Nodes' verdicts on themselves, by bucket.
    pub verdicts: Sums<2>,
    /// What most of those jurors who hold say, as a place in [`HOLDS`].
    pub hold: Series,
    first_leader: Option<u32>,
    jury: Vec<u32>,
    ran: Vec<bool>,
    found_bad: Vec<bool>,
    holds: BTreeMap<u32, usize>,
}

/// Reasons for a hold, in the order in which they win when equally many jurors say them.
pub const HOLDS: [Hold; 15] = [
    Hold::None,
    Hold::WaitingForHealth,
    Hold::WaitingForLeader,
    Hold::TooFewJurors,
    Hold::Failures,
    Hold::Paused,
    Hold::Superseded,
    Hold::Bound,
    Hold::Conflict,
    Hold::SignersRevoked,
    Hold::CensusOutdated,
    Hold::Expired,
    Hold::SequenceTooFar,
    Hold::RequirementNotDone,
    Hold::Ended,
];

/// A hold in words.
pub fn hold_words(hold: Hold) -> &'static str {
    match hold {
        Hold::None => "free to go on",
        Hold::WaitingForHealth => "waits for health",
        Hold::WaitingForLeader => "waits for the leader",
        Hold::TooFewJurors => "too few jurors fresh",
        Hold::Failures => "too many failures",
        Hold::Paused => "paused",
        Hold::Superseded => "superseded",
        Hold::Bound => "bound to another",
        Hold::Conflict => "conflict",
        Hold::SignersRevoked => "signers revoked",
        Hold::CensusOutdated => "census outdated",
        Hold::Expired => "expired",
        Hold::SequenceTooFar => "sequence too far",
        Hold::RequirementNotDone => "requirement not done",
        Hold::Ended => "ended",
    }
}

impl Journey {
    pub(super) fn new(release: &Release, place: impl Fn(NodeId) -> Option<u32>) -> Self {
        let (roster, nodes) = (&release.roster, release.roster.members.len());
        Self {
            version: release.law.version.to_string(),
            members: roster.count(),
            targets: roster.targets.clone(),
            jurors: roster.quorum.jurors,
            quorum: roster.quorum.quorum,
            stoppers: roster.quorum.stoppers(),
            published: None,
            gates: Vec::new(),
            terms: Vec::new(),
            proposals: Vec::new(),
            stops: Vec::new(),
            end: None,
            running: Series::default(),
            exposed: Series::default(),
            failed: Series::default(),
            open: Series::default(),
            verdicts: Sums::default(),
            hold: Series::default(),
            first_leader: roster.leader(0).and_then(&place),
            jury: roster.jury.iter().filter_map(|juror| place(*juror)).collect(),
            ran: vec![false; nodes],
            found_bad: vec![false; nodes],
            holds: BTreeMap::new(),
        }
    }

    /// Somebody has it: the first term counts.
    pub(super) fn begins(&mut self, bucket: u32, at: Moment, node: u32) {
        if self.published.is_none() {
            self.published = Some((at, node));
            self.terms.push(Term { at, term: 0, leader: self.first_leader });
            // Jurors report a change of their reason alone; this is what they begin with.
            for juror in self.jury.clone() {
                self.holds(bucket, juror, Hold::WaitingForHealth);
            }
        }
    }

    pub(super) fn opened(&mut self, bucket: u32, gate: Gate) {
        let before = self.gates.last().map_or(0, |last| last.open);
        if gate.open > before && self.gates.len() < LIST_MAX {
            self.open.set(bucket, u64::from(gate.open.min(self.members)));
            self.gates.push(gate);
        }
    }

    pub(super) fn term(&mut self, term: Term) {
        let newest = self.terms.last().map_or(0, |last| last.term);
        if term.term > newest && self.terms.len() < LIST_MAX {
            self.terms.push(term);
        }
    }

    pub(super) fn proposed(&mut self, proposal: Proposal) {
        let last = self.proposals.last().map(|last| (last.node, last.open));
        if last != Some((proposal.node, proposal.open)) && self.proposals.len() < LIST_MAX {
            self.proposals.push(proposal);
        }
    }

    pub(super) fn says_stop(&mut self, word: StopWord) {
        if self.stops.iter().all(|known| known.node != word.node) && self.stops.len() < LIST_MAX {
            self.stops.push(word);
        }
    }

    pub(super) fn holds(&mut self, bucket: u32, node: u32, hold: Hold) {
        let place = HOLDS.iter().position(|one| *one == hold).unwrap_or(0);
        self.holds.insert(node, place);
        let mut counts = [0_u32; HOLDS.len()];
        for place in self.holds.values() {
            counts[*place] += 1;
        }
        let most = counts.iter().max().copied().unwrap_or(0);
        let winner = counts.iter().position(|count| *count == most).unwrap_or(0);
        self.hold.set(bucket, winner as u64);
    }

    pub(super) fn runs(&mut self, bucket: u32, node: u32, count: u64) {
        self.running.set(bucket, count);
        if first_time(&mut self.ran, node) {
            self.exposed.set(bucket, self.exposed.last() + 1);
        }
    }

    pub(super) fn judged_itself(&mut self, bucket: u32, node: u32, verdict: usize) {
        self.verdicts.add(bucket, verdict, 1);
        if verdict == FAILED && first_time(&mut self.found_bad, node) {
            self.failed.set(bucket, self.failed.last() + 1);
        }
    }
}

fn first_time(seen: &mut Vec<bool>, node: u32) -> bool {
    let place = usize::try_from(node).unwrap_or(0);
    if seen.len() <= place {
        seen.resize(place + 1, false);
    }
    !std::mem::replace(&mut seen[place], true)
}

impl Coarsen for Journey {
    fn coarsen(&mut self) {
        for series in [&mut self.running, &mut self.exposed, &mut self.failed, &mut self.open, &mut self.hold]
        {
            series.coarsen();
        }
        self.verdicts.coarsen();
    }
}
