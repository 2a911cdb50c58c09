//! Where other nodes are, asked of a linked peer: substreams of `/groundswell/peers/1`.
//!
//! Opening the stream is the question. After the greeting comes the answer: a length of four bytes,
//! big-endian, 1 to [`ANSWER_BYTES_MAX`], then the list in the core's codec; then the stream ends. What it
//! says is hearsay: the address book keeps it apart from what nodes say of themselves.
//!
//! Absent on purpose: who is asked and when (`asking`), what is told and believed (`swarm/introductions`).

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::wire::codec;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wincode::{SchemaRead, SchemaWrite};

use super::identity::node_of;
use super::settings::ADDRESSES_MAX;
use super::streams;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/groundswell/peers/1");
/// Nodes named in one answer.
pub(super) const NODES_TOLD_MAX: usize = 32;
/// Longest answer, bytes: 32 nodes with four addresses of 80 bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// An answer is written and read within this time.
const ANSWER_FOR: Duration = Duration::from_secs(5);
/// One peer is answered at most this often.
const ANSWER_PAUSE: Duration = Duration::from_millis(200);
/// Answers under way at one time, over all peers.
const ANSWERS_MAX: usize = 64;

/// Where one node is said to be.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(super) struct Whereabouts {
    /// The node.
    pub(super) node: NodeId,
    /// Its addresses in their binary form, at most [`ADDRESSES_MAX`].
    pub(super) addresses: Vec<Vec<u8>>,
}

