//! Small fleets, quickly: that a run repeats itself, what is sent and what is not, and who comes back.

use super::*;

fn small() -> Plan {
    Plan { nodes: 8, bytes: (2 << 20) - 17, ..Plan::default() }
}

fn outcome(plan: &Plan) -> Outcome {
    play(plan, &mut |_| {}).unwrap_or_else(|stuck| panic!("{stuck}: {}", plan.command()))
}

#[test]
fn the_same_plan_gives_the_same_run_to_the_last_piece_and_another_seed_another() {
    let plan = Plan { nodes: 21, sites: 3, churn_permille: 1000, upload: 512 << 10, ..small() };
    let first = outcome(&plan);
    assert!(first.departures > 0, "{first:?}");
    assert_eq!(first, outcome(&plan));
    assert_ne!(first.fingerprint, outcome(&Plan { seed: 2, ..plan }).fingerprint);
}

#[test]
fn nobody_is_quicker_than_the_bound_and_a_single_receiver_is_hardly_slower() {
    let one = outcome(&Plan { nodes: 1, ..small() });
    assert!(one.ratio_permille() >= 1000 && one.micros < one.bound_micros + 100_000, "{one:?}");
    let eight = outcome(&small());
    assert!(eight.ratio_permille() >= 1000, "{eight:?}");
}

#[test]
fn the_publisher_sends_about_one_copy_also_in_a_fleet_where_nobody_knows_everybody() {
    let many = outcome(&Plan { nodes: 90, ..small() });
    assert!(many.publisher_bytes * 1000 / (2 << 20) <= 1_150, "{many:?}");
}

#[test]
fn about_one_copy_enters_a_site_that_is_known_by_its_label() {
    let plan = Plan { nodes: 32, sites: 4, ..small() };
    let copies = |plan: &Plan| outcome(plan).copies_permille(plan.bytes);
    assert!(copies(&plan) <= 1_100, "{}", copies(&plan));
    let unaware = Plan { labelled: false, ..plan };
    assert!(copies(&unaware) > 2_000, "{}", copies(&unaware));
}

#[test]
fn in_a_fleet_where_nobody_knows_everybody_sites_cost_little_time() {
    let (mut sites_micros, mut blind_micros) = (0, 0);
    for seed in 1..=3 {
        let plan = Plan { nodes: 54, sites: 6, bytes: 1 << 20, seed, ..small() };
        let (sites, blind) = (outcome(&plan), outcome(&Plan { sites: 0, ..plan.clone() }));
        assert!(sites.copies_permille(plan.bytes) <= 1_100, "{sites:?}");
        sites_micros += sites.micros;
        blind_micros += blind.micros;
    }
    assert!(sites_micros < blind_micros * 5 / 4, "{sites_micros} beside {blind_micros}");
}

#[test]
fn a_line_into_a_site_bounds_how_soon_the_site_is_done() {
    let plan = Plan { nodes: 12, sites: 3, site_line: Some(1 << 20), ..small() };
    assert_eq!(plan.bound_micros(), Plan { upload: 1 << 20, sites: 0, ..small() }.bound_micros());
    assert!(outcome(&plan).ratio_permille() >= 1000);
}

#[test]
fn over_narrow_lines_little_comes_in_twice_and_nothing_stands_still() {
    for (nodes, sites, line) in [(12, 3, 64 << 10), (8, 8, 64 << 10), (12, 3, 256 << 10), (40, 4, 128 << 10)]
    {
        let plan = Plan { nodes, sites, site_line: Some(line), bytes: 1 << 20, ..small() };
        let narrow = outcome(&plan);
        let payload = plan.bytes * u64::from(sites);
        assert!(narrow.entered.iter().sum::<u64>() * 1000 <= payload * 1_150, "{narrow:?}");
        assert!(narrow.publisher_bytes * 1000 <= plan.bytes * 1_150, "{narrow:?}");
        assert!(narrow.ratio_permille() <= 1_700, "{narrow:?}");
    }
}

#[test]
fn who_leaves_comes_back_with_what_it_had_and_everybody_is_done() {
    let plan = Plan { nodes: 20, churn_permille: 1000, upload: 256 << 10, ..small() };
    let churned = outcome(&plan);
    assert!(churned.departures > 0, "{churned:?}");
    let payload = plan.bytes * u64::from(plan.nodes);
    assert!(churned.wasted_bytes * 10 < payload, "{churned:?}");
}

#[test]
fn what_cannot_be_played_is_refused_and_said() {
    for plan in [
        Plan { nodes: 0, ..small() },
        Plan { nodes: NODES_MAX + 1, ..small() },
        Plan { bytes: 0, ..small() },
        Plan { upload: 0, ..small() },
        Plan { sites: 9, ..small() },
        Plan { site_line: Some(0), ..small() },
    ] {
        assert!(matches!(play(&plan, &mut |_| {}), Err(Stuck::Plan(_))), "{plan:?}");
    }
}

#[test]
fn the_command_says_the_whole_plan() {
    let plan = Plan { sites: 2, labelled: false, site_line: Some(7), churn_permille: 100, ..small() };
    let command = plan.command();
    for part in
        ["--nodes 8", "--bytes 2097135B", "--sites 2", "--unlabelled", "--site-line 7B", "--churn 100‰"]
    {
        assert!(command.contains(part), "{command}");
    }
}
