use std::collections::BTreeSet;

use super::super::links::LinkLaw;
use super::*;
use crate::machine::message::Message;

fn pieces(overlay: &Overlay, of: impl Fn(&Overlay, u32) -> Vec<u32>, start: u32) -> usize {
    let mut reached = BTreeSet::from([start]);
    let mut todo = vec![start];
    while let Some(node) = todo.pop() {
        for next in of(overlay, node) {
            if reached.insert(next) {
                todo.push(next);
            }
        }
    }
    reached.len()
}

#[test]
fn every_side_is_in_one_piece_and_no_link_crosses() {
    for nodes in [5, 40, 200] {
        let root = Generator::new(3);
        let mut links = Links::new(LinkLaw::default(), &vec![0; nodes], &root);
        let mut overlay = Overlay::new(true, nodes, &root);
        let mut alive = vec![true; nodes];
        overlay.mend(&alive, &links);
        let few = u32::try_from(nodes / 3).unwrap_or(1);
        (0..few).for_each(|node| links.set_side(node, 1));
        overlay.touch_all();
        overlay.mend(&alive, &links);
        alive[nodes / 2] = false;
        overlay.touch(u32::try_from(nodes / 2).unwrap_or(1));
        overlay.mend(&alive, &links);
        for (start, count) in [(0, nodes / 3), (u32::try_from(nodes - 1).unwrap_or(1), nodes - nodes / 3 - 1)]
        {
            assert_eq!(pieces(&overlay, |overlay, node| overlay.linked(node).to_vec(), start), count);
        }
        for node in 0..u32::try_from(nodes).unwrap_or(0) {
            for other in overlay.linked(node) {
                assert!(reaches(&alive, &links, node, *other));
                assert!(overlay.linked(*other).binary_search(&node).is_ok(), "links have two ends");
            }
            for other in overlay.mesh(node) {
                assert!(overlay.linked(node).binary_search(other).is_ok(), "a mesh is made of links");
                assert!(overlay.mesh(*other).binary_search(&node).is_ok(), "a mesh has two ends");
            }
        }
    }
}

#[test]
fn meshes_keep_their_degree() {
    let root = Generator::new(5);
    let nodes = 500;
    let links = Links::new(LinkLaw::default(), &vec![0; nodes], &root);
    let mut overlay = Overlay::new(true, nodes, &root);
    let mut heartbeats = 0;
    while !overlay.is_mended() {
        overlay.mend(&vec![true; nodes], &links);
        heartbeats += 1;
        assert!(heartbeats < 60, "meshes come to rest");
    }
    let sizes: Vec<usize> = (0..500).map(|node| overlay.mesh(node).len()).collect();
    assert!(sizes.iter().all(|size| (MESH.0..MESH.2).contains(size)), "{sizes:?}");
    // Thirty real agents had 2.98 neighbours each: see BENCHMARKS.md.
    let all: usize = sizes.iter().sum();
    assert!((1450..1550).contains(&all), "{all}");
    let linked = (0..500).map(|node| overlay.linked(node).len()).min();
    assert!(linked >= Some(LINKS_TARGET), "{linked:?}");
}

#[test]
fn who_lacks_a_message_hears_of_it_and_nobody_else() {
    let root = Generator::new(7);
    let nodes = 60;
    let links = Links::new(LinkLaw::default(), &vec![0; nodes], &root);
    let mut overlay = Overlay::new(true, nodes, &root);
    overlay.mend(&vec![true; nodes], &links);
    let flight = overlay.publish(Moment::seconds(1), 0, &Message::new(vec![1; 100]));
    for node in 1..59 {
        assert!(overlay.first_time(Moment::seconds(1), node, &flight));
        assert!(!overlay.first_time(Moment::seconds(1), node, &flight), "a duplicate");
    }
    let mut told = BTreeSet::new();
    for second in 2..5 {
        for announced in overlay.announce(Moment::seconds(second), |_| true) {
            assert!(flight.has(announced.from));
            told.insert(announced.to);
        }
    }
    assert_eq!(told, BTreeSet::from([59]));
    overlay.expire(Moment::seconds(62));
    let again = overlay.publish(Moment::seconds(62), 3, &Message::new(vec![1; 100]));
    assert!(!again.has(0), "it was forgotten after a minute");
}

#[test]
fn messages_wait_only_where_judging_takes_time_and_then_it_is_known_who_had_them() {
    let root = Generator::new(9);
    let small = Message::new(vec![2; 100]);
    let mut at_once = Overlay::new(true, 4, &root);
    let flight = at_once.publish(Moment::seconds(1), 0, &small);
    assert_eq!((0..4).map(|node| at_once.wait_micros(node, &flight)).max(), Some(0));
    assert!(!flight.had(0, Moment::seconds(9), || 0), "nobody says of a small message that it is here");

    let mut judging = Overlay::new(true, 4, &root).judging(5_000);
    let flight = judging.publish(Moment::seconds(1), 0, &small);
    let waits: BTreeSet<u64> = (0..4).map(|node| judging.wait_micros(node, &flight)).collect();
    assert!(waits.len() > 1 && waits.iter().all(|wait| *wait < 10_000), "{waits:?}");
    assert!(flight.had(0, Moment::seconds(1).after_micros(300), || 300), "its copy is here");
    assert!(!flight.had(0, Moment::seconds(1).after_micros(299), || 300), "its copy is under way");
}
