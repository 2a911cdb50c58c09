//! The one task that owns everything: it waits for calls, notes from streams, outcomes from the disk and
//! deadlines, and hands each to the room that knows it: [`super::fetches`] or [`super::serves`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::time::{Span, Time};
use groundswell_protocol::transfer::groups::Begun;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::board::Board;
use super::clock::Clock;
use super::disk::{Disk, Done};
use super::fetches::Fetches;
use super::offences::{CORRUPTIONS_MAX, Conduct, Offence, UNASKED_MAX};
use super::pacing::Pacing;
use super::serves::Serves;
use super::sessions::{Gate, Note, Outgoing, SessionId, WRITE_QUEUE_MAX, run_answering, run_asking};
use super::sources::Sources;
use super::stream::{PieceStream, Streams};
use super::{Caps, Command, TransferEvent, TransferLimits};

/// Notes from all streams that wait for the engine: at most 4 MiB of pieces.
const NOTES_MAX: usize = 64;

/// Events that wait for their reader; beyond, reports of corrupt peers are dropped, outcomes never.
const OUTBOX_MAX: usize = 4096;

/// How long the opening of a stream may take.
const OPENING_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a stream of ours that nothing was asked on is kept.
const IDLE: Span = Span::seconds(30);

/// How often idle streams, and pieces that nobody has, are looked for.
const HOUSEKEEPING: Span = Span::seconds(2);

/// A stream that we opened, or are opening: what is written before it is open waits in the queue.
struct AskSession {
    id: SessionId,
    queue: mpsc::Sender<Outgoing>,
    /// Taken by the session's task when the stream is open.
    waiting: Option<mpsc::Receiver<Outgoing>>,
    used: Time,
    task: AbortHandle,
    /// Pieces that came for blobs that are not fetched.
    unasked: u32,
}

/// A stream that a peer opened.
struct AnswerSession {
    id: SessionId,
    queue: mpsc::Sender<Outgoing>,
    used: Time,
    task: AbortHandle,
}

/// What both rooms use: the way out to peers, disk and caller.
pub(super) struct Ways<S> {
    pub(super) clock: Clock,
    pub(super) board: Arc<Board>,
    pub(super) disk: Disk,
    pub(super) sources: Sources,
    pub(super) outbox: VecDeque<TransferEvent>,
    conduct: Conduct,
    streams: S,
    limits: TransferLimits,
    asking: BTreeMap<NodeId, AskSession>,
    answering: BTreeMap<NodeId, AnswerSession>,
    tasks: JoinSet<()>,
    notes: mpsc::Sender<Note>,
    gate: Gate,
    pacing: Pacing,
    sessions: SessionId,
    /// Peers whose asking stream was given up in this step: the downloads are told at its end.
    given_up: Vec<NodeId>,
    /// Pieces of which some more came in this step: those who asked are told.
    pub(super) begun: Vec<(Digest, Begun)>,
    /// Peers whose answering stream was closed in this step: the serving side is told at its end.
    deaf: Vec<NodeId>,
}

pub(super) struct Engine<S> {
    ways: Ways<S>,
    fetches: Fetches,
    serves: Serves,
    /// What the operator allows.
    caps: Caps,
    /// What others of this machine leave of its line, in bytes a second.
    left_by_others: Option<u64>,
    notes: mpsc::Receiver<Note>,
    outcomes: mpsc::UnboundedReceiver<Done>,
    housekeeping: Time,
}

impl<S: Streams> Engine<S> {
    pub(super) fn new(
        me: NodeId,
        sources: Sources,
        streams: S,
        limits: TransferLimits,
        board: Arc<Board>,
        clock: Clock,
    ) -> Self {
        let (notes, note_queue) = mpsc::channel(NOTES_MAX);
        let (disk, outcomes) = Disk::new();
        let ways = Ways {
            clock,
            board,
            disk,
            sources,
            outbox: VecDeque::new(),
            conduct: Conduct::default(),
            streams,
            limits,
            asking: BTreeMap::new(),
            answering: BTreeMap::new(),
            tasks: JoinSet::new(),
            notes,
            gate: Gate::new(limits.caps.download_bytes_per_second, clock),
            pacing: Pacing::new(&limits.caps, clock),
            sessions: 0,
            given_up: Vec::new(),
            begun: Vec::new(),
            deaf: Vec::new(),
        };
        Self {
            ways,
            fetches: Fetches::new(me, &limits),
            serves: Serves::new(limits.caps.upload_bytes_per_second, clock.now()),
            caps: limits.caps,
            left_by_others: None,
            notes: note_queue,
            outcomes,
            housekeeping: clock.now() + HOUSEKEEPING,
        }
    }

