//! What peers that are slow or gone cost the others, in virtual time.

use std::collections::VecDeque;

use super::model::{Fate, Swarm, healthy, id};
use super::*;
use crate::transfer::outline::PIECE_BYTES;
use crate::transfer::wire::Have;

/// What every line carries a second, as in the measurements with real nodes: 64 pieces.
const LINE: u64 = 4 << 20;

/// What becomes of the last receivers.
#[derive(Clone, Copy)]
enum Ill {
    Nobody,
    /// It sends at a hundredth of the rate, and is not waited for.
    Slow,
    /// So many vanish half-way.
    Dead(usize),
}

/// What a run came to, in thousandths: of the bound on its time, of the blob, and of all that was to come.
#[derive(Debug)]
struct Run {
    time: u64,
    published: u64,
    duplicates: u64,
}

/// Seconds that no swarm can beat, in milliseconds.
fn bound(receivers: usize, bytes: usize) -> u64 {
    let (receivers, bytes) = (receivers as u64, bytes as u64);
    (bytes * 1000 / LINE).max(receivers * bytes * 1000 / (LINE * (receivers + 1)))
}

fn run(receivers: usize, bytes: usize, ill: Ill, seed: u64) -> Run {
    let bound = bound(receivers, bytes);
    let mut fates = healthy(receivers);
    if let Ill::Dead(dead) = ill {
        fates[receivers + 1 - dead..].fill(Fate::Vanishes(Time(1000 + bound / 2)));
    }
    let mut swarm = Swarm::new(bytes, &fates, seed, None);
    swarm.delay = Span(1);
    (0..=receivers).for_each(|number| swarm.set_line(number, LINE));
    if let Ill::Slow = ill {
        swarm.set_line(receivers, LINE / 100);
        swarm.ignored.insert(id(receivers));
    }
    swarm.tell_all_of_the_publisher();
    let took = swarm.run(Span::seconds(600)).unwrap();
    let judged = swarm.members.iter().filter(|(id, _)| !swarm.ignored.contains(id));
    let wasted: u64 = judged.map(|(_, member)| member.wasted).sum();
    Run {
        time: took.0 * 1000 / bound,
        published: swarm.permille_from(0),
        duplicates: wasted * 1000 / (bytes as u64 * receivers as u64),
    }
}

#[test]
fn a_peer_at_a_hundredth_of_the_rate_delays_the_others_by_less_than_a_tenth() {
    let runs = |ill| (1..=4).map(|seed| run(8, 8 << 20, ill, seed)).collect::<Vec<_>>();
    let (well, slow) = (runs(Ill::Nobody), runs(Ill::Slow));
    let sum = |runs: &[Run], of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    let time = |runs| sum(runs, |run| run.time);
    assert!(time(&slow) < time(&well) * 11 / 10, "{slow:?} beside {well:?}");
    assert!(sum(&slow, |run| run.published) <= 4 * 1050, "{slow:?}");
    assert!(slow.iter().all(|run| run.published <= 1100 && run.duplicates <= 5), "{slow:?}");
}

#[test]
fn peers_that_vanish_cost_the_others_a_quarter_of_a_second_and_next_to_no_duplicates() {
    let (well, ill) = (run(10, 8 << 20, Ill::Nobody, 1), run(10, 8 << 20, Ill::Dead(2), 1));
    let cost = ill.time.saturating_sub(well.time) * bound(10, 8 << 20) / 1000;
    assert!(cost <= 250, "{cost} ms: {ill:?} beside {well:?}");
    assert!(ill.duplicates <= 20, "{ill:?}");
}

/// A download of so few pieces is near its end when it begins.
const FEW: u32 = 20;

/// A download of `pieces` of which `peers` have all and owe some.
fn owed_by(peers: &[NodeId], pieces: u32) -> (Download, Vec<Action>) {
    let content = vec![3; (pieces * PIECE_BYTES) as usize];
    let outline = Arc::new(Outline::of(&content).unwrap());
    let (blob, bytes) = (outline.blob(), outline.bytes());
    let none = PieceSet::none(outline.pieces());
    let mut download = Download::new(id(0), blob, bytes, none, Some(outline), 1);
    let mut out = Vec::new();
    for peer in peers {
        download.handle(Time(0), Event::Found { peer: *peer, hinted: true }, &mut out);
        let have = Have::new(blob, bytes, &PieceSet::all(pieces), Vec::new());
        download.handle(Time(0), Event::Answered { peer: *peer, answer: Answer::Have(have) }, &mut out);
    }
    (download, out)
}

