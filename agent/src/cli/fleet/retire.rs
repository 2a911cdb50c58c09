//! `swell fleet retire`: nodes leave the census.

use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::identity::NodeId;

use super::enrol::finish;
use super::handover::Handover;
use crate::cli::failure::Failure;
use crate::cli::identity::parse_node;
use crate::cli::screen::Answer;
use crate::release::census::retire;
use crate::release::fleet::FleetDirectory;

/// Retires nodes: links to them are refused from then on
#[derive(Args, Debug)]
#[command(after_help = "A rollout that is under way keeps the census that its release names.

EXAMPLES:
  swell fleet retire 3b1f...
  swell fleet retire 3b1f... 9c04... --socket data/agent.sock")]
pub(in crate::cli) struct RetireArgs {
    /// Nodes: 64 hexadecimal digits, or libp2p peer ids
    #[arg(required = true, value_name = "NODE", value_parser = parse_node)]
    nodes: Vec<NodeId>,
    /// The fleet directory
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// Key files of the enrol role [default: those in the fleet directory]
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Hand the new census to the agent behind this socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

pub(super) fn run(args: &RetireArgs) -> Result<Answer, Failure> {
    let directory = FleetDirectory::at(&args.dir);
    let handover = Handover::to(args.socket.as_deref())?;
    let _lock = directory.lock()?;
    let mut bundle = handover.newest(directory.read_bundle()?)?;
    let keys = directory.read_keys(&args.key)?;
    let change = retire(&mut bundle, &args.nodes, &keys)?;
    finish(&directory, &bundle, change, &handover)
}
