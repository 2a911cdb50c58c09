//! What a site agrees on, whoever lies or is gone.

use proptest::prelude::*;

use super::*;
use crate::identity::PublicKey;

const BLOB: Digest = Digest([5; 32]);

fn id(number: u8) -> NodeId {
    PublicKey([number; 32])
}

/// The views of a site of so many members.
fn site(members: u8) -> BTreeMap<NodeId, Turns> {
    let view = |me| (id(me), Turns::new(id(me), (1..=members).filter(|other| *other != me).map(id), BLOB));
    (1..=members).map(view).collect()
}

/// Delivers what is to be said until nothing is.
fn talk(site: &mut BTreeMap<NodeId, Turns>, now: Time) {
    loop {
        let said = site.iter_mut().flat_map(|(from, turns)| {
            let from = *from;
            std::mem::take(&mut turns.outbox).into_iter().map(move |(to, ask)| (from, to, ask))
        });
        let said: Vec<(NodeId, NodeId, Ask)> = said.collect();
        if said.is_empty() {
            return;
        }
        for (from, to, ask) in said {
            let turns = site.get_mut(&to).unwrap();
            match ask {
                Ask::MayBring { blob, piece } => {
                    let answer = match turns.asked(now, from, piece) {
                        Some(who) => Ask::Brings { blob, piece, who },
                        None => Ask::Wait { blob, piece },
                    };
                    turns.outbox.push((from, answer));
                }
                Ask::Wait { piece, .. } => turns.waits(now, from, piece),
                Ask::Brings { piece, who, .. } => turns.told(now, from, piece, who),
                Ask::Cancel { piece, .. } => turns.given_back(now, from, piece),
                _ => {}
            }
        }
    }
}

fn seek(site: &mut BTreeMap<NodeId, Turns>, now: Time, piece: u32) {
    site.values_mut().filter(|turns| turns.is_open(now, piece)).for_each(|turns| {
        turns.seek(now, piece, id(200));
    });
    talk(site, now);
}

fn bringers(site: &BTreeMap<NodeId, Turns>, piece: u32) -> Vec<NodeId> {
    site.iter().filter(|(_, turns)| turns.is_mine(piece)).map(|(node, _)| *node).collect()
}

#[test]
fn of_all_who_seek_leave_one_has_it_and_when_that_one_gives_it_back_another() {
    let mut site = site(12);
    for piece in 0..50 {
        let mut had = Vec::new();
        for _ in 0..4 {
            seek(&mut site, Time(0), piece);
            let [who] = bringers(&site, piece)[..] else { panic!("{:?}", bringers(&site, piece)) };
            assert!(!had.contains(&who), "others come first");
            had.push(who);
            site.get_mut(&who).unwrap().give_back(Time(0), piece);
            talk(&mut site, Time(0));
        }
        came(&mut site, Time(0), piece);
    }
}

/// What the given pieces of a site's members are, each with who brings it in.
fn given(site: &BTreeMap<NodeId, Turns>) -> Vec<(u32, NodeId)> {
    site.iter().flat_map(|(node, turns)| turns.mine().map(|piece| (piece, *node))).collect()
}

fn came(site: &mut BTreeMap<NodeId, Turns>, now: Time, piece: u32) {
    site.values_mut().for_each(|turns| turns.came(now, piece));
    talk(site, now);
}

#[test]
fn no_more_is_on_its_way_than_lately_came_and_a_little_and_in_the_end_all_came() {
    let mut site = site(12);
    (0..300).for_each(|piece| seek(&mut site, Time(0), piece));
    assert_eq!(given(&site).len(), WARDENS, "one of each to begin with");
    let (mut brought, mut now) = (std::collections::BTreeSet::new(), Time(0));
    while brought.len() < 300 {
        now = now + Span(100);
        let on_their_way = given(&site);
        assert!(!on_their_way.is_empty() && on_their_way.len() <= 8 * WARDENS + WARDENS, "{on_their_way:?}");
        // The line carries two of them in this time, whatever is under way.
        for (piece, _) in on_their_way.into_iter().take(2) {
            assert!(brought.insert(piece), "twice");
            came(&mut site, now, piece);
        }
    }
    assert_eq!(now, Time(15_000), "the line was never idle");
}

#[test]
fn who_waits_keeps_the_room_of_its_peer_and_asks_anew_if_it_hears_nothing_for_long() {
    let mut turns = Turns::new(id(1), (2..=9).map(id), BLOB);
    let piece = (0..).find(|piece| !turns.seek(Time(0), *piece, id(200))).unwrap();
    let wardens: Vec<NodeId> = turns.wardens().collect();
    wardens.iter().for_each(|warden| turns.waits(Time(300), *warden, piece));
    turns.expire(Time(300) + ANSWER_PATIENCE);
    assert!(!turns.is_open(Time(900), piece) && turns.kept_for(&id(200)) == 1);
    turns.expire(Time(300) + WAITING_PATIENCE);
    assert!(turns.is_open(Time(40_000), piece) && turns.kept_for(&id(200)) == 0);
    assert_eq!(turns.wardens().collect::<Vec<_>>(), wardens, "it did answer");
}

