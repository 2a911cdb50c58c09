//! Swarms in virtual time: downloads and serving sides joined by messages that take time and get lost
//! with their peers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::identity::PublicKey;
use crate::transfer::outline::PIECE_BYTES;
use crate::transfer::serving::{Holding, Serving};
use crate::transfer::upload::{Serve, Upload};
use crate::transfer::{Allowance, upload};

/// What happens to a node, and when.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lives,
    Dies(Time),
    /// Takes what it is given, answers nothing.
    Mute,
    /// Serves bytes that are not the piece.
    Lies,
}

enum Parcel {
    Ask(Ask),
    Answer(Answer, Option<Serve>),
    Lost,
}

struct Member {
    fate: Fate,
    download: Option<Download>,
    held: PieceSet,
    serving: Serving,
    origin: bool,
    uploaded: u64,
    wasted: u64,
    corrupt: BTreeSet<NodeId>,
}

struct Swarm {
    now: Time,
    content: Vec<u8>,
    outline: Arc<Outline>,
    members: BTreeMap<NodeId, Member>,
    mail: BTreeMap<(Time, u64), (NodeId, NodeId, Parcel)>,
    posted: u64,
    /// When the last parcel posted on a stream arrives.
    latest: BTreeMap<(NodeId, NodeId), Time>,
    delay: Span,
    random: u64,
    /// How many members a site has; 0 for no sites.
    site: usize,
    /// Bytes that came into each site from others.
    crossed: BTreeMap<usize, u64>,
}

fn id(number: usize) -> NodeId {
    PublicKey([u8::try_from(number).unwrap() + 1; 32])
}

