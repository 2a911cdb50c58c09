//! What a mesh of twelve links costs: idle, and while every node gossips as in a live rollout.
//!
//! ```text
//! unshare -n sh -c 'ip link set lo up; cargo bench -p groundswell-agent --bench mesh'
//! ```
//! In a network namespace of its own the loopback counters show this mesh alone. Takes about two minutes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use groundswell_agent::link::{Link, LinkEvent, LinkSettings, Verdict, Via};
use groundswell_protocol::identity::{KeyPair, NodeId};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const NODES: u8 = 12;
const IDLE: Duration = Duration::from_secs(60);
const ROUNDS: u8 = 15;
const ROUND: Duration = Duration::from_secs(2);

#[tokio::main(worker_threads = 2)]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test` runs benches too; this one measures and asserts nothing.
        return;
    }
    let members: BTreeSet<NodeId> = (1..=NODES).map(|n| KeyPair::from_seed(&[n; 32]).public()).collect();
    let before = resident_bytes();
    let mut links = Vec::new();
    let mut listeners = Vec::new();
    for number in 1..=NODES {
        let (link, listener) = start(number, &members).await;
        links.push(link);
        listeners.push(listener);
    }
    let begin = Instant::now();
    for link in &links {
        for other in &links {
            link.learn(other.own_node(), &other.own_addresses());
        }
    }
    while links.iter().any(|link| link.connected().len() + 1 < usize::from(NODES)) {
        sleep(Duration::from_millis(10)).await;
    }
    println!("full mesh after {:?}", begin.elapsed());
    sleep(Duration::from_secs(15)).await;
    idle(&links).await;
    println!("resident: {} KiB a node", (resident_bytes() - before) / 1024 / u64::from(NODES));
    gossip(&links, listeners).await;
}

/// One node's link, and a task that accepts all it hears until it has heard every round of every other node.
async fn start(number: u8, members: &BTreeSet<NodeId>) -> (Link, JoinHandle<()>) {
    let mut settings = LinkSettings::new([number; 32], "mesh");
    settings.listen = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"]
        .map(|address| address.parse().expect("an address"))
        .to_vec();
    let (link, mut events, pieces) = Link::start(settings).await.expect("a link");
    link.admit(members.clone());
    let judge = link.clone();
    let listener = tokio::spawn(async move {
        let _pieces = pieces;
        let mut heard = 0;
        while let Some(event) = events.recv().await {
            if let LinkEvent::Frame { via: Via::Gossip(token), .. } = event {
                judge.verdict(token, Verdict::Accept);
                heard += 1;
                if heard == u32::from(NODES - 1) * u32::from(ROUNDS) {
                    return;
                }
            }
        }
    });
    (link, listener)
}

async fn idle(links: &[Link]) {
    let inside = || links.iter().map(Link::traffic).map(|t| t.sent_bytes + t.received_bytes).sum::<u64>();
    let (wire, payload, ticks) = (loopback_bytes(), inside(), processor_ticks());
    sleep(IDLE).await;
    let per_node = |bytes: u64| bytes / IDLE.as_secs() / u64::from(NODES);
    println!(
        "idle: {} B/s sent and received a node, with all headers",
        per_node(2 * (loopback_bytes() - wire))
    );
    println!("idle: {} B/s a node inside the connections", per_node(inside() - payload));
    println!("idle: {} per mille of a core a node", per_node((processor_ticks() - ticks) * 10));
}

async fn gossip(links: &[Link], listeners: Vec<JoinHandle<()>>) {
    let wire = loopback_bytes();
    for round in 0..ROUNDS {
        for (at, link) in (0..NODES).zip(links) {
            let mut frame = vec![round; 300];
            frame[0] = at;
            link.broadcast(frame);
        }
        sleep(ROUND).await;
    }
    let seconds = ROUND.as_secs() * u64::from(ROUNDS);
    let rate = 2 * (loopback_bytes() - wire) / seconds / u64::from(NODES);
    let mut missed = 0;
    for listener in listeners {
        missed += u32::from(timeout(Duration::from_secs(10), listener).await.is_err());
    }
    println!("300 bytes of gossip from each node every 2 s: {rate} B/s a node; {missed} nodes missed some");
}

/// Bytes that crossed the loopback interface.
fn loopback_bytes() -> u64 {
    let table = std::fs::read_to_string("/proc/net/dev").expect("/proc");
    let row = table.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("a loopback interface");
    row.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).expect("a number")
}

/// Processor time of this process, in hundredths of a second.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let after_name = stat.rsplit(')').next().expect("a name");
    let fields: Vec<u64> =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    fields.iter().sum()
}

fn resident_bytes() -> u64 {
    groundswell_agent::telemetry::process::usage().expect("/proc").resident_bytes
}
