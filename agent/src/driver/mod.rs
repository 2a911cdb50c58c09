//! The loop around the core: the one place where the pure node meets clock, network, disk and processes.
//!
//! One door: [`run`]. Inputs come from the link, the journal, the transfer, the components, the control
//! API and the clock; each goes through [`Node::handle`], and what that asks for is performed before the
//! next input is taken. Nothing here decides anything about a rollout, and nothing here waits: every
//! piece of work that takes time runs elsewhere and reports back.
//!
//! | file | its job |
//! |---|---|
//! | `start` | from a configuration to a running agent, and its orderly end |
//! | `feedback` | what comes back from the work that the core asks for |
//! | `recorder` | writes all of it down, if that is wanted |
//! | `perform` | hands each effect to the room that does it |
//! | `bytes` | fetch jobs: which blobs a recipe still needs |
//! | `keeping` | what the store must not let go of yet |
//! | `ledger` | the budgets of releases, kept over restarts |
//! | `components` | one task a component: slots, process, probes |
//! | `backend` | the control API's questions |
//! | `clock` | monotonic time and wall clock |

mod backend;
mod bytes;
mod clock;
mod components;
mod feedback;
mod keeping;
mod ledger;
mod perform;
mod recorder;
mod start;
pub(crate) mod streams;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::{Input, Node, Refusal, Verdict, Via, Work, WriteId};
use groundswell_protocol::recording::Effects;
use groundswell_protocol::trust::policy::FleetId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, sleep_until};

use self::backend::Request;
use self::bytes::{Bytes, Fetched};
use self::clock::{Clock, wall_clock};
use self::components::Components;
use self::feedback::Feedback;
use self::keeping::{Arrivals, kept};
use self::ledger::Ledger;
use self::recorder::Recorder;
use crate::config::TransferConfig;
use crate::control::EventLog;
use crate::control::api::{AgentStatus, Counters, CourtesyView, SiteView, SwarmView};
use crate::courtesy::Courtesy;
use crate::link::{self, Link, LinkEvent};
use crate::slots::Slots;
use crate::store::blobs::BlobStore;
use crate::store::journal::{Outcome, Outcomes, Writer};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process;
use crate::transfer::{Caps, Offence, Transfer, TransferEvent};

pub(crate) use start::yield_on;
pub use start::{AgentError, run};

/// How often the wall clock and the agent's own usage are looked at.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(10);
/// How long the loop sleeps when the core names no deadline.
const LONG: Duration = Duration::from_secs(3600);

/// Who the agent is, as it is told to people.
#[derive(Clone, Debug)]
struct About {
    version: String,
    pid: u32,
    started_unix_ms: u64,
}

/// The running agent: the core, and handles on every room.
struct Agent {
    about: About,
    fleet: FleetId,
    node: Node,
    clock: Clock,
    recorder: Option<Recorder>,
    link: Link,
    journal: Writer,
    bytes: Bytes,
    slots: Arc<Slots>,
    store: BlobStore,
    transfer: Transfer,
    components: Components,
    ledger: Ledger,
    /// The caps that were last set, and those of the configuration.
    caps: Caps,
    schedule: TransferConfig,
    courtesy: Option<Courtesy>,
    /// The zone of this node, and its other members that are there, as the transfer was last told.
    site: (String, Vec<NodeId>),
    arrivals: Arrivals,
    events: EventLog,
    metrics: Metrics,
    feedback: mpsc::Sender<Feedback>,
    /// The addresses that the core was last told.
    addresses: Vec<String>,
    /// Submissions that wait for the disk; no more than the control API has connections.
    unanswered: VecDeque<(WriteId, oneshot::Sender<Verdict>)>,
}

/// Everything that the loop listens to.
struct Ears {
    link: mpsc::Receiver<LinkEvent>,
    journal: Outcomes,
    transfer: mpsc::Receiver<TransferEvent>,
    feedback: mpsc::Receiver<Feedback>,
    requests: mpsc::Receiver<Request>,
}

