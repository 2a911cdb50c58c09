//! A BitTorrent tracker for one swarm: whoever announces itself is told of all others.
//!
//! Enough of BEP 3 and BEP 23 for the clients that are compared; nothing of it runs in an agent.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

/// Where trackers listen.
pub(super) const PORT: u16 = 6969;
/// Bytes of a request line that are read.
const LINE_BYTES_MAX: u64 = 4096;
/// Seconds after which clients may come again.
const INTERVAL: u32 = 2;

/// Answers announcements until the process is ended.
///
/// # Errors
/// When the address cannot be listened on.
pub(super) fn serve(address: Ipv4Addr) -> io::Result<()> {
    let listener = TcpListener::bind((address, PORT))?;
    println!("ready");
    let mut peers = BTreeSet::new();
    for stream in listener.incoming() {
        // One client that goes away costs the others nothing.
        let _ = stream.and_then(|stream| answer(stream, &mut peers));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, peers: &mut BTreeSet<SocketAddrV4>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let SocketAddr::V4(from) = stream.peer_addr()? else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut line = String::new();
    let mut reader = BufReader::new(io::Read::take(stream.try_clone()?, LINE_BYTES_MAX));
    reader.read_line(&mut line)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let port = port_of(&line).ok_or(io::ErrorKind::InvalidInput)?;
    let me = SocketAddrV4::new(*from.ip(), port);
    if peers.insert(me) {
        println!("announced {me}");
    }
    let body = reply(peers.iter().filter(|peer| **peer != me));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat())
}

fn port_of(line: &str) -> Option<u16> {
    let (_, query) = line.split_whitespace().nth(1)?.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("port="))?.parse().ok()
}

fn reply<'a>(peers: impl Iterator<Item = &'a SocketAddrV4>) -> Vec<u8> {
    let compact: Vec<u8> =
        peers.flat_map(|peer| [&peer.ip().octets()[..], &peer.port().to_be_bytes()].concat()).collect();
    let head = format!("d8:intervali{INTERVAL}e12:min intervali{INTERVAL}e5:peers{}:", compact.len());
    [head.as_bytes(), &compact, b"e"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_of_the_others_in_six_bytes_each() {
        assert_eq!(port_of("GET /announce?info_hash=%01&port=6881&left=0 HTTP/1.1"), Some(6881));
        assert_eq!(port_of("GET / HTTP/1.1"), None);
        let peer = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 258);
        let expected = b"d8:intervali2e12:min intervali2e5:peers6:\x0a\0\0\x01\x01\x02e";
        assert_eq!(reply([peer].iter()), expected);
    }
}
