//! The answering side: what is here, read from the disk piece by piece as its turn comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use groundswell_protocol::digest::Digest;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::time::Time;
use groundswell_protocol::transfer::egress::{BudgetError, EgressRecord};
use groundswell_protocol::transfer::groups::{Begun, GroupSet, answers, group_values};
use groundswell_protocol::transfer::news::{NEWS_EVERY, News};
use groundswell_protocol::transfer::serving::{Holding, Serving};
use groundswell_protocol::transfer::upload::{Serve, Standing, Upload};
use groundswell_protocol::transfer::wire::{Answer, Ask, Have};
use groundswell_protocol::transfer::{Allowance, Outline, PIECE_BYTES, PieceSet, piece_count};

use super::Budget;
use super::disk::Done;
use super::engine::Ways;
use super::fetches::{Fetches, nothing_of};
use super::sessions::{SessionId, outgoing, outgoing_payload};
use super::stream::Streams;

pub(super) struct Serves {
    serving: Serving,
    /// What came and was not told of yet.
    news: BTreeMap<Digest, News>,
    /// When it may be told.
    news_at: Time,
    /// The budgets may stand otherwise than was last told.
    budgets_moved: bool,
    /// Releases of which it was said that their budget does not hold.
    said: BTreeSet<Digest>,
}

/// What is here of a blob.
struct Here {
    bytes: u64,
    pieces: PieceSet,
    standing: Standing,
}

impl Serves {
    pub(super) fn new(bytes_per_second: Option<u64>, now: Time) -> Self {
        let allowance = bytes_per_second.map(|rate| Allowance::new(rate, now));
        Self {
            serving: Serving::new(Upload::new(allowance)),
            news: BTreeMap::new(),
            news_at: now,
            budgets_moved: false,
            said: BTreeSet::new(),
        }
    }

    pub(super) fn set_site(&mut self, site: &[NodeId]) {
        self.serving.upload.set_site(site);
    }

    pub(super) fn set_rate(&mut self, now: Time, bytes_per_second: Option<u64>) {
        self.serving.upload.set_rate(now, bytes_per_second);
    }

    pub(super) fn set_budget(&mut self, budget: &Budget) -> Result<(), BudgetError> {
        self.budgets_moved = true;
        self.serving.upload.egress.set(budget.release, budget.permille, &budget.blobs)
    }

    pub(super) fn restore_budgets(&mut self, records: &[EgressRecord]) {
        self.budgets_moved = true;
        for record in records {
            if let Err(why) = self.serving.upload.egress.restore(record) {
                tracing::warn!(
                    release = record.release.short(),
                    "A budget of an earlier run is left out: {why}."
                );
            }
        }
    }

    pub(super) fn budget_records(&self) -> Vec<EgressRecord> {
        self.serving.upload.egress.records()
    }

    /// Tells how the budgets stand, and of what had to be sent beyond one.
    fn tell_budgets<S: Streams>(&mut self, ways: &Ways<S>) {
        if !std::mem::take(&mut self.budgets_moved) || self.serving.upload.egress.is_empty() {
            return;
        }
        while let Some((release, (blob, piece))) = self.serving.upload.egress.take_stranded() {
            let words = "Nobody else could be asked for a piece: it is sent beyond the release's budget.";
            if self.said.insert(release) {
                tracing::warn!(release = release.short(), blob = blob.short(), piece, "{words}");
            } else {
                tracing::debug!(release = release.short(), blob = blob.short(), piece, "{words}");
            }
        }
        let budgets = self.serving.upload.egress.reports();
        self.said.retain(|release| budgets.iter().any(|budget| budget.release == *release));
        ways.board.set_budgets(budgets);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let news = (!self.news.is_empty()).then_some(self.news_at);
        self.serving.upload.next_deadline().into_iter().chain(news).min()
    }

