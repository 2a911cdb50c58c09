//! `cargo bench -p groundswell-tests --bench agreement -- --agents 30 --rollouts 10 --seeds 40`: the same rollouts by
//! real agents and by the simulator, and the table of how far they are apart.

use groundswell_tests::agreement::table::{Side, quantile, table};
use groundswell_tests::agreement::{real, simulated};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if !words.iter().any(|word| word == "--bench") {
        // `cargo test` runs benches too; this one takes minutes.
        return;
    }
    let number = |name: &str, usual: usize| {
        let value = words.iter().position(|word| word == name).and_then(|place| words.get(place + 1));
        value.map_or(usual, |value| value.parse().unwrap_or_else(|_| panic!("{name} wants a number")))
    };
    let (agents, rollouts, seeds) = (number("--agents", 30), number("--rollouts", 10), number("--seeds", 40));
    let nodes = u32::try_from(agents).expect("a number of agents");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let measured = match rollouts {
        // The simulator alone, while its numbers are looked for.
        0 => real::Measured::nothing(nodes),
        _ => runtime.block_on(real::measure(agents, rollouts, |line| eprintln!("{line}"))),
    };
    let (targets, latencies) = (measured.targets, measured.latencies);
    let mut scenario = simulated::scenario(nodes, measured.tree_bytes, measured.delta_bytes);
    let micros = |name: &str, usual: u64| number(name, usize::try_from(usual).unwrap_or(usize::MAX)) as u64;
    let links = &mut scenario.links;
    links.latency_max_micros = micros("--latency-us", links.latency_max_micros);
    links.jitter_micros = micros("--jitter-us", links.jitter_micros);
    links.judging_micros = micros("--judging-us", links.judging_micros);
    let played = (1..=seeds as u64).map(|seed| simulated::play(&scenario, seed)).collect();
    println!("{}", table(&Side::of(measured.rollouts), &Side::of(played), &targets));
    println!(
        "real: a message takes {} ms in one hop, {} ms in two (medians; {} and {} ms in 95 of 100 cases); all agents take {} ms of processor time a second",
        quantile(&latencies[0], 500),
        quantile(&latencies[1], 500),
        quantile(&latencies[0], 950),
        quantile(&latencies[1], 950),
        measured.cpu_ms_per_second
    );
}
