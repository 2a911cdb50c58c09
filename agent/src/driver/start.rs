//! From a configuration to a running agent, and its orderly end.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::node::{self, Entropy, Node, Record};
use groundswell_protocol::recording::Head;
use groundswell_protocol::trust::policy::FleetId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backend::{AgentBackend, REQUESTS_MAX, Request};
use super::bytes::Bytes;
use super::clock::Clock;
use super::components::Components;
use super::feedback::FEEDBACK_MAX;
use super::keeping::Arrivals;
use super::ledger::Ledger;
use super::recorder::Recorder;
use super::streams::{LinkStreams, opened_by_peers};
use super::{About, Agent, Ears};
use crate::config::{Config, ConfigError};
use crate::control::events::unix_ms;
use crate::control::server::{BindError, Server};
use crate::control::{EventLog, api::AgentStatus};
use crate::courtesy::{Courtesy, Line, Own};
use crate::link::{IncomingPieces, Link, LinkError, LinkSettings};
use crate::release::bundle::Bundle;
use crate::release::keys;
use crate::release::problem::Problem;
use crate::slots::{SlotError, Slots};
use crate::store::blobs::{BlobStore, StoreError, StoreLimits};
use crate::store::journal::{Journal, JournalError, Writer};
use crate::store::{Content, Located};
use crate::telemetry::logs::{self, LogSetupError};
use crate::telemetry::metrics::Metrics;
use crate::transfer::{Caps, Transfer, TransferLimits};

