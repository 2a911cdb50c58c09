//! Several links in one process, over loopback, as the driver sees them.

mod introductions;

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::{KeyPair, NodeId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::identity::peer_of;
use super::*;

const FLEET: &str = "f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee7f1ee";
const SOON: Duration = Duration::from_secs(30);
/// How long the absence of something is watched for.
const A_WHILE: Duration = Duration::from_millis(1500);

struct Peer {
    link: Link,
    events: mpsc::Receiver<LinkEvent>,
    pieces: IncomingPieces,
}

fn seed(number: u8) -> [u8; 32] {
    [number; 32]
}

fn node(number: u8) -> NodeId {
    KeyPair::from_seed(&seed(number)).public()
}

fn nodes(numbers: impl IntoIterator<Item = u8>) -> BTreeSet<NodeId> {
    numbers.into_iter().map(node).collect()
}

fn settings(number: u8) -> LinkSettings {
    let mut settings = LinkSettings::new(seed(number), FLEET);
    settings.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    settings
}

async fn start_with(settings: LinkSettings) -> Peer {
    let (link, events, pieces) = Link::start(settings).await.unwrap();
    Peer { link, events, pieces }
}

async fn start(number: u8, members: &BTreeSet<NodeId>) -> Peer {
    let peer = start_with(settings(number)).await;
    peer.link.admit(members.clone());
    peer
}

async fn start_over_tcp(number: u8, members: &BTreeSet<NodeId>) -> Peer {
    let mut settings = settings(number);
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let peer = start_with(settings).await;
    peer.link.admit(members.clone());
    peer
}

fn introduce(peer: &Peer, other: &Peer) {
    peer.link.learn(other.link.own_node(), &other.link.own_addresses());
}

async fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn linked(peer: &Peer, count: usize) {
    wait_for(&format!("{count} links"), || (peer.link.connected().len() == count).then_some(())).await;
}

impl Peer {
    async fn event<T>(&mut self, what: &str, mut wanted: impl FnMut(LinkEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the link runs");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        timeout(SOON, search).await.unwrap_or_else(|_| panic!("{what} did not come within {SOON:?}"))
    }

    async fn direct(&mut self) -> (NodeId, Vec<u8>) {
        self.event("a direct frame", |event| match event {
            LinkEvent::Frame { from, via: Via::Direct, bytes } => Some((from, bytes)),
            _ => None,
        })
        .await
    }

    async fn gossip(&mut self) -> (GossipToken, Vec<u8>) {
        self.event("gossip", |event| match event {
            LinkEvent::Frame { via: Via::Gossip(token), bytes, .. } => Some((token, bytes)),
            _ => None,
        })
        .await
    }

    async fn hears_no_frame(&mut self) {
        let deadline = tokio::time::Instant::now() + A_WHILE;
        while let Ok(event) = tokio::time::timeout_at(deadline, self.events.recv()).await {
            assert!(!matches!(event, Some(LinkEvent::Frame { .. })), "{event:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_arrive_both_ways_over_quic_and_over_tcp() {
    let members = nodes([1, 2]);
    for over_tcp in [false, true] {
        let (mut one, mut two) = match over_tcp {
            false => (start(1, &members).await, start(2, &members).await),
            true => (start_over_tcp(1, &members).await, start_over_tcp(2, &members).await),
        };
        introduce(&one, &two);
        let largest: Vec<u8> = (0..=252).cycle().take(DIRECT_FRAME_BYTES_MAX).collect();
        one.link.send(node(2), b"before the link is up".to_vec());
        one.link.send(node(2), largest.clone());
        assert_eq!(two.direct().await, (node(1), b"before the link is up".to_vec()));
        assert!(two.direct().await == (node(1), largest), "the largest frame arrives whole");
        two.link.send(node(1), b"back".to_vec());
        assert_eq!(one.direct().await, (node(2), b"back".to_vec()));
        // A frame counts as sent when its last byte is handed over: the answer may be here before that.
        let traffic = wait_for("the count of what was sent", || {
            let traffic = one.link.traffic();
            (traffic.frames_sent >= 2).then_some(traffic)
        })
        .await;
        assert!(
            traffic.sent_bytes > DIRECT_FRAME_BYTES_MAX as u64 && traffic.received_bytes > 0,
            "{traffic:?}"
        );
        assert_eq!((traffic.frames_sent, traffic.frames_received, traffic.frames_dropped), (2, 1, 0));
    }
}

/// Six in a row, each linked to its neighbours only, so that gossip must be passed on.
async fn row(members: &BTreeSet<NodeId>) -> Vec<Peer> {
    let mut peers = Vec::new();
    for number in 1..=6 {
        peers.push(start(number, members).await);
    }
    for number in 1..6 {
        // Only neighbours admit each other, so that no other link comes to be.
        let around = |at: usize| nodes([at, at + 1, at + 2].map(|number| u8::try_from(number).unwrap()));
        peers[number].link.admit(around(number));
        peers[number - 1].link.admit(around(number - 1));
        introduce(&peers[number], &peers[number - 1]);
    }
    for (at, peer) in peers.iter().enumerate() {
        let neighbours = if at == 0 || at == 5 { 1 } else { 2 };
        linked(peer, neighbours).await;
        // Who is linked and has not said yet that it listens is passed over by who accepts meanwhile.
        let is_meshed = || (peer.link.traffic().gossip_mesh == neighbours as u64).then_some(());
        wait_for("gossip's mesh", is_meshed).await;
    }
    peers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_is_passed_on_when_accepted_and_only_then() {
    let mut peers = row(&nodes(1..=6)).await;
    peers[0].link.broadcast(b"a fact".to_vec());
    for peer in &mut peers[1..] {
        let (token, bytes) = peer.gossip().await;
        assert_eq!(bytes, b"a fact");
        peer.link.verdict(token, Verdict::Accept);
    }
    for verdict in [Verdict::Reject, Verdict::Ignore] {
        let frame = format!("{verdict:?}").into_bytes();
        peers[0].link.broadcast(frame.clone());
        let (token, bytes) = peers[1].gossip().await;
        assert_eq!(bytes, frame);
        peers[1].link.verdict(token, verdict);
    }
    peers[2].hears_no_frame().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_said_before_anybody_listens_is_not_lost() {
    let members = nodes([1, 2]);
    let one = start(1, &members).await;
    one.link.broadcast(b"early".to_vec());
    one.link.broadcast(b"later".to_vec());
    let mut two = start(2, &members).await;
    introduce(&two, &one);
    assert_eq!(two.gossip().await.1, b"early");
    assert_eq!(two.gossip().await.1, b"later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_refused_both_ways_and_never_heard() {
    let members = nodes([1, 2]);
    let mut one = start(1, &members).await;
    let two = start(2, &members).await;
    introduce(&two, &one);
    linked(&one, 1).await;
    // The stranger admits everybody; nobody admits it.
    let stranger = start(66, &nodes([1, 2, 66])).await;
    introduce(&stranger, &one);
    stranger.link.broadcast(b"from a stranger".to_vec());
    stranger.link.send(node(1), b"from a stranger".to_vec());
    let refused = one
        .event("the refusal", |event| match event {
            LinkEvent::Refused { peer, why } => Some((peer, why)),
            other => {
                assert!(!matches!(other, LinkEvent::Frame { .. }), "{other:?}");
                None
            }
        })
        .await;
    assert_eq!(refused.0, Some(node(66)));
    assert!(refused.1.contains("not in the census"), "{}", refused.1);
    // Nor is it called, though its address is known.
    introduce(&one, &stranger);
    one.link.send(node(66), b"to a stranger".to_vec());
    wait_for("the drop", || (one.link.traffic().frames_dropped == 1).then_some(())).await;
    one.hears_no_frame().await;
    assert_eq!(one.link.connected(), [node(2)]);
    assert!(one.link.traffic().peers_refused >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_with_another_key_behind_it_is_refused() {
    let members = nodes([1, 2, 3]);
    let mut one = start(1, &members).await;
    let three = start(3, &members).await;
    one.link.learn(node(2), &three.link.own_addresses());
    let (peer, why) = one
        .event("the refusal", |event| match event {
            LinkEvent::Refused { peer, why } => Some((peer, why)),
            _ => None,
        })
        .await;
    assert_eq!(peer, Some(node(3)));
    assert!(why.contains("another key"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_peers_are_called_before_a_census_is_known() {
    let two = start(2, &nodes([1, 2])).await;
    let mut knows_two = settings(1);
    knows_two.bootstrap =
        vec![format!("{}/p2p/{}", two.link.own_addresses()[0], peer_of(node(2))).parse().unwrap()];
    let one = start_with(knows_two).await;
    linked(&one, 1).await;
    linked(&two, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_beyond_the_bootstrap_list_are_found_and_meshed_in_any_order() {
    let members = nodes(1..=5);
    let mut first = settings(1);
    first.listen.push("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    let first = start_with(first).await;
    let bootstrap: Vec<Multiaddr> = first
        .link
        .own_addresses()
        .iter()
        .map(|address| format!("{address}/p2p/{}", peer_of(node(1))).parse().unwrap())
        .collect();
    let mut peers = vec![first];
    for number in 2..=5 {
        let mut settings = settings(number);
        settings.bootstrap = bootstrap.clone();
        peers.push(start_with(settings).await);
    }
    for peer in &peers {
        peer.link.admit(members.clone());
    }
    // What beacons would bring, to everybody, at the same moment.
    for peer in &peers {
        for other in &peers {
            introduce(peer, other);
        }
    }
    for peer in &peers {
        linked(peer, 4).await;
    }
    // Gossip reaches everybody, though calls have crossed.
    let began = peers.remove(0);
    let mut heard = BTreeSet::new();
    let mut number = 0u32;
    let deadline = Instant::now() + SOON;
    while heard.len() < 4 {
        assert!(Instant::now() < deadline, "only {heard:?} heard gossip");
        number += 1;
        began.link.broadcast(number.to_be_bytes().to_vec());
        for peer in &mut peers {
            while let Ok(Some(event)) = timeout(Duration::from_millis(50), peer.events.recv()).await {
                if let LinkEvent::Frame { via: Via::Gossip(_), .. } = event {
                    heard.insert(peer.link.own_node());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_frame_is_refused_on_both_ends() {
    let members = nodes([1, 2]);
    let mut one = start(1, &members).await;
    let two = start(2, &members).await;
    introduce(&one, &two);
    linked(&two, 1).await;
    two.link.send(node(1), vec![0; DIRECT_FRAME_BYTES_MAX + 1]);
    two.link.broadcast(vec![0; GOSSIP_FRAME_BYTES_MAX + 1]);
    two.link.send(node(1), Vec::new());
    let traffic = two.link.traffic();
    assert_eq!((traffic.frames_dropped, traffic.gossip_dropped), (2, 1));
    // A peer that lies about the length is cut off.
    let mut control = two.link.shared.streams.clone();
    let mut stream = streams::open(&mut control, node(1), frames::PROTOCOL).await.unwrap();
    futures::AsyncWriteExt::write_all(&mut stream, &u32::MAX.to_be_bytes()).await.unwrap();
    futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
    let why = one
        .event("the refusal", |event| match event {
            LinkEvent::Refused { peer, why } if peer == Some(node(2)) => Some(why),
            _ => None,
        })
        .await;
    assert!(why.contains("4294967295 bytes"), "{why}");
    assert_eq!(one.link.traffic().peers_misbehaved, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_peer_is_noticed_and_its_return_too() {
    let members = nodes([1, 2]);
    let mut one = start(1, &members).await;
    let mut settings = settings(2);
    let two = start_with(settings.clone()).await;
    two.link.admit(members.clone());
    introduce(&one, &two);
    linked(&one, 1).await;
    settings.listen = vec![two.link.own_addresses()[0].parse().unwrap()];
    drop(two);
    one.event("Down", |event| (event == LinkEvent::Down { node: node(2) }).then_some(())).await;
    // The port may take a moment to be free again.
    let two = loop {
        match Link::start(settings.clone()).await {
            Ok((link, events, pieces)) => break Peer { link, events, pieces },
            Err(LinkError::AddressInUse { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(other) => panic!("{other}"),
        }
    };
    two.link.admit(members);
    one.event("Up", |event| (event == LinkEvent::Up { node: node(2) }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanishes_without_a_word_is_noticed() {
    let members = nodes([1, 2]);
    for over_tcp in [true, false] {
        let mut one = if over_tcp { start_over_tcp(1, &members).await } else { start(1, &members).await };
        // A runtime of its own, thrown away at once: its tasks say no goodbye.
        let apart =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (starting, to_start) = (members.clone(), apart.handle().clone());
        let two = to_start
            .spawn(async move {
                if over_tcp { start_over_tcp(2, &starting).await } else { start(2, &starting).await }
            })
            .await
            .unwrap();
        introduce(&one, &two);
        linked(&one, 1).await;
        apart.shutdown_background();
        one.event("Down", |event| (event == LinkEvent::Down { node: node(2) }).then_some(())).await;
        drop(two);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_a_clear_error() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for taken in [
        format!("/ip4/127.0.0.1/udp/{}/quic-v1", udp.local_addr().unwrap().port()),
        format!("/ip4/127.0.0.1/tcp/{}", tcp.local_addr().unwrap().port()),
    ] {
        let mut settings = settings(1);
        settings.listen = vec![taken.parse().unwrap()];
        let error = Link::start(settings).await.err().expect("the port is in use");
        assert!(matches!(error, LinkError::AddressInUse { .. }), "{error:?}");
        assert!(error.to_string().contains(&taken), "{error}");
    }
    // Not even another agent's port is shared.
    let first = start_over_tcp(2, &nodes([2])).await;
    let mut settings = settings(1);
    settings.listen = vec![first.link.own_addresses()[0].parse().unwrap()];
    assert!(matches!(Link::start(settings).await.err(), Some(LinkError::AddressInUse { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_named() {
    let mut with_listen = settings(1);
    with_listen.listen = vec!["/ip4/127.0.0.1/udp/1".parse().unwrap()];
    assert!(matches!(Link::start(with_listen).await.err(), Some(LinkError::NotListenable { .. })));
    let mut with_bootstrap = settings(1);
    with_bootstrap.bootstrap = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()];
    assert!(matches!(Link::start(with_bootstrap).await.err(), Some(LinkError::BootstrapWithoutKey { .. })));
    let mut with_foreign = settings(1);
    with_foreign.listen = vec!["/ip4/192.0.2.1/udp/0/quic-v1".parse().unwrap()];
    assert!(matches!(Link::start(with_foreign).await.err(), Some(LinkError::Listen { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_to_the_unknown_and_to_the_unreachable_does_not_block() {
    let one = start(1, &nodes([1, 2, 3])).await;
    one.link.learn(node(3), &["/ip4/127.0.0.1/tcp/1".into()]);
    let begin = Instant::now();
    for _ in 0..500 {
        one.link.send(node(2), vec![0; 1000]);
        one.link.send(node(3), vec![0; 1000]);
    }
    assert!(begin.elapsed() < Duration::from_secs(1));
    wait_for("all drops", || (one.link.traffic().frames_dropped == 1000).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_the_census_loses_its_link() {
    let mut one = start(1, &nodes([1, 2, 3])).await;
    let two = start(2, &nodes([1, 2, 3])).await;
    let three = start(3, &nodes([1, 2, 3])).await;
    introduce(&one, &two);
    introduce(&one, &three);
    linked(&one, 2).await;
    one.link.admit(nodes([1, 3]));
    one.event("Down", |event| (event == LinkEvent::Down { node: node(2) }).then_some(())).await;
    two.link.broadcast(b"after the census".to_vec());
    two.link.send(node(1), b"after the census".to_vec());
    one.hears_no_frame().await;
    assert_eq!(one.link.connected(), [node(3)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_flow_on_streams_of_their_own() {
    let members = nodes([1, 2]);
    let one = start(1, &members).await;
    let mut two = start(2, &members).await;
    introduce(&one, &two);
    let serve = tokio::spawn(async move {
        let (from, mut stream) = two.pieces.recv().await.unwrap();
        assert_eq!(from, node(1));
        let mut asked = [0; 5];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(&vec![asked[0]; 1 << 20]).await.unwrap();
        stream.shutdown().await.unwrap();
        two
    });
    let mut stream = one.link.open_pieces(node(2)).await.unwrap();
    stream.write_all(b"piece").await.unwrap();
    stream.flush().await.unwrap();
    let mut piece = Vec::new();
    stream.read_to_end(&mut piece).await.unwrap();
    assert_eq!(piece, vec![b'p'; 1 << 20]);
    let _two = serve.await.unwrap();
    let error = one.link.open_pieces(node(9)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_piece_streams_at_once_all_open() {
    let members = nodes([1, 2]);
    let one = start(1, &members).await;
    let mut two = start(2, &members).await;
    introduce(&one, &two);
    linked(&one, 1).await;
    let opens: Vec<_> = (0..24)
        .map(|_| {
            let link = one.link.clone();
            tokio::spawn(async move { link.open_pieces(node(2)).await })
        })
        .collect();
    for open in opens {
        open.await.unwrap().unwrap();
    }
    for _ in 0..24 {
        two.pieces.recv().await.unwrap();
    }
}
