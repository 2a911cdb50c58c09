//! The blobs under way: which are fetched now, which wait, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::time::{Span, Time};
use groundswell_protocol::transfer::download::{Action, Download, Event};
use groundswell_protocol::transfer::groups::GroupSet;
use groundswell_protocol::transfer::locality::SITE_ASKED_MAX;
use groundswell_protocol::transfer::news::News;
use groundswell_protocol::transfer::shortage::ShortageWatch;
use groundswell_protocol::transfer::upload::Serve;
use groundswell_protocol::transfer::wire::{Answer, Ask};
use groundswell_protocol::transfer::{
    BLOB_BYTES_MAX, Outline, OutlineError, PIECE_BYTES, PieceSet, piece_count,
};

use super::board::Progress;
use super::disk::{Done, JOBS_MAX, Prepared};
use super::engine::Ways;
use super::offences::Offence;
use super::sessions::outgoing;
use super::stream::Streams;
use super::{FetchError, TransferEvent, TransferLimits, WANTS_MAX, Want};
use crate::store::blobs::{BlobStore, PartialBlob, StoreError};

/// Holders kept for a blob that waits for its turn.
const HOLDERS_MAX: usize = 64;

/// How often an unfinished blob that is still in use is tried: 5 s in all, longer than a read takes.
const OPEN_ATTEMPTS: u32 = 500;
const OPEN_PAUSE: Duration = Duration::from_millis(10);

/// How much may be under way under a cap, as a time: half of what a peer is first given to answer.
const CAPPED_WINDOW: Duration = Duration::from_secs(5);

/// Blobs of which it is remembered that this run fetched them.
const FETCHED_MAX: usize = 4096;

/// A wanted blob.
struct Fetch {
    /// Tells this fetch from an earlier one of the same blob.
    number: u64,
    bytes: u64,
    holders: Vec<(NodeId, bool)>,
    stage: Stage,
}

impl Fetch {
    /// Begins anew later, with these to ask first.
    fn wait_again(&mut self, mut holders: Vec<(NodeId, bool)>) {
        holders.truncate(HOLDERS_MAX);
        self.holders = holders;
        self.stage = Stage::Waiting;
    }
}

enum Stage {
    Waiting,
    /// The disk looks for what an earlier run had.
    Preparing,
    Running(Box<Running>),
}

struct Running {
    download: Download,
    deadline: Option<Time>,
    partial: Arc<PartialBlob>,
    written: PieceSet,
    writing: usize,
    finishing: bool,
    shortage: ShortageWatch,
}

/// What a fetch can serve meanwhile.
pub(super) struct Fetching<'a> {
    pub(super) bytes: u64,
    /// None before the disk was looked at.
    pub(super) written: Option<&'a PieceSet>,
    pub(super) partial: Option<&'a Arc<PartialBlob>>,
    pub(super) outline: Option<&'a Arc<Outline>>,
}

pub(super) struct Fetches {
    me: NodeId,
    at_once_max: usize,
    at_once: usize,
    requests_max: usize,
    fair: Span,
    /// Other members of this node's site that are there, in the order of keys.
    site: Vec<NodeId>,
    fetches: BTreeMap<Digest, Fetch>,
    waiting: VecDeque<Digest>,
    active: BTreeSet<Digest>,
    numbers: u64,
    entropy: u64,
    fetched: BTreeSet<Digest>,
    fetched_order: VecDeque<Digest>,
}

impl Fetches {
    /// Under a cap, no more is asked for than comes in within [`CAPPED_WINDOW`].
    pub(super) fn new(me: NodeId, limits: &TransferLimits) -> Self {
        let mut fetches = Self {
            me,
            at_once_max: limits.fetches_at_once.clamp(1, JOBS_MAX / 2),
            at_once: 1,
            requests_max: usize::MAX,
            fair: Span(limits.fair_ms),
            site: Vec::new(),
            fetches: BTreeMap::new(),
            waiting: VecDeque::new(),
            active: BTreeSet::new(),
            numbers: 0,
            // Ties between pieces are all it breaks; without a random source the key does.
            entropy: getrandom::u64().unwrap_or(u64::from_le_bytes(std::array::from_fn(|at| me.0[at]))),
            fetched: BTreeSet::new(),
            fetched_order: VecDeque::new(),
        };
        fetches.set_download_cap(limits.caps.download_bytes_per_second);
        fetches
    }

    /// Holds for the blobs that are begun from now on.
    pub(super) fn set_site(&mut self, mut site: Vec<NodeId>) {
        site.sort_unstable();
        self.site = site;
    }

