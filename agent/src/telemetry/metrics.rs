//! Metrics for Prometheus: counted from events alone, so that every driver of the core exports the same
//! names; and what the agent used, copied from its counters.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use groundswell_protocol::facts::health::Health;
use groundswell_protocol::facts::{Failure, VoteState};
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::Blame;
use groundswell_protocol::trust::command::Instruction;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::control::api::Counters;
use crate::transfer::{Offence, Offences};

/// One word that tells the cases of a metric apart; from closed lists, so that their number is bounded.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Case {
    case: &'static str,
}

type Cases = Family<Case, Counter>;

/// All metrics of an agent. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    all: Arc<All>,
}

#[derive(Default)]
struct All {
    registry: Registry,
    events: EventMetrics,
    usage: UsageMetrics,
}

#[derive(Clone, Default)]
struct EventMetrics {
    /// Releases accepted.
    rollouts: Counter,
    /// Votes that arrived, this node's among them.
    votes: Cases,
    /// Times that more ranks were opened.
    openings: Counter,
    /// Times that another term counted.
    terms: Counter,
    /// Proposals that this node made as a leader.
    proposals: Counter,
    /// Stop ballots that this node signed as a juror.
    stop_ballots: Counter,
    /// How rollouts ended.
    ended: Cases,
    /// Operators' commands that came to hold.
    commands: Cases,
    /// Switches of active slots.
    switches: Cases,
    /// Changes of the probes' verdicts.
    health: Cases,
    /// Fetches, stagings and switches that failed.
    troubles: Counter,
    /// Frames and facts refused, by whose fault it was.
    refused: Cases,
    /// Writes that the disk refused.
    persist_failures: Counter,
    /// Syncs that ended.
    syncs: Counter,
    /// Facts that syncs brought.
    facts_learned: Counter,
    /// Alarms.
    alarms: Cases,
    /// Version of the newest policy.
    policy: Gauge,
    /// Version of the newest census.
    census: Gauge,
    /// Members of the newest census.
    members: Gauge,
}

#[derive(Clone, Default)]
struct UsageMetrics {
    /// Payload of pieces sent to peers.
    uploaded: Counter,
    /// Payload of pieces received from peers.
    downloaded: Counter,
    /// Of it, what came from the node's own site.
    site: Counter,
    /// Everything sent on links.
    link_sent: Counter,
    /// Everything received on links.
    link_received: Counter,
    /// Pieces that were not what they should be.
    corrupt_pieces: Counter,
    /// Payload sent of releases that have a budget.
    egress_sent: Counter,
    /// Of it, what was sent beyond a budget.
    egress_beyond: Counter,
    /// What the budgets have left.
    egress_left: Gauge,
    /// What peers did that the piece protocol does not allow.
    offences: Cases,
    /// Links that are up.
    links: Gauge,
    /// Memory of the agent's own process.
    resident: Gauge,
    /// Processor time of the agent's own process.
    cpu: Counter<f64, std::sync::atomic::AtomicU64>,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("groundswell");
        let (events, usage) = (EventMetrics::default(), UsageMetrics::default());
        events.register(&mut registry);
        usage.register(&mut registry);
        Self { all: Arc::new(All { registry, events, usage }) }
    }

    /// Counts an event.
    pub fn observe(&self, event: &Event) {
        self.all.events.observe(event);
    }

    /// Copies what the agent has used.
    pub fn set_counters(&self, counters: &Counters) {
        self.all.usage.set(counters);
    }

    /// Copies what peers did that they may not.
    pub fn set_offences(&self, offences: &Offences) {
        for offence in Offence::ALL {
            let case = Case { case: offence.word() };
            raise(&self.all.usage.offences.get_or_create(&case), offences.of(offence));
        }
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.all.registry) {
            // Writing to memory does not fail; a metric that cannot be written would be our mistake.
            text.clear();
            let _ = writeln!(text, "# the metrics cannot be written: {error}\n# EOF");
        }
        text
    }
}

