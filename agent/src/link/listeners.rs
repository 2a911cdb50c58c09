//! Opening the listening sockets, and which addresses to tell others.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::Multiaddr;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{Swarm, SwarmEvent};

use super::behaviour::Behaviour;
use super::settings::{ADDRESSES_MAX, LinkError, Transport, transport_of};

/// How long the system may take to say which addresses a socket has.
const OPEN_FOR: Duration = Duration::from_secs(5);

/// Opens all listeners and waits until each has said its first address.
///
/// # Errors
/// The address and why; the sockets already open close with the swarm.
pub(super) async fn open(
    swarm: &mut Swarm<Behaviour>,
    wanted: &[Multiaddr],
) -> Result<Vec<Multiaddr>, LinkError> {
    let mut waiting: Vec<(ListenerId, &Multiaddr)> = Vec::new();
    for address in wanted {
        refuse_taken_port(address)?;
        let id = swarm.listen_on(address.clone()).map_err(|error| match error {
            TransportError::MultiaddrNotSupported(_) => LinkError::NotListenable { address: address.clone() },
            TransportError::Other(error) => listen_error(address, error),
        })?;
        waiting.push((id, address));
    }
    let mut open = Vec::new();
    let deadline = tokio::time::Instant::now() + OPEN_FOR;
    while let Some((_, first)) = waiting.first() {
        let Ok(event) = tokio::time::timeout_at(deadline, swarm.select_next_some()).await else {
            return Err(listen_error(first, io::ErrorKind::TimedOut.into()));
        };
        match event {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                waiting.retain(|(id, _)| *id != listener_id);
                open.push(address);
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                if let Some((_, address)) = waiting.iter().find(|(id, _)| *id == listener_id) {
                    let closed = io::Error::other("the socket closed at once");
                    return Err(listen_error(address, reason.err().unwrap_or(closed)));
                }
            }
            _ => {}
        }
    }
    Ok(open)
}

/// Tries the port with a plain socket. libp2p shares TCP ports among sockets of one user (it dials from
/// the port it listens on), so a second agent with the same port would start and steal connections; a
/// plain socket does not share. And its errors come without libp2p's layers around them.
fn refuse_taken_port(address: &Multiaddr) -> Result<(), LinkError> {
    let not_listenable = || LinkError::NotListenable { address: address.clone() };
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Err(not_listenable()),
    };
    let tried = match (transport_of(address), parts.next()) {
        (Some(Transport::Tcp), Some(Protocol::Tcp(port))) => TcpListener::bind((ip, port)).map(drop),
        (Some(Transport::Quic), Some(Protocol::Udp(port))) => UdpSocket::bind((ip, port)).map(drop),
        _ => return Err(not_listenable()),
    };
    tried.map_err(|error| listen_error(address, error))
}

fn listen_error(address: &Multiaddr, source: io::Error) -> LinkError {
    let address = address.clone();
    match source.kind() {
        io::ErrorKind::AddrInUse => LinkError::AddressInUse { address },
        _ => LinkError::Listen { address, source },
    }
}

/// What to tell others: at most [`ADDRESSES_MAX`], each host's QUIC and TCP together, loopback only when
/// there is nothing else (a fleet on one machine), link-local never (it means nothing elsewhere).
pub(super) fn public(listening: &BTreeSet<Multiaddr>) -> Vec<String> {
    let host = |address: &Multiaddr| match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(IpAddr::from(ip)),
        Some(Protocol::Ip6(ip)) => Some(IpAddr::from(ip)),
        _ => None,
    };
    let link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let mut usable: Vec<_> = listening
        .iter()
        .filter_map(|address| Some((host(address)?, transport_of(address)?, address)))
        .filter(|(ip, ..)| !link_local(ip) && !ip.is_unspecified())
        .collect();
    usable.sort();
    if usable.iter().any(|(ip, ..)| !ip.is_loopback()) {
        usable.retain(|(ip, ..)| !ip.is_loopback());
    }
    usable.iter().take(ADDRESSES_MAX).map(|(.., address)| address.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(listening: &[&str]) -> Vec<String> {
        public(&listening.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn loopback_is_told_only_when_there_is_nothing_else() {
        let loopback = "/ip4/127.0.0.1/udp/1/quic-v1";
        assert_eq!(told(&[loopback]), [loopback]);
        assert_eq!(told(&[loopback, "/ip4/10.0.0.1/tcp/1"]), ["/ip4/10.0.0.1/tcp/1"]);
    }

    #[test]
    fn quic_comes_before_tcp_and_link_local_is_left_out() {
        let all = [
            "/ip4/10.0.0.1/tcp/1",
            "/ip4/10.0.0.1/udp/1/quic-v1",
            "/ip6/fe80::1/udp/1/quic-v1",
            "/ip4/10.0.0.2/tcp/1",
        ];
        assert_eq!(told(&all), ["/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"]);
    }
}