    pub(super) fn asked<S: Streams>(
        &mut self,
        peer: NodeId,
        session: SessionId,
        ask: Ask,
        ways: &mut Ways<S>,
        fetches: &mut Fetches,
    ) {
        let blob = match &ask {
            Ask::Outline { blob, page } => {
                return self.outline_asked(peer, session, *blob, *page, ways, fetches);
            }
            Ask::Ask { blob }
            | Ask::Request { blob, .. }
            | Ask::Cancel { blob, .. }
            | Ask::Came { blob, .. }
            | Ask::MayBring { blob, .. }
            | Ask::Wait { blob, .. }
            | Ask::Brings { blob, .. }
            | Ask::Forget { blob } => *blob,
        };
        if matches!(ask, Ask::Ask { .. }) {
            // Who asks for what we fetch ourselves may soon have pieces for us.
            fetches.add_holders(blob, &[peer], false, ways);
        }
        if ask.is_of_turns() && !matches!(ask, Ask::MayBring { .. }) {
            fetches.said(peer, blob, ask.clone(), ways);
        }
        self.budgets_moved = true;
        let mut part = GroupSet::NONE;
        if let Ask::Request { piece, .. } = ask {
            if fetches.is_being_written(&blob, piece) {
                ways.answer(peer, session, outgoing(&Answer::NoMore { blob, piece }));
                return;
            }
            part = fetches.part(&blob, piece);
        }
        let here = here(&blob, ways, fetches);
        if let Ask::MayBring { .. } = ask {
            let is_whole = here.is_some_and(|here| here.pieces.is_full());
            return fetches.leave_asked(peer, blob, ask, is_whole, ways);
        }
        let holding = here.as_ref().map(|here| Holding {
            bytes: here.bytes,
            pieces: &here.pieces,
            part,
            standing: here.standing,
        });
        let Some(answer) = self.serving.asked(ways.clock.now(), peer, ask, holding) else { return };
        ways.answer(peer, session, outgoing(&answer));
        if let Answer::Have(_) = answer {
            for answer in fetches.begun_pieces(&blob).answers(blob, |_| false) {
                ways.answer(peer, session, outgoing(&answer));
            }
        }
    }

    /// Starts the reading of pieces whose turn has come.
    pub(super) fn pump<S: Streams>(&mut self, ways: &mut Ways<S>, fetches: &Fetches) {
        while let Some(serve) = self.serving.upload.next(ways.clock.now()) {
            let Some(session) = ways.session_of(serve.peer) else {
                self.serving.sent(serve, false);
                continue;
            };
            let (blob, piece) = serve.piece;
            if let Some(answers) = fetches.pass_on(&serve) {
                self.read(serve, session, Some(&answers), ways);
                continue;
            }
            if fetches.is_not_written(&blob, piece) {
                // It was a part when it was granted, and is whole by now or had to make room.
                self.serving.sent(serve, false);
                ways.answer(serve.peer, session, outgoing(&Answer::NoMore { blob, piece }));
                continue;
            }
            let partial = fetches.fetching(&blob).and_then(|fetching| fetching.partial.cloned());
            let sources = ways.sources.clone();
            ways.disk.run(move || {
                let data = sources.read_piece(&blob, piece, partial.as_deref());
                let offset = u64::from(piece) * u64::from(PIECE_BYTES);
                let answers = data.map(|data| answers(&serve, data, |data| group_values(offset, data)));
                Done::Read { serve, session, answers }
            });
        }
        self.tell_news(ways, fetches);
        self.tell_budgets(ways);
    }

    /// A piece, or some of it, was read, or could not be. False in the latter case.
    pub(super) fn read<S: Streams>(
        &mut self,
        serve: Serve,
        session: SessionId,
        answers: Option<&[Answer]>,
        ways: &mut Ways<S>,
    ) -> bool {
        let Some((last, ahead)) = answers.and_then(<[Answer]>::split_last) else {
            self.serving.sent(serve, false);
            ways.answer(serve.peer, session, outgoing(&Answer::NotHere { blob: serve.piece.0 }));
            return false;
        };
        let bytes = ahead.iter().chain([last]).map(Answer::payload_bytes).sum();
        let ahead = ahead.iter().map(|answer| outgoing_payload(answer, None));
        let is_sent = ahead
            .chain([outgoing_payload(last, Some((serve, bytes)))])
            .all(|message| ways.answer(serve.peer, session, message));
        if !is_sent && ways.session_of(serve.peer) == Some(session) {
            self.serving.sent(serve, false);
        }
        true
    }

