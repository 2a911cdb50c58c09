//! What swarms keep to, in virtual time.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::model::{Fate, Swarm, healthy, id};
use super::peer::BEGUN_MAX;
use super::*;
use crate::transfer::groups::{GroupSet, group_values};
use crate::transfer::outline::PIECE_BYTES;

#[test]
fn a_publisher_sends_about_one_copy_to_eleven_that_ask_at_once() {
    for bytes in [600_000, 4 << 20] {
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
fn a_small_blob_comes_to_all_in_a_few_round_trips() {
    for bytes in [20_000, 250_000] {
        let mut swarm = Swarm::new(bytes, &healthy(16), 1, None);
        swarm.tell_all_of_the_publisher();
        let took = swarm.run(Span::seconds(60)).unwrap();
        println!("{bytes} bytes: {} permille in {took:?}", swarm.permille_from(0));
        assert!(took <= swarm.delay.times(30), "{took:?}");
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
        // To ask for leave takes a round trip, and here one inside a site is as long as any.
        assert!(took.0 <= blindly.0 * 2, "{took:?}, without sites {blindly:?}");
    }
}

#[test]
fn nobody_in_a_site_waits_for_those_outside_whom_it_may_not_ask() {
    // Who lagged inside was not asked while somebody outside had the piece, and that one not while it was inside.
    for seed in 0..12 {
        let mut swarm = Swarm::new(1 << 20, &healthy(19), seed, Some(500_000));
        swarm.set_sites(4, true);
        swarm.tell_all_of_the_publisher();
        let took = swarm.run(Span::seconds(60)).unwrap();
        assert!(took < Span::seconds(6), "{took:?} with seed {seed}");
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
fn of_a_small_blob_who_is_named_beside_is_asked_later_and_who_is_named_for_a_piece_at_once() {
    for (pieces, at_once) in [(4_u32, false), (5, true)] {
        let content = vec![3; pieces as usize * PIECE_BYTES as usize];
        let outline = Arc::new(Outline::of(&content).unwrap());
        let (blob, bytes) = (outline.blob(), outline.bytes());
        let mut download = Download::new(id(0), blob, bytes, PieceSet::none(pieces), Some(outline), 1);
        let mut out = Vec::new();
        download.handle(Time(0), Event::Found { peer: id(1), hinted: true }, &mut out);
        let all = PieceSet::all(pieces);
        let have = crate::transfer::wire::Have::new(blob, bytes, &all, vec![id(2), id(3)]);
        download.handle(Time(1), Event::Answered { peer: id(1), answer: Answer::Have(have) }, &mut out);
        download.handle(Time(2), Event::Found { peer: id(4), hinted: false }, &mut out);
        let asks =
            |out: &[Action], who| out.contains(&Action::Send { peer: id(who), ask: Ask::Ask { blob } });
        assert!([2, 3, 4].into_iter().all(|who| asks(&out, who) == at_once));
        let piece = download.asked_of.keys().next().copied().unwrap();
        let answer = Answer::Refer { blob, piece, peers: vec![id(2)] };
        download.handle(Time(3), Event::Answered { peer: id(1), answer }, &mut out);
        assert!(asks(&out, 2) && asks(&out, 3) == at_once);
        while download.next_deadline().is_some_and(|deadline| deadline <= Time(300)) {
            download.handle(download.next_deadline().unwrap(), Event::Wake, &mut out);
        }
        assert!(asks(&out, 3) && asks(&out, 4));
    }
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
        answers in prop::collection::vec((0_usize..100, 0_u8..10, 0_u32..80, prop::collection::vec(0_usize..200, 0..9)), 0..200),
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
                3 => Event::Answered { peer: id(from), answer: Answer::News { blob, gained: vec![piece, piece / 2], begun: vec![Begun { piece: piece / 3, here: GroupSet::NONE.with(2) }] } },
                4 => Event::Answered { peer: id(from), answer: Answer::Piece { blob, piece, data: vec![5; 65_536] } },
                5 => Event::Answered { peer: id(from), answer: Answer::Outline { blob, page: 0, values: outline.values().to_vec() } },
                6 => Event::Answered { peer: id(from), answer: Answer::News { blob, gained: Vec::new(), begun: vec![Begun { piece, here: GroupSet::NONE.with(1) }] } },
                7 => Event::Answered { peer: id(from), answer: Answer::NoMore { blob, piece } },
                8 => {
                    let data = vec![5; 16_384];
                    let values = group_values(u64::from(piece) * u64::from(PIECE_BYTES), &[5; 65_536]);
                    let group = u8::try_from(now % 4).unwrap();
                    Event::Answered { peer: id(from), answer: Answer::Group { blob, piece, group, values, data } }
                }
                _ => Event::Lost { peer: id(from) },
            };
            download.handle(Time(now * 50), event, &mut out);
            prop_assert!(download.peers.len() <= PEERS_MAX && download.banned.len() <= BANNED_MAX);
            let mut available = vec![0; 70];
            for peer in download.peers.values() {
                prop_assert!(peer.asked.len() <= REQUESTS_PER_PEER && peer.begun.len() <= BEGUN_MAX);
                prop_assert!(peer.begun.keys().all(|piece| !peer.pieces.contains(*piece)));
                peer.pieces.iter().for_each(|piece| available[piece as usize] += 1);
            }
            prop_assert_eq!(&download.availability, &available);
            let asked: BTreeSet<u32> = download.peers.values().flat_map(|peer| peer.asked.keys().copied()).collect();
            prop_assert_eq!(&asked, &download.asked_of.keys().copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(download.taken.held() as usize, download.held.held() as usize + asked.len());
        }
    }
}
