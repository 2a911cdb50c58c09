//! A machine's way out: streams that share one line in turns.
//!
//! Turns are those of a fair queue (RFC 8290, without its dropping): a stream that was empty goes first for one
//! burst, then waits its turn behind the others. So what asks is not held up by pieces for somebody else, and what
//! waits behind pieces on its own stream waits with them.

use std::collections::{BTreeMap, VecDeque};

use groundswell_protocol::transfer::groups::GROUPS_MAX;
use groundswell_protocol::transfer::upload::Serve;
use groundswell_protocol::transfer::wire::{Answer, Ask, Message};

/// What one stream sends before another has its turn.
const BURST_BYTES: u64 = 16 << 10;

/// Bytes that a stream of the agent's takes in before they leave: a receiver's window.
const BUFFER_BYTES: u64 = 1 << 20;

/// Bytes before each message, which say its length.
const LENGTH_BYTES: u64 = 4;

/// Bytes of the message around a piece,
const PIECE_MESSAGE_BYTES: u64 = 49 + LENGTH_BYTES;

/// around a group,
const GROUP_MESSAGE_BYTES: u64 = 58 + LENGTH_BYTES;

/// and of the values of a piece's groups before the first.
const VALUE_BYTES: u64 = 32;

/// What goes over a stream. The bytes of a piece are made when it comes.
#[derive(Debug)]
pub(super) enum What {
    Ask(Ask),
    Answer(Answer),
    /// Of what was granted: the piece, or one group of it; whether it is the first, with values, and the last.
    Payload {
        serve: Serve,
        group: Option<u8>,
        is_first: bool,
        is_last: bool,
    },
}

impl What {
    /// What it weighs on the line, beside the payload.
    pub(super) fn weight(&self) -> u64 {
        let bytes = match self {
            Self::Ask(ask) => ask.encode().len() as u64,
            Self::Answer(answer) => answer.encode().len() as u64,
            Self::Payload { group: None, .. } => return PIECE_MESSAGE_BYTES,
            Self::Payload { is_first: true, .. } => {
                return GROUP_MESSAGE_BYTES + VALUE_BYTES * u64::from(GROUPS_MAX);
            }
            Self::Payload { .. } => return GROUP_MESSAGE_BYTES,
        };
        bytes + LENGTH_BYTES
    }
}

struct Parcel {
    left: u64,
    what: What,
}

/// A stream: the peer, and whether it is answered on it or asked.
pub(super) type StreamName = (u32, bool);

struct Stream {
    parcels: VecDeque<Parcel>,
    pushed: u64,
    left: u64,
    /// Pieces that do not count as sent yet, and where they end.
    unsent: VecDeque<(Serve, u64)>,
    waits: bool,
    /// Nothing comes before that.
    opens_at: u64,
    /// How often both ends had been away when it was opened.
    lives: u32,
}

/// What one burst has brought to its end.
pub(super) struct Burst {
    pub(super) to: StreamName,
    pub(super) bytes: u64,
    pub(super) opens_at: u64,
    pub(super) lives: u32,
    pub(super) ended: Vec<What>,
}

/// The way out of one machine.
#[derive(Default)]
pub(super) struct Line {
    streams: BTreeMap<StreamName, Stream>,
    fresh: VecDeque<StreamName>,
    turns: VecDeque<StreamName>,
    pub(super) is_busy: bool,
}

impl Line {
    /// How often both ends had been away when the stream was opened; none if there is no stream.
    pub(super) fn lives(&self, to: StreamName) -> Option<u32> {
        self.streams.get(&to).map(|stream| stream.lives)
    }

    pub(super) fn open(&mut self, to: StreamName, opens_at: u64, lives: u32) {
        let stream = Stream {
            parcels: VecDeque::new(),
            pushed: 0,
            left: 0,
            unsent: VecDeque::new(),
            waits: false,
            opens_at,
            lives,
        };
        self.streams.insert(to, stream);
    }

    pub(super) fn close(&mut self, to: StreamName) {
        if self.streams.remove(&to).is_some_and(|stream| stream.waits) {
            self.fresh.retain(|name| *name != to);
            self.turns.retain(|name| *name != to);
        }
    }

    /// Puts something on a stream that is open.
    pub(super) fn push(&mut self, to: StreamName, bytes: u64, what: What) {
        let Some(stream) = self.streams.get_mut(&to) else { return };
        stream.pushed += bytes;
        if let What::Payload { serve, is_last: true, .. } = &what {
            stream.unsent.push_back((*serve, stream.pushed));
        }
        stream.parcels.push_back(Parcel { left: bytes, what });
        if !std::mem::replace(&mut stream.waits, true) {
            self.fresh.push_back(to);
        }
    }

    /// A piece on a stream that the transport has taken in since the last call.
    pub(super) fn take_sent(&mut self, to: StreamName) -> Option<Serve> {
        let stream = self.streams.get_mut(&to)?;
        let sent = stream.unsent.pop_front_if(|(_, end)| *end <= stream.left + BUFFER_BYTES);
        sent.map(|(serve, _)| serve)
    }

    /// The next burst, of those streams that `flow`. The others keep what they have, and wait no more.
    pub(super) fn burst(&mut self, flows: impl Fn(u32, u32) -> bool) -> Option<Burst> {
        loop {
            let to = self.fresh.pop_front().or_else(|| self.turns.pop_front())?;
            let Some(stream) = self.streams.get_mut(&to) else { continue };
            if !flows(to.0, stream.lives) {
                stream.waits = false;
                continue;
            }
            let (mut bytes, mut ended) = (0, Vec::new());
            while bytes < BURST_BYTES
                && let Some(parcel) = stream.parcels.front_mut()
            {
                let part = parcel.left.min(BURST_BYTES - bytes);
                parcel.left -= part;
                bytes += part;
                if parcel.left == 0 {
                    ended.extend(stream.parcels.pop_front().map(|parcel| parcel.what));
                }
            }
            stream.left += bytes;
            stream.waits = !stream.parcels.is_empty();
            if stream.waits {
                self.turns.push_back(to);
            }
            return Some(Burst { to, bytes, opens_at: stream.opens_at, lives: stream.lives, ended });
        }
    }
}
