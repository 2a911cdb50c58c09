//! Streams between two nodes, and messages on them.
//!
//! A message on a stream is its length in four bytes, little end first, and then the bytes of
//! [`groundswell_protocol::transfer::wire`]. Who makes streams is said by [`Streams`]; nothing here
//! knows of networks.

use std::future::Future;
use std::io;
use std::time::Duration;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::wire::{FRAME_BYTES_MAX, Message, WireError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::offences::Offence;

/// How long one message may take to leave: after that the peer does not read, and its stream is closed.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// How long a message may take to come, besides what its length may take.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// At least so fast.
const READ_BYTES_PER_SECOND_MIN: u64 = 512;

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

/// Reads one message, and calls `part` whenever some of it has come. `None` at the stream's proper end.
pub(super) async fn read_message<M: Message>(
    from: &mut (impl AsyncRead + Unpin),
    mut part: impl FnMut(),
) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(ended) if ended.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(failed) => return Err(failed),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, WireError::Length(length)));
    }
    let mut bytes = vec![0; length];
    let patience = read_patience(length);
    let read = tokio::time::timeout(patience, async {
        let mut rest = bytes.as_mut_slice();
        while !rest.is_empty() {
            let read = from.read(rest).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest = &mut rest[read..];
            part();
        }
        Ok(())
    })
    .await;
    read.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, TooSlow)))?;
    M::decode(&bytes).map(Some).map_err(|refused| io::Error::new(io::ErrorKind::InvalidData, refused))
}

/// A message that began to come and does not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("the peer did not send its message to the end in time")]
pub(super) struct TooSlow;

/// How long a message of `length` bytes may take from its first byte on: enough for the slowest line, or for a cap
/// of 16 KiB a second shared by all that a peer serves; a byte a second is no way to hold a stream.
fn read_patience(length: usize) -> Duration {
    READ_PATIENCE + Duration::from_secs(length as u64 / READ_BYTES_PER_SECOND_MIN)
}

/// What an end of a stream says about the peer.
pub(super) fn offence_of(error: &io::Error) -> Option<Offence> {
    let why = error.get_ref()?;
    let refused = why.downcast_ref::<WireError>().map(|refused| Offence::of(*refused));
    refused.or_else(|| why.downcast_ref::<TooSlow>().map(|_| Offence::Slow))
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

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::transfer::wire::{Answer, Ask};

    #[test]
    fn patience_is_enough_for_slow_lines_and_not_for_a_byte_a_second() {
        let piece = read_patience(FRAME_BYTES_MAX).as_secs();
        let most = FRAME_BYTES_MAX as u64;
        assert!(piece * 1024 > most * 2, "{piece} s: a line of 8 kbit/s will do");
        assert!(piece < most / 100);
        assert!(read_patience(400).as_secs() < 60);
    }

    /// What becomes of a piece that comes so many bytes a second, and after how many seconds.
    async fn comes_at(bytes_a_second: usize) -> (io::Result<Option<Answer>>, u64) {
        let (mut near, mut far) = tokio::io::duplex(1024);
        let answer = Answer::Piece { blob: Digest([1; 32]), piece: 3, data: vec![7; 20_000] };
        let bytes = answer.encode();
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let began = tokio::time::Instant::now();
        let sender = tokio::spawn(async move {
            for part in length.iter().chain(&bytes).copied().collect::<Vec<u8>>().chunks(bytes_a_second) {
                if far.write_all(part).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let read = read_message::<Answer>(&mut near, || {}).await;
        let took = began.elapsed().as_secs();
        sender.abort();
        (read, took)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_a_byte_a_second_is_given_up_and_a_slow_line_is_not() {
        let (read, took) = comes_at(1).await;
        assert_eq!(offence_of(&read.unwrap_err()), Some(Offence::Slow));
        assert!(took < 90, "{took} s");
        let (read, took) = comes_at(1_000).await;
        assert!(matches!(read, Ok(Some(Answer::Piece { piece: 3, .. }))), "after {took} s: {read:?}");
    }

    #[tokio::test]
    async fn what_is_refused_says_its_kind() {
        let refuse = async |bytes: &[u8]| {
            let mut from = bytes;
            let error = read_message::<Answer>(&mut from, || {}).await.unwrap_err();
            offence_of(&error)
        };
        assert_eq!(refuse(&u32::MAX.to_le_bytes()).await, Some(Offence::Length));
        assert_eq!(refuse(&[2, 0, 0, 0, 9, 9]).await, Some(Offence::Malformed));
        assert_eq!(refuse(&[5, 0, 0, 0, 1]).await, None, "cut off: the line may be to blame");
        let mut from = &[0_u8; 0][..];
        assert!(read_message::<Ask>(&mut from, || {}).await.unwrap().is_none());
        let late = io::Error::new(io::ErrorKind::TimedOut, TooSlow);
        assert_eq!(offence_of(&late), Some(Offence::Slow));
    }
}