    /// Runs until every handle is dropped. Ending aborts the streams; the disk jobs under way finish.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut incoming: mpsc::Receiver<(NodeId, PieceStream)>,
        events: mpsc::Sender<TransferEvent>,
    ) {
        let mut taking_streams = true;
        loop {
            let deadline = self.ways.clock.instant(self.next_deadline());
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.commanded(command),
                    None => return,
                },
                Some(done) = self.outcomes.recv() => self.done(done),
                Some(note) = self.notes.recv(), if !self.ways.disk.is_full() => self.noted(note),
                stream = incoming.recv(), if taking_streams => match stream {
                    Some((peer, stream)) => self.came(peer, stream),
                    None => taking_streams = false,
                },
                Ok(place) = events.reserve(), if !self.ways.outbox.is_empty() => {
                    if let Some(event) = self.ways.outbox.pop_front() {
                        place.send(event);
                    }
                    continue;
                }
                () = tokio::time::sleep_until(deadline) => {}
            }
            self.settle();
        }
    }

    /// What is due after every step: deadlines, uploads that may go, streams that were given up.
    fn settle(&mut self) {
        self.fetches.wake(&mut self.ways);
        for (blob, begun) in self.ways.begun.drain(..) {
            self.serves.begun(blob, begun);
        }
        self.serves.pump(&mut self.ways, &self.fetches);
        while let Some(peer) = self.ways.given_up.pop() {
            self.fetches.lost(peer, &mut self.ways);
        }
        while let Some(peer) = self.ways.deaf.pop() {
            self.serves.lost(peer);
        }
        while self.ways.tasks.try_join_next().is_some() {}
        let now = self.ways.clock.now();
        if now >= self.housekeeping {
            self.housekeeping = now + HOUSEKEEPING;
            self.ways.close_idle(now);
            self.fetches.look_for_shortages(&mut self.ways);
        }
    }

    fn next_deadline(&self) -> Time {
        let rooms = [self.fetches.next_deadline(), self.serves.next_deadline()];
        let busy = !self.ways.asking.is_empty() || self.fetches.is_active();
        let housekeeping = busy.then_some(self.housekeeping);
        rooms.into_iter().flatten().chain(housekeeping).min().unwrap_or(Time(u64::MAX))
    }

    fn commanded(&mut self, command: Command) {
        match command {
            Command::Fetch { wants, holders } => self.fetches.want(wants, &holders, &mut self.ways),
            Command::AddHolders { blob, holders } => {
                self.fetches.add_holders(blob, &holders, true, &mut self.ways);
            }
            Command::Cancel { blob } => self.fetches.cancel(blob, &mut self.ways),
            Command::Announce { blob } => self.serves.announce(blob, &mut self.ways, &self.fetches),
            Command::SetSite { site } => {
                self.serves.set_site(&site);
                self.fetches.set_site(site);
            }
            Command::SetCaps { caps } => {
                self.caps = caps;
                self.ways.gate.set(caps.download_bytes_per_second);
                self.fetches.set_download_cap(caps.download_bytes_per_second);
                self.pace_uploads();
            }
            Command::LeaveRoom { upload_bytes_per_second } => {
                self.left_by_others = upload_bytes_per_second;
                self.pace_uploads();
            }
            // Whoever asked may have gone away; then nobody needs the answers.
            Command::Budget { budget, answer } => drop(answer.send(self.serves.set_budget(&budget))),
            Command::Restore { records } => self.serves.restore_budgets(&records),
            Command::Records { answer } => drop(answer.send(self.serves.budget_records())),
        }
    }

    /// What an operator allows and what others leave hold together.
    fn pace_uploads(&mut self) {
        let caps = self.caps.with_upload_within(self.left_by_others);
        self.ways.pacing.set(&caps);
        self.serves.set_rate(self.ways.clock.now(), caps.upload_bytes_per_second);
    }

    fn done(&mut self, done: Done) {
        self.ways.disk.taken();
        match done {
            Done::Prepared { blob, fetch, outcome } => {
                self.fetches.prepared(blob, fetch, outcome, &mut self.ways);
            }
            Done::Written { blob, fetch, piece, outcome } => {
                if self.fetches.written(blob, fetch, piece, outcome, &mut self.ways) {
                    self.serves.gained(blob, piece);
                }
            }
            Done::Finished { blob, fetch, outcome } => {
                self.fetches.finished(blob, fetch, outcome, &mut self.ways);
            }
            Done::Read { serve, session, answers } => {
                if !self.serves.read(serve, session, answers.as_deref(), &mut self.ways) {
                    self.fetches.recheck(serve.piece.0, &mut self.ways);
                }
            }
            Done::OutlineRead { peer, blob, page, session, outline } => {
                self.serves.outline_read(blob, page, session, outline.as_deref(), &mut self.ways, peer);
            }
        }
    }

    fn noted(&mut self, note: Note) {
        match note {
            Note::Opened { peer, session, stream } => match stream {
                Ok(stream) => self.ways.opened(peer, session, stream),
                Err(why) => {
                    tracing::debug!(peer = %peer.short(), error = %why, "no piece stream");
                    if self.ways.close_asking(peer, session) {
                        self.fetches.lost(peer, &mut self.ways);
                    }
                }
            },
            Note::Answered { peer, session, answer } => {
                if self.ways.asking.get(&peer).is_some_and(|current| current.id == session) {
                    let unasked = self.fetches.answered(peer, answer, &mut self.ways);
                    if unasked && self.ways.is_flooding(peer) {
                        self.ways.board.offence(Offence::Unasked);
                        self.ways.close_asking(peer, session);
                        self.fetches.lost(peer, &mut self.ways);
                    }
                }
            }
            Note::Asked { peer, session, ask } => {
                if self.ways.touch_answering(peer, session) {
                    self.serves.asked(peer, session, ask, &mut self.ways, &mut self.fetches);
                }
            }
            Note::Alive { peer, session } => {
                if self.ways.asking.get(&peer).is_some_and(|current| current.id == session) {
                    self.fetches.alive(peer, &mut self.ways);
                }
            }
            Note::Sent { serve, bytes, session } => {
                if self.ways.is_answering(serve.peer, session) {
                    self.serves.sent(serve, bytes, &self.ways);
                }
            }
            Note::Ended { peer, session, offence } => {
                offence.into_iter().for_each(|offence| self.ways.board.offence(offence));
                if self.ways.close_asking(peer, session) {
                    self.fetches.lost(peer, &mut self.ways);
                } else if self.ways.close_answering(peer, session) {
                    self.serves.lost(peer);
                }
            }
        }
    }

    /// A peer opened a stream: it replaces an earlier one, whose end may not have been noticed yet.
    fn came(&mut self, peer: NodeId, stream: PieceStream) {
        if self.ways.conduct.is_dropped(&peer) {
            return;
        }
        if let Some(earlier) = self.ways.answering.get(&peer).map(|session| session.id) {
            self.ways.close_answering(peer, earlier);
            self.serves.lost(peer);
        } else if let Some(evicted) = self.ways.make_answering_place() {
            self.serves.lost(evicted);
        }
        self.ways.accept(peer, stream);
    }
}

