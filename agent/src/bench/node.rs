//! Our own nodes: one process each, told by its argument what to be and by lines when to act.
//!
//! Says `ready`, begins on a line, says `stored` with the time and, on one more line, what it `moved`. The swarm is the
//! transfer and the link of the agent, connections included; the two others are what it is held against: one stream of
//! the same link to each receiver, and plain TCP, both from one publisher and without hashing.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::{KeyPair, NodeId};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::network::address_of;
use super::{foreground, tracker};
use crate::courtesy::{Courtesy, Line};
use crate::driver::streams::{LinkStreams, opened_by_peers};
use crate::link::{IncomingPieces, Link, LinkSettings, parse_address};
use crate::store::blobs::{BlobStore, StoreLimits};
use crate::transfer::{Transfer, TransferEvent, TransferLimits, Want};

/// Where our nodes listen.
const PORT: u16 = 7400;
/// How much is read from a stream at a time.
const READ_BYTES: usize = 256 << 10;

/// What a process is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NodeTask {
    pub(super) role: Role,
    /// Its number; 0 is the publisher.
    pub(super) number: usize,
    /// How many there are, the publisher included.
    pub(super) nodes: usize,
    pub(super) blob: Digest,
    pub(super) bytes: u64,
    /// Where its bytes are kept.
    pub(super) directory: PathBuf,
    /// The publisher's file.
    pub(super) file: PathBuf,
    /// Over TCP, noise and yamux in place of QUIC.
    pub(super) tcp: bool,
    /// Connections are there before it begins.
    pub(super) warm: bool,
    /// Other programs on its line come first.
    pub(super) yields: bool,
    /// How many requests a program that asks makes.
    pub(super) requests: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Swarm,
    Stream,
    Star,
    Tracker,
    /// Another program, which answers requests.
    Answers,
    /// And one that makes them.
    Asks,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Plays the part that `task`, in JSON, describes.
///
/// # Errors
/// In words.
pub async fn run(task: &str) -> Result<(), String> {
    let task: NodeTask = serde_json::from_str(task).map_err(|error| error.to_string())?;
    let played = match task.role {
        Role::Tracker => tracker::serve(super::network::SWITCH_ADDRESS).map_err(Failed::from),
        Role::Answers => foreground::answer().await.map_err(Failed::from),
        Role::Asks => foreground::ask(task.requests).await.map_err(Failed::from),
        Role::Swarm => swarm(&task).await,
        Role::Stream => stream(&task).await,
        Role::Star => star(&task).await,
    };
    played.map_err(|error| error.to_string())
}

async fn swarm(task: &NodeTask) -> Result<(), Failed> {
    let store = BlobStore::open(&task.directory, StoreLimits { total_bytes: u64::MAX })?;
    if task.number == 0 {
        store.import(std::fs::File::open(&task.file)?, task.blob, task.bytes)?;
    }
    let (link, incoming) = link(task).await?;
    let (me, streams) = (link.own_node(), LinkStreams(link.clone()));
    let limits = TransferLimits::default();
    let (transfer, mut events) =
        Transfer::start(me, store, Vec::new(), streams, opened_by_peers(incoming), limits);
    let _courtesy = task.yields.then(|| courtesy(&link, &transfer));
    if task.warm {
        join(task, &link).await;
    }
    println!("ready");
    line().await?;
    if !task.warm {
        introduce(task, &link);
    }
    if task.number > 0 {
        transfer.fetch(Want { blob: task.blob, bytes: task.bytes }, vec![node_of(0)])?;
        loop {
            match events.recv().await.ok_or("the transfer ended")? {
                TransferEvent::Stored { .. } => break,
                TransferEvent::Failed { why, .. } => return Err(why.into()),
                TransferEvent::Corrupt { peer, .. } => println!("corrupt {}", peer.short()),
            }
        }
        stored();
    }
    line().await?;
    let moved = transfer.counters();
    println!("moved {} {}", moved.uploaded_bytes, moved.downloaded_bytes);
    Ok(())
}

/// As an agent yields whose operator says so.
fn courtesy(link: &Link, transfer: &Transfer) -> Courtesy {
    crate::driver::yield_on(Line::new(Some("eth0".to_owned())), link, transfer)
}

