//! What a serving side promises, whom it names, and in which order it sends.

use super::*;
use crate::identity::PublicKey;
use crate::transfer::groups::GroupSet;
use proptest::prelude::*;

fn peer(number: u8) -> NodeId {
    PublicKey([number; 32])
}

fn wanted(piece: u32, tried: &[NodeId], standing: Standing) -> Wanted<'_> {
    Wanted {
        piece: (Digest([7; 32]), piece),
        of: 10 << 20,
        share: Share::of(GroupSet::all(1000), GroupSet::NONE, 1000).unwrap(),
        bytes: 1000,
        tried,
        insist: false,
        standing,
    }
}

#[test]
fn an_origin_asked_by_eleven_at_once_sends_one_copy_and_refers_ten() {
    let mut upload = Upload::new(None);
    let verdicts: Vec<Verdict> =
        (1..=11).map(|n| upload.request(Time(0), peer(n), wanted(0, &[], Standing::Origin))).collect();
    assert_eq!(verdicts[0], Verdict::Wait);
    assert!(verdicts[1..].iter().all(|verdict| *verdict == Verdict::Refer(vec![peer(1)])));
    assert!(upload.next(Time(0)).is_some() && upload.next(Time(0)).is_none());
}

#[test]
fn a_small_blob_goes_to_all_who_ask_as_long_as_the_line_carries_it() {
    let mut upload = Upload::new(None);
    let small = Wanted { of: SMALL_BYTES_MAX, ..wanted(0, &[], Standing::Origin) };
    let ask = |upload: &mut Upload, at, from| upload.request(Time(at), peer(from), small);
    let served = (1..100).take_while(|from| ask(&mut upload, 0, *from) == Verdict::Wait).count();
    assert_eq!(served, 16);
    assert_eq!(ask(&mut upload, 5, 50), Verdict::Busy, "it may have room in a moment");
    assert!(matches!(ask(&mut upload, 50, 50), Verdict::Refer(_)), "the line is slow");
    (1..=16).for_each(|from| upload.has(Time(51), peer(from), Digest([7; 32]), &[0]));
    assert_eq!(ask(&mut upload, 52, 50), Verdict::Wait);
}

#[test]
fn the_first_pieces_of_a_large_blob_leave_a_few_at_a_time_to_different_peers() {
    let mut upload = Upload::new(None);
    for number in 0..30_u8 {
        let first = wanted(u32::from(number), &[], Standing::Origin);
        assert_eq!(upload.request(Time(0), peer(number % 10), first), Verdict::Wait);
    }
    assert_eq!(upload.next_deadline(), None);
    let left: Vec<Serve> = std::iter::from_fn(|| upload.next(Time(0))).collect();
    let to: BTreeSet<NodeId> = left.iter().map(|serve| serve.peer).collect();
    assert_eq!((left.len(), to.len()), (8, 8));
    let waits = upload.next_deadline().unwrap();
    assert!(waits > Time(0) && upload.next(waits).is_some(), "silence has an end");
    upload.has(waits, left[0].peer, left[0].piece.0, &[left[0].piece.1]);
    assert!(std::iter::from_fn(|| upload.next(waits)).count() >= 3);
}

#[test]
fn those_who_tried_in_vain_are_served_by_one_new_copy() {
    let mut upload = Upload::new(None);
    upload.request(Time(0), peer(1), wanted(0, &[], Standing::Origin));
    let tried = [peer(1)];
    assert_eq!(upload.request(Time(9), peer(2), wanted(0, &tried, Standing::Origin)), Verdict::Wait);
    let third = upload.request(Time(9), peer(3), wanted(0, &tried, Standing::Origin));
    assert_eq!(third, Verdict::Refer(vec![peer(2)]));
    let insisting = Wanted { insist: true, ..wanted(0, &[], Standing::Origin) };
    assert_eq!(upload.request(Time(9), peer(4), insisting), Verdict::Wait);
}