#[test]
fn leave_is_good_for_longer_where_bringing_a_piece_in_takes_long() {
    let mut warden = Turns::new(id(1), (2..=9).map(id), BLOB);
    for piece in 0..20 {
        let now = Time(u64::from(piece) * 6_000);
        assert_eq!(warden.asked(now, id(2), piece), Some(id(2)));
        warden.is_inside(now + Span(6_000), piece);
    }
    assert_eq!(warden.asked(Time(200_000), id(2), 50), Some(id(2)));
    assert_eq!(warden.asked(Time(220_000), id(3), 50), Some(id(2)), "it takes six seconds usually");
    assert_eq!(warden.asked(Time(230_000), id(3), 50), Some(id(3)));
}

#[test]
fn the_pieces_are_minded_by_a_few_in_about_equal_parts() {
    let mut site = site(30);
    (0..400).for_each(|piece| seek(&mut site, Time(0), piece));
    let minded: Vec<usize> =
        site.values().map(|turns| turns.minded.len()).filter(|minded| *minded > 0).collect();
    assert_eq!((minded.len(), minded.iter().sum::<usize>()), (WARDENS, 400));
    assert!(minded.iter().all(|minded| *minded > 60), "{minded:?}");
}

#[test]
fn a_warden_that_says_nothing_is_passed_over() {
    let mut turns = Turns::new(id(1), (2..=9).map(id), BLOB);
    let piece = (0..).find(|piece| !turns.seek(Time(0), *piece, id(200))).unwrap();
    assert!(!turns.is_open(Time(0), piece) && turns.kept_for(&id(200)) == 1);
    let before = turns.wardens().count();
    turns.expire(Time(0) + ANSWER_PATIENCE);
    assert!(turns.is_open(Time(500), piece) && turns.kept_for(&id(200)) == 0);
    assert_eq!(turns.wardens().count(), before - 1);
}

#[test]
fn a_warden_that_begins_later_minds_turns_from_then_on() {
    let mut turns = Turns::new(id(1), (2..=9).map(id), BLOB);
    let before: std::collections::BTreeSet<NodeId> = turns.wardens().collect();
    before.iter().for_each(|warden| turns.is_absent(warden));
    before.iter().for_each(|warden| turns.is_absent(warden));
    assert_eq!(turns.wardens().count(), 0);
    (1..=9).for_each(|number| turns.begins(&id(number)));
    assert_eq!((turns.wardens().collect(), turns.wardens().count()), (before, WARDENS));
}

#[test]
fn who_says_nothing_more_loses_its_leave() {
    let mut site = site(9);
    seek(&mut site, Time(0), 7);
    let [first] = bringers(&site, 7)[..] else { panic!("one has leave") };
    let later = Time(0) + FIRST_LEAVE;
    site.remove(&first);
    let minds = site.iter().find(|(_, turns)| turns.minded.contains_key(&7)).map(|(node, _)| *node);
    let Some(minds) = minds else { return };
    let warden = site.get_mut(&minds).unwrap();
    assert_eq!(warden.asked(later, id(100), 7), Some(id(100)));
    warden.asked(later, id(101), 7);
    warden.lost(later, id(100));
    assert_ne!(warden.asked(later, id(102), 7), Some(id(100)));
}

proptest! {
    #[test]
    fn whatever_is_said_no_table_grows_beyond_its_bounds(
        said in prop::collection::vec((0_u8..9, 1_u8..40, 0_u32..20), 0..300),
    ) {
        let mut turns = Turns::new(id(1), (2..=9).map(id), BLOB);
        for (now, (what, from, piece)) in (0_u64..).zip(said) {
            let (now, from) = (Time(now * 50), id(from));
            match what {
                0 => { turns.asked(now, from, piece); }
                1 => turns.given_back(now, from, piece),
                2 => turns.told(now, from, piece, id(1)),
                3 => turns.told(now, from, piece, from),
                4 => turns.came(now, piece),
                5 => turns.lost(now, from),
                6 => turns.waits(now, from, piece),
                7 => turns.is_inside(now, piece),
                _ => { turns.seek(now, piece, from); }
            }
            prop_assert!(turns.leaves.len() <= 20 && turns.others.len() <= 20 && turns.minded.len() <= 20);
            prop_assert!(turns.minded.values().all(|turn| turn.next.len() <= NEXT_MAX));
            let waiting: Vec<u32> = turns.minded.iter().filter(|(_, turn)| turn.who.is_none()).map(|(piece, _)| *piece).collect();
            prop_assert!(turns.waiting.len() == waiting.len() && waiting.iter().all(|piece| turns.waiting.contains(piece)));
            prop_assert!(turns.waiting.is_empty() || waiting.len() < turns.minded.len(), "who waits, waits for somebody");
            prop_assert!(turns.minded.values().all(|turn| turn.who.is_none_or(|who| !turn.next.contains(&who))));
        }
    }
}