    /// Holds for the blobs that are begun from now on.
    pub(super) fn set_download_cap(&mut self, bytes_per_second: Option<u64>) {
        let window = bytes_per_second.map_or(usize::MAX, |rate| {
            let pieces = rate.saturating_mul(CAPPED_WINDOW.as_secs()) / u64::from(PIECE_BYTES);
            usize::try_from(pieces).unwrap_or(usize::MAX).max(1)
        });
        self.at_once = self.at_once_max.min(window);
        self.requests_max = window / self.at_once;
    }

    /// What there is of a wanted blob, for those who ask for it.
    pub(super) fn fetching(&self, blob: &Digest) -> Option<Fetching<'_>> {
        let fetch = self.fetches.get(blob)?;
        Some(match &fetch.stage {
            Stage::Running(running) => Fetching {
                bytes: fetch.bytes,
                written: Some(&running.written),
                partial: Some(&running.partial),
                outline: running.download.outline(),
            },
            Stage::Waiting | Stage::Preparing => {
                Fetching { bytes: fetch.bytes, written: None, partial: None, outline: None }
            }
        })
    }

    /// Whether a peer is known to have a piece that we fetched, so that it need not hear of ours.
    pub(super) fn knows_to_have(&self, blob: &Digest, peer: &NodeId, piece: u32) -> bool {
        self.running(blob).is_some_and(|running| running.download.knows_to_have(peer, piece))
    }

    /// Which groups of a piece are here that did not come whole.
    pub(super) fn part(&self, blob: &Digest, piece: u32) -> GroupSet {
        self.running(blob).map_or(GroupSet::NONE, |running| running.download.part(piece))
    }

    /// Pieces of which some is here and that hardly anybody has.
    pub(super) fn begun_pieces(&self, blob: &Digest) -> News {
        self.running(blob).map(|running| running.download.begun_pieces()).unwrap_or_default()
    }

    /// Whether a piece came and is not on the disk yet.
    pub(super) fn is_being_written(&self, blob: &Digest, piece: u32) -> bool {
        self.is_not_written(blob, piece)
            && self.running(blob).is_some_and(|running| running.download.held().contains(piece))
    }

    /// Whether the blob is under way and a piece of it not on the disk.
    pub(super) fn is_not_written(&self, blob: &Digest, piece: u32) -> bool {
        self.running(blob).is_some_and(|running| !running.written.contains(piece))
    }

    /// What goes out of a piece that is not here whole; `None` if it is, or nothing of it.
    pub(super) fn pass_on(&self, serve: &Serve) -> Option<Vec<Answer>> {
        self.running(&serve.piece.0)?.download.pass_on(serve)
    }

    fn running(&self, blob: &Digest) -> Option<&Running> {
        match &self.fetches.get(blob)?.stage {
            Stage::Running(running) => Some(running),
            Stage::Waiting | Stage::Preparing => None,
        }
    }

    /// Whether this run fetched the blob.
    pub(super) fn has_fetched(&self, blob: &Digest) -> bool {
        self.fetched.contains(blob)
    }

    pub(super) fn want<S: Streams>(&mut self, wants: Vec<Want>, holders: &[NodeId], ways: &mut Ways<S>) {
        let mut new = Vec::new();
        for want in wants {
            if self.fetches.contains_key(&want.blob) {
                self.add_holders(want.blob, holders, true, ways);
            } else if ways.sources.store.has(&want.blob) {
                ways.report(TransferEvent::Stored { blob: want.blob });
            } else if want.bytes > BLOB_BYTES_MAX {
                let why = StoreError::from(OutlineError::TooLarge(want.bytes)).into();
                ways.report(TransferEvent::Failed { blob: want.blob, why });
            } else if self.fetches.len() >= WANTS_MAX {
                ways.report(TransferEvent::Failed { blob: want.blob, why: FetchError::TooMany });
            } else {
                let holders = holders.iter().take(HOLDERS_MAX).map(|holder| (*holder, true)).collect();
                let number = self.next_number();
                let fetch = Fetch { number, bytes: want.bytes, holders, stage: Stage::Waiting };
                self.fetches.insert(want.blob, fetch);
                new.push(want.blob);
            }
        }
        self.shuffle(&mut new);
        self.waiting.extend(new);
        self.fill(ways);
    }

    /// Peers that may have a wanted blob; `hinted` if our caller says so.
    pub(super) fn add_holders<S: Streams>(
        &mut self,
        blob: Digest,
        holders: &[NodeId],
        hinted: bool,
        ways: &mut Ways<S>,
    ) {
        let Some(fetch) = self.fetches.get_mut(&blob) else { return };
        if let Stage::Running(_) = fetch.stage {
            for peer in holders {
                self.handle(blob, Event::Found { peer: *peer, hinted }, ways);
            }
            return;
        }
        for holder in holders {
            if fetch.holders.len() < HOLDERS_MAX && !fetch.holders.iter().any(|(known, _)| known == holder) {
                fetch.holders.push((*holder, hinted));
            }
        }
    }

    pub(super) fn cancel<S: Streams>(&mut self, blob: Digest, ways: &mut Ways<S>) {
        if let Some(Fetch { stage: Stage::Running(running), .. }) = self.fetches.get(&blob) {
            for peer in running.download.known_peers() {
                ways.ask(peer, outgoing(&Ask::Forget { blob }), false);
            }
        }
        self.waiting.retain(|waiting| *waiting != blob);
        self.remove(blob, ways);
    }

    /// A peer answered. True for a piece of a blob that is not fetched, as may be on its way when one is cancelled.
    pub(super) fn answered<S: Streams>(&mut self, peer: NodeId, answer: Answer, ways: &mut Ways<S>) -> bool {
        let (blob, payload) = (answer.blob(), answer.payload_bytes());
        if payload > 0 {
            let near = self.site.binary_search(&peer).is_ok();
            ways.board.downloaded(ways.clock.now(), peer, payload, near);
        }
        if let (Answer::Have(have), Some(fetch)) = (&answer, self.fetches.get(&blob))
            && have.bytes != fetch.bytes
        {
            ways.board.offence(Offence::Size);
        }
        if matches!(self.fetches.get(&blob), Some(Fetch { stage: Stage::Running(_), .. })) {
            self.handle(blob, Event::Answered { peer, answer }, ways);
            return false;
        }
        if payload > 0 {
            ways.board.wasted(payload);
        }
        payload > 0
    }

    /// A peer says something of who brings a piece of a blob into the site.
    pub(super) fn said<S: Streams>(&mut self, peer: NodeId, blob: Digest, ask: Ask, ways: &mut Ways<S>) {
        self.handle(blob, Event::Said { peer, ask }, ways);
    }

    /// A peer asks for leave to bring a piece of a blob into the site. `is_whole`: all of it is here.
    pub(super) fn leave_asked<S: Streams>(
        &mut self,
        peer: NodeId,
        blob: Digest,
        ask: Ask,
        is_whole: bool,
        ways: &mut Ways<S>,
    ) {
        if !is_whole {
            return self.said(peer, blob, ask, ways);
        }
        let is_near = self.site.binary_search(&peer).is_ok();
        if let Some(brings) = ask.when_it_is_here(self.me).filter(|_| is_near) {
            ways.ask(peer, outgoing(&brings), true);
        }
    }

    /// Some of an answer came from a peer.
    pub(super) fn alive<S: Streams>(&mut self, peer: NodeId, ways: &mut Ways<S>) {
        for blob in self.active.clone() {
            self.handle(blob, Event::Alive { peer }, ways);
        }
    }

    /// Our stream to a peer could not be opened, or ended.
    pub(super) fn lost<S: Streams>(&mut self, peer: NodeId, ways: &mut Ways<S>) {
        for blob in self.active.clone() {
            self.handle(blob, Event::Lost { peer }, ways);
        }
    }

    /// Wakes the downloads whose time has come.
    pub(super) fn wake<S: Streams>(&mut self, ways: &mut Ways<S>) {
        let now = ways.clock.now();
        let is_due = |blob: &&Digest| self.deadline(blob).is_some_and(|deadline| deadline <= now);
        let due: Vec<Digest> = self.active.iter().filter(is_due).copied().collect();
        for blob in due {
            self.handle(blob, Event::Wake, ways);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.active.iter().filter_map(|blob| self.deadline(blob)).min()
    }

    fn deadline(&self, blob: &Digest) -> Option<Time> {
        match self.fetches.get(blob)?.stage {
            Stage::Running(ref running) => running.deadline,
            Stage::Waiting | Stage::Preparing => None,
        }
    }

    /// The disk has looked for what an earlier run left of the blob.
    pub(super) fn prepared<S: Streams>(
        &mut self,
        blob: Digest,
        number: u64,
        outcome: Result<Box<Prepared>, StoreError>,
        ways: &mut Ways<S>,
    ) {
        let seed = self.next_number() ^ self.entropy;
        let Some(fetch) = self.fetches.get_mut(&blob).filter(|fetch| fetch.number == number) else { return };
        let prepared = match outcome {
            Ok(prepared) => *prepared,
            Err(why) => return self.fail(blob, why, ways),
        };
        let (held, outline) = (prepared.held, prepared.outline);
        let download = Download::new(self.me, blob, fetch.bytes, held.clone(), outline, seed)
            .with_requests_max(self.requests_max)
            .with_site(ways.clock.now(), &self.site);
        let near = download.site_to_begin_with(SITE_ASKED_MAX);
        let running = Running {
            download,
            deadline: None,
            partial: Arc::new(prepared.partial),
            written: held,
            writing: 0,
            finishing: false,
            shortage: ShortageWatch::new(self.fair),
        };
        fetch.stage = Stage::Running(Box::new(running));
        let holders = std::mem::take(&mut fetch.holders);
        for (peer, hinted) in holders.into_iter().chain(near.into_iter().map(|peer| (peer, true))) {
            self.handle(blob, Event::Found { peer, hinted }, ways);
        }
        self.handle(blob, Event::Wake, ways);
    }

    /// A piece was written, or not. True if it can be served from now on.
    pub(super) fn written<S: Streams>(
        &mut self,
        blob: Digest,
        number: u64,
        piece: u32,
        outcome: Result<(), StoreError>,
        ways: &mut Ways<S>,
    ) -> bool {
        let fetch = self.fetches.get_mut(&blob).filter(|fetch| fetch.number == number);
        let Some(Fetch { stage: Stage::Running(running), .. }) = fetch else { return false };
        if let Err(why) = outcome {
            self.fail(blob, why, ways);
            return false;
        }
        running.writing -= 1;
        running.written.insert(piece);
        self.finish_if_complete(blob, ways);
        true
    }

    /// The blob is in the store, or could not be put there.
    pub(super) fn finished<S: Streams>(
        &mut self,
        blob: Digest,
        number: u64,
        outcome: Result<(), StoreError>,
        ways: &mut Ways<S>,
    ) {
        if self.fetches.get(&blob).is_none_or(|fetch| fetch.number != number) {
            return;
        }
        if let Err(why) = outcome {
            return self.fail(blob, why, ways);
        }
        self.fetched.insert(blob);
        self.fetched_order.push_back(blob);
        if self.fetched_order.len() > FETCHED_MAX
            && let Some(oldest) = self.fetched_order.pop_front()
        {
            self.fetched.remove(&oldest);
        }
        ways.report(TransferEvent::Stored { blob });
        self.remove(blob, ways);
    }

    /// Looks which blobs nobody who can be reached has whole, says so, and lets others have their turn.
    pub(super) fn look_for_shortages<S: Streams>(&mut self, ways: &mut Ways<S>) {
        let now = ways.clock.now();
        for blob in self.active.clone() {
            let Some(fetch) = self.fetches.get_mut(&blob) else { continue };
            let Stage::Running(running) = &mut fetch.stage else { continue };
            let shortage = running.shortage.look(now, &running.download);
            let is_short = shortage.is_some();
            ways.board.set_shortage(blob, shortage);
            if is_short && running.writing == 0 && !running.finishing && !self.waiting.is_empty() {
                let holders = running.download.named_peers();
                fetch.wait_again(holders);
                self.active.remove(&blob);
                self.waiting.push_back(blob);
            }
        }
        self.fill(ways);
    }

    /// Whether any blob is under way.
    pub(super) fn is_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// A piece of a running fetch could not be read back: the disk is asked anew what is there.
    pub(super) fn recheck<S: Streams>(&mut self, blob: Digest, ways: &mut Ways<S>) {
        let Some(fetch) = self.fetches.get_mut(&blob) else { return };
        let Stage::Running(running) = &mut fetch.stage else { return };
        if running.finishing || running.writing > 0 {
            return;
        }
        let holders = running.download.known_peers().into_iter().map(|peer| (peer, true)).collect();
        fetch.wait_again(holders);
        self.active.remove(&blob);
        self.waiting.push_front(blob);
        self.fill(ways);
    }

    /// Begins as many fetches as may run at once.
    fn fill<S: Streams>(&mut self, ways: &mut Ways<S>) {
        while self.active.len() < self.at_once
            && let Some(blob) = self.waiting.pop_front()
        {
            let Some(fetch) = self.fetches.get_mut(&blob) else { continue };
            fetch.stage = Stage::Preparing;
            self.active.insert(blob);
            let (number, bytes, store) = (fetch.number, fetch.bytes, ways.sources.store.clone());
            ways.board.set_progress(Progress { blob, bytes, done_bytes: 0, peers: 0 });
            ways.disk.run(move || {
                let outcome = open_partial(&store, blob, bytes).map(|partial| {
                    let (held, outline) = (partial.held(), partial.outline());
                    Box::new(Prepared { partial, held, outline })
                });
                Done::Prepared { blob, fetch: number, outcome }
            });
        }
    }

    fn handle<S: Streams>(&mut self, blob: Digest, event: Event, ways: &mut Ways<S>) {
        let Some(Fetch { stage: Stage::Running(running), number, .. }) = self.fetches.get_mut(&blob) else {
            return;
        };
        let mut actions = Vec::new();
        let held_before = running.download.held().held();
        running.download.handle(ways.clock.now(), event, &mut actions);
        let number = *number;
        let mut refused = None;
        for action in actions {
            match action {
                Action::Send { peer, ask } => {
                    let eager = !matches!(ask, Ask::Forget { .. } | Ask::Cancel { .. } | Ask::Came { .. });
                    ways.ask(peer, outgoing(&ask), eager);
                }
                // Done at once, since pieces may follow in the same breath: a small file, not synced.
                Action::Outlined(outline) => refused = running.partial.set_outline(outline).err().or(refused),
                Action::Keep { piece, data, .. } => {
                    running.writing += 1;
                    let partial = running.partial.clone();
                    ways.disk.run(move || {
                        let outcome = partial.write(piece, data);
                        Done::Written { blob, fetch: number, piece, outcome }
                    });
                }
                Action::Begun(begun) => ways.begun.push((blob, begun)),
                Action::Wasted { bytes, .. } => ways.board.wasted(bytes),
                Action::Corrupt { peer } => {
                    tracing::warn!(peer = %peer.short(), blob = %blob.short(), "a peer served bytes that do not verify; it is asked no more");
                    ways.board.corrupt();
                    ways.corrupted(peer);
                    ways.report(TransferEvent::Corrupt { peer, blob });
                }
                Action::Complete => {}
            }
        }
        running.deadline = running.download.next_deadline();
        if running.download.held().held() != held_before || running.deadline.is_none() {
            ways.board.set_progress(Progress {
                blob,
                bytes: running.download.bytes(),
                done_bytes: running.download.held_bytes(),
                peers: running.download.ready_peers(),
            });
        }
        match refused {
            Some(why) => self.fail(blob, why, ways),
            None => self.finish_if_complete(blob, ways),
        }
    }

    fn finish_if_complete<S: Streams>(&mut self, blob: Digest, ways: &mut Ways<S>) {
        let Some(Fetch { stage: Stage::Running(running), number, .. }) = self.fetches.get_mut(&blob) else {
            return;
        };
        if running.finishing || running.writing > 0 || !running.written.is_full() {
            return;
        }
        running.finishing = true;
        let (partial, number) = (running.partial.clone(), *number);
        ways.disk.run(move || Done::Finished { blob, fetch: number, outcome: partial.finish() });
    }

    fn fail<S: Streams>(&mut self, blob: Digest, why: StoreError, ways: &mut Ways<S>) {
        self.cancel(blob, ways);
        ways.report(TransferEvent::Failed { blob, why: why.into() });
    }

    fn remove<S: Streams>(&mut self, blob: Digest, ways: &mut Ways<S>) {
        self.fetches.remove(&blob);
        self.active.remove(&blob);
        ways.board.remove_progress(&blob);
        self.fill(ways);
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Puts blobs in an order of this node's own (by digest of name and entropy).
    fn shuffle(&mut self, blobs: &mut [Digest]) {
        let entropy = self.entropy.to_le_bytes();
        blobs.sort_by_cached_key(|blob| Digest::of_parts("groundswell fetch order", &[&entropy, &blob.0]));
    }
}

/// Opens an unfinished blob. One that was just cancelled may still be read for a peer: that read is waited
/// for, on a thread that may block.
fn open_partial(store: &BlobStore, blob: Digest, bytes: u64) -> Result<PartialBlob, StoreError> {
    let mut attempts = OPEN_ATTEMPTS;
    loop {
        attempts -= 1;
        match store.partial(blob, bytes) {
            Err(StoreError::InUse { .. }) if attempts > 0 => std::thread::sleep(OPEN_PAUSE),
            outcome => return outcome,
        }
    }
}

/// The pieces of a blob of which nothing is here yet.
pub(super) fn nothing_of(bytes: u64) -> PieceSet {
    PieceSet::none(piece_count(bytes))
}