#[test]
fn a_promise_to_a_peer_that_goes_away_is_void_unless_it_was_kept() {
    let mut upload = Upload::new(None);
    upload.request(Time(0), peer(1), wanted(0, &[], Standing::Origin));
    upload.lost(peer(1));
    assert_eq!(upload.request(Time(1), peer(2), wanted(0, &[], Standing::Origin)), Verdict::Wait);
    let serve = upload.next(Time(1)).unwrap();
    upload.sent(serve, true);
    upload.lost(peer(2));
    let third = upload.request(Time(2), peer(3), wanted(0, &[], Standing::Origin));
    assert_eq!(third, Verdict::Refer(vec![peer(2)]));
    let later = Time(3) + GRANT_MEMORY;
    assert_eq!(upload.request(later, peer(3), wanted(0, &[], Standing::Origin)), Verdict::Wait);
}

#[test]
fn one_greedy_peer_does_not_delay_a_modest_one() {
    let mut upload = Upload::new(None);
    for piece in 0..100 {
        upload.request(Time(0), peer(1), wanted(piece, &[], Standing::Relay));
    }
    assert_eq!(upload.waiting(), WAITING_PER_PEER_MAX);
    upload.request(Time(0), peer(2), wanted(500, &[], Standing::Relay));
    let first_two = [upload.next(Time(0)).unwrap().peer, upload.next(Time(0)).unwrap().peer];
    assert_eq!(first_two, [peer(1), peer(2)]);
}

#[test]
fn time_alone_brings_nothing_to_who_has_enough_under_way() {
    let mut upload = Upload::new(Some(Allowance::new(10_000_000, Time(0))));
    for piece in 0..3 {
        upload.request(Time(0), peer(1), wanted(piece, &[], Standing::Relay));
    }
    let serves: Vec<Serve> = std::iter::from_fn(|| upload.next(Time(0))).collect();
    assert_eq!(
        (serves.len(), upload.next_deadline()),
        (SENDING_PER_PEER_MAX, None),
        "or its driver never rests"
    );
    upload.sent(serves[0], true);
    assert!(upload.next(Time(0)).is_some());
}

#[test]
fn the_cap_paces_what_is_served() {
    let mut upload = Upload::new(Some(Allowance::new(10_000, Time(0))));
    for piece in 0..30 {
        upload.request(Time(0), peer(1), wanted(piece, &[], Standing::Relay));
    }
    let (mut now, mut served) = (Time(0), 0);
    while upload.waiting() > 0 {
        while let Some(serve) = upload.next(now) {
            upload.sent(serve, true);
            upload.has(now, serve.peer, serve.piece.0, &[serve.piece.1]);
            served += 1;
        }
        now = upload.next_deadline().unwrap_or(now);
    }
    assert_eq!(served, 30);
    assert!((2700..=3000).contains(&now.0), "30,000 bytes at 10,000 a second took {now:?}");
}

proptest! {
    #[test]
    fn tables_stay_within_their_bounds_whatever_happens(
        steps in prop::collection::vec((0_u8..8, 1_u8..20, 0_u32..40), 0..400),
    ) {
        let mut upload = Upload::new(None);
        let mut under_way = Vec::new();
        for (now, (what, from, piece)) in (0_u64..).zip(steps) {
            let name = (Digest([7; 32]), piece);
            match what {
                0..=2 => { upload.request(Time(now), peer(from), wanted(piece, &[], Standing::Origin)); }
                3 => under_way.extend(upload.next(Time(now))),
                4 => if let Some(serve) = under_way.pop() { upload.sent(serve, piece % 2 == 0); },
                5 => upload.cancel(peer(from), name),
                6 => upload.forget(peer(from), name.0),
                _ => upload.lost(peer(from)),
            }
            prop_assert!(upload.sending <= SENDING_MAX && upload.askers.len() <= ASKERS_MAX);
            prop_assert_eq!(upload.sending, upload.askers.values().map(|a| a.sending.len()).sum::<usize>());
            prop_assert_eq!(upload.grants.len(), upload.grant_order.len());
            let with_work = upload.askers.values().filter(|asker| !asker.waiting.is_empty()).count();
            prop_assert_eq!(with_work, upload.turns.len());
        }
    }
}