/// Why an agent cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log settings.
    #[error(transparent)]
    Logs(#[from] LogSetupError),
    /// The fleet bundle, or the node's key.
    #[error("{}: {}", .0.what, .0.why)]
    Documents(Problem),
    /// The journal belongs to another fleet.
    #[error(
        "{data} belongs to the fleet {held}, the bundle to the fleet {named}: give this agent a data directory of its own"
    )]
    OtherFleet {
        /// The data directory.
        data: PathBuf,
        /// The fleet that it belongs to.
        held: String,
        /// The fleet of the bundle.
        named: String,
    },
    /// The data directory.
    #[error("the data directory {path} cannot be used: {source}")]
    Data {
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The blob store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The slots.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The network.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The control API's socket or the metrics' address.
    #[error(transparent)]
    Control(#[from] BindError),
    /// A component's process or sockets.
    #[error("{0}")]
    Component(String),
    /// The recording.
    #[error("cannot record to {path}: {source}")]
    Recording {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<Problem> for AgentError {
    fn from(problem: Problem) -> Self {
        Self::Documents(problem)
    }
}

/// Runs an agent until it is told to end. What its core is told and decides is recorded in `record`, a new file or
/// a directory.
///
/// SIGTERM and SIGINT end it and the components' processes, with grace. SIGHUP ends it and lets the
/// processes run on, for the agent that takes its place; so does its own death.
///
/// # Errors
/// Why it could not start; nothing is left running that did not run before.
pub async fn run(config: &Path, record: Option<&Path>) -> Result<(), AgentError> {
    let config = Config::read(config)?;
    logs::init(config.log.format, &config.log.level)?;
    let stop = stop_signals()?;
    let (mut agent, ears, served, server_stop) = assemble(&config, record).await?;
    let leave = agent.live(ears, stop).await;
    tracing::info!(leave, "The agent ends.");
    server_stop.cancel();
    let Agent { components, journal, recorder, ledger, .. } = agent;
    if let Some(recorder) = recorder {
        recorder.end();
    }
    ledger.end().await;
    components.end(leave).await;
    // Its thread finishes what is queued.
    drop(journal);
    if let Err(panic) = served.await {
        tracing::error!("BUG: the control API ended early: {panic}.");
    }
    Ok(())
}

type Assembled = (Agent, Ears, tokio::task::JoinHandle<()>, CancellationToken);

async fn assemble(config: &Config, record: Option<&Path>) -> Result<Assembled, AgentError> {
    let bundle = Bundle::read(&config.fleet)?;
    let fleet = bundle.fleet();
    prepare_data(config, fleet)?;
    let (key, made) = keys::read_or_make(&config.data.join("identity.key"))?;
    if made {
        tracing::info!(node = %key.public(), "This node has a new identity: enrol it.");
    }
    // The socket first: a second agent on the same data directory is told so in plain words.
    let server = Server::bind(&config.socket, config.metrics).await?;
    let journal = Journal::open(&config.data.join("journal"))?;
    let (node, head) = restore(config, &bundle, &key, &journal)?;
    let (journal, outcomes) = Writer::start(journal)
        .map_err(|source| AgentError::System { what: "cannot start the journal's thread", source })?;
    let store =
        BlobStore::open(&config.data.join("blobs"), StoreLimits { total_bytes: config.store_bytes_max })?;
    let slots = Arc::new(Slots::open(&config.data.join("components"))?);
    let (feedback, fed_back) = mpsc::channel(FEEDBACK_MAX);
    let components = Components::open(&config.components, &config.data, &slots, &feedback)
        .await
        .map_err(|error| AgentError::Component(error.to_string()))?;
    let (link, link_events, incoming) = Link::start(link_settings(config, &key, fleet)).await?;
    let (transfer, transfer_events) = start_transfer(config, &key, &store, &slots, &link, incoming);
    let yields = config.transfer.yields();
    let courtesy = yields.map(|on| yield_on(Line::new(on.interface.clone()), &link, &transfer));
    let (requests, requested) = mpsc::channel(REQUESTS_MAX);
    let (clock, origin_unix_ms) = (Clock::start(), unix_ms());
    let recorder = record.map(|place| Recorder::begin(place, Head { origin_unix_ms, ..head })).transpose();
    let recorder = recorder.map_err(|(path, source)| AgentError::Recording { path, source })?;
    let agent = Agent {
        about: About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_unix_ms: unix_ms(),
        },
        fleet,
        node,
        clock,
        recorder,
        link,
        journal,
        bytes: Bytes::new(store.clone(), slots.clone(), transfer.clone()),
        slots,
        caps: Caps::default(),
        schedule: config.transfer.clone(),
        site: (String::new(), Vec::new()),
        arrivals: Arrivals::new(store.digests().into_iter()),
        store,
        ledger: Ledger::open(config.data.join("egress.json"), transfer.clone()),
        courtesy,
        transfer,
        components,
        events: EventLog::new(),
        metrics: Metrics::new(),
        feedback,
        addresses: Vec::new(),
        unanswered: VecDeque::new(),
    };
    let stop = CancellationToken::new();
    let served = tokio::spawn(server.serve(backend(&agent, requests), stop.clone()));
    let ears = Ears {
        link: link_events,
        journal: outcomes,
        transfer: transfer_events,
        feedback: fed_back,
        requests: requested,
    };
    Ok((agent, ears, served, stop))
}

fn backend(agent: &Agent, requests: mpsc::Sender<Request>) -> AgentBackend {
    let last: AgentStatus = agent.status();
    AgentBackend {
        requests,
        events: agent.events.clone(),
        metrics: agent.metrics.clone(),
        store: agent.store.clone(),
        slots: agent.slots.clone(),
        transfer: agent.transfer.clone(),
        arrivals: agent.arrivals.clone(),
        last: Arc::new(last),
    }
}

/// Makes the data directory, and sees that it belongs to this fleet.
fn prepare_data(config: &Config, fleet: FleetId) -> Result<(), AgentError> {
    let failed = |source| AgentError::Data { path: config.data.clone(), source };
    fs::create_dir_all(&config.data).map_err(failed)?;
    let mark = config.data.join("fleet");
    let named = fleet.0.to_string();
    match fs::read_to_string(&mark) {
        Ok(held) if held.trim() == named => Ok(()),
        Ok(held) => {
            Err(AgentError::OtherFleet { data: config.data.clone(), held: held.trim().to_owned(), named })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            crate::release::disk::write_atomic(&mark, named.as_bytes(), 0o644)?;
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

/// The node as it was, and whatever the bundle has that is newer; and how a recording of it begins.
fn restore(
    config: &Config,
    bundle: &Bundle,
    key: &KeyPair,
    journal: &Journal,
) -> Result<(Node, Head), AgentError> {
    let mut records = Vec::new();
    for (_, value) in journal.read_all()? {
        match Record::decode(&value) {
            Ok(record) => records.push(record),
            // The journal's own digests hold, so another version of the agent wrote it.
            Err(_) => {
                tracing::warn!("A record of the journal is not understood by this version; it is left out.");
            }
        }
    }
    records.extend(bundle.facts().into_iter().map(Record::Fact));
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).map_err(|error| AgentError::System {
        what: "the system gives no randomness",
        source: io::Error::other(error.to_string()),
    })?;
    let components = config.component_names();
    let head = Head {
        fleet: bundle.fleet(),
        node: key.public(),
        components: components.iter().cloned().collect(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        origin_unix_ms: 0,
        entropy,
        restored: records.clone(),
    };
    let config = node::Config { fleet: bundle.fleet(), key: key.clone(), components };
    Ok((Node::new(config, records, Entropy(entropy)), head))
}

fn link_settings(config: &Config, key: &KeyPair, fleet: FleetId) -> LinkSettings {
    let mut settings = LinkSettings::new(key.seed(), fleet.0.to_string());
    settings.listen.clone_from(&config.listen);
    settings.announce.clone_from(&config.announce);
    settings.bootstrap.clone_from(&config.bootstrap);
    settings
}

fn start_transfer(
    config: &Config,
    key: &KeyPair,
    store: &BlobStore,
    slots: &Arc<Slots>,
    link: &Link,
    incoming: IncomingPieces,
) -> (Transfer, mpsc::Receiver<crate::transfer::TransferEvent>) {
    let limits = TransferLimits { caps: config.transfer.caps_at(unix_ms()), ..TransferLimits::default() };
    let contents: Vec<Arc<dyn Content>> = vec![Arc::new(InSlots(Arc::clone(slots)))];
    let streams = LinkStreams(link.clone());
    Transfer::start(key.public(), store.clone(), contents, streams, opened_by_peers(incoming), limits)
}

/// Lets other programs on `line` come first: pieces take what they leave.
pub(crate) fn yield_on(line: Line, link: &Link, transfer: &Transfer) -> Courtesy {
    let (link, moved, told) = (link.clone(), transfer.clone(), transfer.clone());
    let own = move || {
        let (traffic, uploaded_bytes) = (link.traffic(), moved.counters().uploaded_bytes);
        Own { sent_bytes: traffic.sent_bytes, received_bytes: traffic.received_bytes, uploaded_bytes }
    };
    Courtesy::begin(line, own, move |left| told.leave_room(left).is_ok())
}

/// Chunks of installed versions.
struct InSlots(Arc<Slots>);

impl Content for InSlots {
    fn locate(&self, digest: &Digest) -> Option<Located> {
        let place = self.0.locate_chunk(digest)?;
        Some(Located { path: place.path, offset: place.offset, bytes: u64::from(place.bytes) })
    }
}

/// Says `false` when the agent is to end with its processes, `true` when it is to leave them running.
fn stop_signals() -> Result<mpsc::Receiver<bool>, AgentError> {
    let failed = |source| AgentError::System { what: "cannot listen for signals", source };
    let (say, heard) = mpsc::channel(1);
    for (kind, leave) in
        [(SignalKind::terminate(), false), (SignalKind::interrupt(), false), (SignalKind::hangup(), true)]
    {
        let mut signals = signal(kind).map_err(failed)?;
        let say = say.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if say.send(leave).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(heard)
}
