//! The task that owns the swarm: performs the driver's commands, reports what happens, keeps the links up.
//!
//! It never waits for anybody but the select loop of [`SwarmTask::run`]. What it decides is decided in the
//! pure tables beside it; here they are only asked and obeyed.

mod introductions;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use groundswell_protocol::identity::NodeId;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId, PublishError};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionDenied, ConnectionId, DialError, ListenError, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, ping};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::address_book::{AddressBook, Source};
use super::asking::Asking;
use super::backlog::Backlog;
use super::behaviour::{Behaviour, BehaviourEvent};
use super::connections::{Closed, Connection, Connections, Opened};
use super::frames::{self, Inbound};
use super::gate::{Direction, NotAdmitted};
use super::identity::{node_of, peer_of};
use super::outgoing::{Outgoing, Queued};
use super::peers::Introduction;
use super::settings::{ADDRESSES_MAX, GOSSIP_FRAME_BYTES_MAX};
use super::traffic::Counters;
use super::unpublished::Unpublished;
use super::{Command, GossipToken, LinkEvent, Verdict, Via, listeners};

/// A link that lasted this long was a success; a shorter one (the peer refused this node) was not.
const LASTING: Duration = Duration::from_secs(5);
/// How long the surplus of two crossed connections stays, so that what was said on it is heard.
const LINGER: Duration = Duration::from_secs(2);
/// The ends of the channels that the task holds.
pub(super) struct Channels {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) admitted: watch::Receiver<Option<Arc<BTreeSet<NodeId>>>>,
    pub(super) inbound: mpsc::Receiver<Inbound>,
    pub(super) introductions: mpsc::Receiver<Introduction>,
    /// For the helpers that ask peers.
    pub(super) to_introductions: mpsc::Sender<Introduction>,
    pub(super) events: mpsc::Sender<LinkEvent>,
    pub(super) linked: watch::Sender<Arc<BTreeSet<NodeId>>>,
    pub(super) addresses: watch::Sender<Arc<Vec<String>>>,
}

/// Random numbers for jitter: SplitMix64 from a seed of the system. Nothing secret comes from it.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }

    /// An index below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("BUG: it is below a usize")
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The task's state.
pub(super) struct SwarmTask {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    target: usize,
    random: Random,
    counters: Arc<Counters>,
    channels: Channels,
    book: AddressBook,
    connections: Connections,
    asking: Asking,
    dialling: BTreeSet<NodeId>,
    /// Nodes that this node dialled for one exchange, not to be meshed with.
    spare: BTreeSet<NodeId>,
    surplus: BTreeMap<ConnectionId, (NodeId, Instant)>,
    outgoing: Outgoing,
    unpublished: Unpublished,
    backlog: Backlog,
    listening: BTreeSet<Multiaddr>,
    announced: Vec<String>,
    helpers: JoinSet<()>,
    upkeep_at: Instant,
}

