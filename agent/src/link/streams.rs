//! Opening and accepting substreams, with a greeting.
//!
//! Negotiating a protocol does not say that anybody took the stream: libp2p drops an inbound stream,
//! silently, when the one before it has not been fetched yet. So whoever takes a stream writes one byte,
//! and whoever opened it waits for that byte before it sends, and tries again if the stream ends first.

use std::io;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use groundswell_protocol::identity::NodeId;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::{Control, OpenStreamError};
use tokio::time::timeout;

use super::identity::peer_of;

/// The byte that says: taken.
const GREETING: u8 = 1;
/// From asking for a stream to the greeting.
const OPEN_FOR: Duration = Duration::from_secs(10);
/// How often a stream is asked for; the reason for more than once is explained above.
const OPEN_TRIES: u32 = 4;
/// Wait before asking again, times the number of the try.
const OPEN_PAUSE: Duration = Duration::from_millis(30);

/// Opens a stream to a linked node.
///
/// # Errors
/// The kind is `NotConnected` or `ConnectionReset` when the link ended, `TimedOut` when the peer said
/// nothing, `Unsupported` when it does not speak the protocol, `ConnectionRefused` when it has no room.
pub(super) async fn open(control: &mut Control, to: NodeId, protocol: StreamProtocol) -> io::Result<Stream> {
    let mut tries = 1;
    loop {
        match timeout(OPEN_FOR, open_once(control, to, protocol.clone())).await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused && tries < OPEN_TRIES => {
                tokio::time::sleep(OPEN_PAUSE * tries).await;
                tries += 1;
            }
            Ok(outcome) => return outcome,
            Err(_) => return Err(failed(io::ErrorKind::TimedOut, to, "did not open the stream in time")),
        }
    }
}

async fn open_once(control: &mut Control, to: NodeId, protocol: StreamProtocol) -> io::Result<Stream> {
    let mut stream = control.open_stream(peer_of(to), protocol).await.map_err(|error| match error {
        OpenStreamError::Io(error) => error,
        OpenStreamError::UnsupportedProtocol(protocol) => {
            failed(io::ErrorKind::Unsupported, to, &format!("does not speak {protocol}"))
        }
        _ => failed(io::ErrorKind::Other, to, "did not open the stream"),
    })?;
    let mut byte = [0];
    match stream.read_exact(&mut byte).await {
        Ok(()) if byte[0] == GREETING => Ok(stream),
        Ok(()) => Err(failed(io::ErrorKind::InvalidData, to, "began the stream with an unknown byte")),
        Err(_) => Err(failed(io::ErrorKind::ConnectionRefused, to, "has no room for another stream")),
    }
}

/// Tells the opener that its stream is taken.
pub(super) async fn greet(stream: &mut Stream) -> io::Result<()> {
    let greeting = async {
        stream.write_all(&[GREETING]).await?;
        stream.flush().await
    };
    timeout(OPEN_FOR, greeting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn failed(kind: io::ErrorKind, node: NodeId, what: &str) -> io::Error {
    io::Error::new(kind, format!("node {} {what}", node.short()))
}
