//! Nodes find each other through the peers they are linked to, without a word from the driver.

use futures::{AsyncWriteExt as _, StreamExt as _};
use groundswell_protocol::wire::codec;
use libp2p::gossipsub::IdentTopic;
use libp2p::{Swarm, swarm};
use tokio::task::JoinHandle;

use super::super::behaviour::Behaviour;
use super::super::gate::Gate;
use super::super::identity::keypair;
use super::super::peers::Whereabouts;
use super::super::{listeners, peers, streams, transport};
use super::*;

/// A fleet that starts at once is fully linked within this time.
const FULL_MESH_WITHIN: Duration = Duration::from_secs(10);
/// Longer than every wait between two asks of a new link.
const ASKING_ENDS_WITHIN: Duration = Duration::from_secs(4);

fn bootstrap_of(peer: &Peer) -> Multiaddr {
    let node = peer.link.own_node();
    format!("{}/p2p/{}", peer.link.own_addresses()[0], peer_of(node)).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_that_know_three_become_a_full_mesh_and_stop_asking() {
    let members = nodes(1..=12);
    let mut peers: Vec<Peer> = Vec::new();
    let begin = Instant::now();
    for number in 1..=12 {
        let mut settings = settings(number);
        settings.bootstrap = peers.iter().take(3).map(bootstrap_of).collect();
        let peer = start_with(settings).await;
        peer.link.admit(members.clone());
        peers.push(peer);
    }
    for peer in &peers {
        linked(peer, 11).await;
    }
    let took = begin.elapsed();
    assert!(took < FULL_MESH_WITHIN, "{took:?}");
    let asked = || peers.iter().map(|peer| peer.link.traffic().peers_asked).sum::<u64>();
    let until_complete = asked();
    println!("full mesh after {took:?} and {until_complete} asks");
    assert!(until_complete >= 9, "{until_complete}");
    tokio::time::sleep(ASKING_ENDS_WITHIN).await;
    assert_eq!(asked(), until_complete, "nobody asks when no link is missing");
}

/// A member that does as the link does, except that it answers every ask with `answer`.
async fn teller(number: u8, members: &BTreeSet<NodeId>, answer: Vec<u8>) -> (String, JoinHandle<()>) {
    let keypair = keypair(seed(number));
    let gate = Gate::new(node(number), members.clone());
    let topic = IdentTopic::new(&FLEET[..16]);
    let mut registry = Registry::default();
    let behaviour =
        Behaviour::new(&keypair, gate, &topic, CONNECTIONS_TARGET, MEMORY_BYTES_MAX, &mut registry).unwrap();
    let mut swarm = Swarm::new(
        transport::build(&keypair, &mut registry).unwrap(),
        behaviour,
        keypair.public().to_peer_id(),
        swarm::Config::with_tokio_executor().with_idle_connection_timeout(SOON),
    );
    let listen = ["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let address = listeners::open(&mut swarm, &listen).await.unwrap()[0].to_string();
    let mut asks = swarm.behaviour().streams.new_control().accept(peers::PROTOCOL).unwrap();
    let running = tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = swarm.select_next_some() => {}
                Some((_, mut stream)) = asks.next() => {
                    let answer = answer.clone();
                    tokio::spawn(async move {
                        streams::greet(&mut stream).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                        stream.close().await
                    });
                }
            }
        }
    });
    (address, running)
}

fn answer(told: &Vec<Whereabouts>) -> Vec<u8> {
    let bytes = codec::encode(told);
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

fn whereabouts(about: u8, addresses: &[String]) -> Whereabouts {
    let binary = |text: &String| text.parse::<Multiaddr>().unwrap().to_vec();
    Whereabouts { node: node(about), addresses: addresses.iter().map(binary).collect() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_about_strangers_count_only_once_they_are_admitted() {
    let everybody = nodes([1, 2, 3, 66]);
    let three = start(3, &everybody).await;
    let stranger = start(66, &everybody).await;
    let told = answer(&vec![
        whereabouts(66, &stranger.link.own_addresses()),
        whereabouts(3, &three.link.own_addresses()),
    ]);
    let (address, teller) = teller(2, &everybody, told).await;
    let one = start(1, &nodes([1, 2, 3])).await;
    one.link.learn(node(2), &[address]);
    linked(&one, 2).await;
    assert_eq!(one.link.connected().into_iter().collect::<BTreeSet<_>>(), nodes([2, 3]));
    one.link.send(node(66), b"to a stranger".to_vec());
    wait_for("the drop", || (one.link.traffic().frames_dropped == 1).then_some(())).await;
    one.link.admit(everybody);
    linked(&one, 3).await;
    teller.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_hint_costs_a_dial_and_hides_nobody() {
    let members = nodes([1, 2, 3]);
    let three = start(3, &members).await;
    let nowhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let false_address = format!("/ip4/127.0.0.1/udp/{}/quic-v1", nowhere.local_addr().unwrap().port());
    let told = answer(&vec![whereabouts(3, &[false_address])]);
    let (address, teller) = teller(2, &members, told).await;
    let one = start(1, &members).await;
    one.link.learn(node(2), &[address]);
    linked(&one, 1).await;
    wait_for("the asks", || (one.link.traffic().peers_asked >= 2).then_some(())).await;
    introduce(&one, &three);
    linked(&one, 2).await;
    teller.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_the_protocol_ends_the_link() {
    let members = nodes([1, 2, 3]);
    let garbage = [&8u32.to_be_bytes()[..], &[0xff; 8]].concat();
    let crowd = answer(&vec![whereabouts(3, &[]); peers::NODES_TOLD_MAX + 1]);
    for (broken, reason) in
        [(u32::MAX.to_be_bytes().to_vec(), "4294967295 bytes"), (garbage, "malformed"), (crowd, "bounds")]
    {
        let (address, teller) = teller(2, &members, broken).await;
        let mut one = start(1, &members).await;
        one.link.learn(node(2), &[address]);
        let why = one
            .event("the refusal", |event| match event {
                LinkEvent::Refused { peer, why } if peer == Some(node(2)) => Some(why),
                _ => None,
            })
            .await;
        assert!(why.contains(reason), "{why}");
        assert!(one.link.traffic().peers_misbehaved >= 1);
        one.event("Down", |event| (event == LinkEvent::Down { node: node(2) }).then_some(())).await;
        teller.abort();
    }
}