impl Swarm {
    /// `fates[0]` is the publisher's; everybody else fetches.
    fn new(bytes: usize, fates: &[Fate], seed: u64, rate: Option<u64>) -> Self {
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
        };
        self.members.insert(id(number), member);
    }

    fn site_of(&self, member: NodeId) -> usize {
        usize::from(member.0[0] - 1).checked_div(self.site).unwrap_or(0)
    }

    /// Groups the members, in their order, into sites of `size` who know each other; `aware` of it or not.
    fn set_sites(&mut self, size: usize, aware: bool) {
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

    fn set_budget(&mut self, permille: u32) {
        let blob = (self.outline.blob(), self.outline.bytes());
        let egress = &mut self.member(id(0)).serving.upload.egress;
        egress.set(Digest([1; 32]), permille, &[blob]).unwrap();
    }

    fn tell_all_of_the_publisher(&mut self) {
        let all: Vec<NodeId> = self.members.keys().copied().filter(|member| *member != id(0)).collect();
        all.into_iter().for_each(|member| self.event(member, Event::Found { peer: id(0), hinted: true }));
    }

    fn is_alive(&self, member: NodeId) -> bool {
        match self.members.get(&member).map(|member| member.fate) {
            Some(Fate::Dies(at)) => self.now < at,
            Some(_) => true,
            None => false,
        }
    }

    fn post(&mut self, from: NodeId, to: NodeId, parcel: Parcel) {
        self.random = self.random.wrapping_add(1);
        let at = self.now + self.delay + Span(mix(self.random) % 3);
        // One stream keeps its order: never before what was posted on it earlier.
        let latest = self.latest.entry((from, to)).or_default();
        let at = at.max(*latest);
        *latest = at;
        self.posted += 1;
        self.mail.insert((at, self.posted), (from, to, parcel));
    }

    fn event(&mut self, at: NodeId, event: Event) {
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
                Action::Wasted { bytes, .. } => self.member(at).wasted += bytes,
                Action::Corrupt { peer } => assert!(self.member(at).corrupt.insert(peer), "named twice"),
                Action::Outlined(outline) => assert_eq!(outline, self.outline),
                Action::Complete => {}
            }
        }
    }

    fn member(&mut self, member: NodeId) -> &mut Member {
        self.members.get_mut(&member).unwrap()
    }

    fn keep(&mut self, at: NodeId, piece: u32, data: &[u8]) {
        let from = piece as usize * PIECE_BYTES as usize;
        assert_eq!(data, &self.content[from..from + data.len()], "only right bytes are kept");
        let blob = self.outline.blob();
        assert!(self.member(at).held.insert(piece), "a piece is kept once");
        let interested: Vec<NodeId> = self.member(at).serving.interested(&blob).collect();
        for peer in interested {
            self.post(at, peer, Parcel::Answer(Answer::Gained { blob, piece }, None));
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
        let standing = if member.origin { upload::Standing::Origin } else { upload::Standing::Relay };
        let holding = Holding { bytes: outline.bytes(), pieces: &member.held, standing };
        let answer = match ask {
            Ask::Outline { page, .. } => Some(Answer::outline_page(&outline, page)),
            ask => member.serving.asked(now, from, ask, Some(holding)),
        };
        if let Some(answer) = answer {
            self.post(at, from, Parcel::Answer(answer, None));
        }
        self.serve(at);
    }

    fn serve(&mut self, at: NodeId) {
        let now = self.now;
        while let Some(serve) = self.member(at).serving.upload.next(now) {
            let (blob, piece) = serve.piece;
            let (offset, length) = piece_range(self.outline.bytes(), piece).unwrap();
            let offset = usize::try_from(offset).unwrap();
            let mut data = self.content[offset..offset + length as usize].to_vec();
            if matches!(self.member(at).fate, Fate::Lies) {
                data[0] ^= 1;
            }
            self.member(at).uploaded += u64::from(length);
            if self.site_of(at) != self.site_of(serve.peer) {
                *self.crossed.entry(self.site_of(serve.peer)).or_default() += u64::from(length);
            }
            self.post(at, serve.peer, Parcel::Answer(Answer::Piece { blob, piece, data }, Some(serve)));
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, parcel: Parcel) {
        if let Parcel::Answer(_, Some(serve)) = &parcel {
            let delivered = self.is_alive(to);
            self.member(from).serving.sent(*serve, delivered);
            if self.is_alive(from) {
                self.serve(from);
            }
        }
        if !self.is_alive(to) {
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
    fn run(&mut self, limit: Span) -> Result<Span, String> {
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
        fetching.filter(|(_, member)| !member.held.is_full()).map(|(id, _)| *id).collect()
    }

    /// Payload sent by a member, in thousandths of the blob.
    fn permille_from(&self, number: usize) -> u64 {
        self.members[&id(number)].uploaded * 1000 / self.outline.bytes()
    }
}

fn healthy(receivers: usize) -> Vec<Fate> {
    vec![Fate::Lives; receivers + 1]
}

#[test]
fn a_publisher_sends_about_one_copy_to_eleven_that_ask_at_once() {
    for bytes in [20_000, 4 << 20] {
        for seed in 0..5 {
            let mut swarm = Swarm::new(bytes, &healthy(11), seed, None);
            swarm.tell_all_of_the_publisher();
            let took = swarm.run(Span::seconds(60)).unwrap();
            let wasted: u64 = swarm.members.values().map(|member| member.wasted).sum();
            println!(
                "{bytes} bytes, seed {seed}: {} permille in {took:?}, {wasted} wasted",
                swarm.permille_from(0)
            );
            assert!(swarm.permille_from(0) <= 1050, "{} permille", swarm.permille_from(0));
            assert!(took < Span::seconds(4), "{took:?}");
            assert_eq!(wasted, 0);
        }
    }
}

#[test]
fn under_caps_the_publisher_still_sends_about_one_copy_and_little_is_wasted() {
    // Down to one piece in six seconds from each node, which is slower than its first askers can know.
    for (bytes, rate) in [(2 << 20, 500_000), (1 << 20, 64_000), (300_000, 10_000)] {
        let mut swarm = Swarm::new(bytes, &healthy(11), 3, Some(rate));
        swarm.tell_all_of_the_publisher();
        let took = swarm.run(Span::seconds(600)).unwrap();
        let wasted: u64 = swarm.members.values().map(|member| member.wasted).sum();
        let one_copy = Span::seconds(bytes as u64 / rate);
        println!("{bytes} at {rate}: {} permille in {took:?}, {wasted} wasted", swarm.permille_from(0));
        assert!(swarm.permille_from(0) <= 2000, "{} permille", swarm.permille_from(0));
        assert!(took < Span(one_copy.0 * 4 + 20_000), "{took:?}, one copy takes {one_copy:?}");
        assert!(wasted < bytes as u64, "{wasted} bytes wasted by eleven");
    }
}

#[test]
fn a_publisher_with_a_budget_keeps_to_it_while_others_can_serve() {
    for (seed, rate) in [(1, None), (2, Some(500_000)), (3, Some(64_000))] {
        let mut swarm = Swarm::new(2 << 20, &healthy(11), seed, rate);
        swarm.set_budget(1_050);
        swarm.tell_all_of_the_publisher();
        let took = swarm.run(Span::seconds(1200)).unwrap();
        let report = swarm.member(id(0)).serving.upload.egress.reports()[0];
        println!("seed {seed} at {rate:?}: {} permille in {took:?}, {report:?}", swarm.permille_from(0));
        assert!(swarm.permille_from(0) <= 1050 && report.beyond_bytes == 0, "{report:?}");
        assert_eq!(report.sent_bytes, swarm.member(id(0)).uploaded);
    }
}

/// Thousandths of the blob that entered each of `sites` sites of `size`, and how long it took, with nodes that know
/// of their sites or not.
fn with_sites(sites: usize, size: usize, bytes: usize, rate: Option<u64>, aware: bool) -> (Vec<u64>, Span) {
    let mut swarm = Swarm::new(bytes, &healthy(sites * size - 1), 7, rate);
    swarm.set_sites(size, aware);
    swarm.tell_all_of_the_publisher();
    let took = swarm.run(Span::seconds(1200)).unwrap();
    let permille = |site: usize| swarm.crossed.get(&site).copied().unwrap_or(0) * 1000 / bytes as u64;
    let copies: Vec<u64> = (0..sites).map(permille).collect();
    println!("{bytes} bytes at {rate:?}, aware {aware}: {copies:?} permille enter, in {took:?}");
    (copies, took)
}

#[test]
fn about_one_copy_enters_each_site() {
    for rate in [None, Some(500_000)] {
        let (copies, took) = with_sites(5, 4, 1 << 20, rate, true);
        assert!(copies.iter().all(|copies| *copies <= 1_063), "{copies:?}: one piece of 16 may come twice");
        let (blind, blindly) = with_sites(5, 4, 1 << 20, rate, false);
        assert!(blind.iter().sum::<u64>() > 2 * copies.iter().sum::<u64>());
        assert!(took.0 <= blindly.0 * 3 / 2, "{took:?}, without sites {blindly:?}");
    }
}

#[test]
fn a_referral_to_peers_for_whom_there_is_no_place_is_waited_on_all_the_same() {
    let content = vec![3; 2 * PIECE_BYTES as usize];
    let outline = Arc::new(Outline::of(&content).unwrap());
    let (blob, bytes) = (outline.blob(), outline.bytes());
    let mut download = Download::new(id(0), blob, bytes, PieceSet::none(2), Some(outline), 1);
    let mut out = Vec::new();
    let have =
        |pieces: &PieceSet| Answer::Have(crate::transfer::wire::Have::new(blob, bytes, pieces, Vec::new()));
    for number in 1..=REFERRED_MAX + 1 {
        let (peer, hinted) = (id(number), number == 1);
        let pieces = if hinted { PieceSet::all(2) } else { PieceSet::none(2) };
        download.handle(Time(0), Event::Found { peer, hinted }, &mut out);
        download.handle(Time(0), Event::Answered { peer, answer: have(&pieces) }, &mut out);
    }
    out.clear();
    let stranger = id(100);
    let answer = Answer::Refer { blob, piece: 0, peers: vec![stranger] };
    download.handle(Time(10), Event::Answered { peer: id(1), answer }, &mut out);
    assert!(!download.peers.contains_key(&stranger) && out.is_empty(), "{out:?}");
    while download.next_deadline().is_some_and(|deadline| deadline < Time(60_000)) && out.is_empty() {
        download.handle(download.next_deadline().unwrap(), Event::Wake, &mut out);
    }
    assert!(!out.is_empty(), "waiting has an end");
}

#[test]
fn no_more_is_asked_for_than_may_be_under_way() {
    let content = vec![3; 20 * PIECE_BYTES as usize];
    let outline = Arc::new(Outline::of(&content).unwrap());
    let (blob, bytes) = (outline.blob(), outline.bytes());
    let none = PieceSet::none(outline.pieces());
    let mut download = Download::new(id(0), blob, bytes, none, Some(outline), 1).with_requests_max(3);
    let mut out = Vec::new();
    for peer in [id(1), id(2)] {
        download.handle(Time(0), Event::Found { peer, hinted: true }, &mut out);
        let have = crate::transfer::wire::Have::new(blob, bytes, &PieceSet::all(20), Vec::new());
        download.handle(Time(0), Event::Answered { peer, answer: Answer::Have(have) }, &mut out);
    }
    let requested = |out: &[Action]| {
        let is_request = |action: &&Action| matches!(action, Action::Send { ask: Ask::Request { .. }, .. });
        out.iter().filter(is_request).count()
    };
    assert_eq!(requested(&out), 3);
}

#[test]
fn liars_are_named_by_those_they_served_and_the_rest_completes() {
    let mut fates = healthy(7);
    fates[1] = Fate::Lies;
    fates[2] = Fate::Lies;
    for seed in 0..10 {
        let mut swarm = Swarm::new(2 << 20, &fates, seed, None);
        swarm.tell_all_of_the_publisher();
        swarm.run(Span::seconds(120)).unwrap();
        let named: BTreeSet<NodeId> =
            swarm.members.values().flat_map(|member| member.corrupt.iter().copied()).collect();
        assert!(named.iter().all(|named| [id(1), id(2)].contains(named)), "{named:?}");
        assert!(!named.is_empty(), "somebody was served by a liar");
    }
}

#[test]
fn a_wrong_outline_is_laid_at_its_senders_door() {
    let content = vec![1; 200_000];
    let outline = Outline::of(&content).unwrap();
    let mut download = Download::new(id(1), outline.blob(), outline.bytes(), PieceSet::none(4), None, 1);
    let mut out = Vec::new();
    download.handle(Time(0), Event::Found { peer: id(2), hinted: true }, &mut out);
    let have =
        crate::transfer::wire::Have::new(outline.blob(), outline.bytes(), &PieceSet::all(4), Vec::new());
    let answer = Answer::Have(have);
    download.handle(Time(1), Event::Answered { peer: id(2), answer }, &mut out);
    let mut values = outline.values().to_vec();
    values[0][0] ^= 1;
    out.clear();
    let answer = Answer::Outline { blob: outline.blob(), page: 0, values };
    download.handle(Time(2), Event::Answered { peer: id(2), answer }, &mut out);
    assert!(out.contains(&Action::Corrupt { peer: id(2) }));
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Lives),
        3 => (1000_u64..4000).prop_map(|at| Fate::Dies(Time(at))),
        1 => Just(Fate::Mute),
        1 => Just(Fate::Lies),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_completes_while_one_full_holder_lives(
        fates in prop::collection::vec(fate(), 1..12), pieces in 1_usize..20, seed: u64, budget: bool,
    ) {
        let fates: Vec<Fate> = std::iter::once(Fate::Lives).chain(fates).collect();
        let mut swarm = Swarm::new(pieces * PIECE_BYTES as usize - 17, &fates, seed, None);
        if budget {
            swarm.set_budget(1_000);
        }
        swarm.tell_all_of_the_publisher();
        // A mute receiver never completes for others to see, but fetches like the rest.
        if let Err(why) = swarm.run(Span::seconds(600)) { prop_assert!(false, "{}", why); }
    }

    #[test]
    fn hostile_answers_neither_panic_nor_grow_tables(
        answers in prop::collection::vec((0_usize..100, 0_u8..7, 0_u32..80, prop::collection::vec(0_usize..200, 0..9)), 0..200),
        seed: u64,
    ) {
        let content = vec![5; 70 * PIECE_BYTES as usize];
        let outline = Arc::new(Outline::of(&content).unwrap());
        let blob = outline.blob();
        let none = PieceSet::none(outline.pieces());
        let known = seed.is_multiple_of(2).then(|| outline.clone());
        let mut download = Download::new(id(0), blob, outline.bytes(), none, known, seed);
        let mut out = Vec::new();
        for (now, (from, kind, piece, names)) in (0_u64..).zip(answers) {
            let names: Vec<NodeId> = names.into_iter().map(id).collect();
            let event = match kind {
                0 => Event::Found { peer: id(from), hinted: piece % 2 == 0 },
                1 => {
                    let mut pieces = PieceSet::none(outline.pieces());
                    pieces.insert(piece);
                    let have = crate::transfer::wire::Have::new(blob, outline.bytes(), &pieces, names);
                    Event::Answered { peer: id(from), answer: Answer::Have(have) }
                }
                2 => Event::Answered { peer: id(from), answer: Answer::Refer { blob, piece, peers: names } },
                3 => Event::Answered { peer: id(from), answer: Answer::Gained { blob, piece } },
                4 => Event::Answered { peer: id(from), answer: Answer::Piece { blob, piece, data: vec![5; 65_536] } },
                5 => Event::Answered { peer: id(from), answer: Answer::Outline { blob, page: 0, values: outline.values().to_vec() } },
                _ => Event::Lost { peer: id(from) },
            };
            download.handle(Time(now * 50), event, &mut out);
            prop_assert!(download.peers.len() <= PEERS_MAX && download.banned.len() <= BANNED_MAX);
            let mut available = vec![0; 70];
            for peer in download.peers.values() {
                prop_assert!(peer.asked.len() <= REQUESTS_PER_PEER);
                peer.pieces.iter().for_each(|piece| available[piece as usize] += 1);
            }
            prop_assert_eq!(&download.availability, &available);
            let asked: BTreeSet<u32> = download.peers.values().flat_map(|peer| peer.asked.keys().copied()).collect();
            prop_assert_eq!(&asked, &download.asked_of.keys().copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(download.taken.held() as usize, download.held.held() as usize + asked.len());
        }
    }
}