/// What the streams bring to the link's task.
pub(super) enum Introduction {
    /// A peer asks; without a reply its stream ends.
    Asked { by: NodeId, reply: oneshot::Sender<Vec<Whereabouts>> },
    /// What a peer answered.
    Told { by: NodeId, answer: Result<Vec<Whereabouts>, AskError> },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The peer broke the protocol.
    #[error("it told of nodes in a message of {length} bytes, outside 1 to {ANSWER_BYTES_MAX}")]
    Length { length: usize },
    /// The peer broke the protocol.
    #[error("it told of nodes in a message that is malformed or beyond its bounds")]
    Malformed,
    /// The link ended, or the peer had no room.
    #[error(transparent)]
    Stream(#[from] io::Error),
}

/// Asks a peer once.
pub(super) async fn ask(peer: NodeId, mut control: Control) -> Result<Vec<Whereabouts>, AskError> {
    let mut stream = streams::open(&mut control, peer, PROTOCOL).await?;
    timeout(ANSWER_FOR, read_answer(&mut stream))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<Whereabouts>, AskError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > ANSWER_BYTES_MAX {
        return Err(AskError::Length { length });
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    let told: Vec<Whereabouts> = codec::decode(&bytes).map_err(|_| AskError::Malformed)?;
    let bounded =
        told.len() <= NODES_TOLD_MAX && told.iter().all(|node| node.addresses.len() <= ADDRESSES_MAX);
    if bounded { Ok(told) } else { Err(AskError::Malformed) }
}

/// Answers the peers that ask. Ends with the link.
pub(super) async fn accept(mut incoming: IncomingStreams, task: mpsc::Sender<Introduction>) {
    let mut answers = JoinSet::new();
    let mut answered = Answered::default();
    loop {
        tokio::select! {
            Some((peer, stream)) = incoming.next() => {
                let Some(node) = node_of(&peer) else { continue };
                // A dropped stream tells its opener that there is no room.
                if answers.len() < ANSWERS_MAX && answered.may(node, Instant::now()) {
                    answers.spawn(answer(node, stream, task.clone()));
                }
            }
            Some(_) = answers.join_next() => {}
            else => return,
        }
    }
}

/// Who was answered a moment ago.
#[derive(Default)]
struct Answered(BTreeMap<NodeId, Instant>);

impl Answered {
    /// Whether a peer may be answered now; if so it is noted.
    fn may(&mut self, node: NodeId, now: Instant) -> bool {
        self.0.retain(|_, at| now.duration_since(*at) < ANSWER_PAUSE);
        let may = !self.0.contains_key(&node);
        if may {
            self.0.insert(node, now);
        }
        may
    }
}

async fn answer(to: NodeId, mut stream: Stream, task: mpsc::Sender<Introduction>) {
    let said = timeout(ANSWER_FOR, async {
        streams::greet(&mut stream).await?;
        let (reply, told) = oneshot::channel();
        task.send(Introduction::Asked { by: to, reply }).await.map_err(io::Error::other)?;
        write_answer(&mut stream, told.await.map_err(io::Error::other)?).await
    })
    .await;
    if !matches!(said, Ok(Ok(()))) {
        tracing::debug!(node = %to.short(), "a peer that asked for others was not answered");
    }
}

async fn write_answer(stream: &mut (impl AsyncWrite + Unpin), told: Vec<Whereabouts>) -> io::Result<()> {
    let bytes = encode(told);
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    stream.close().await
}

/// As many as fit into an answer, from the first on.
fn encode(mut told: Vec<Whereabouts>) -> Vec<u8> {
    told.truncate(NODES_TOLD_MAX);
    loop {
        let bytes = codec::encode(&told);
        if bytes.len() <= ANSWER_BYTES_MAX {
            return bytes;
        }
        told.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use groundswell_protocol::identity::PublicKey;
    use proptest::prelude::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn read(bytes: &[u8]) -> Result<Vec<Whereabouts>, AskError> {
        run(read_answer(&mut Cursor::new(bytes)))
    }

    fn framed(told: &Vec<Whereabouts>) -> Vec<u8> {
        let bytes = codec::encode(told);
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
    }

    fn told(nodes: usize, addresses: usize, bytes: usize) -> Vec<Whereabouts> {
        let one = Whereabouts { node: PublicKey([7; 32]), addresses: vec![vec![1; bytes]; addresses] };
        vec![one; nodes]
    }

    proptest! {
        #[test]
        fn what_is_told_is_heard(nodes in 0..=NODES_TOLD_MAX, addresses in 0..=ADDRESSES_MAX, bytes in 0usize..80) {
            let told = told(nodes, addresses, bytes);
            let mut wire = Cursor::new(Vec::new());
            run(write_answer(&mut wire, told.clone())).unwrap();
            prop_assert_eq!(read(wire.get_ref()).unwrap(), told);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let _ = read(&bytes);
            let _ = read(&[&length[..], &bytes].concat());
        }
    }

    #[test]
    fn an_answer_is_cut_to_its_bound() {
        let mut wire = Cursor::new(Vec::new());
        run(write_answer(&mut wire, told(100, ADDRESSES_MAX, 300))).unwrap();
        assert!(wire.get_ref().len() <= 4 + ANSWER_BYTES_MAX);
        let heard = read(wire.get_ref()).unwrap().len();
        assert!((10..NODES_TOLD_MAX).contains(&heard), "{heard}");
    }

    #[test]
    fn lengths_outside_the_range_are_refused_before_anything_is_read() {
        for length in [0, u32::try_from(ANSWER_BYTES_MAX + 1).unwrap(), u32::MAX] {
            assert!(matches!(read(&length.to_be_bytes()), Err(AskError::Length { .. })));
        }
        let longest = u32::try_from(ANSWER_BYTES_MAX).unwrap();
        assert!(matches!(read(&longest.to_be_bytes()), Err(AskError::Stream(_))), "truncated");
    }

    #[test]
    fn too_many_nodes_or_addresses_are_refused() {
        for told in [told(NODES_TOLD_MAX + 1, 1, 8), told(1, ADDRESSES_MAX + 1, 8)] {
            assert!(matches!(read(&framed(&told)), Err(AskError::Malformed)));
        }
        let mut trailing = framed(&told(1, 1, 8));
        trailing[3] += 1;
        trailing.push(0);
        assert!(matches!(read(&trailing), Err(AskError::Malformed)));
    }

    #[test]
    fn a_peer_is_answered_once_in_a_while() {
        let (one, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let now = Instant::now();
        let mut answered = Answered::default();
        assert!(answered.may(one, now) && answered.may(other, now) && !answered.may(one, now));
        assert!(answered.may(one, now + ANSWER_PAUSE));
        assert_eq!(answered.0.len(), 1, "what is over is forgotten");
    }
}
