//! Swarms in virtual time, for tests: downloads and serving sides joined by messages that take time and get lost
//! with their peers, over lines that may carry only so much.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::*;
use crate::identity::PublicKey;
use crate::transfer::groups::{GroupSet, answers, group_values};
use crate::transfer::outline::PIECE_BYTES;
use crate::transfer::serving::{Holding, Serving};
use crate::transfer::upload::{Serve, Upload};
use crate::transfer::{Allowance, upload};

/// What happens to a node, and when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Lives,
    Dies(Time),
    /// Dies, and nobody hears of it: no stream ends.
    Vanishes(Time),
    /// Takes what it is given, answers nothing.
    Mute,
    /// Serves bytes that are not the piece.
    Lies,
}

enum Parcel {
    Ask(Ask),
    Answer(Answer, Option<Serve>),
    Lost,
    /// Some of an answer.
    Part,
    /// The sender's line is free for what waits.
    LineFree,
}

/// How often a receiver hears that some of an answer came.
const PARTS_EVERY: Span = Span::milliseconds(50);

/// Bytes of one stream that leave before those of another.
const QUANTUM: u64 = 4096;

/// What a member can send: answers take their turns by stream. Asks are small and on streams of their own.
struct Line {
    bytes_per_second: u64,
    /// Each with what is still to leave of it.
    waiting: BTreeMap<NodeId, VecDeque<(u64, Parcel)>>,
    turns: VecDeque<NodeId>,
    is_busy: bool,
    /// When a receiver last heard that something is coming.
    told: BTreeMap<NodeId, Time>,
    /// What is on the line now.
    leaving: Vec<(NodeId, Parcel)>,
    /// When it has left, in microseconds.
    free_at: u64,
}

pub(super) struct Member {
    pub(super) fate: Fate,
    pub(super) download: Option<Download>,
    pub(super) held: PieceSet,
    pub(super) serving: Serving,
    pub(super) origin: bool,
    pub(super) uploaded: u64,
    pub(super) wasted: u64,
    pub(super) corrupt: BTreeSet<NodeId>,
    line: Option<Line>,
}

pub(super) struct Swarm {
    pub(super) now: Time,
    content: Vec<u8>,
    pub(super) outline: Arc<Outline>,
    pub(super) members: BTreeMap<NodeId, Member>,
    mail: BTreeMap<(Time, u64), (NodeId, NodeId, Parcel)>,
    posted: u64,
    /// When the last parcel posted on a stream arrives.
    latest: BTreeMap<(NodeId, NodeId), Time>,
    pub(super) delay: Span,
    random: u64,
    /// How many members a site has; 0 for no sites.
    site: usize,
    /// Bytes that came into each site from others.
    pub(super) crossed: BTreeMap<usize, u64>,
    /// Those that nobody waits for.
    pub(super) ignored: BTreeSet<NodeId>,
}

pub(super) fn id(number: usize) -> NodeId {
    PublicKey([u8::try_from(number).unwrap() + 1; 32])
}

impl Swarm {
    /// `fates[0]` is the publisher's; everybody else fetches.
    pub(super) fn new(bytes: usize, fates: &[Fate], seed: u64, rate: Option<u64>) -> Self {
        let content: Vec<u8> = (0..bytes).map(|at| u8::try_from(mix(at as u64 / 8) % 251).unwrap()).collect();
        let outline = Arc::new(Outline::of(&content).unwrap());
        let mut swarm = Self {
            now: Time(1000),
            content,
            members: BTreeMap::new(),
            mail: BTreeMap::new(),
            posted: 0,
            latest: BTreeMap::new(),
            delay: Span(5),
            random: seed,
            outline,
            site: 0,
            crossed: BTreeMap::new(),
            ignored: BTreeSet::new(),
        };
        for (number, fate) in fates.iter().enumerate() {
            swarm.add(number, *fate, seed, rate);
        }
        swarm
    }

    fn add(&mut self, number: usize, fate: Fate, seed: u64, rate: Option<u64>) {
        let pieces = self.outline.pieces();
        let (blob, bytes) = (self.outline.blob(), self.outline.bytes());
        let origin = number == 0;
        let none = PieceSet::none(pieces);
        let download =
            (!origin).then(|| Download::new(id(number), blob, bytes, none, None, mix(seed ^ number as u64)));
        let member = Member {
            fate,
            download,
            held: if origin { PieceSet::all(pieces) } else { PieceSet::none(pieces) },
            serving: Serving::new(Upload::new(rate.map(|rate| Allowance::new(rate, self.now)))),
            origin,
            uploaded: 0,
            wasted: 0,
            corrupt: BTreeSet::new(),
            line: None,
        };
        self.members.insert(id(number), member);
    }