impl SwarmTask {
    #[expect(clippy::too_many_arguments, reason = "called once, and each part has its own type")]
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        book: AddressBook,
        own: NodeId,
        topic: IdentTopic,
        target: usize,
        random: Random,
        counters: Arc<Counters>,
        channels: Channels,
    ) -> Self {
        Self {
            swarm,
            topic,
            target,
            random,
            counters,
            channels,
            book,
            connections: Connections::new(own),
            asking: Asking::new(Instant::now()),
            dialling: BTreeSet::new(),
            spare: BTreeSet::new(),
            surplus: BTreeMap::new(),
            outgoing: Outgoing::default(),
            unpublished: Unpublished::default(),
            backlog: Backlog::default(),
            listening: BTreeSet::new(),
            announced: Vec::new(),
            helpers: JoinSet::new(),
            upkeep_at: Instant::now(),
        }
    }

    /// Tells others these addresses instead of those listened on; none: those listened on.
    pub(super) fn announce_only(&mut self, addresses: &[Multiaddr]) {
        self.announced = addresses.iter().take(ADDRESSES_MAX).map(ToString::to_string).collect();
        self.publish_addresses();
    }

    /// Runs a task that ends with this one.
    pub(super) fn adopt(&mut self, helper: impl Future<Output = ()> + Send + 'static) {
        self.helpers.spawn(helper);
    }

    /// Runs until the driver drops the link or its events.
    pub(super) async fn run(mut self) {
        let events = self.channels.events.clone();
        loop {
            let upkeep = tokio::time::sleep_until(self.upkeep_at.into());
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = self.channels.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                Some(inbound) = self.channels.inbound.recv(), if self.backlog.takes_direct() => self.on_inbound(inbound),
                Some(introduction) = self.channels.introductions.recv() => self.on_introduction(introduction),
                Ok(()) = self.channels.admitted.changed() => self.on_admitted(),
                place = events.reserve(), if !self.backlog.is_empty() => match place {
                    Ok(place) => if let Some(event) = self.backlog.pop() { place.send(event) },
                    Err(_) => return,
                },
                Some(_) = self.helpers.join_next() => {}
                () = upkeep => self.upkeep(),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        // The members come another way than commands, and what the driver did first must count first.
        if self.channels.admitted.has_changed().unwrap_or(false) {
            self.on_admitted();
        }
        match command {
            Command::Send { to, frame } => self.send(to, frame),
            Command::Broadcast(frame) => {
                let frame = frame.into_frame();
                if !self.publish(&frame) {
                    let dropped = self.unpublished.push(frame, Instant::now());
                    self.count_gossip_dropped(dropped);
                }
            }
            Command::Verdict(token, verdict) => self.judge(token, verdict),
            Command::Learn { node, addresses } => {
                self.book.learn(node, addresses.into_iter(), Source::Beacon, Instant::now());
                self.upkeep_soon();
            }
            Command::Want(node) => {
                self.dial_for_exchange(node);
            }
        }
    }

    fn send(&mut self, to: NodeId, frame: Queued) {
        let linked = self.connections.is_linked(&to);
        let reachable = linked || self.dialling.contains(&to) || self.dial_for_exchange(to);
        if !reachable || !self.outgoing.push(to, frame, Instant::now()) {
            self.counters.frames_dropped.add_one();
        } else if linked {
            self.start_writer(to);
        } else {
            self.upkeep_soon();
        }
    }

    fn start_writer(&mut self, to: NodeId) {
        if let Some(queue) = self.outgoing.unpark(&to) {
            let control = self.swarm.behaviour().streams.new_control();
            self.adopt(frames::write_frames(to, control, queue, Arc::clone(&self.counters)));
        }
    }

    /// Hands a frame to gossipsub. False: nobody listens yet, and it must be tried again.
    fn publish(&mut self, frame: &[u8]) -> bool {
        match self.swarm.behaviour_mut().gossip.publish(self.topic.hash(), frame) {
            Ok(_) => {
                self.counters.gossip_published.add_one();
                true
            }
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => false,
            Err(PublishError::Duplicate) => true,
            Err(error) => {
                self.counters.gossip_dropped.add_one();
                tracing::warn!(%error, "BUG: gossipsub refused a frame of allowed size");
                true
            }
        }
    }

    fn publish_waiting(&mut self) {
        let mut waiting = std::mem::take(&mut self.unpublished);
        let expired = waiting.retry(Instant::now(), |frame| self.publish(frame));
        self.unpublished = waiting;
        self.count_gossip_dropped(expired);
    }

    fn judge(&mut self, token: GossipToken, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let message = MessageId::from(token.message.as_slice());
        self.swarm.behaviour_mut().gossip.report_message_validation_result(
            &message,
            &peer_of(token.from),
            acceptance,
        );
    }

    fn on_inbound(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Frame { from, bytes } => {
                // A link that has just been closed may have left a frame behind.
                if self.may_link(&from) {
                    self.report(LinkEvent::Frame { from, via: Via::Direct, bytes });
                }
            }
            Inbound::Misbehaved { node, why } => self.misbehaved(node, why),
        }
    }

    fn misbehaved(&mut self, node: NodeId, why: String) {
        self.counters.peers_misbehaved.add_one();
        self.refused(Some(node), why);
        self.disconnect(node);
    }

    fn on_admitted(&mut self) {
        let Some(members) = self.channels.admitted.borrow_and_update().clone() else { return };
        self.swarm.behaviour_mut().gate.admit(members);
        let gate = &self.swarm.behaviour().gate;
        self.book.keep_only(|node| gate.allows(node, Direction::Outbound));
        let unwelcome: Vec<_> = self
            .connections
            .iter()
            .flat_map(|(node, connections)| connections.iter().map(move |connection| (node, connection)))
            .filter(|(node, connection)| !gate.allows(node, connection.direction))
            .map(|(_, connection)| connection.id)
            .collect();
        for connection in unwelcome {
            self.swarm.close_connection(connection);
        }
        self.book.retry_all(Instant::now());
        self.asking.begin_again(Instant::now());
        self.upkeep_soon();
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(&peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                if let Some(cause) = cause {
                    tracing::debug!(peer = %peer_id, %cause, "connection ended");
                }
                self.on_closed(&peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.on_dial_failed(peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { error: ListenError::Denied { cause }, .. } => {
                self.on_denied(&cause);
            }
            SwarmEvent::NewListenAddr { address, .. } => self.listening(&address),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening.remove(&address);
                self.publish_addresses();
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener closed: peers cannot reach this node there");
                for address in addresses {
                    self.listening.remove(&address);
                }
                self.publish_addresses();
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.on_gossip(&propagation_source, &message_id, message.data);
            }
            BehaviourEvent::Gossip(gossipsub::Event::Subscribed { .. }) => self.publish_waiting(),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                if let Some(node) = node_of(&peer_id) {
                    self.book.learn(node, info.listen_addrs.into_iter(), Source::Itself, Instant::now());
                }
            }
            BehaviourEvent::Ping(ping::Event { connection, result: Err(error), .. })
                if !matches!(error, ping::Failure::Unsupported) =>
            {
                self.counters.peers_unresponsive.add_one();
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    fn on_gossip(&mut self, source: &PeerId, message: &MessageId, bytes: Vec<u8>) {
        let (Some(from), Ok(message)) = (node_of(source), <[u8; 32]>::try_from(message.0.as_slice())) else {
            return;
        };
        let token = GossipToken { message, from };
        if bytes.is_empty() || bytes.len() > GOSSIP_FRAME_BYTES_MAX || !self.may_link(&from) {
            self.judge(token, Verdict::Reject);
            return;
        }
        self.counters.gossip_received.add_one();
        if !self.backlog.push(LinkEvent::Frame { from, via: Via::Gossip(token), bytes }) {
            self.counters.gossip_dropped.add_one();
            self.judge(token, Verdict::Ignore);
        }
    }

    fn on_connected(&mut self, peer: &PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(node) = node_of(peer) else { return };
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        if direction == Direction::Outbound {
            self.dialling.remove(&node);
        }
        let now = Instant::now();
        tracing::debug!(node = %node.short(), ?direction, address = %endpoint.get_remote_address(), "connected");
        match self.connections.opened(node, Connection { id, direction, since: now }) {
            Opened::Link => {
                self.report(LinkEvent::Up { node });
                self.publish_linked();
                self.start_writer(node);
                self.asking.linked(node, now);
            }
            Opened::Surplus(surplus) => {
                self.surplus.insert(surplus, (node, now + LINGER));
            }
            Opened::Restarted => {
                tracing::debug!(node = %node.short(), "the peer restarted: linking anew");
                self.disconnect(node);
            }
        }
        self.upkeep_soon();
    }

    fn on_closed(&mut self, peer: &PeerId, id: ConnectionId) {
        let Some(node) = node_of(peer) else { return };
        self.surplus.remove(&id);
        let now = Instant::now();
        if let Closed::Last(lasted) = self.connections.closed(node, id, now) {
            if lasted >= LASTING {
                self.book.lost(&node, now, self.random.next());
            }
            self.outgoing.remove(&node);
            self.spare.remove(&node);
            self.asking.unlinked(&node);
            self.report(LinkEvent::Down { node });
            self.publish_linked();
        }
        self.upkeep_soon();
    }

    fn on_dial_failed(&mut self, peer: Option<PeerId>, error: &DialError) {
        let Some(node) = peer.as_ref().and_then(node_of) else { return };
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        self.dialling.remove(&node);
        self.spare.remove(&node);
        tracing::debug!(node = %node.short(), %error, "dial failed");
        match error {
            DialError::WrongPeerId { obtained, address } => {
                self.counters.peers_refused.add_one();
                let why = format!("another key than that of node {} answered at {address}", node.short());
                self.refused(node_of(obtained), why);
            }
            DialError::Denied { cause } => self.on_denied(cause),
            _ => {}
        }
        self.upkeep_soon();
    }

    fn on_denied(&mut self, cause: &ConnectionDenied) {
        match cause.downcast_ref::<NotAdmitted>() {
            Some(refusal) => {
                self.counters.peers_refused.add_one();
                self.refused(refusal.node, refusal.to_string());
            }
            None => tracing::debug!(%cause, "a connection was not taken"),
        }
    }

    /// One more address is listened on.
    pub(super) fn listening(&mut self, address: &Multiaddr) {
        let unqualified: Multiaddr =
            address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
        self.report(LinkEvent::Listening { address: unqualified.to_string() });
        self.listening.insert(unqualified);
        self.publish_addresses();
    }

    fn disconnect(&mut self, node: NodeId) {
        // An error says that it is not connected any more, which is what is wanted.
        let _ = self.swarm.disconnect_peer_id(peer_of(node));
    }

    fn may_link(&self, node: &NodeId) -> bool {
        let gate = &self.swarm.behaviour().gate;
        gate.allows(node, Direction::Outbound)
    }

    fn refused(&mut self, peer: Option<NodeId>, why: String) {
        tracing::debug!(peer = peer.map(|node| node.short()), why, "refused a peer");
        self.report(LinkEvent::Refused { peer, why });
    }

    /// Queues an event. Only news can find no room here; its counters have it.
    fn report(&mut self, event: LinkEvent) {
        let _ = self.backlog.push(event);
    }

    fn count_gossip_dropped(&self, count: usize) {
        (0..count).for_each(|_| self.counters.gossip_dropped.add_one());
    }

    fn publish_linked(&self) {
        let linked = self.connections.iter().map(|(node, _)| *node).collect();
        self.channels.linked.send_replace(Arc::new(linked));
    }

    /// Tells the driver, for the beacon, and every peer that this node links to where it can be found.
    fn publish_addresses(&mut self) {
        let addresses = if self.announced.is_empty() {
            listeners::public(&self.listening)
        } else {
            self.announced.clone()
        };
        let told: BTreeSet<Multiaddr> = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        let before: Vec<_> = self.swarm.external_addresses().cloned().collect();
        for gone in before.iter().filter(|address| !told.contains(address)) {
            self.swarm.remove_external_address(gone);
        }
        for new in told.into_iter().filter(|address| !before.contains(address)) {
            self.swarm.add_external_address(new);
        }
        self.channels.addresses.send_replace(Arc::new(addresses));
    }
}
