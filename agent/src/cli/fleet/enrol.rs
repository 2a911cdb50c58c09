//! `swell fleet enrol`: nodes join the census, or get other labels.

use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::trust::census::Enrolment;
use serde::Serialize;

use super::handover::Handover;
use crate::cli::failure::Failure;
use crate::cli::identity::parse_node;
use crate::cli::screen::Answer;
use crate::cli::words::count;
use crate::release::bundle::Bundle;
use crate::release::census::{CensusChange, enrol};
use crate::release::fleet::FleetDirectory;

const DEFAULT_LABEL: &str = "default";

/// Enrols nodes, or gives enrolled ones other labels
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell fleet enrol 3b1f...                        a node as `swell identity` prints it
  swell fleet enrol 12D3KooW... --zone rack-7 --ring production
  swell fleet enrol 3b1f... --no-elector --socket data/agent.sock")]
pub(in crate::cli) struct EnrolArgs {
    /// Nodes: 64 hexadecimal digits, or libp2p peer ids
    #[arg(required = true, value_name = "NODE", value_parser = parse_node)]
    nodes: Vec<NodeId>,
    /// The fleet directory
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// Failure domain: a rack, a site, a region [default: as before, else `default`]
    #[arg(long)]
    zone: Option<String>,
    /// Environment: test, staging, production [default: as before, else `default`]
    #[arg(long)]
    ring: Option<String>,
    /// What sort of machine it is [default: as before, else `default`]
    #[arg(long)]
    class: Option<String>,
    /// May sit on juries: a machine that is always on [default: as before, else so]
    #[arg(long, conflicts_with = "no_elector")]
    elector: bool,
    /// May not sit on juries: a machine that is often off
    #[arg(long)]
    no_elector: bool,
    /// Key files of the enrol role [default: those in the fleet directory]
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Hand the new census to the agent behind this socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What a change of the census came to.
#[derive(Serialize)]
pub(super) struct CensusAnswer {
    census: u32,
    nodes: usize,
    added: usize,
    changed: usize,
    removed: usize,
    bundle: PathBuf,
    handed_over: bool,
}

pub(super) fn run(args: &EnrolArgs) -> Result<Answer, Failure> {
    let directory = FleetDirectory::at(&args.dir);
    let handover = Handover::to(args.socket.as_deref())?;
    let _lock = directory.lock()?;
    let mut bundle = handover.newest(directory.read_bundle()?)?;
    let keys = directory.read_keys(&args.key)?;
    let nodes: Vec<Enrolment> = args.nodes.iter().map(|node| args.enrolment(*node, &bundle)).collect();
    let change = enrol(&mut bundle, &nodes, &keys)?;
    finish(&directory, &bundle, change, &handover)
}

/// Writes the bundle, hands it over, and says what changed.
pub(super) fn finish(
    directory: &FleetDirectory,
    bundle: &Bundle,
    change: CensusChange,
    handover: &Handover,
) -> Result<Answer, Failure> {
    bundle.write(&directory.bundle_path())?;
    let handed_over = handover.hand_over(bundle)?;
    let census = bundle.census().expect("BUG: a census was just made");
    let answer = CensusAnswer {
        census: census.version,
        nodes: census.members.len(),
        added: change.added,
        changed: change.changed,
        removed: change.removed,
        bundle: directory.bundle_path(),
        handed_over,
    };
    Ok(Answer::new(words(&answer, change), &answer))
}

fn words(answer: &CensusAnswer, change: CensusChange) -> String {
    let nodes = count(answer.nodes as u64, "node");
    let what = if change.is_empty() {
        format!("census {} of {nodes} says so already: nothing was changed", answer.census)
    } else {
        format!(
            "census {} has {nodes}: {} new, {} with other labels, {} gone",
            answer.census, change.added, change.changed, change.removed
        )
    };
    let next = if answer.handed_over {
        "the agent has it and spreads it".to_owned()
    } else {
        format!("{} is for every node; running agents take it with --socket", answer.bundle.display())
    };
    format!("{what}\n{next}\n")
}

impl EnrolArgs {
    /// What is not said stays as it was.
    fn enrolment(&self, node: NodeId, bundle: &Bundle) -> Enrolment {
        let before = bundle
            .census()
            .and_then(|census| census.member(&node).and_then(|member| census.enrolment(member)));
        let label = |given: &Option<String>, before: Option<&String>| {
            given.as_ref().or(before).cloned().unwrap_or_else(|| DEFAULT_LABEL.to_owned())
        };
        let before = before.as_ref();
        Enrolment {
            node,
            zone: label(&self.zone, before.map(|before| &before.zone)),
            ring: label(&self.ring, before.map(|before| &before.ring)),
            class: label(&self.class, before.map(|before| &before.class)),
            elector: self.elector || (!self.no_elector && before.is_none_or(|before| before.elector)),
        }
    }
}