impl EventMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("rollouts", "Releases accepted", self.rollouts.clone());
        registry.register("votes", "Votes that arrived, by what they say", self.votes.clone());
        registry.register("openings", "Times that more ranks were opened", self.openings.clone());
        registry.register("terms", "Times that another leader's term counted", self.terms.clone());
        registry.register("proposals", "Proposals made by this node as a leader", self.proposals.clone());
        registry.register("stop_ballots", "Stop ballots signed by this node", self.stop_ballots.clone());
        registry.register("rollouts_ended", "Rollouts that ended, by how", self.ended.clone());
        registry.register("commands", "Operators' commands that came to hold", self.commands.clone());
        registry.register("switches", "Switches of active slots on this node", self.switches.clone());
        registry.register(
            "health_changes",
            "Changes of the probes' verdicts, by the new one",
            self.health.clone(),
        );
        registry.register("troubles", "Fetches, stagings and switches that failed", self.troubles.clone());
        registry.register("refused", "Frames and facts refused, by whose fault", self.refused.clone());
        registry.register("persist_failures", "Writes that the disk refused", self.persist_failures.clone());
        registry.register("syncs", "Syncs with peers that ended", self.syncs.clone());
        registry.register("facts_learned", "Facts that syncs brought", self.facts_learned.clone());
        registry.register("alarms", "What needs a person to look", self.alarms.clone());
        registry.register("policy_version", "Version of the newest policy", self.policy.clone());
        registry.register("census_version", "Version of the newest census", self.census.clone());
        registry.register("census_members", "Members of the newest census", self.members.clone());
    }

    fn observe(&self, event: &Event) {
        match event {
            Event::Rollout { .. } => count(&self.rollouts),
            Event::Vote { state, .. } => count_case(&self.votes, vote_case(*state)),
            Event::Opened { .. } => count(&self.openings),
            Event::Term { .. } => count(&self.terms),
            Event::Proposed { .. } => count(&self.proposals),
            Event::StopBallot { .. } => count(&self.stop_ballots),
            Event::Stopped { .. } => count_case(&self.ended, "stopped"),
            Event::Done { .. } => count_case(&self.ended, "done"),
            Event::Commanded { instruction, .. } => {
                count_case(&self.commands, instruction_case(*instruction));
            }
            Event::Switched { revert, .. } => {
                count_case(&self.switches, if *revert { "revert" } else { "activate" });
            }
            Event::Trouble { .. } => count(&self.troubles),
            Event::Refused { why, .. } => count_case(&self.refused, blame_case(why.blame())),
            Event::PersistFailed => count(&self.persist_failures),
            Event::Synced { learned, .. } => {
                count(&self.syncs);
                self.facts_learned.inc_by(u64::from(*learned));
            }
            Event::Conflict { .. } => count_case(&self.alarms, "conflict"),
            Event::Cloned => count_case(&self.alarms, "cloned"),
            Event::FreezeSuspected { .. } => count_case(&self.alarms, "freeze_suspected"),
            Event::Policy { version } => {
                self.policy.set(i64::from(*version));
            }
            Event::Census { version, members } => {
                self.census.set(i64::from(*version));
                self.members.set(i64::from(*members));
            }
            Event::Health { report, .. } => count_case(&self.health, health_case(report.health)),
            // What a node says of itself and of what holds it is in its status.
            Event::Recovered { .. } | Event::Holding { .. } | Event::Stage { .. } => {}
        }
    }
}

impl UsageMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("uploaded_bytes", "Payload of pieces sent to peers", self.uploaded.clone());
        registry.register("downloaded_bytes", "Payload of pieces received", self.downloaded.clone());
        registry.register(
            "site_bytes",
            "Payload of pieces received from the node's own site",
            self.site.clone(),
        );
        registry.register("link_sent_bytes", "Everything sent on links", self.link_sent.clone());
        registry.register("link_received_bytes", "Everything received on links", self.link_received.clone());
        registry.register("corrupt_pieces", "Pieces that were not as named", self.corrupt_pieces.clone());
        registry.register(
            "egress_sent_bytes",
            "Payload sent of releases with a budget",
            self.egress_sent.clone(),
        );
        registry.register(
            "egress_beyond_bytes",
            "Payload sent beyond a budget, because nobody else could be asked for it",
            self.egress_beyond.clone(),
        );
        registry.register("egress_left_bytes", "What the budgets have left", self.egress_left.clone());
        registry.register(
            "piece_offences",
            "What peers did that the piece protocol does not allow",
            self.offences.clone(),
        );
        registry.register("links", "Links to peers that are up", self.links.clone());
        registry.register("resident_bytes", "Memory of the agent's process", self.resident.clone());
        registry.register("cpu_seconds", "Processor time of the agent's process", self.cpu.clone());
    }

    fn set(&self, counters: &Counters) {
        raise(&self.uploaded, counters.uploaded_bytes);
        raise(&self.downloaded, counters.downloaded_bytes);
        raise(&self.site, counters.site_bytes);
        raise(&self.link_sent, counters.link_sent_bytes);
        raise(&self.link_received, counters.link_received_bytes);
        raise(&self.corrupt_pieces, counters.corrupt_pieces);
        raise(&self.egress_sent, counters.egress_sent_bytes);
        raise(&self.egress_beyond, counters.egress_beyond_bytes);
        self.egress_left.set(i64::try_from(counters.egress_left_bytes).unwrap_or(i64::MAX));
        self.links.set(i64::try_from(counters.links).unwrap_or(i64::MAX));
        self.resident.set(i64::try_from(counters.resident_bytes).unwrap_or(i64::MAX));
        let seconds = counters.cpu_ms as f64 / 1_000.0;
        self.cpu.inner().store(seconds.to_bits(), Ordering::Relaxed);
    }
}

