//! A run: one queue, and what becomes of each entry.

use std::sync::Arc;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::time::Time;
use groundswell_protocol::transfer::download::{Action, Download, Event};
use groundswell_protocol::transfer::groups::{GroupSet, group_range, group_values};
use groundswell_protocol::transfer::locality::SITE_ASKED_MAX;
use groundswell_protocol::transfer::news::{NEWS_EVERY, News};
use groundswell_protocol::transfer::serving::Holding;
use groundswell_protocol::transfer::upload::{Serve, Standing};
use groundswell_protocol::transfer::wire::{Answer, Ask};
use groundswell_protocol::transfer::{
    Outline, OutlineBuilder, PIECE_BYTES, PieceSet, piece_count, piece_range,
};

use super::line::{Burst, StreamName, What};
use super::machine::Machine;
use super::places::{PUBLISHER, Places, place};
use super::{Outcome, Plan, Stuck};
use crate::generator::{Generator, mix};
use crate::world::queue::{Moment, Queue, WORLD};

/// That some of an answer came is told at most this often, as by the agent.
const ALIVE_MICROS: u64 = 50_000;

/// Streams on which a machine answers, as the agent's; who asked nothing for longest makes room.
const ANSWERED_MAX: usize = 128;

/// A stream to somebody who is not there cannot be opened: that is said after this.
const OPENING_MICROS: u64 = 10_000_000;

/// A run that takes so many times the bound, and a minute, stands still.
const BOUNDS_MAX: u64 = 50;
const GRACE_MICROS: u64 = 60_000_000;

/// How many events there are between two looks at how far the run is.
const WATCHED_EVERY: u64 = 1 << 16;

pub(super) enum Happening {
    /// A machine's line is free again.
    Free(u32),
    Wake(u32),
    News(u32),
    Arrives(Box<Arrival>),
    /// A machine notices that its streams with another are gone.
    Lost {
        at: u32,
        peer: u32,
        lives: u32,
    },
    /// Somebody leaves.
    Leaves,
    Returns(u32),
}

pub(super) struct Arrival {
    from: u32,
    to: u32,
    lives: u32,
    what: Vec<What>,
}

/// A run.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) places: Places,
    pub(super) machines: Vec<Machine>,
    pub(super) now: u64,
    /// Who lacks something.
    pub(super) left: u32,
    pub(super) departures: u64,
    pub(super) luck: Generator,
    queue: Queue<Happening>,
    content: Content,
    outline: Arc<Outline>,
    came: u64,
    wasted: u64,
    messages: u64,
    entered: Vec<u64>,
    /// When the line into each site is free.
    sites_free: Vec<u64>,
    events: u64,
    fingerprint: u64,
}

/// The blob's bytes: every piece is cut from one stretch, at a place of its own.
struct Content {
    stretch: Vec<u8>,
    bytes: u64,
}

impl Content {
    fn new(bytes: u64) -> Self {
        let longest = u64::from(piece_range(bytes, 0).map_or(0, |(_, length)| length));
        let words = longest / 8 + u64::from(piece_count(bytes)) + 1;
        Self { stretch: (0..words).flat_map(|word| mix(word).to_le_bytes()).collect(), bytes }
    }

    fn piece(&self, piece: u32) -> &[u8] {
        let length = piece_range(self.bytes, piece).map_or(0, |(_, length)| length) as usize;
        let from = piece as usize * 8;
        self.stretch.get(from..from + length).unwrap_or_default()
    }

    fn outline(&self) -> Outline {
        let mut builder = OutlineBuilder::new(self.bytes).expect("BUG: the plan's blob is within bounds");
        for piece in 0..piece_count(self.bytes) {
            builder.push(self.piece(piece)).expect("BUG: pieces have their lengths");
        }
        builder.finish().expect("BUG: every piece was handed in")
    }
}

/// A piece's length.
fn length(piece: &[u8]) -> u32 {
    u32::try_from(piece.len()).unwrap_or(PIECE_BYTES)
}