    fn site_of(&self, member: NodeId) -> usize {
        usize::from(member.0[0] - 1).checked_div(self.site).unwrap_or(0)
    }

    /// Groups the members, in their order, into sites of `size` who know each other; `aware` of it or not.
    pub(super) fn set_sites(&mut self, size: usize, aware: bool) {
        self.site = size;
        let all: Vec<NodeId> = self.members.keys().copied().collect();
        for member in &all {
            let site: Vec<NodeId> =
                all.iter().copied().filter(|other| self.site_of(*other) == self.site_of(*member)).collect();
            let now = self.now;
            if aware {
                self.member(*member).serving.upload.set_site(&site);
            }
            if let Some(download) = self.member(*member).download.take() {
                let download = if aware { download.with_site(now, &site) } else { download };
                self.member(*member).download = Some(download);
            }
            for other in site.iter().filter(|other| *other != member) {
                self.event(*member, Event::Found { peer: *other, hinted: true });
            }
        }
    }

    pub(super) fn set_budget(&mut self, permille: u32) {
        let blob = (self.outline.blob(), self.outline.bytes());
        let egress = &mut self.member(id(0)).serving.upload.egress;
        egress.set(Digest([1; 32]), permille, &[blob]).unwrap();
    }

    pub(super) fn tell_all_of_the_publisher(&mut self) {
        let all: Vec<NodeId> = self.members.keys().copied().filter(|member| *member != id(0)).collect();
        all.into_iter().for_each(|member| self.event(member, Event::Found { peer: id(0), hinted: true }));
    }

    fn is_alive(&self, member: NodeId) -> bool {
        match self.members.get(&member).map(|member| member.fate) {
            Some(Fate::Dies(at) | Fate::Vanishes(at)) => self.now < at,
            Some(_) => true,
            None => false,
        }
    }

    /// What a member can send a second from now on.
    pub(super) fn set_line(&mut self, number: usize, bytes_per_second: u64) {
        let line = Line {
            bytes_per_second,
            waiting: BTreeMap::new(),
            turns: VecDeque::new(),
            is_busy: false,
            told: BTreeMap::new(),
            leaving: Vec::new(),
            free_at: 0,
        };
        self.member(id(number)).line = Some(line);
    }

    fn post(&mut self, from: NodeId, to: NodeId, parcel: Parcel) {
        if let Parcel::Answer(..) = parcel
            && let Some(line) = self.members.get_mut(&from).and_then(|member| member.line.as_mut())
        {
            let waiting = line.waiting.entry(to).or_default();
            if waiting.is_empty() {
                line.turns.push_back(to);
            }
            let bytes = match &parcel {
                Parcel::Answer(answer, _) if answer.payload_bytes() > 0 => answer.payload_bytes(),
                _ => 100,
            };
            waiting.push_back((bytes, parcel));
            if !line.is_busy {
                self.use_line(from);
            }
            return;
        }
        self.travel(from, to, parcel);
    }

    /// What waits on the next stream in turn takes the line, as much as fits into a few packets.
    fn use_line(&mut self, from: NodeId) {
        let now = self.now;
        let Some(line) = self.members.get_mut(&from).and_then(|member| member.line.as_mut()) else { return };
        let Some(to) = line.turns.pop_front() else { return };
        let waiting = line.waiting.entry(to).or_default();
        let mut used = 0;
        while let Some((left, _)) = waiting.front_mut().filter(|_| used < QUANTUM) {
            let part = (*left).min(QUANTUM - used);
            *left -= part;
            used += part;
            if *left == 0 {
                line.leaving.extend(waiting.pop_front().map(|(_, parcel)| (to, parcel)));
            }
        }
        if !waiting.is_empty() {
            line.turns.push_back(to);
            let told = line.told.entry(to).or_default();
            if now.since(*told) >= PARTS_EVERY {
                *told = now;
                line.leaving.push((to, Parcel::Part));
            }
        }
        line.free_at = line.free_at.max(now.0 * 1000) + used * 1_000_000 / line.bytes_per_second;
        let free = Time(line.free_at.div_ceil(1000));
        line.is_busy = true;
        self.posted += 1;
        self.mail.insert((free, self.posted), (from, from, Parcel::LineFree));
    }