    /// A piece left for its peer.
    pub(super) fn sent<S: Streams>(&mut self, serve: Serve, bytes: u64, ways: &Ways<S>) {
        ways.board.uploaded(ways.clock.now(), serve.peer, bytes);
        self.serving.sent(serve, true);
    }

    /// The peer's stream ended.
    pub(super) fn lost(&mut self, peer: NodeId) {
        self.budgets_moved = true;
        self.serving.lost(peer);
    }

    /// There is one piece more: those interested in the blob hear of it soon.
    pub(super) fn gained(&mut self, blob: Digest, piece: u32) {
        self.news.entry(blob).or_default().gained(piece);
    }

    /// There is some more of a piece, and not all: those interested in the blob hear of that soon.
    pub(super) fn begun(&mut self, blob: Digest, begun: Begun) {
        self.news.entry(blob).or_default().begun(begun);
    }

    /// Tells of pieces that came, each to those who may lack it, if the time has come.
    fn tell_news<S: Streams>(&mut self, ways: &mut Ways<S>, fetches: &Fetches) {
        let now = ways.clock.now();
        if self.news.is_empty() || now < self.news_at {
            return;
        }
        self.news_at = now + NEWS_EVERY;
        for (blob, news) in std::mem::take(&mut self.news) {
            for peer in self.serving.interested(&blob) {
                let Some(session) = ways.session_of(peer) else { continue };
                for answer in news.answers(blob, |piece| fetches.knows_to_have(&blob, &peer, piece)) {
                    ways.answer(peer, session, outgoing(&answer));
                }
            }
        }
    }

    /// Tells those interested in a blob what is here of it.
    pub(super) fn announce<S: Streams>(&mut self, blob: Digest, ways: &mut Ways<S>, fetches: &Fetches) {
        if let Some(here) = here(&blob, ways, fetches) {
            let have = Have::new(blob, here.bytes, &here.pieces, Vec::new());
            let interested = self.serving.interested(&blob).collect();
            self.tell(interested, &Answer::Have(have), ways);
        }
    }

    pub(super) fn outline_read<S: Streams>(
        &mut self,
        blob: Digest,
        page: u16,
        session: SessionId,
        outline: Option<&Outline>,
        ways: &mut Ways<S>,
        peer: NodeId,
    ) {
        let answer = outline.map_or(Answer::NotHere { blob }, |outline| Answer::outline_page(outline, page));
        ways.answer(peer, session, outgoing(&answer));
    }

    fn outline_asked<S: Streams>(
        &mut self,
        peer: NodeId,
        session: SessionId,
        blob: Digest,
        page: u16,
        ways: &mut Ways<S>,
        fetches: &Fetches,
    ) {
        if let Some(fetching) = fetches.fetching(&blob) {
            let outline = fetching.outline.cloned();
            return self.outline_read(blob, page, session, outline.as_deref(), ways, peer);
        }
        let sources = ways.sources.clone();
        ways.disk.run(move || {
            let outline: Option<Arc<Outline>> = sources.outline(&blob);
            Done::OutlineRead { peer, blob, page, session, outline }
        });
    }

    fn tell<S: Streams>(&mut self, peers: Vec<NodeId>, answer: &Answer, ways: &mut Ways<S>) {
        for peer in peers {
            if let Some(session) = ways.session_of(peer) {
                ways.answer(peer, session, outgoing(answer));
            }
        }
    }
}

/// What is here of a blob: of one under way, in the store, or in a slot, in this order.
fn here<S: Streams>(blob: &Digest, ways: &Ways<S>, fetches: &Fetches) -> Option<Here> {
    if let Some(fetching) = fetches.fetching(blob) {
        let pieces = fetching.written.cloned().unwrap_or_else(|| nothing_of(fetching.bytes));
        return Some(Here { bytes: fetching.bytes, pieces, standing: Standing::Relay });
    }
    let stored = ways.sources.store.bytes(blob);
    let bytes = stored.or_else(|| ways.sources.locate(blob).map(|located| located.bytes))?;
    let standing = if fetches.has_fetched(blob) { Standing::Relay } else { Standing::Origin };
    Some(Here { bytes, pieces: PieceSet::all(piece_count(bytes)), standing })
}