fn taken_back(out: &[Action]) -> usize {
    let is_cancel = |action: &&Action| matches!(action, Action::Send { ask: Ask::Cancel { .. }, .. });
    out.iter().filter(is_cancel).count()
}

#[test]
fn what_a_silent_peer_owes_is_asked_of_another_unless_this_node_stood_still() {
    let (mut download, mut out) = owed_by(&[id(1), id(2)], FEW);
    let mut now = Time(0);
    while now < Time(9000) && taken_back(&out) == 0 {
        now = now.max(download.next_deadline().unwrap());
        download.handle(now, Event::Alive { peer: id(2) }, &mut out);
        download.handle(now, Event::Wake, &mut out);
    }
    assert!(taken_back(&out) > 0 && now < Time(9000));
    let (mut download, mut out) = owed_by(&[id(1), id(2)], FEW);
    download.handle(Time(20_000), Event::Wake, &mut out);
    assert_eq!(taken_back(&out), 0, "nobody could be heard meanwhile");
}

#[test]
fn who_lagged_is_asked_again_when_nobody_else_is_there() {
    let (mut download, mut out) = owed_by(&[id(1), id(2)], FEW);
    let mut now = Time(0);
    while taken_back(&out) == 0 && now < Time(9000) {
        now = now.max(download.next_deadline().unwrap());
        download.handle(now, Event::Alive { peer: id(2) }, &mut out);
        download.handle(now, Event::Wake, &mut out);
    }
    // The silent one speaks again, the other one ends.
    download.handle(now, Event::Lost { peer: id(2) }, &mut out);
    download.handle(now, Event::Alive { peer: id(1) }, &mut out);
    out.clear();
    let limit = now + Span::seconds(5);
    let asked = |out: &[Action]| {
        out.iter()
            .any(|action| matches!(action, Action::Send { peer, ask: Ask::Request { .. } } if *peer == id(1)))
    };
    while !asked(&out) && now < limit {
        now = now.max(download.next_deadline().unwrap()) + Span(1);
        download.handle(now, Event::Wake, &mut out);
    }
    assert!(asked(&out));
}

#[test]
fn nothing_is_taken_back_from_the_only_one_who_has_it() {
    let (mut download, mut out) = owed_by(&[id(1)], FEW);
    let mut now = Time(0);
    while now < Time(5000) {
        now = now.max(download.next_deadline().unwrap());
        download.handle(now, Event::Alive { peer: id(1) }, &mut out);
        download.handle(now, Event::Wake, &mut out);
        now = now + Span(1);
    }
    assert_eq!(taken_back(&out), 0);
}

/// How long one of two peers owes until it is not waited for any longer, while the other one sends a piece every 10 ms and
/// most of 300 are missing.
fn waited_for(is_heard_of: bool) -> Span {
    let (mut download, mut out) = owed_by(&[id(1), id(2)], 300);
    let (blob, data) = (download.blob(), vec![3; PIECE_BYTES as usize]);
    let mut coming = VecDeque::new();
    for now in (0..3000).step_by(10).map(Time) {
        for action in out.drain(..) {
            match action {
                Action::Send { peer, ask: Ask::Request { piece, .. } } if peer == id(1) => {
                    coming.push_back(piece);
                }
                Action::Send { peer, ask: Ask::Cancel { .. } } if peer == id(2) => return Span(now.0),
                _ => {}
            }
        }
        if let Some(piece) = coming.pop_front() {
            let answer = Answer::Piece { blob, piece, data: data.clone() };
            download.handle(now, Event::Answered { peer: id(1), answer }, &mut out);
        }
        if is_heard_of {
            download.handle(now, Event::Alive { peer: id(2) }, &mut out);
        }
        download.handle(now, Event::Wake, &mut out);
    }
    panic!("waited for until the end");
}

#[test]
fn while_much_is_missing_who_lives_has_more_time_than_who_may_be_gone() {
    assert!((1500..1600).contains(&waited_for(true).0));
    assert!((350..500).contains(&waited_for(false).0));
}
