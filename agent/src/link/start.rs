//! From settings to a running link: checks them, builds the swarm, opens the listeners, starts the task.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use groundswell_protocol::identity::NodeId;
use libp2p::gossipsub::IdentTopic;
use libp2p::metrics::Registry;
use libp2p::{Multiaddr, Swarm, swarm};
use tokio::sync::{Semaphore, mpsc, watch};

use super::address_book::AddressBook;
use super::behaviour::Behaviour;
use super::gate::Gate;
use super::identity::{keypair, node_of};
use super::settings::{
    COMMANDS_MAX, CONFIGURED_ADDRESSES_MAX, EVENTS_MAX, INCOMING_PIECES_MAX, LinkError, LinkSettings,
    OUTGOING_BYTES_MAX, split_bootstrap,
};
use super::swarm::{Channels, Random, SwarmTask};
use super::traffic::Counters;
use super::{IncomingPieces, Link, LinkEvent, Shared, frames, listeners, peers, pieces, transport};

/// A link is kept for as long as both ends want it, so silence alone never ends one.
const IDLE_FOR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest topic, bytes.
const TOPIC_BYTES_MAX: usize = 16;

pub(super) async fn start(
    settings: LinkSettings,
) -> Result<(Link, mpsc::Receiver<LinkEvent>, IncomingPieces), LinkError> {
    check_counts(&settings)?;
    let bootstrap = bootstrap(&settings.bootstrap)?;
    let keypair = keypair(settings.seed);
    let own = node_of(&keypair.public().to_peer_id()).expect("BUG: an ed25519 key is a node's");
    let random = Random::new().map_err(|error| LinkError::Setup(format!("no randomness: {error}")))?;

    let mut registry = Registry::default();
    let topic = IdentTopic::new(short_topic(&settings.fleet));
    let gate = Gate::new(own, bootstrap.iter().map(|(node, _)| *node).collect());
    let behaviour = Behaviour::new(
        &keypair,
        gate,
        &topic,
        settings.connections_target,
        settings.memory_bytes_max,
        &mut registry,
    )?;
    let mut swarm = Swarm::new(
        transport::build(&keypair, &mut registry)?,
        behaviour,
        keypair.public().to_peer_id(),
        swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_FOR).with_smart_dial(),
    );
    let listening = listeners::open(&mut swarm, &settings.listen).await?;

    let now = Instant::now();
    let mut book = AddressBook::new(own);
    for (node, address) in bootstrap {
        book.add_bootstrap(node, address, now);
    }
    let streams = swarm.behaviour().streams.new_control();
    let counters = Arc::new(Counters::default());
    let (commands, from_driver) = mpsc::channel(COMMANDS_MAX);
    let (events, to_driver) = mpsc::channel(EVENTS_MAX);
    let (members, admitted) = watch::channel(None);
    let (linked_sender, linked) = watch::channel(Arc::default());
    let (addresses_sender, addresses) = watch::channel(Arc::default());
    let (inbound, from_readers) = mpsc::channel(1);
    let (introductions, from_introductions) = mpsc::channel(1);
    let (pieces_taken, incoming_pieces) = mpsc::channel(INCOMING_PIECES_MAX);

    let mut task = SwarmTask::new(
        swarm,
        book,
        own,
        topic,
        settings.connections_target,
        random,
        Arc::clone(&counters),
        Channels {
            commands: from_driver,
            admitted,
            inbound: from_readers,
            introductions: from_introductions,
            to_introductions: introductions.clone(),
            events,
            linked: linked_sender,
            addresses: addresses_sender,
        },
    );
    task.announce_only(&settings.announce);
    for address in &listening {
        task.listening(address);
    }
    let registered = "BUG: each protocol is accepted once";
    task.adopt(frames::accept(
        streams.clone().accept(frames::PROTOCOL).expect(registered),
        inbound,
        Arc::clone(&counters),
    ));
    task.adopt(peers::accept(streams.clone().accept(peers::PROTOCOL).expect(registered), introductions));
    task.adopt(pieces::accept(streams.clone().accept(pieces::PROTOCOL).expect(registered), pieces_taken));
    tokio::spawn(task.run());

    let shared = Shared {
        own,
        commands,
        members,
        linked,
        addresses,
        streams,
        room: Arc::new(Semaphore::new(OUTGOING_BYTES_MAX)),
        counters,
        registry,
    };
    Ok((Link { shared: Arc::new(shared) }, to_driver, incoming_pieces))
}

/// The topic goes with every copy of every message, so only the beginning of a long name is used. Should
/// two fleets share it, nothing is mixed up: every fact is signed for its fleet.
fn short_topic(fleet: &str) -> &str {
    fleet.get(..TOPIC_BYTES_MAX).unwrap_or(fleet)
}

fn check_counts(settings: &LinkSettings) -> Result<(), LinkError> {
    let lists =
        [("listen", &settings.listen), ("announce", &settings.announce), ("bootstrap", &settings.bootstrap)];
    match lists.into_iter().find(|(_, list)| list.len() > CONFIGURED_ADDRESSES_MAX) {
        Some((what, list)) => Err(LinkError::TooManyAddresses { what, count: list.len() }),
        None => Ok(()),
    }
}

fn bootstrap(addresses: &[Multiaddr]) -> Result<BTreeSet<(NodeId, Multiaddr)>, LinkError> {
    addresses
        .iter()
        .map(|address| {
            split_bootstrap(address)
                .ok_or_else(|| LinkError::BootstrapWithoutKey { address: address.clone() })
        })
        .collect()
}