fn count(counter: &Counter) {
    counter.inc();
}

fn count_case(cases: &Cases, case: &'static str) {
    cases.get_or_create(&Case { case }).inc();
}

/// Totals are kept elsewhere and copied; a late copy never lowers one.
fn raise(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, Ordering::Relaxed);
}

fn vote_case(state: VoteState) -> &'static str {
    match state {
        VoteState::Staged => "staged",
        VoteState::Skip(_) => "skip",
        VoteState::Trying => "trying",
        VoteState::Healthy => "healthy",
        VoteState::Failed(Failure::Unknown) => "failed_unknown",
        VoteState::Failed(Failure::Doubt) => "failed_doubt",
        VoteState::Failed(Failure::Recovered) => "failed_recovered",
    }
}

fn health_case(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

fn instruction_case(instruction: Instruction) -> &'static str {
    match instruction {
        Instruction::Flow { pause: true, .. } => "pause",
        Instruction::Flow { pause: false, .. } => "resume",
        Instruction::Promote(_) => "promote",
        Instruction::Stop => "stop",
    }
}

fn blame_case(blame: Blame) -> &'static str {
    match blame {
        Blame::Peer => "peer",
        Blame::Signer => "signer",
        Blame::Nobody => "nobody",
        Blame::Disk => "disk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::facts::RolloutId;
    use groundswell_protocol::facts::health::HealthNumbers;
    use groundswell_protocol::identity::PublicKey;

    fn vote(state: VoteState) -> Event {
        Event::Vote {
            rollout: RolloutId(Digest([1; 32])),
            node: PublicKey([2; 32]),
            state,
            attempt: 1,
            numbers: HealthNumbers::default(),
            note: "a \"quoted\" note\nwith lines".into(),
        }
    }

    #[test]
    fn events_and_counters_are_rendered_under_the_fleet_s_prefix() {
        let metrics = Metrics::new();
        metrics.observe(&vote(VoteState::Healthy));
        metrics.observe(&vote(VoteState::Healthy));
        metrics.observe(&vote(VoteState::Failed(Failure::Recovered)));
        metrics.observe(&Event::Census { version: 3, members: 12 });
        let counters =
            Counters { uploaded_bytes: 7, resident_bytes: 9, cpu_ms: 1_500, ..Counters::default() };
        metrics.set_counters(&counters);
        metrics.set_counters(&Counters { uploaded_bytes: 5, ..counters });
        let text = metrics.render();
        for line in [
            "groundswell_votes_total{case=\"healthy\"} 2",
            "groundswell_votes_total{case=\"failed_recovered\"} 1",
            "groundswell_census_members 12",
            "groundswell_uploaded_bytes_total 7",
            "groundswell_resident_bytes 9",
            "groundswell_cpu_seconds_total 1.5",
            "# HELP groundswell_openings Times that more ranks were opened.",
        ] {
            assert!(text.lines().any(|it| it == line), "no line {line:?} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn every_line_is_ours_and_documented() {
        let text = Metrics::new().render();
        for line in text.lines().filter(|line| *line != "# EOF") {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            assert!(name.starts_with("groundswell_"), "{line}");
        }
    }
}
