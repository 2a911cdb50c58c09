//! `swell-sim spread`.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use clap::Args;
use groundswell_simulator::report::{EXIT_OK, EXIT_STUCK};
use groundswell_simulator::scenario::words;
use groundswell_simulator::spread::{self, NODES_MAX, Outcome, Plan, Stuck};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, say, say_json};

/// A run that takes longer shows how far it is.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Args)]
#[command(after_help = "\
EXIT CODES
  0  everybody has everything
  2  wrong usage
  3  the blob did not reach everybody

EXAMPLES
  swell-sim spread --nodes 1000 --bytes 64MiB --upload 4MiB
  swell-sim spread --nodes 1000 --sites 10 --latency 25ms --inside 1ms
  swell-sim spread --nodes 1000 --sites 10 --unlabelled
  swell-sim spread --nodes 1000 --churn 10% --json")]
pub(crate) struct Spread {
    /// Machines that fetch; the publisher comes on top.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(NODES_MAX)))]
    nodes: u32,
    /// Size of the blob.
    #[arg(long, default_value = "16MiB", value_parser = words::size)]
    bytes: u64,
    /// What each machine's line carries out in a second.
    #[arg(long, value_name = "BYTES", default_value = "4MiB", value_parser = words::size)]
    upload: u64,
    /// One way between two machines, in the mean; each pair has its own, from half of it to one and a half.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = words::quantity::<words::Micros>)]
    latency: u64,
    /// The same within a site.
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = words::quantity::<words::Micros>)]
    inside: u64,
    /// Sites of equal size, the publisher in none of them. [default: none]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    sites: u32,
    /// The machines do not know the sites by a label.
    #[arg(long)]
    unlabelled: bool,
    /// What the line into each site carries in a second. [default: no bound]
    #[arg(long, value_name = "BYTES", value_parser = words::size)]
    site_line: Option<u64>,
    /// Machines that leave in a minute, for ten seconds each, as a share of all.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = words::quantity::<words::Permille>)]
    churn: u64,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl Spread {
    /// Plays it, and says what it came to.
    pub(crate) fn play(&self) -> Result<u8, Failure> {
        let plan = Plan {
            nodes: self.nodes,
            bytes: self.bytes,
            upload: self.upload,
            latency_micros: self.latency,
            inside_micros: self.inside,
            sites: self.sites,
            labelled: !self.unlabelled,
            site_line: self.site_line,
            churn_permille: u32::try_from(self.churn).unwrap_or(u32::MAX),
            seed: self.seed,
        };
        let begun = Instant::now();
        let bar = bar(self.json);
        let played = spread::play(&plan, &mut |permille| {
            if begun.elapsed() > QUIET {
                bar.set_position(permille);
            }
        });
        bar.finish_and_clear();
        let real_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match played {
            Ok(outcome) => {
                if self.json {
                    say_json(&as_json(&plan, &outcome, real_ms));
                } else {
                    say(&told(&plan, &outcome, real_ms));
                }
                Ok(EXIT_OK)
            }
            Err(why @ Stuck::Standstill { .. }) => {
                if self.json {
                    say_json(
                        &serde_json::json!({ "ok": false, "why": why.to_string(), "again": plan.command() }),
                    );
                } else {
                    say(&format!("{why}\n  again      {}", plan.command()));
                }
                Ok(EXIT_STUCK)
            }
            Err(why @ Stuck::Plan(_)) => Err(Failure::new(why.to_string(), "")),
        }
    }
}

fn bar(json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("[{bar:24}] {percent} % {eta}")
        .expect("BUG: the template is a constant that parses")
        .progress_chars("##.");
    ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr()).with_style(style)
}

fn as_json(plan: &Plan, outcome: &Outcome, real_ms: u64) -> serde_json::Value {
    serde_json::json!({
        "ok": true, "plan": plan, "outcome": outcome, "ratio_permille": outcome.ratio_permille(),
        "publisher_permille": outcome.publisher_bytes * 1000 / plan.bytes.max(1),
        "copies_permille": outcome.copies_permille(plan.bytes), "again": plan.command(), "real_ms": real_ms,
    })
}

fn told(plan: &Plan, outcome: &Outcome, real_ms: u64) -> String {
    let seconds = |micros: u64| format!("{}.{:03} s", micros / 1_000_000, micros / 1000 % 1000);
    let payload = u128::from(plan.bytes) * u128::from(plan.nodes);
    let of_payload = |bytes: u64| {
        thousandths(u64::try_from(u128::from(bytes) * 100_000 / payload.max(1)).unwrap_or(u64::MAX))
    };
    let mut text = format!(
        "{} machines have {} bytes each\n  \
         last       {}, {} of the bound ({})\n  \
         half       {}\n  \
         publisher  sent {} copies\n  \
         twice      {} % of what came was of no use; messages weigh {} %\n",
        plan.nodes,
        plan.bytes,
        seconds(outcome.micros),
        thousandths(outcome.ratio_permille()),
        seconds(outcome.bound_micros),
        seconds(outcome.median_micros),
        thousandths(outcome.publisher_bytes * 1000 / plan.bytes.max(1)),
        of_payload(outcome.wasted_bytes),
        of_payload(outcome.message_bytes),
    );
    if plan.sites > 0 {
        let mut copies: Vec<u64> =
            outcome.entered.iter().map(|bytes| bytes * 1000 / plan.bytes.max(1)).collect();
        copies.sort_unstable();
        let (least, most) = (copies.first().copied().unwrap_or(0), copies.last().copied().unwrap_or(0));
        text.push_str(&format!(
            "  sites      {} to {} copies entered each\n",
            thousandths(least),
            thousandths(most)
        ));
    }
    if plan.churn_permille > 0 {
        text.push_str(&format!("  churn      {} departures\n", outcome.departures));
    }
    let pace = outcome.events * 1000 / real_ms.max(1);
    text.push_str(&format!(
        "  run        {} events in {} ms ({pace}/s)\n  again      {}",
        outcome.events,
        real_ms,
        plan.command()
    ));
    text
}

fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1000, number % 1000)
}