impl<'a> Run<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let content = Content::new(plan.bytes);
        let outline = Arc::new(content.outline());
        let pieces = outline.pieces();
        let places = Places::new(plan);
        let held = |place| if place == PUBLISHER { PieceSet::all(pieces) } else { PieceSet::none(pieces) };
        let machines = (0..=plan.nodes).map(|place| Machine::new(held(place))).collect();
        let luck = Generator::new(plan.seed).split("churn", 0);
        let sites = vec![0; plan.sites as usize];
        Self {
            plan,
            places,
            machines,
            now: 0,
            left: plan.nodes,
            departures: 0,
            luck,
            queue: Queue::default(),
            content,
            outline,
            came: 0,
            wasted: 0,
            messages: 0,
            entered: sites.clone(),
            sites_free: sites,
            events: 0,
            fingerprint: plan.seed,
        }
    }

    /// Plays it.
    pub(super) fn play(mut self, watch: &mut dyn FnMut(u64)) -> Result<Outcome, Stuck> {
        if self.plan.sites > 0 && self.plan.labelled {
            for place in 1..=self.plan.nodes {
                let site = self.places.site_of(place);
                self.machines[place as usize].serving.upload.set_site(&site);
            }
        }
        for place in 1..=self.plan.nodes {
            self.begin(place);
        }
        self.plan_departure();
        let bound = self.plan.bound_micros();
        let limit = bound.saturating_mul(BOUNDS_MAX).saturating_add(GRACE_MICROS);
        let wanted = u64::from(self.plan.nodes) * u64::from(self.outline.pieces());
        while self.left > 0 {
            let next = self.queue.pop().filter(|(at, _)| at.0 <= limit);
            let Some((at, happening)) = next else {
                return Err(Stuck::Standstill { left: self.left, milliseconds: self.now / 1000 });
            };
            self.now = at.0;
            self.events += 1;
            if self.events.is_multiple_of(WATCHED_EVERY) {
                watch(self.came * 1000 / wanted.max(1));
            }
            self.happen(happening);
        }
        let mut took: Vec<u64> = self.machines.iter().filter_map(|machine| machine.took).collect();
        took.sort_unstable();
        Ok(Outcome {
            micros: took.last().copied().unwrap_or(0),
            median_micros: took.get(took.len() / 2).copied().unwrap_or(0),
            bound_micros: bound,
            publisher_bytes: self.machines[PUBLISHER as usize].payload_sent,
            wasted_bytes: self.wasted,
            message_bytes: self.messages,
            entered: self.entered,
            departures: self.departures,
            events: self.events,
            fingerprint: self.fingerprint,
        })
    }

    /// A machine wants the blob: it asks those whom it is linked with, and some of its site.
    pub(super) fn begin(&mut self, node: u32) {
        let (outline, me) = (self.outline.clone(), self.places.name(node));
        let machine = &mut self.machines[node as usize];
        if machine.held.is_full() {
            return;
        }
        let seed = mix(self.plan.seed ^ mix(u64::from(node) << 32 | u64::from(machine.life)));
        let (blob, bytes) = (outline.blob(), outline.bytes());
        // What came before is on the disk, and the outline with it.
        let outline = (machine.held.held() > 0).then_some(outline);
        let mut download = Download::new(me, blob, bytes, machine.held.clone(), outline, seed);
        if self.plan.sites > 0 && self.plan.labelled {
            download = download.with_site(Time(self.now / 1000), &self.places.site_of(node));
        }
        let near = download.site_to_begin_with(SITE_ASKED_MAX);
        self.machines[node as usize].download = Some(download);
        let linked: Vec<NodeId> = self
            .places
            .links(node)
            .iter()
            .filter(|other| self.is_here(**other))
            .map(|other| self.places.name(*other))
            .collect();
        for peer in linked.into_iter().chain(near) {
            self.event(node, Event::Found { peer, hinted: true });
        }
    }

    pub(super) fn is_here(&self, node: u32) -> bool {
        self.machines[node as usize].is_here
    }

    pub(super) fn push(&mut self, at: u64, source: u32, happening: Happening) {
        self.queue.push(Moment(at), source, happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Free(node) => {
                self.machines[node as usize].line.is_busy = false;
                self.send(node);
            }
            Happening::Wake(node) => {
                let machine = &mut self.machines[node as usize];
                if machine.wakes_at <= self.now {
                    machine.wakes_at = u64::MAX;
                    self.event(node, Event::Wake);
                }
            }
            Happening::News(node) => self.tell_news(node),
            Happening::Arrives(arrival) => self.arrives(*arrival),
            Happening::Lost { at, peer, lives } => self.notice_lost(at, peer, lives),
            Happening::Leaves => self.somebody_leaves(),
            Happening::Returns(node) => self.returns(node),
        }
    }

    fn arrives(&mut self, arrival: Arrival) {
        let Arrival { from, to, lives, what } = arrival;
        if !self.is_here(to) || lives != self.lives(from, to) {
            return;
        }
        // What is left of streams of an earlier life goes first.
        for answers in [false, true] {
            if let Some(earlier) =
                self.machines[to as usize].line.lives((from, answers)).filter(|at| *at != lives)
            {
                self.notice_lost(to, from, earlier);
            }
        }
        let peer = self.places.name(from);
        if what.is_empty() {
            return self.part_came(from, to);
        }
        for what in what {
            match what {
                What::Ask(ask) => self.asked(from, to, ask),
                What::Answer(answer) => self.event(to, Event::Answered { peer, answer }),
                What::Payload { serve, group, is_first, .. } => {
                    self.payload_came(from, to, &serve, group, is_first);
                }
            }
        }
    }

    /// Some of what takes long came: its sender lives.
    fn part_came(&mut self, from: u32, to: u32) {
        let told_at = self.machines[to as usize].alive_at.entry(from).or_default();
        if self.now >= *told_at + ALIVE_MICROS {
            *told_at = self.now;
            self.event(to, Event::Alive { peer: self.places.name(from) });
        }
    }

    fn payload_came(&mut self, from: u32, to: u32, serve: &Serve, group: Option<u8>, is_first: bool) {
        let (blob, piece) = serve.piece;
        let whole = self.content.piece(piece);
        let answer = match group
            .and_then(|group| group_range(length(whole), group).map(|range| (group, range)))
        {
            None => Answer::Piece { blob, piece, data: whole.to_vec() },
            Some((group, (from, length))) => {
                let offset = u64::from(piece) * u64::from(PIECE_BYTES);
                let values = if is_first { group_values(offset, whole) } else { Vec::new() };
                let data = whole.get(from as usize..(from + length) as usize).unwrap_or_default().to_vec();
                Answer::Group { blob, piece, group, values, data }
            }
        };
        if let Some(site) = self.places.site(to).filter(|_| !self.places.is_inside(from, to)) {
            self.entered[site as usize] += answer.payload_bytes();
        }
        let peer = self.places.name(from);
        self.fingerprint = mix(self.fingerprint
            ^ mix(self.now)
            ^ (u64::from(from) << 40 ^ u64::from(to) << 20 ^ u64::from(piece)));
        if self.machines[to as usize].download.is_none() {
            self.wasted += answer.payload_bytes();
        }
        self.event(to, Event::Answered { peer, answer });
    }

    /// Something happens to a machine's download.
    pub(super) fn event(&mut self, node: u32, event: Event) {
        let now = Time(self.now / 1000);
        let Some(download) = &mut self.machines[node as usize].download else { return };
        let mut actions = Vec::new();
        download.handle(now, event, &mut actions);
        let deadline = download.next_deadline();
        for action in actions {
            match action {
                Action::Send { peer, ask } => self.say(node, (place(&peer), false), What::Ask(ask)),
                Action::Keep { piece, .. } => self.keep(node, piece),
                Action::Begun(begun) => self.note_news(node, |news| news.begun(begun)),
                Action::Wasted { bytes, .. } => self.wasted += bytes,
                Action::Complete => self.complete(node),
                Action::Outlined(_) | Action::Corrupt { .. } => {}
            }
        }
        let machine = &mut self.machines[node as usize];
        if let Some(at) = deadline.map(|deadline| (deadline.0 * 1000).max(self.now))
            && at < machine.wakes_at
        {
            machine.wakes_at = at;
            self.push(at, node, Happening::Wake(node));
        }
    }

    fn complete(&mut self, node: u32) {
        let machine = &mut self.machines[node as usize];
        machine.download = None;
        machine.took = Some(self.now - machine.away);
        self.left -= 1;
    }

    fn keep(&mut self, node: u32, piece: u32) {
        self.came += 1;
        let machine = &mut self.machines[node as usize];
        machine.held.insert(piece);
        self.note_news(node, |news| news.gained(piece));
    }

    fn note_news(&mut self, node: u32, note: impl FnOnce(&mut News)) {
        let machine = &mut self.machines[node as usize];
        let is_first = machine.news.is_empty();
        note(&mut machine.news);
        if is_first {
            let at = machine.news_at.max(self.now);
            self.push(at, node, Happening::News(node));
        }
    }

    /// Those who lack a piece that came hear of it.
    fn tell_news(&mut self, node: u32) {
        let machine = &mut self.machines[node as usize];
        machine.news_at = self.now + NEWS_EVERY.0 * 1000;
        let news = std::mem::take(&mut machine.news);
        if !machine.is_here {
            return;
        }
        let blob = self.outline.blob();
        let interested: Vec<NodeId> = machine.serving.interested(&blob).collect();
        for peer in interested {
            let download = self.machines[node as usize].download.as_ref();
            let has = |piece| download.is_some_and(|download| download.knows_to_have(&peer, piece));
            for answer in news.answers(blob, has) {
                self.put(node, (place(&peer), true), What::Answer(answer));
            }
        }
        self.send(node);
    }

    fn asked(&mut self, from: u32, at: u32, ask: Ask) {
        let peer = self.places.name(from);
        if let Ask::Ask { .. } = ask {
            self.event(at, Event::Found { peer, hinted: false });
        }
        self.note_asked(from, at);
        let is_whole = self.machines[at as usize].held.is_full() && self.places.is_inside(from, at);
        if let Some(brings) = ask.when_it_is_here(self.places.name(at)).filter(|_| is_whole) {
            self.say(at, (from, false), What::Ask(brings));
        } else if ask.is_of_turns() {
            self.event(at, Event::Said { peer, ask: ask.clone() });
        }
        let now = Time(self.now / 1000);
        let machine = &mut self.machines[at as usize];
        let standing = if at == PUBLISHER { Standing::Origin } else { Standing::Relay };
        let answer = match ask {
            Ask::Outline { page, blob } => {
                Some(if machine.download.as_ref().is_none_or(|download| download.outline().is_some()) {
                    Answer::outline_page(&self.outline, page)
                } else {
                    Answer::NotHere { blob }
                })
            }
            ask => {
                let part = match (&ask, &machine.download) {
                    (Ask::Request { piece, .. }, Some(download)) => download.part(*piece),
                    _ => GroupSet::NONE,
                };
                let holding = Holding { bytes: self.outline.bytes(), pieces: &machine.held, part, standing };
                machine.serving.asked(now, peer, ask, Some(holding))
            }
        };
        let has = matches!(answer, Some(Answer::Have(_)));
        if let Some(answer) = answer {
            self.put(at, (from, true), What::Answer(answer));
        }
        let blob = self.outline.blob();
        let begun = self.machines[at as usize].download.as_ref().filter(|_| has).map(Download::begun_pieces);
        for answer in begun.unwrap_or_default().answers(blob, |_| false) {
            self.put(at, (from, true), What::Answer(answer));
        }
        self.serve(at);
        self.send(at);
    }

    /// A stream more on which to answer may be one too many.
    fn note_asked(&mut self, from: u32, at: u32) {
        let machine = &mut self.machines[at as usize];
        if machine.answered.insert(from, self.now).is_some() || machine.answered.len() <= ANSWERED_MAX {
            return;
        }
        let idlest =
            machine.answered.iter().filter(|(peer, _)| **peer != from).min_by_key(|(_, used)| **used);
        let Some(idlest) = idlest.map(|(peer, _)| *peer) else { return };
        machine.answered.remove(&idlest);
        machine.line.close((idlest, true));
        machine.serving.lost(self.places.name(idlest));
        let lives = self.lives(at, idlest);
        let noticed = self.now + self.places.latency(at, idlest);
        self.push(noticed, at, Happening::Lost { at: idlest, peer: at, lives });
    }

    /// Hands pieces whose turn has come to their streams.
    pub(super) fn serve(&mut self, node: u32) {
        let now = Time(self.now / 1000);
        while let Some(serve) = self.machines[node as usize].serving.upload.next(now) {
            let to = (place(&serve.peer), true);
            self.put_payload(node, to, serve);
            self.count_sent(node, to);
        }
    }

    fn put_payload(&mut self, node: u32, to: StreamName, serve: Serve) {
        let (blob, piece) = serve.piece;
        if serve.share.groups == GroupSet::all(length(self.content.piece(piece))) && !serve.apart {
            let what = What::Payload { serve, group: None, is_first: true, is_last: true };
            return self.put(node, to, what);
        }
        let groups: Vec<u8> = serve.share.groups.iter().collect();
        for (number, group) in (1..).zip(&groups) {
            let (is_first, is_last) = (number == 1 && !serve.share.begun, number == groups.len());
            self.put(node, to, What::Payload { serve, group: Some(*group), is_first, is_last });
        }
        if !serve.share.completes {
            self.put(node, to, What::Answer(Answer::NoMore { blob, piece }));
        }
    }

    fn count_sent(&mut self, node: u32, to: StreamName) -> bool {
        let machine = &mut self.machines[node as usize];
        let mut any = false;
        while let Some(serve) = machine.line.take_sent(to) {
            let length = length(self.content.piece(serve.piece.1));
            machine.payload_sent += u64::from(serve.share.groups.bytes(length));
            machine.serving.sent(serve, true);
            any = true;
        }
        any
    }

    fn say(&mut self, node: u32, to: StreamName, what: What) {
        self.put(node, to, what);
        self.send(node);
    }

    /// Puts something on a stream, which is opened if it is not there.
    fn put(&mut self, node: u32, to: StreamName, what: What) {
        let lives = self.lives(node, to.0);
        if self.machines[node as usize].line.lives(to).is_none() {
            let linked = to.1 || self.places.are_linked(node, to.0);
            let trips = if linked { 0 } else { 2 * self.places.latency(node, to.0) };
            self.machines[node as usize].line.open(to, self.now + trips, lives);
            if !self.is_here(to.0) {
                let noticed = self.now + OPENING_MICROS;
                self.push(noticed, node, Happening::Lost { at: node, peer: to.0, lives });
            }
        }
        let payload = match &what {
            What::Payload { serve, group, .. } => {
                let length = length(self.content.piece(serve.piece.1));
                group.and_then(|group| group_range(length, group)).map_or(length, |(_, length)| length)
            }
            What::Ask(_) | What::Answer(_) => 0,
        };
        let weight = what.weight();
        self.messages += weight;
        self.machines[node as usize].line.push(to, u64::from(payload) + weight, what);
    }

    /// How often two machines left or came back, together: streams do not outlive that.
    pub(super) fn lives(&self, one: u32, other: u32) -> u32 {
        self.machines[one as usize].life + self.machines[other as usize].life
    }

    /// Sends a burst if the line is free.
    pub(super) fn send(&mut self, node: u32) {
        let machines = &mut self.machines;
        if machines[node as usize].line.is_busy || !machines[node as usize].is_here {
            return;
        }
        let mut line = std::mem::take(&mut machines[node as usize].line);
        let mine = machines[node as usize].life;
        let burst = line
            .burst(|to, lives| machines[to as usize].is_here && machines[to as usize].life + mine == lives);
        line.is_busy = burst.is_some();
        machines[node as usize].line = line;
        let Some(Burst { to, bytes, opens_at, lives, ended }) = burst else { return };
        let free = self.now + (bytes * 1_000_000).div_ceil(self.plan.upload);
        self.push(free, node, Happening::Free(node));
        let mut at = free.max(opens_at) + self.places.latency(node, to.0);
        if let Some(line) = self.plan.site_line
            && let Some(site) = self.places.site(to.0).filter(|_| !self.places.is_inside(node, to.0))
        {
            let free = &mut self.sites_free[site as usize];
            at = at.max(*free) + (bytes * 1_000_000).div_ceil(line);
            *free = at;
        }
        let arrival = Arrival { from: node, to: to.0, lives, what: ended };
        self.push(at, node, Happening::Arrives(Box::new(arrival)));
        if self.count_sent(node, to) {
            self.serve(node);
        }
    }

    pub(super) fn plan_departure(&mut self) {
        let in_a_minute = u64::from(self.plan.nodes) * u64::from(self.plan.churn_permille);
        if let Some(pause) = 60_000_000_000_u64.checked_div(in_a_minute) {
            self.push(self.now + pause, WORLD, Happening::Leaves);
        }
    }
}