impl Agent {
    /// Runs until `stop` says so. Returns whether the components' processes are to run on.
    async fn live(&mut self, mut ears: Ears, mut stop: mpsc::Receiver<bool>) -> bool {
        let mut housekeeping = interval(HOUSEKEEPING_EVERY);
        self.feed(Input::WallClock(wall_clock()));
        loop {
            let wake = self.node.next_deadline().map(|at| self.clock.instant(at));
            let wake = wake.unwrap_or_else(|| Instant::now() + LONG);
            tokio::select! {
                Some(leave) = stop.recv() => return leave,
                outcome = ears.journal.next() => self.wrote(outcome),
                Some(feedback) = ears.feedback.recv() => self.hear_back(feedback),
                Some(event) = ears.link.recv() => self.hear_link(event),
                Some(event) = ears.transfer.recv() => self.hear_transfer(event),
                Some(request) = ears.requests.recv() => self.answer(request),
                _ = housekeeping.tick() => self.keep_house(),
                () = sleep_until(wake) => self.feed(Input::Wake),
            }
        }
    }

    /// One input through the core, and everything that follows from it.
    fn feed(&mut self, input: Input<'_>) {
        let effects = self.handle(input);
        let ended = self.perform(effects);
        self.fetched(ended);
    }

    /// One input through the core: what it decides is to be performed at once.
    fn handle(&mut self, input: Input<'_>) -> Effects {
        let now = self.clock.now();
        let mut effects = Effects::default();
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input);
        }
        self.node.handle(now, input, &mut effects);
        if let Some(recorder) = &mut self.recorder {
            recorder.effects(&effects);
        }
        effects
    }

    /// Fetches that ended at once or with this event; each is an input, and may begin others.
    fn fetched(&mut self, mut ended: Vec<Fetched>) {
        while let Some((rollout, outcome)) = ended.pop() {
            let effects = self.handle(Input::Stored { rollout, outcome });
            ended.extend(self.perform(effects));
        }
    }

    fn wrote(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Persisted(id)) => {
                self.answer_submissions(|write| write <= id, &Verdict::Accepted);
                self.feed(Input::Persisted(id));
            }
            Some(Outcome::Failed { first, error }) => {
                tracing::error!("The journal cannot be written: {error}.");
                self.answer_submissions(|write| write >= first, &Verdict::Refused(Refusal::NotKept));
                self.feed(Input::PersistFailed(first));
            }
            None => {}
        }
    }

    fn hear_back(&mut self, feedback: Feedback) {
        match feedback {
            Feedback::Staged { rollout, outcome } => self.feed(Input::Staged { rollout, outcome }),
            Feedback::Activated { component, tree, outcome } => {
                self.feed(Input::Activated { component, tree, outcome });
            }
            Feedback::Probed { component, tree, report } => {
                self.feed(Input::Probed { component, tree, report });
            }
        }
    }

    fn hear_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { node } => {
                self.tell_addresses();
                self.feed(Input::LinkUp(node));
            }
            LinkEvent::Down { node } => self.feed(Input::LinkDown(node)),
            LinkEvent::Frame { from, via: link::Via::Direct, bytes } => {
                self.feed(Input::Received { from, via: Via::Direct, frame: &bytes });
            }
            LinkEvent::Frame { from, via: link::Via::Gossip(token), bytes } => {
                self.hear_gossip(from, token, &bytes);
            }
            LinkEvent::Listening { address } => {
                tracing::info!(%address, "This node can be reached.");
                self.tell_addresses();
            }
            LinkEvent::Refused { peer, why } => {
                let peer = peer.map(|peer| peer.short()).unwrap_or_default();
                tracing::debug!(peer, "A peer was turned away: {why}.");
            }
        }
    }

    /// Gossip goes on only when the core has judged it.
    fn hear_gossip(&mut self, from: NodeId, token: link::GossipToken, bytes: &[u8]) {
        let effects = self.handle(Input::Received { from, via: Via::Gossip, frame: bytes });
        self.link.verdict(token, perform::gossip_verdict(effects.verdict.as_ref()));
        let ended = self.perform(effects);
        self.fetched(ended);
    }

    fn hear_transfer(&mut self, event: TransferEvent) {
        let ended = match event {
            TransferEvent::Stored { blob } => self.bytes.arrived(blob),
            TransferEvent::Failed { blob, why } => self.bytes.failed(blob, &why),
            TransferEvent::Corrupt { peer, blob } => {
                tracing::warn!(
                    peer = peer.short(),
                    blob = blob.short(),
                    "A peer served bytes that are not what they should be."
                );
                Vec::new()
            }
        };
        self.fetched(ended);
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked may have gone away; then nobody needs the answer.
        match request {
            Request::Status(answer) => {
                let _ = answer.send(self.status());
            }
            Request::Submit(fact, answer) => {
                self.submit(fact, answer);
            }
            Request::Trust(answer) => {
                let _ = answer.send(self.node.trust_facts());
            }
            Request::Arrived(blob) => {
                if self.transfer.announce(blob).is_err() {
                    tracing::debug!("The transfer takes no calls; peers will ask again.");
                }
                let ended = self.bytes.arrived(blob);
                self.fetched(ended);
            }
        }
    }

    /// A fact that was handed in here is acknowledged when it is durable, not before (S9).
    fn submit(&mut self, fact: SignedFact, answer: oneshot::Sender<Verdict>) {
        let mut effects = self.handle(Input::Submitted(fact));
        let verdict = effects.verdict.take().unwrap_or(Verdict::Known);
        match effects.last_write().filter(|_| verdict == Verdict::Accepted) {
            Some(write) => self.unanswered.push_back((write, answer)),
            // Whoever asked may have gone away; then nobody needs the answer.
            None => drop(answer.send(verdict)),
        }
        let ended = self.perform(effects);
        self.fetched(ended);
    }

    /// Answers the submissions whose writes are decided: those up to `write`.
    fn answer_submissions(&mut self, decided: impl Fn(WriteId) -> bool, verdict: &Verdict) {
        let (answered, waiting) =
            std::mem::take(&mut self.unanswered).into_iter().partition(|(write, _)| decided(*write));
        self.unanswered = waiting;
        for (_, answer) in answered {
            drop(answer.send(verdict.clone()));
        }
    }

    fn tell_addresses(&mut self) {
        let addresses = self.link.own_addresses();
        if addresses != self.addresses {
            self.addresses.clone_from(&addresses);
            self.feed(Input::Addresses(addresses));
        }
    }

    fn keep_house(&mut self) {
        self.metrics.set_counters(&self.counters());
        self.metrics.set_offences(&self.transfer.offences());
        self.ledger.keep();
        self.mind_the_caps();
        self.mind_the_site();
        let stalled = self.bytes.stalled(std::time::Instant::now());
        self.fetched(stalled);
        self.feed(Input::WallClock(wall_clock()));
    }

    fn swarm(&self) -> SwarmView {
        let (zone, pieces) = (self.site.0.clone(), self.transfer.counters());
        let site = SiteView {
            zone,
            members: u32::try_from(self.site.1.len()).unwrap_or(u32::MAX),
            inside_bytes: pieces.site_bytes,
            outside_bytes: pieces.downloaded_bytes.saturating_sub(pieces.site_bytes),
        };
        let offences = self.transfer.offences();
        let counted = Offence::ALL.map(|offence| (offence.word().to_owned(), offences.of(offence)));
        let offences = counted.into_iter().filter(|(_, count)| *count > 0).collect();
        let courtesy = self.courtesy.as_ref().map(Courtesy::standing);
        let courtesy = courtesy.map(|standing| CourtesyView {
            others_send: standing.others_send,
            bytes_per_second: standing.bytes_per_second,
        });
        SwarmView { caps: self.caps, courtesy, site, offences, egress: self.transfer.budgets() }
    }

    /// Members of the site come and go.
    fn mind_the_site(&mut self) {
        let site = self.node.site(self.clock.now());
        if site != self.site && self.transfer.set_site(site.1.clone()).is_ok() {
            self.site = site;
        }
    }

    /// Another window of the schedule may have begun.
    fn mind_the_caps(&mut self) {
        let caps = self.schedule.caps_at(crate::control::events::unix_ms());
        if caps != self.caps && self.transfer.set_caps(caps).is_ok() {
            tracing::info!("The caps on pieces are now {}.", caps.words());
            self.caps = caps;
        }
    }

    fn status(&self) -> AgentStatus {
        AgentStatus {
            version: self.about.version.clone(),
            pid: self.about.pid,
            started_unix_ms: self.about.started_unix_ms,
            now_unix_ms: crate::control::events::unix_ms(),
            node: self.node.status(self.clock.now()),
            services: self.components.views(),
            transfers: self.bytes.views(),
            swarm: self.swarm(),
            counters: self.counters(),
        }
    }

    fn counters(&self) -> Counters {
        let (traffic, pieces) = (self.link.traffic(), self.transfer.counters());
        let usage = process::usage().unwrap_or_default();
        let budgets = self.transfer.budgets();
        Counters {
            uploaded_bytes: pieces.uploaded_bytes,
            downloaded_bytes: pieces.downloaded_bytes,
            site_bytes: pieces.site_bytes,
            link_sent_bytes: traffic.sent_bytes,
            link_received_bytes: traffic.received_bytes,
            gossip_received: traffic.gossip_received,
            gossip_copies: traffic.gossip_copies,
            gossip_asked: traffic.gossip_asked,
            gossip_mesh: traffic.gossip_mesh,
            corrupt_pieces: pieces.corrupt_pieces,
            egress_sent_bytes: budgets.iter().map(|budget| budget.sent_bytes).sum(),
            egress_beyond_bytes: budgets.iter().map(|budget| budget.beyond_bytes).sum(),
            egress_left_bytes: budgets.iter().map(|budget| budget.left_bytes).sum(),
            links: self.link.connected().len() as u64,
            resident_bytes: usage.resident_bytes,
            cpu_ms: u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Frees blobs that nothing names any more: chunks that lie in slots, deltas of releases long gone. What may be the
    /// last copy stays.
    fn clean_store(&self) {
        if !self.bytes.is_idle() {
            return;
        }
        let mut keep: BTreeSet<_> = self.node.named_blobs();
        keep.extend(self.bytes.needed());
        let (store, slots) = (self.store.clone(), self.slots.clone());
        let (arrivals, scarce) = (self.arrivals.clone(), self.node.scarce_trees());
        tokio::task::spawn_blocking(move || {
            let in_slot = |chunk: &_| slots.locate_chunk(chunk).is_some();
            let now = std::time::Instant::now();
            keep.extend(kept(&store, &arrivals, &scarce, &in_slot, now));
            if let Err(error) = store.retain(&keep) {
                tracing::warn!("Old blobs were not cleaned up: {error}.");
            }
        });
    }

    /// Builds a tree where blocking is allowed.
    fn stage(&self, work: Work) {
        let (slots, store, feedback) = (self.slots.clone(), self.store.clone(), self.feedback.clone());
        tokio::task::spawn_blocking(move || {
            let rollout = work.rollout;
            let outcome = perform::build(&slots, &store, &work)
                .and_then(|()| perform::offer_index(&slots, &store, &work));
            if let Err(trouble) = &outcome {
                tracing::warn!(rollout = rollout.0.short(), "The tree was not built: {}.", trouble.words());
            }
            // The loop has ended if this fails.
            let _ = feedback.blocking_send(Feedback::Staged { rollout, outcome });
        });
    }
}