impl<S: Streams> Ways<S> {
    /// Sends an ask, opening a stream if there is none; `eager` false sends only on a stream that is there.
    pub(super) fn ask(&mut self, peer: NodeId, message: Outgoing, eager: bool) {
        if self.conduct.is_dropped(&peer) {
            self.given_up.push(peer);
            return;
        }
        if !self.asking.contains_key(&peer) {
            if !eager {
                return;
            }
            if self.asking.len() >= self.limits.streams.max(1) && !self.close_one_idle() {
                self.given_up.push(peer);
                return;
            }
            self.open(peer);
        }
        let now = self.clock.now();
        let Some(session) = self.asking.get_mut(&peer) else { return };
        session.used = now;
        let id = session.id;
        if session.queue.try_send(message).is_err() && self.close_asking(peer, id) {
            self.given_up.push(peer);
        }
    }

    /// Sends an answer on one stream of a peer; false if that stream is gone. A peer that lets its answers
    /// pile up loses the stream.
    pub(super) fn answer(&mut self, peer: NodeId, session: SessionId, message: Outgoing) -> bool {
        let current = self.answering.get(&peer).filter(|current| current.id == session);
        let Some(sent) = current.map(|current| current.queue.try_send(message)) else { return false };
        if sent.is_err() && self.close_answering(peer, session) {
            self.board.offence(Offence::Deaf);
            self.deaf.push(peer);
        }
        sent.is_ok()
    }

    /// The stream on which a peer is answered now.
    pub(super) fn session_of(&self, peer: NodeId) -> Option<SessionId> {
        self.answering.get(&peer).map(|session| session.id)
    }

    /// Reports to the caller. What may be dropped is dropped when the caller does not read.
    pub(super) fn report(&mut self, event: TransferEvent) {
        if self.outbox.len() < OUTBOX_MAX || !matches!(event, TransferEvent::Corrupt { .. }) {
            self.outbox.push_back(event);
        }
    }

