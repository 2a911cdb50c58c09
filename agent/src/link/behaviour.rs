//! The protocols on a connection, and the order in which they see it.
//!
//! The gate stands first: its refusal ends a connection before any other behaviour, and so any protocol,
//! is set up on it. The limits follow.
//!
//! **Gossip carries facts that are already signed.** So messages go without author, sequence number and
//! second signature (`Anonymous`): a hop would add 100 bytes and a verification that proves nothing the
//! fact's own signature does not. A message is named by the BLAKE3 hash of its bytes, so the same fact
//! from two nodes is one message. Nothing is forwarded before the core has judged it.
//!
//! **Peer scoring is off.** It exists for open networks, where anybody may join under any number of
//! names. Here the census names who may connect, invalid facts are traced to their signer, and a liar
//! leaves with the next census; what scoring would add is a penalty on nodes that share an address,
//! which is every fleet behind one router and every fleet on loopback.

use std::collections::HashSet;
use std::time::Duration;

use libp2p::connection_limits::ConnectionLimits;
use libp2p::identity::Keypair;
use libp2p::metrics::Registry;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{connection_limits, gossipsub, identify, memory_connection_limits, ping};

use super::gate::Gate;
use super::settings::{GOSSIP_FRAME_BYTES_MAX, LinkError};

/// Between the pings of one connection. Pings and QUIC's keep-alives are nearly all of what an idle node
/// sends and receives: with 15 s and 7 s, 700 bytes/s in a mesh of 12, headers included, measured.
const PING_EVERY: Duration = Duration::from_secs(20);
/// After which an unanswered ping ends the connection: with the interval, a dead peer is noticed within
/// 28 s whatever the transport says.
const PING_FOR: Duration = Duration::from_secs(8);
/// Who listens where changes rarely and comes with beacons too.
const IDENTIFY_EVERY: Duration = Duration::from_secs(3600);
/// Mesh upkeep and lazy gossip; also how soon a message lost on all eager paths is asked for.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Messages are kept for this many heartbeats, for those who ask, and for the core's verdict.
const HISTORY: usize = 8;
/// How long a message is recognised as seen.
const SEEN_FOR: Duration = Duration::from_secs(60);
/// Messages from this size on are announced as received, so that they are not sent twice, bytes.
const ANNOUNCED_FROM_BYTES: usize = 512;
/// Room for the envelope of one message: topic and protobuf lengths, bytes.
const ENVELOPE_BYTES_MAX: usize = 1024;
/// Messages waiting for one slow peer.
const QUEUE_PER_PEER_MAX: usize = 512;
/// Connections that are still shaking hands, in each direction.
const PENDING_MAX: u32 = 64;
/// Connections per node: one, and a second for as long as crossed calls need to be told apart.
const PER_NODE_MAX: u32 = 2;
/// Connections beyond the links wanted: peers that chose this node, and links for one exchange.
const SPARE_CONNECTIONS: u32 = 24;

/// Gossip on one topic only.
pub(super) type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;

/// All behaviours. **The order matters: see above.**
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) gate: Gate,
    limits: connection_limits::Behaviour,
    memory: memory_connection_limits::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

impl Behaviour {
    pub(super) fn new(
        keypair: &Keypair,
        gate: Gate,
        topic: &gossipsub::IdentTopic,
        connections_target: usize,
        memory_bytes_max: usize,
        registry: &mut Registry,
    ) -> Result<Self, LinkError> {
        Ok(Self {
            gate,
            limits: connection_limits::Behaviour::new(limits(connections_target)),
            memory: memory_connection_limits::Behaviour::with_max_bytes(memory_bytes_max),
            gossip: gossip(topic, registry)?,
            streams: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(
                identify::Config::new("/groundswell/1".into(), keypair.public())
                    .with_agent_version(concat!("groundswell/", env!("CARGO_PKG_VERSION")).into())
                    .with_interval(IDENTIFY_EVERY)
                    // Only what the swarm's task confirmed: the same addresses as in the beacon.
                    .with_hide_listen_addrs(true)
                    .with_cache_size(0),
            ),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY).with_timeout(PING_FOR)),
        })
    }
}

fn limits(connections_target: usize) -> ConnectionLimits {
    let target = u32::try_from(connections_target).unwrap_or(u32::MAX);
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established_per_peer(Some(PER_NODE_MAX))
        .with_max_established(Some(target.saturating_mul(2).saturating_add(SPARE_CONNECTIONS)))
}

fn gossip(topic: &gossipsub::IdentTopic, registry: &mut Registry) -> Result<Gossip, LinkError> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            gossipsub::MessageId::from(blake3::hash(&message.data).as_bytes().as_slice())
        })
        .max_transmit_size(GOSSIP_FRAME_BYTES_MAX + ENVELOPE_BYTES_MAX)
        .heartbeat_initial_delay(Duration::from_millis(300))
        .heartbeat_interval(HEARTBEAT)
        .history_length(HISTORY)
        .history_gossip(3)
        // Half the usual six eager copies: every node sends that many of every fact, and who begins sends
        // it to all its peers anyhow. Lazy announcements and the core's sync close the gaps.
        .mesh_outbound_min(1)
        .mesh_n_low(2)
        .mesh_n(3)
        .mesh_n_high(5)
        .gossip_lazy(4)
        .duplicate_cache_time(SEEN_FOR)
        .idontwant_message_size_threshold(ANNOUNCED_FROM_BYTES)
        .connection_handler_queue_len(QUEUE_PER_PEER_MAX)
        .build()
        .map_err(|error| LinkError::Setup(error.to_string()))?;
    let only_topic = gossipsub::WhitelistSubscriptionFilter(HashSet::from([topic.hash()]));
    let mut gossip =
        Gossip::new_with_subscription_filter(gossipsub::MessageAuthenticity::Anonymous, config, only_topic)
            .map_err(|error| LinkError::Setup(error.into()))?
            .with_metrics(registry, gossipsub::MetricsConfig::default());
    gossip.subscribe(topic).map_err(|error| LinkError::Setup(error.to_string()))?;
    Ok(gossip)
}
