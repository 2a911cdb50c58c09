//! Piece streams of the transfer over the link: where the two, which know nothing of each other, meet.

use std::io;

use groundswell_protocol::identity::NodeId;
use tokio::sync::mpsc;

use crate::link::{IncomingPieces, Link};
use crate::transfer::{PieceStream, Streams};

/// Opens streams over a link.
#[derive(Clone)]
pub(crate) struct LinkStreams(pub(crate) Link);

impl Streams for LinkStreams {
    async fn open(&self, peer: NodeId) -> io::Result<PieceStream> {
        Ok(Box::new(self.0.open_pieces(peer).await?))
    }
}

/// The streams that peers opened over the link, as the transfer takes them.
pub(crate) fn opened_by_peers(mut incoming: IncomingPieces) -> mpsc::Receiver<(NodeId, PieceStream)> {
    let (into, out_of) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some((peer, stream)) = incoming.recv().await {
            let stream: PieceStream = Box::new(stream);
            if into.send((peer, stream)).await.is_err() {
                return;
            }
        }
    });
    out_of
}
