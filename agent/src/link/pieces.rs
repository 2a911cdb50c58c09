//! Piece streams: substreams of `/groundswell/pieces/1`, handed on as plain readers and writers.
//!
//! What is said on them is the transfer's business. Here is only the bound on streams that nobody has
//! taken yet: beyond it the opener is told that there is no room.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use groundswell_protocol::identity::NodeId;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

use super::identity::node_of;
use super::streams;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/groundswell/pieces/1");

/// Streams that peers have opened to ask for pieces, with the key of the peer.
pub type IncomingPieces = mpsc::Receiver<(NodeId, PieceStream)>;

/// A stream of piece traffic with one peer. Closing it or dropping it ends only this stream.
pub struct PieceStream(Compat<Stream>);

impl PieceStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self(stream.compat())
    }
}

impl std::fmt::Debug for PieceStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PieceStream")
    }
}

impl AsyncRead for PieceStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for PieceStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Takes the streams that peers open, greets them and passes them on. Ends with the link.
pub(super) async fn accept(mut incoming: IncomingStreams, taken: mpsc::Sender<(NodeId, PieceStream)>) {
    let mut greetings = JoinSet::new();
    loop {
        tokio::select! {
            Some((peer, stream)) = incoming.next() => {
                let Some(node) = node_of(&peer) else { continue };
                // Without room the stream is dropped, and its opener sees it end ungreeted.
                let Ok(place) = taken.clone().try_reserve_owned() else { continue };
                greetings.spawn(async move {
                    let mut stream = stream;
                    if streams::greet(&mut stream).await.is_ok() {
                        place.send((node, PieceStream::new(stream)));
                    }
                });
            }
            Some(_) = greetings.join_next() => {}
            else => return,
        }
    }
}