    fn travel(&mut self, from: NodeId, to: NodeId, parcel: Parcel) {
        self.random = self.random.wrapping_add(1);
        let at = self.now + self.delay + Span(mix(self.random) % 3);
        // One stream keeps its order: never before what was posted on it earlier.
        let latest = self.latest.entry((from, to)).or_default();
        let at = at.max(*latest);
        *latest = at;
        self.posted += 1;
        self.mail.insert((at, self.posted), (from, to, parcel));
    }

    pub(super) fn event(&mut self, at: NodeId, event: Event) {
        if !self.is_alive(at) {
            return;
        }
        let mut actions = Vec::new();
        let now = self.now;
        let Some(member) = self.members.get_mut(&at) else { return };
        let Some(download) = &mut member.download else { return };
        download.handle(now, event, &mut actions);
        for action in actions {
            match action {
                Action::Send { peer, ask } => self.post(at, peer, Parcel::Ask(ask)),
                Action::Keep { piece, data, .. } => self.keep(at, piece, &data),
                Action::Begun(begun) => {
                    let blob = self.outline.blob();
                    self.tell(at, &Answer::News { blob, gained: Vec::new(), begun: vec![begun] });
                }
                Action::Wasted { bytes, .. } => self.member(at).wasted += bytes,
                Action::Corrupt { peer } => assert!(self.member(at).corrupt.insert(peer), "named twice"),
                Action::Outlined(outline) => assert_eq!(outline, self.outline),
                Action::Complete => {}
            }
        }
    }

    pub(super) fn member(&mut self, member: NodeId) -> &mut Member {
        self.members.get_mut(&member).unwrap()
    }

    fn keep(&mut self, at: NodeId, piece: u32, data: &[u8]) {
        let from = piece as usize * PIECE_BYTES as usize;
        assert_eq!(data, &self.content[from..from + data.len()], "only right bytes are kept");
        let blob = self.outline.blob();
        assert!(self.member(at).held.insert(piece), "a piece is kept once");
        self.tell(at, &Answer::News { blob, gained: vec![piece], begun: Vec::new() });
    }

    fn tell(&mut self, at: NodeId, news: &Answer) {
        let blob = self.outline.blob();
        let interested: Vec<NodeId> = self.member(at).serving.interested(&blob).collect();
        for peer in interested {
            self.post(at, peer, Parcel::Answer(news.clone(), None));
        }
    }

    fn asked(&mut self, from: NodeId, at: NodeId, ask: Ask) {
        let (now, outline) = (self.now, self.outline.clone());
        let member = self.member(at);
        if matches!(member.fate, Fate::Mute) {
            return;
        }
        if let Ask::Ask { .. } = ask {
            self.event(at, Event::Found { peer: from, hinted: false });
        }
        let member = self.member(at);
        let is_whole = member.held.is_full() && !member.origin;
        if let Some(brings) = ask.when_it_is_here(at).filter(|_| is_whole) {
            self.post(at, from, Parcel::Ask(brings));
        } else if ask.is_of_turns() {
            self.event(at, Event::Said { peer: from, ask: ask.clone() });
        }
        let member = self.member(at);
        let standing = if member.origin { upload::Standing::Origin } else { upload::Standing::Relay };
        let part = match (&ask, &member.download) {
            (Ask::Request { piece, .. }, Some(download)) => download.part(*piece),
            _ => GroupSet::NONE,
        };
        let holding = Holding { bytes: outline.bytes(), pieces: &member.held, part, standing };
        let answer = match ask {
            Ask::Outline { page, .. } => Some(Answer::outline_page(&outline, page)),
            ask => member.serving.asked(now, from, ask, Some(holding)),
        };
        let has = matches!(answer, Some(Answer::Have(_)));
        if let Some(answer) = answer {
            self.post(at, from, Parcel::Answer(answer, None));
        }
        let blob = self.outline.blob();
        let begun = self.member(at).download.as_ref().filter(|_| has).map(Download::begun_pieces);
        for answer in begun.unwrap_or_default().answers(blob, |_| false) {
            self.post(at, from, Parcel::Answer(answer, None));
        }
        self.serve(at);
    }

    fn serve(&mut self, at: NodeId) {
        let now = self.now;
        while let Some(serve) = self.member(at).serving.upload.next(now) {
            let answers = self.answers(at, &serve);
            let length: u64 = answers.iter().map(Answer::payload_bytes).sum();
            self.member(at).uploaded += length;
            if self.site_of(at) != self.site_of(serve.peer) {
                *self.crossed.entry(self.site_of(serve.peer)).or_default() += length;
            }
            let on_a_line = self.member(at).line.is_some();
            if on_a_line {
                // As with streams whose buffers take whatever comes.
                self.member(at).serving.sent(serve, true);
            }
            let last = answers.len();
            for (number, answer) in (1..).zip(answers) {
                let sent = (!on_a_line && number == last).then_some(serve);
                self.post(at, serve.peer, Parcel::Answer(answer, sent));
            }
        }
    }

