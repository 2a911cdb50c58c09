//! The tasks at the two ends of a stream: they turn bytes into notes for the engine and back.
//!
//! A reader waits while the engine is busy, so a flood of messages slows its sender and nothing else. A
//! writer has a bounded queue; a peer that does not read it empty loses its stream and may come again.

use std::io;
use std::sync::Arc;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::transfer::Allowance;
use groundswell_protocol::transfer::upload::Serve;
use groundswell_protocol::transfer::wire::{Answer, Ask, Message};
use tokio::io::{BufReader, BufWriter};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Duration, Instant};

use super::clock::Clock;
use super::offences::Offence;
use super::pacing::LinkPacing;
use super::stream::{PieceStream, flush, offence_of, read_message, write_message};

/// Messages that wait to be written on one stream.
pub(super) const WRITE_QUEUE_MAX: usize = 1024;

/// How often the engine hears that some of an answer came, or waits for its turn.
const ALIVE_EVERY: Duration = Duration::from_millis(50);

/// Read from a stream at once when messages are small; pieces are read past it.
const READ_BYTES: usize = 16 * 1024;

/// Which stream: peers may open another before the end of the first was noticed.
pub(super) type SessionId = u64;

/// What the ends of streams tell the engine.
pub(super) enum Note {
    Opened {
        peer: NodeId,
        session: SessionId,
        stream: io::Result<PieceStream>,
    },
    Asked {
        peer: NodeId,
        session: SessionId,
        ask: Ask,
    },
    Answered {
        peer: NodeId,
        session: SessionId,
        answer: Answer,
    },
    /// Some of an answer came.
    Alive {
        peer: NodeId,
        session: SessionId,
    },
    Sent {
        serve: Serve,
        bytes: u64,
        session: SessionId,
    },
    Ended {
        peer: NodeId,
        session: SessionId,
        offence: Option<Offence>,
    },
}

/// One message to write.
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// It brings bytes of a blob, and so is held to the caps.
    is_payload: bool,
    /// What was granted and ends with it, and how many bytes of the blob that was: its leaving is reported.
    serve: Option<(Serve, u64)>,
}

/// The cap on what comes in, shared by all readers: each waits until its piece is paid for, in turn.
#[derive(Clone)]
pub(super) struct Gate {
    allowance: Arc<Mutex<Option<Allowance>>>,
    clock: Clock,
}

impl Gate {
    pub(super) fn new(bytes_per_second: Option<u64>, clock: Clock) -> Self {
        let allowance = bytes_per_second.map(|rate| Allowance::new(rate, clock.now()));
        Self { allowance: Arc::new(Mutex::new(allowance)), clock }
    }

    /// Changes the cap, for pieces that come after those that wait now.
    pub(super) fn set(&self, bytes_per_second: Option<u64>) {
        let (allowance, clock) = (self.allowance.clone(), self.clock);
        tokio::spawn(async move {
            let mut allowance = allowance.lock().await;
            match (&mut *allowance, bytes_per_second) {
                (Some(allowance), Some(rate)) => allowance.set_rate(clock.now(), rate),
                (allowance, rate) => *allowance = rate.map(|rate| Allowance::new(rate, clock.now())),
            }
        });
    }

    /// Waits for the turn of `bytes`; calls `waits` now and then meanwhile.
    async fn pass(&self, bytes: u64, mut waits: impl FnMut()) {
        let mut allowance = loop {
            match tokio::time::timeout(ALIVE_EVERY, self.allowance.lock()).await {
                Ok(allowance) => break allowance,
                Err(_) => waits(),
            }
        };
        let Some(allowance) = allowance.as_mut() else { return };
        while !allowance.is_open(self.clock.now()) {
            let opens = self.clock.instant(allowance.opens_at());
            tokio::time::sleep_until(opens.min(Instant::now() + ALIVE_EVERY)).await;
            waits();
        }
        allowance.spend(self.clock.now(), bytes);
    }
}

/// The end of a stream that we opened: writes asks, reads answers.
pub(super) async fn run_asking(
    peer: NodeId,
    session: SessionId,
    stream: PieceStream,
    asks: mpsc::Receiver<Outgoing>,
    notes: mpsc::Sender<Note>,
    gate: Gate,
) {
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = BufReader::with_capacity(READ_BYTES, reader);
    let reading = async {
        let mut told = Instant::now();
        // A full queue wakes the engine too.
        let mut alive = || {
            if told.elapsed() >= ALIVE_EVERY {
                told = Instant::now();
                let _ = notes.try_send(Note::Alive { peer, session });
            }
        };
        while let Some(answer) = read_message::<Answer>(&mut reader, &mut alive).await? {
            let payload_bytes = answer.payload_bytes();
            if payload_bytes > 0 {
                gate.pass(payload_bytes, &mut alive).await;
            }
            if notes.send(Note::Answered { peer, session, answer }).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let ended = tokio::select! { ended = reading => ended, ended = write_all(writer, asks, session, &notes, None) => ended };
    end(peer, session, ended, &notes).await;
}

/// The end of a stream that a peer opened: reads asks, writes answers.
pub(super) async fn run_answering(
    peer: NodeId,
    session: SessionId,
    stream: PieceStream,
    answers: mpsc::Receiver<Outgoing>,
    notes: mpsc::Sender<Note>,
    pacing: LinkPacing,
) {
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = BufReader::with_capacity(READ_BYTES, reader);
    let reading = async {
        while let Some(ask) = read_message::<Ask>(&mut reader, || {}).await? {
            if notes.send(Note::Asked { peer, session, ask }).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let ended = tokio::select! { ended = reading => ended, ended = write_all(writer, answers, session, &notes, Some(pacing)) => ended };
    end(peer, session, ended, &notes).await;
}

async fn end(peer: NodeId, session: SessionId, ended: io::Result<()>, notes: &mpsc::Sender<Note>) {
    let offence = ended.as_ref().err().and_then(offence_of);
    if let Err(why) = ended {
        tracing::debug!(peer = %peer.short(), error = %why, "a piece stream ended");
    }
    // The engine may be gone already: then nobody needs to know.
    let _ = notes.send(Note::Ended { peer, session, offence }).await;
}

async fn write_all(
    writer: impl tokio::io::AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Outgoing>,
    session: SessionId,
    notes: &mpsc::Sender<Note>,
    mut pacing: Option<LinkPacing>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(16 * 1024, writer);
    let mut sent = Vec::new();
    while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        while let Some(message) = next {
            match &mut pacing {
                Some(pacing) if message.is_payload => pacing.write(&mut writer, &message.bytes).await?,
                _ => write_message(&mut writer, &message.bytes).await?,
            }
            sent.extend(message.serve);
            next = queue.try_recv().ok();
        }
        flush(&mut writer).await?;
        for (serve, bytes) in sent.drain(..) {
            if notes.send(Note::Sent { serve, bytes, session }).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A message for a writer.
pub(super) fn outgoing(message: &impl Message) -> Outgoing {
    Outgoing { bytes: message.encode(), is_payload: false, serve: None }
}

/// A message of what was granted; with `serve` the last.
pub(super) fn outgoing_payload(answer: &Answer, serve: Option<(Serve, u64)>) -> Outgoing {
    Outgoing { bytes: answer.encode(), is_payload: answer.payload_bytes() > 0, serve }
}
