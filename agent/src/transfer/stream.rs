//! Streams between two nodes, and messages on them.
//!
//! A message on a stream is its length in four bytes, little end first, and then the bytes of
//! [`groundswell_protocol::transfer::wire`]. Who makes streams is said by [`Streams`]; nothing here
//! knows of networks.

use std::future::Future;
use std::io;
use std::time::Duration;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::wire::{FRAME_BYTES_MAX, Message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long one message may take to leave: after that the peer does not read, and its stream is closed.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// What a piece stream can do: both ways, owned by one task or two.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream to or from one peer. Who opened it asks, the other answers.
pub type PieceStream = Box<dyn Duplex>;

/// Somebody who can open streams to peers.
pub trait Streams: Clone + Send + Sync + 'static {
    /// Opens a stream to `peer`, finding a way to it as need be. Fails if there is none now.
    fn open(&self, peer: NodeId) -> impl Future<Output = io::Result<PieceStream>> + Send;
}

/// Reads one message. `None` at the stream's proper end.
pub(super) async fn read_message<M: Message>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(ended) if ended.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(failed) => return Err(failed),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        let why = format!("the peer announced a message of {length} bytes, more than {FRAME_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    M::decode(&bytes).map(Some).map_err(|refused| io::Error::new(io::ErrorKind::InvalidData, refused))
}

/// Writes one message's bytes. They are surely under way after a flush.
pub(super) async fn write_message(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    within_patience(async {
        to.write_all(&length.to_le_bytes()).await?;
        to.write_all(bytes).await
    })
    .await
}

/// Flushes, with the same patience.
pub(super) async fn flush(to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    within_patience(to.flush()).await
}

/// One step, unless the peer lets it wait for too long.
pub(super) async fn within_patience(step: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(WRITE_PATIENCE, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
