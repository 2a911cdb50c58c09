//! Direct frames: one long-lived substream per peer and direction, `/groundswell/frames/1`.
//!
//! On the stream, after the greeting: a length of four bytes, big-endian, 1 to
//! [`DIRECT_FRAME_BYTES_MAX`], then that many bytes; again and again. A length outside the range ends
//! the link: what follows cannot be told apart from data. Nothing is allocated for a frame before its
//! length is checked and there is room for it among all frames being received.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use groundswell_protocol::identity::NodeId;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::identity::node_of;
use super::outgoing::Queued;
use super::settings::{DIRECT_FRAME_BYTES_MAX, INCOMING_BYTES_MAX};
use super::streams;
use super::traffic::Counters;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/groundswell/frames/1");
/// How long a peer may take over each [`PART_BYTES`] of a frame, in either direction.
const PART_FOR: Duration = Duration::from_secs(20);
/// A frame is read and written in parts of this size: memory follows what has really arrived.
const PART_BYTES: usize = 64 * 1024;
/// Streams on which one frame is tried, before it is dropped.
const DELIVERY_TRIES: u32 = 2;

/// What the readers tell the link's task.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A whole frame.
    Frame { from: NodeId, bytes: Vec<u8> },
    /// The peer broke the protocol; its stream is closed.
    Misbehaved { node: NodeId, why: String },
}

/// Why a stream of frames ended.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("it sent a frame of {length} bytes, outside 1 to {DIRECT_FRAME_BYTES_MAX}")]
    Length { length: usize },
    #[error(transparent)]
    Stream(#[from] io::Error),
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    in_time(stream.write_all(&length.to_be_bytes())).await?;
    for part in frame.chunks(PART_BYTES) {
        in_time(stream.write_all(part)).await?;
    }
    in_time(stream.flush()).await
}

async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    room: &Arc<Semaphore>,
) -> Result<(Vec<u8>, tokio::sync::OwnedSemaphorePermit), ReadError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    let size = length as usize;
    if size == 0 || size > DIRECT_FRAME_BYTES_MAX {
        return Err(ReadError::Length { length: size });
    }
    let permit = Arc::clone(room).acquire_many_owned(length).await.map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(size.min(PART_BYTES));
    while frame.len() < size {
        let start = frame.len();
        frame.resize(size.min(start + PART_BYTES), 0);
        in_time(stream.read_exact(&mut frame[start..])).await?;
    }
    Ok((frame, permit))
}

async fn in_time<T>(transfer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PART_FOR, transfer).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Takes the streams that peers open, one per peer (a newer one replaces the older), and passes on the
/// frames. Ends with the link.
pub(super) async fn accept(
    mut incoming: IncomingStreams,
    inbound: mpsc::Sender<Inbound>,
    counters: Arc<Counters>,
) {
    let room = Arc::new(Semaphore::new(INCOMING_BYTES_MAX));
    let mut readers = JoinSet::new();
    let mut by_node: HashMap<NodeId, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            Some((peer, stream)) = incoming.next() => {
                let Some(node) = node_of(&peer) else { continue };
                let reader = read_frames(node, stream, Arc::clone(&room), inbound.clone(), Arc::clone(&counters));
                if let Some(older) = by_node.insert(node, readers.spawn(reader)) {
                    older.abort();
                }
            }
            Some(_) = readers.join_next() => by_node.retain(|_, reader| !reader.is_finished()),
            else => return,
        }
    }
}

async fn read_frames(
    node: NodeId,
    mut stream: Stream,
    room: Arc<Semaphore>,
    inbound: mpsc::Sender<Inbound>,
    counters: Arc<Counters>,
) {
    if streams::greet(&mut stream).await.is_err() {
        return;
    }
    loop {
        let (message, permit) = match read_frame(&mut stream, &room).await {
            Ok((bytes, permit)) => {
                counters.frames_received.add_one();
                (Inbound::Frame { from: node, bytes }, Some(permit))
            }
            Err(ReadError::Stream(error)) => {
                tracing::debug!(node = %node.short(), %error, "the peer's frame stream ended");
                return;
            }
            Err(error @ ReadError::Length { .. }) => {
                (Inbound::Misbehaved { node, why: error.to_string() }, None)
            }
        };
        let ends = permit.is_none();
        if inbound.send(message).await.is_err() || ends {
            return;
        }
    }
}

/// Writes the frames of one peer's queue, until the queue is closed. A frame that cannot be delivered is
/// dropped and counted.
pub(super) async fn write_frames(
    to: NodeId,
    mut control: Control,
    mut queue: mpsc::Receiver<Queued>,
    counters: Arc<Counters>,
) {
    let mut stream = None;
    while let Some(queued) = queue.recv().await {
        match deliver(to, &mut control, &mut stream, &queued.frame).await {
            Ok(()) => counters.frames_sent.add_one(),
            Err(error) => {
                counters.frames_dropped.add_one();
                tracing::debug!(node = %to.short(), %error, "a frame was not delivered");
            }
        }
    }
}

async fn deliver(
    to: NodeId,
    control: &mut Control,
    kept: &mut Option<Stream>,
    frame: &[u8],
) -> io::Result<()> {
    let mut tries = 1;
    loop {
        match write_on(to, control, kept.take(), frame).await {
            Ok(stream) => {
                *kept = Some(stream);
                return Ok(());
            }
            Err(error) if tries >= DELIVERY_TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

async fn write_on(
    to: NodeId,
    control: &mut Control,
    kept: Option<Stream>,
    frame: &[u8],
) -> io::Result<Stream> {
    let mut stream = match kept {
        Some(stream) => stream,
        None => streams::open(control, to, PROTOCOL).await?,
    };
    write_frame(&mut stream, frame).await?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use proptest::prelude::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
        let room = Arc::new(Semaphore::new(INCOMING_BYTES_MAX));
        run(read_frame(&mut Cursor::new(bytes), &room)).map(|(frame, _)| frame)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(size in 1usize..200_000) {
            let frame: Vec<u8> = (0..=250).cycle().take(size).collect();
            let mut wire = Cursor::new(Vec::new());
            run(write_frame(&mut wire, &frame)).unwrap();
            prop_assert_eq!(read(wire.get_ref()).unwrap(), frame);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn lengths_outside_the_range_are_refused_before_anything_is_read() {
        let too_long = u32::try_from(DIRECT_FRAME_BYTES_MAX + 1).unwrap();
        for length in [0, too_long, u32::MAX] {
            assert!(matches!(read(&length.to_be_bytes()), Err(ReadError::Length { .. })));
        }
        let longest = u32::try_from(DIRECT_FRAME_BYTES_MAX).unwrap();
        assert!(matches!(read(&longest.to_be_bytes()), Err(ReadError::Stream(_))), "truncated");
    }
}