/// One stream of the link to each receiver: what the transport itself can do.
async fn stream(task: &NodeTask) -> Result<(), Failed> {
    let (link, mut incoming) = link(task).await?;
    if task.warm {
        join(task, &link).await;
    }
    println!("ready");
    line().await?;
    if !task.warm {
        introduce(task, &link);
    }
    if task.number == 0 {
        let content: Arc<[u8]> = std::fs::read(&task.file)?.into();
        for _ in 1..task.nodes {
            let (_, mut to) = incoming.recv().await.ok_or("the link ended")?;
            let content = content.clone();
            tokio::spawn(async move {
                to.write_all(&content).await?;
                to.flush().await
            });
        }
    } else {
        let mut from = link.open_pieces(node_of(0)).await?;
        drain(&mut from, task).await?;
    }
    line().await?;
    Ok(())
}

/// Plain TCP from the publisher to each receiver.
async fn star(task: &NodeTask) -> Result<(), Failed> {
    if task.number == 0 {
        let listener = TcpListener::bind((address_of(0), PORT)).await?;
        let content: Arc<[u8]> = std::fs::read(&task.file)?.into();
        println!("ready");
        for _ in 1..task.nodes {
            let (mut to, _) = listener.accept().await?;
            let content = content.clone();
            tokio::spawn(async move { to.write_all(&content).await });
        }
        line().await?;
    } else {
        println!("ready");
        line().await?;
        let mut from = TcpStream::connect((address_of(0), PORT)).await?;
        drain(&mut from, task).await?;
    }
    line().await?;
    Ok(())
}

/// Reads the blob to its end and throws it away, as a receiver that verifies it would have to read it.
async fn drain(from: &mut (impl AsyncReadExt + Unpin), task: &NodeTask) -> Result<(), Failed> {
    let mut buffer = vec![0; READ_BYTES];
    let mut left = task.bytes;
    while left > 0 {
        let read = from.read(&mut buffer).await? as u64;
        left = left.checked_sub(read).filter(|_| read > 0).ok_or("the stream ended early")?;
    }
    stored();
    Ok(())
}

fn stored() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("stored {}", now.as_nanos());
}

/// The next line of the standard input, which also ends when whoever started us does.
async fn line() -> Result<(), Failed> {
    let read = tokio::task::spawn_blocking(|| io::stdin().lock().read_line(&mut String::new())).await??;
    if read == 0 { Err("nobody is listening".into()) } else { Ok(()) }
}

/// The keys of a bench are made of numbers: everybody knows them.
fn seed_of(number: usize) -> [u8; 32] {
    Digest::of(format!("swell bench node {number}").as_bytes()).0
}

fn node_of(number: usize) -> NodeId {
    KeyPair::from_seed(&seed_of(number)).public()
}

fn listen_address(ip: Ipv4Addr, tcp: bool) -> String {
    if tcp { format!("/ip4/{ip}/tcp/{PORT}") } else { format!("/ip4/{ip}/udp/{PORT}/quic-v1") }
}

async fn link(task: &NodeTask) -> Result<(Link, IncomingPieces), Failed> {
    let mut settings = LinkSettings::new(seed_of(task.number), "bench");
    settings.listen = vec![parse_address(&listen_address(address_of(task.number), task.tcp))?];
    settings.memory_bytes_max = usize::MAX;
    let (link, mut events, incoming) = Link::start(settings).await?;
    link.admit((0..task.nodes).map(node_of).collect::<BTreeSet<NodeId>>());
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    Ok((link, incoming))
}

fn introduce(task: &NodeTask, link: &Link) {
    for number in (0..task.nodes).filter(|number| *number != task.number) {
        link.learn(node_of(number), &[listen_address(address_of(number), task.tcp)]);
    }
}

/// Introduces everybody, and waits until the links that an agent keeps up are there.
async fn join(task: &NodeTask, link: &Link) {
    introduce(task, link);
    let expected = (task.nodes - 1).min(crate::link::CONNECTIONS_TARGET);
    while link.connected().len() < expected {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