    /// A peer served bytes that do not verify. One that does so again and again is dropped for this run.
    pub(super) fn corrupted(&mut self, peer: NodeId) {
        self.board.offence(Offence::Corrupt);
        if !self.conduct.corrupted(peer) {
            return;
        }
        tracing::warn!(peer = %peer.short(), "A peer served bad bytes {CORRUPTIONS_MAX} times: it is dropped.");
        if let Some(session) = self.asking.get(&peer).map(|session| session.id) {
            self.close_asking(peer, session);
            self.given_up.push(peer);
        }
        if let Some(session) = self.session_of(peer) {
            self.close_answering(peer, session);
            self.deaf.push(peer);
        }
    }

    /// Whether one piece more that nobody asked for is too much.
    fn is_flooding(&mut self, peer: NodeId) -> bool {
        self.asking.get_mut(&peer).is_some_and(|session| {
            session.unasked += 1;
            session.unasked > UNASKED_MAX
        })
    }

    fn next_session(&mut self) -> SessionId {
        self.sessions += 1;
        self.sessions
    }

    fn open(&mut self, peer: NodeId) {
        let id = self.next_session();
        let (queue, waiting) = mpsc::channel(WRITE_QUEUE_MAX);
        let (streams, notes) = (self.streams.clone(), self.notes.clone());
        let task = self.tasks.spawn(async move {
            let opening = tokio::time::timeout(OPENING_PATIENCE, streams.open(peer));
            let stream = opening.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            // The engine may be gone already: then nobody needs the stream.
            let _ = notes.send(Note::Opened { peer, session: id, stream }).await;
        });
        let used = self.clock.now();
        self.asking.insert(peer, AskSession { id, queue, waiting: Some(waiting), used, task, unasked: 0 });
    }

    fn opened(&mut self, peer: NodeId, id: SessionId, stream: PieceStream) {
        let Some(session) = self.asking.get_mut(&peer).filter(|session| session.id == id) else { return };
        let Some(asks) = session.waiting.take() else { return };
        let (notes, gate) = (self.notes.clone(), self.gate.clone());
        session.task = self.tasks.spawn(run_asking(peer, id, stream, asks, notes, gate));
    }

    fn accept(&mut self, peer: NodeId, stream: PieceStream) {
        let id = self.next_session();
        let (queue, answers) = mpsc::channel(WRITE_QUEUE_MAX);
        let task = self.tasks.spawn(run_answering(
            peer,
            id,
            stream,
            answers,
            self.notes.clone(),
            self.pacing.link(),
        ));
        self.answering.insert(peer, AnswerSession { id, queue, used: self.clock.now(), task });
    }

    /// Ends our stream to a peer, if it is still this one.
    fn close_asking(&mut self, peer: NodeId, id: SessionId) -> bool {
        let closed = self.asking.get(&peer).is_some_and(|session| session.id == id);
        if closed && let Some(session) = self.asking.remove(&peer) {
            session.task.abort();
        }
        closed
    }

    fn close_answering(&mut self, peer: NodeId, id: SessionId) -> bool {
        let closed = self.is_answering(peer, id);
        if closed && let Some(session) = self.answering.remove(&peer) {
            session.task.abort();
        }
        closed
    }

    fn is_answering(&self, peer: NodeId, id: SessionId) -> bool {
        self.answering.get(&peer).is_some_and(|session| session.id == id)
    }

    fn touch_answering(&mut self, peer: NodeId, id: SessionId) -> bool {
        let now = self.clock.now();
        let session = self.answering.get_mut(&peer).filter(|session| session.id == id);
        session.map(|session| session.used = now).is_some()
    }

    /// Closes the stream from a peer that asked nothing for longest, if there are too many.
    fn make_answering_place(&mut self) -> Option<NodeId> {
        if self.answering.len() < self.limits.streams.max(1) {
            return None;
        }
        let (peer, id) =
            self.answering.iter().min_by_key(|(_, session)| session.used).map(|(peer, s)| (*peer, s.id))?;
        self.close_answering(peer, id).then_some(peer)
    }

    fn close_one_idle(&mut self) -> bool {
        let now = self.clock.now();
        let oldest = self.asking.iter().min_by_key(|(_, session)| session.used);
        let Some((peer, session)) = oldest.filter(|(_, session)| now.since(session.used) >= Span::seconds(1))
        else {
            return false;
        };
        let (peer, id) = (*peer, session.id);
        self.given_up.push(peer);
        self.close_asking(peer, id)
    }

    fn close_idle(&mut self, now: Time) {
        let idle = self.asking.iter().filter(|(_, session)| now.since(session.used) >= IDLE);
        let idle: Vec<(NodeId, SessionId)> = idle.map(|(peer, session)| (*peer, session.id)).collect();
        for (peer, id) in idle {
            self.close_asking(peer, id);
            self.given_up.push(peer);
        }
    }
}
