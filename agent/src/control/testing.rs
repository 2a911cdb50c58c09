//! A backend of a few lines behind a real socket, for tests of both ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, RolloutId, SignedFact};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::node::Verdict;
use groundswell_protocol::node::event::{Hold, Refusal, Stage};
use groundswell_protocol::node::status::{PlanStatus, Quorum, RolloutStatus, Signing, Status, Tally};
use groundswell_protocol::trust::manifest::{Kind, ReleaseOrder};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::FleetId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::api::{AgentStatus, Counters, EgressRequest, SwarmView};
use super::client::Client;
use super::events::{EventLog, EventStream};
use super::server::Server;
use super::{Backend, ImportError};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ROOM_BYTES: u64 = 1_000_000;

#[derive(Clone)]
pub(crate) struct Fake {
    /// Another one for each life.
    started_unix_ms: u64,
    pub(crate) log: EventLog,
    pub(crate) blobs: Arc<Mutex<BTreeMap<Digest, Vec<u8>>>>,
    pub(crate) facts: Arc<Mutex<Vec<SignedFact>>>,
    pub(crate) budgets: Arc<Mutex<Vec<EgressRequest>>>,
}

impl Default for Fake {
    fn default() -> Self {
        static LIVES: AtomicU64 = AtomicU64::new(1);
        Self {
            started_unix_ms: LIVES.fetch_add(1, Ordering::Relaxed),
            log: EventLog::new(),
            blobs: Arc::default(),
            facts: Arc::default(),
            budgets: Arc::default(),
        }
    }
}

pub(crate) fn fleet() -> FleetId {
    FleetId(Digest::of(b"a fleet"))
}

pub(crate) fn key() -> KeyPair {
    KeyPair::from_seed(&[7; 32])
}

pub(crate) fn status() -> Status {
    Status {
        fleet: fleet(),
        fleet_name: "test".into(),
        node: key().public(),
        boot: 1,
        signing: Signing::Yes,
        policy: 3,
        policy_expires: 0,
        census: 1,
        conflict: false,
        quorum: Quorum { jurors: 1, faulty: 0, quorum: 1 },
        members: vec![],
        components: vec![],
        rollouts: vec![],
        ended: vec![],
        facts: 2,
    }
}

pub(crate) fn rollout() -> RolloutStatus {
    RolloutStatus {
        rollout: RolloutId(Digest::of(b"a rollout")),
        component: ComponentName::new("web").unwrap(),
        kind: Kind::Service,
        version: "1.0".into(),
        order: ReleaseOrder { epoch: 1, sequence: 1 },
        note: String::new(),
        bytes: 1,
        ending: None,
        stopped_why: None,
        paused: false,
        next_flow_counter: 5,
        members: 1,
        targets: vec![1],
        open: 0,
        term: 0,
        leader: key().public(),
        proposed: None,
        quorum: Quorum { jurors: 1, faulty: 0, quorum: 1 },
        tally: Tally::default(),
        allowed: 0,
        hold: Hold::None,
        hold_left_ms: None,
        my_rank: Some(0),
        my_stage: Stage::Known,
        trial_left_ms: None,
        votes: vec![],
        ballots: vec![],
        plan: PlanStatus { trial_s: 1, bake_s: 1, stage_s: 1, hold_s: 1 },
    }
}

impl Backend for Fake {
    async fn status(&self) -> AgentStatus {
        AgentStatus {
            version: "0.1.0".into(),
            pid: 1,
            started_unix_ms: self.started_unix_ms,
            now_unix_ms: 2,
            node: status(),
            services: vec![],
            transfers: vec![],
            swarm: SwarmView::default(),
            counters: Counters::default(),
        }
    }

    async fn submit(&self, fact: SignedFact) -> Verdict {
        if Fact::read(fleet(), fact.clone()).is_err() {
            return Verdict::Refused(Refusal::OtherFleet);
        }
        let mut facts = self.facts.lock().unwrap();
        if facts.contains(&fact) {
            return Verdict::Known;
        }
        facts.push(fact);
        Verdict::Accepted
    }

    async fn trust(&self) -> Vec<SignedFact> {
        self.facts.lock().unwrap().clone()
    }

    fn events(&self, after: u64) -> EventStream {
        self.log.subscribe(after)
    }

    async fn missing(&self, digests: Vec<Digest>) -> Vec<Digest> {
        let blobs = self.blobs.lock().unwrap();
        digests.into_iter().filter(|digest| !blobs.contains_key(digest)).collect()
    }

    async fn import(
        &self,
        digest: Digest,
        bytes: u64,
        mut body: impl AsyncRead + Send + Unpin,
    ) -> Result<(), ImportError> {
        if bytes > ROOM_BYTES {
            return Err(ImportError::NoSpace);
        }
        let mut content = Vec::new();
        let read = body.read_to_end(&mut content).await;
        read.map_err(|error| ImportError::Incomplete(error.to_string()))?;
        if Digest::of(&content) != digest || content.len() as u64 != bytes {
            return Err(ImportError::Mismatch);
        }
        self.blobs.lock().unwrap().insert(digest, content);
        Ok(())
    }

    async fn set_egress(&self, request: EgressRequest) -> Result<(), String> {
        if request.permille < 1000 {
            return Err("too little".to_owned());
        }
        self.budgets.lock().unwrap().push(request);
        Ok(())
    }

    fn metrics(&self) -> String {
        "# EOF\n".into()
    }
}

/// A running server in a directory of its own.
pub(crate) struct House {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) fake: Fake,
    pub(crate) client: Client,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: tokio::task::JoinHandle<()>,
    pub(crate) metrics: std::net::SocketAddr,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap()).await
    }

    /// As an agent that starts anew.
    pub(crate) async fn in_directory(directory: tempfile::TempDir) -> Self {
        let socket = directory.path().join("agent.sock");
        let server = Server::bind(&socket, Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let metrics = server.metrics_address().unwrap();
        let (fake, stop) = (Fake::default(), CancellationToken::new());
        let serving = tokio::spawn(server.serve(fake.clone(), stop.clone()));
        Self { directory, fake, client: Client::new(socket), stop, serving, metrics }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        timeout(PATIENCE, self.serving).await.unwrap().unwrap();
        self.directory
    }
}
