//! The console before a made-up fleet, over a real socket: for looking at the screen while working on it.
//!
//! ```text
//! cargo run -p groundswell-agent --example console_preview -- serve /tmp/preview.sock
//! cargo run -p groundswell-agent --example console_preview -- show /tmp/preview.sock
//! ```
//! The fleet goes through a good release, then a bad one, and so on. Orders given on the console are obeyed.

#[path = "../src/console/sample.rs"]
mod sample;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use groundswell_agent::console::{self, ConsoleOptions};
use groundswell_agent::control::api::{AgentStatus, Counters, EgressRequest, SwarmView};
use groundswell_agent::control::events::unix_ms;
use groundswell_agent::control::server::Server;
use groundswell_agent::control::{Backend, EventLog, EventStream, ImportError};
use groundswell_agent::telemetry::metrics::Metrics;
use groundswell_agent::telemetry::process;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, SignedFact, Statement};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::node::event::{Event, Refusal};
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::status::RolloutStatus;
use groundswell_protocol::node::{Status, Verdict};
use groundswell_protocol::trust::command::Instruction;
use sample::Story;
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

const STEP: Duration = Duration::from_millis(700);

#[derive(Clone)]
struct Preview {
    story: Arc<Mutex<Story>>,
    log: EventLog,
    metrics: Metrics,
    started_unix_ms: u64,
}

impl Preview {
    fn with_story<T>(&self, act: impl FnOnce(&mut Story) -> T) -> T {
        act(&mut self.story.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, events: Vec<Event>) {
        for event in events {
            self.metrics.observe(&event);
            self.log.push(event);
        }
    }

    async fn live(self) {
        for sequence in 3_u64.. {
            let version = format!("1.{}.0", sequence - 1);
            let bad = sequence % 2 == 0;
            self.tell(self.with_story(|story| story.publish(&version, sequence, bad)));
            while !self.with_story(|story| story.is_idle()) {
                tokio::time::sleep(STEP).await;
                self.tell(self.with_story(Story::step));
            }
            tokio::time::sleep(STEP * 6).await;
        }
    }
}

fn obey(rollout: &mut RolloutStatus, instruction: Instruction) {
    match instruction {
        Instruction::Flow { counter, pause } => {
            rollout.paused = pause;
            rollout.next_flow_counter = counter + 1;
        }
        Instruction::Stop => {
            rollout.ending = Some(Ending::Stopped);
            rollout.stopped_why = Some("an operator ended it".to_owned());
        }
        Instruction::Promote(open) => rollout.open = open,
    }
}

impl Backend for Preview {
    async fn status(&self) -> AgentStatus {
        let usage = process::usage().unwrap_or_default();
        let counters = Counters { resident_bytes: usage.resident_bytes, ..Counters::default() };
        self.metrics.set_counters(&counters);
        AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_unix_ms: self.started_unix_ms,
            now_unix_ms: unix_ms(),
            node: self.with_story(|story| story.status.clone()),
            services: Vec::new(),
            transfers: Vec::new(),
            swarm: SwarmView::default(),
            counters,
        }
    }

    async fn submit(&self, fact: SignedFact) -> Verdict {
        let events = self.with_story(|story| {
            let fact = Fact::read(story.status.fleet, fact).ok()?;
            let Statement::Command(command) = fact.statement else { return None };
            let known = story.status.rollouts.iter_mut().find(|it| it.rollout == command.rollout)?;
            obey(known, command.instruction);
            let rollout = command.rollout;
            Some(vec![Event::Commanded { rollout, instruction: command.instruction, note: command.note }])
        });
        match events {
            Some(events) => {
                self.tell(events);
                Verdict::Accepted
            }
            None => Verdict::Refused(Refusal::MissingParent),
        }
    }

    async fn trust(&self) -> Vec<SignedFact> {
        Vec::new()
    }

    fn events(&self, after: u64) -> EventStream {
        self.log.subscribe(after)
    }

    async fn missing(&self, digests: Vec<Digest>) -> Vec<Digest> {
        digests
    }

    async fn import(&self, _: Digest, _: u64, _: impl AsyncRead + Send + Unpin) -> Result<(), ImportError> {
        Err(ImportError::Local("a preview keeps no blobs".to_owned()))
    }

    async fn set_egress(&self, _: EgressRequest) -> Result<(), String> {
        Err("a preview sends nothing".to_owned())
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }
}

async fn serve(socket: PathBuf) -> Result<(), Box<dyn Error>> {
    let server = Server::bind(socket, None).await?;
    let preview = Preview {
        story: Arc::new(Mutex::new(Story::idle(12))),
        log: EventLog::new(),
        metrics: Metrics::new(),
        started_unix_ms: unix_ms(),
    };
    preview.tell(vec![Event::Recovered { boot: 2 }, Event::Census { version: 3, members: 12 }]);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(preview.clone(), stop.clone()));
    tokio::select! {
        () = preview.live() => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    stop.cancel();
    Ok(serving.await?)
}

fn made_up_key(_: &Path) -> Result<KeyPair, String> {
    Ok(KeyPair::from_seed(&[9; 32]))
}

fn explain(_: &Status, rollout: &RolloutStatus) -> String {
    let (open, members) = (rollout.open.min(rollout.members), rollout.members);
    format!(
        "{} {} has opened {open} of {members} nodes.\n\nThe gate waits for more of them to prove healthy.",
        rollout.component, rollout.version
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (verb, socket) = (words.next(), words.next().map(PathBuf::from));
    match (verb.as_deref(), socket) {
        (Some("serve"), Some(socket)) => serve(socket).await,
        (Some("show"), Some(socket)) => {
            let no_color = std::env::var_os("NO_COLOR").is_some();
            let key = Some(PathBuf::from("operator.key"));
            let options = ConsoleOptions { socket, key, no_color, read_key: made_up_key, explain };
            Ok(console::run(options).await?)
        }
        _ => Err("say `serve SOCKET` or `show SOCKET`".into()),
    }
}
