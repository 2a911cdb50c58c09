use super::*;

const NODES: usize = 8;

fn links(law: LinkLaw) -> Links {
    let zones: Vec<u16> = (0..8).map(|place| place % 4).collect();
    Links::new(law, &zones, &Generator::new(7))
}

fn some(places: &[u32]) -> Places {
    Places::of(NODES, places.iter().copied())
}

/// How many of 1,000 frames of 100 bytes arrive, one a second, from a second on.
fn arrive_from(links: &mut Links, from: u32, to: u32, second: u64) -> usize {
    let frames = (second..second + 1000).map(|n| links.carry(Moment::seconds(n), from, to, 100));
    frames.map(|arrivals| arrivals.iter().flatten().count()).sum()
}

fn arrive(links: &mut Links, from: u32, to: u32) -> usize {
    arrive_from(links, from, to, 0)
}

#[test]
fn a_cut_one_way_leaves_the_other_way_open() {
    let mut links = links(LinkLaw { duplicate_permille: 0, ..LinkLaw::default() });
    links.cut(1, some(&[0]), some(&[0]).others());
    assert!(!links.passes(0, 3) && links.passes(3, 0) && links.passes(3, 4));
    assert!(!links.connected(0, 3) && !links.connected(3, 0) && links.connected(3, 4));
    assert_eq!((arrive(&mut links, 0, 3), arrive(&mut links, 3, 0)), (0, 1000));
    links.end(1);
    assert!(links.connected(0, 3));
}

#[test]
fn a_clog_holds_frames_and_lets_all_go_at_its_end() {
    let mut links = links(LinkLaw::default());
    let until = Moment::seconds(60);
    links.clog(1, some(&[2]), some(&[]).others(), until);
    for second in 0..50 {
        let [first, _] = links.carry(Moment::seconds(second), 2, 5, 100);
        let at = first.expect("a clog loses nothing").at;
        assert!(at >= until && at.0 <= until.0 + CLOG_SPREAD_MICROS, "{at}");
    }
    let [first, _] = links.carry(Moment::seconds(1), 5, 2, 100);
    assert!(first.expect("nothing is lost").at < Moment::seconds(2));
}

#[test]
fn zones_are_as_far_as_the_table_says_and_pairs_keep_their_distance() {
    let mut distances = vec![vec![Distance(0); 4]; 4];
    distances[0][1] = Distance(80_000);
    distances[1][0] = Distance(120_000);
    let law = LinkLaw { distances, jitter_micros: 0, ..LinkLaw::default() };
    let links = links(law);
    let near = links.fixed_latency_micros(0, 4);
    assert!((1_000..=40_000).contains(&near));
    assert_eq!(near, links.fixed_latency_micros(4, 0));
    let pair = links.fixed_latency_micros(0, 1) - 80_000;
    assert!((1_000..=40_000).contains(&pair));
    assert_eq!(links.fixed_latency_micros(1, 0), pair + 120_000);
}

#[test]
fn a_line_sends_one_frame_after_the_other_and_does_not_queue_without_end() {
    let law = LinkLaw { up_bytes: 1_000, jitter_micros: 0, duplicate_permille: 0, ..LinkLaw::default() };
    let mut links = links(law);
    let fixed = links.fixed_latency_micros(0, 1);
    let arrivals: Vec<Option<u64>> =
        (0..7).map(|_| links.carry(Moment::default(), 0, 1, 1_000)[0].map(|a| a.at.0 - fixed)).collect();
    let second = |n: u64| Some(n * 1_000_000);
    assert_eq!(arrivals[..6], [second(1), second(2), second(3), second(4), second(5), second(6)]);
    assert_eq!(arrivals[6], None, "five seconds of frames wait already");
    assert!(links.carry(Moment::seconds(9), 0, 1, 1_000)[0].is_some());
}

#[test]
fn losses_duplicates_and_damage_come_as_often_as_said() {
    let law =
        LinkLaw { loss_permille: 100, duplicate_permille: 0, damage_permille: 250, ..LinkLaw::default() };
    let mut links = links(law);
    let arrived = arrive(&mut links, 0, 1);
    assert!((870..930).contains(&arrived), "{arrived}");
    let damaged = usize::try_from(links.tally().damaged).expect("small");
    assert!((arrived / 5..arrived * 3 / 10).contains(&damaged), "{damaged}");
    links.darken(1, some(&[1]), Weather { loss: 900, ..Weather::default() });
    assert_eq!(arrive_from(&mut links, 0, 1, 2_000), 0);
    assert!(arrive_from(&mut links, 0, 2, 4_000) > 800);
    links.end(1);
    assert!(arrive_from(&mut links, 0, 1, 6_000) > 800);
}

#[test]
fn bursts_lose_frames_in_a_row() {
    let bursts = Some(Bursts { begin: 10, end: 100, loss: 1000 });
    let mut links = links(LinkLaw { bursts, duplicate_permille: 0, ..LinkLaw::default() });
    let lost: Vec<bool> =
        (0..10_000).map(|n| links.carry(Moment::seconds(n), 0, 1, 100)[0].is_none()).collect();
    let all = lost.iter().filter(|l| **l).count();
    let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    assert!((600..1_300).contains(&all), "a tenth of a line's time is ill: {all}");
    assert!(all / runs >= 7, "{all} frames in {runs} runs: ten in a row on average");
}

#[test]
fn weather_moves_no_draw_of_other_frames() {
    let law = LinkLaw { loss_permille: 200, bursts: None, ..LinkLaw::default() };
    let (mut calm, mut rough) = (links(law.clone()), links(law));
    rough.darken(1, some(&[7]), Weather { loss: 1000, damage: 500, ..Weather::default() });
    rough.cut(2, some(&[0]), some(&[6]));
    for n in 0..300 {
        let to = [1, 7, 6][n % 3];
        let now = Moment::seconds(n as u64 * 10);
        let (one, other) = (calm.carry(now, 0, to, 100), rough.carry(now, 0, to, 100));
        if to == 1 {
            assert_eq!(one, other);
        }
    }
}

#[test]
fn who_is_behind_a_router_is_reached_by_those_that_it_can_dial() {
    let mut links = links(LinkLaw::default());
    let class = |reach| ClassLaw {
        name: ClassName::new("edge").expect("a good name"),
        up_bytes: Some(5),
        down_bytes: None,
        reach,
    };
    for (node, reach) in [(0, Reach::Nobody), (1, Reach::Nobody), (2, Reach::Zone), (6, Reach::Zone)] {
        links.set_class(node, &class(reach));
    }
    let pairs = [(0, 3, true), (0, 1, false), (2, 6, true), (2, 3, true), (0, 2, false), (0, 4, true)];
    for (one, other, expected) in pairs {
        assert_eq!(links.connected(one, other), expected, "{one} and {other}");
        assert_eq!(links.connected(other, one), expected, "{other} and {one}");
    }
    assert_eq!(links.rates(0), (5, LinkLaw::default().down_bytes));
}