    fn answers(&mut self, at: NodeId, serve: &Serve) -> Vec<Answer> {
        let (blob, piece) = serve.piece;
        if !self.member(at).held.contains(piece) {
            let part = self.member(at).download.as_ref().and_then(|download| download.pass_on(serve));
            return part.unwrap_or_else(|| vec![Answer::NoMore { blob, piece }]);
        }
        let (offset, length) = piece_range(self.outline.bytes(), piece).unwrap();
        let from = usize::try_from(offset).unwrap();
        let mut data = self.content[from..from + length as usize].to_vec();
        if matches!(self.member(at).fate, Fate::Lies) {
            data[0] ^= 1;
        }
        answers(serve, data, |data| group_values(offset, data))
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, parcel: Parcel) {
        if let Parcel::Answer(_, Some(serve)) = &parcel {
            let delivered = self.is_alive(to);
            self.member(from).serving.sent(*serve, delivered);
            if self.is_alive(from) {
                self.serve(from);
            }
        }
        if let Parcel::LineFree = parcel {
            let line = self.members.get_mut(&from).and_then(|member| member.line.as_mut());
            let left = line.map(|line| {
                line.is_busy = false;
                std::mem::take(&mut line.leaving)
            });
            if self.is_alive(from) {
                left.into_iter().flatten().for_each(|(to, parcel)| self.travel(from, to, parcel));
                self.use_line(from);
            }
            return;
        }
        if !self.is_alive(to) {
            if self.members.get(&to).is_some_and(|member| matches!(member.fate, Fate::Vanishes(_))) {
                return;
            }
            if self.members.contains_key(&from) {
                self.member(from).serving.lost(to);
                self.post(to, from, Parcel::Lost);
            }
            return;
        }
        match parcel {
            Parcel::Ask(ask) => self.asked(from, to, ask),
            Parcel::Answer(answer, _) => self.event(to, Event::Answered { peer: from, answer }),
            Parcel::Lost => self.event(to, Event::Lost { peer: from }),
            Parcel::Part => self.event(to, Event::Alive { peer: from }),
            Parcel::LineFree => {}
        }
    }

    fn next_wake(&self) -> Option<Time> {
        let alive = self.members.iter().filter(|(id, _)| self.is_alive(**id));
        alive
            .flat_map(|(_, member)| {
                let fetch = member.download.as_ref().and_then(Download::next_deadline);
                [fetch, member.serving.upload.next_deadline()]
            })
            .flatten()
            .min()
    }

    /// Runs until every living receiver is complete, and says when that was.
    pub(super) fn run(&mut self, limit: Span) -> Result<Span, String> {
        let start = self.now;
        loop {
            let unfinished: Vec<NodeId> = self.unfinished();
            if unfinished.is_empty() {
                return Ok(self.now.since(start));
            }
            let mail = self.mail.keys().next().map(|(at, _)| *at);
            let Some(next) = mail.into_iter().chain(self.next_wake()).min() else {
                return Err(format!("nothing will happen any more; {unfinished:?} wait"));
            };
            self.now = self.now.max(next);
            if self.now.since(start) > limit {
                return Err(format!("{unfinished:?} are not complete after {limit:?}"));
            }
            if let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (from, to, parcel) = entry.remove();
                self.deliver(from, to, parcel);
                continue;
            }
            let all: Vec<NodeId> = self.members.keys().copied().collect();
            for member in all.into_iter().filter(|member| self.is_alive(*member)).collect::<Vec<_>>() {
                let due = self.members[&member].download.as_ref().and_then(Download::next_deadline);
                if due.is_some_and(|due| due <= self.now) {
                    self.event(member, Event::Wake);
                }
                self.serve(member);
            }
        }
    }

    fn unfinished(&self) -> Vec<NodeId> {
        let fetching =
            self.members.iter().filter(|(id, member)| member.download.is_some() && self.is_alive(**id));
        let waits = fetching.filter(|(id, member)| !member.held.is_full() && !self.ignored.contains(id));
        waits.map(|(id, _)| *id).collect()
    }

    /// Payload sent by a member, in thousandths of the blob.
    pub(super) fn permille_from(&self, number: usize) -> u64 {
        self.members[&id(number)].uploaded * 1000 / self.outline.bytes()
    }
}

pub(super) fn healthy(receivers: usize) -> Vec<Fate> {
    vec![Fate::Lives; receivers + 1]
}
