//! The transports: QUIC, and TCP with noise and yamux; names resolved by the system's DNS settings.

use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::metrics::{BandwidthTransport, Registry};
use libp2p::{PeerId, Transport as _, dns, noise, quic, tcp, yamux};

use super::settings::LinkError;

/// From the first packet to a connection with a known key.
const HANDSHAKE_FOR: Duration = Duration::from_secs(10);
/// Substreams that a peer may hold open on one connection. Bounds what it can make this node buffer:
/// 256 KiB each with yamux.
const STREAMS_PER_CONNECTION_MAX: u32 = 64;
/// Unread bytes of one QUIC stream: 160 Mbit/s over a path of 50 ms. libp2p's default is ten times that.
const QUIC_STREAM_BYTES_MAX: u32 = 1024 * 1024;
/// Unread bytes of one QUIC connection.
const QUIC_CONNECTION_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Silence after which a QUIC peer is dead: two keep-alives lost. A killed process sends no reset here,
/// unlike with TCP. The first unanswered keep-alive restarts the count, so it may take 25 s, about
/// as long as with ping.
const QUIC_IDLE_MILLISECONDS: u32 = 18_000;
/// Silence after which a small packet keeps the connection alive.
const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(7);

type Connected = (PeerId, StreamMuxerBox);

/// Builds the transport; its bytes are counted in `registry`.
pub(super) fn build(keypair: &Keypair, registry: &mut Registry) -> Result<Boxed<Connected>, LinkError> {
    seed_randomness()?;
    // A host without resolver settings can still dial addresses; names then fail as unsupported.
    let resolving = match dns::tokio::Transport::system(plain(keypair)?) {
        Ok(resolving) => resolving.boxed(),
        Err(error) => {
            tracing::warn!(%error, "no DNS settings on this host: addresses with names cannot be dialled");
            plain(keypair)?.boxed()
        }
    };
    let counted = BandwidthTransport::new(resolving, registry)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(TransportTimeout::new(counted, HANDSHAKE_FOR).boxed())
}

/// Handshakes draw from a generator that first measures jitter for 25 ms of processor time: better now than
/// when the first peer waits.
fn seed_randomness() -> Result<(), LinkError> {
    aws_lc_rs::rand::fill(&mut [0; 32]).map_err(|_| LinkError::Setup("no randomness".to_owned()))
}

fn plain(keypair: &Keypair) -> Result<Boxed<Connected>, LinkError> {
    let tcp = over_tcp(keypair)?;
    let quic = quic::tokio::Transport::new(quic_config(keypair))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(OrTransport::new(quic, tcp).map(|either, _| either.into_inner()).boxed())
}

fn over_tcp(keypair: &Keypair) -> Result<Boxed<Connected>, LinkError> {
    let noise = noise::Config::new(keypair).map_err(|error| LinkError::Setup(error.to_string()))?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(STREAMS_PER_CONNECTION_MAX as usize);
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed())
}

fn quic_config(keypair: &Keypair) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.max_concurrent_stream_limit = STREAMS_PER_CONNECTION_MAX;
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    config.max_idle_timeout = QUIC_IDLE_MILLISECONDS;
    config.keep_alive_interval = QUIC_KEEP_ALIVE;
    config
}
