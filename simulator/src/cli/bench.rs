//! `swell-sim bench`.

use clap::Args;
use groundswell_simulator::bench::{Means, ROWS, Row, measure};
use groundswell_simulator::report::EXIT_OK;

use super::{Failure, say, say_json};

/// Exit code: a figure was missed. The same as for a property of liveness: it is late.
const EXIT_MISSED: u8 = groundswell_simulator::report::EXIT_STUCK;

#[derive(Args)]
pub(crate) struct Bench {
    /// One row alone: seven, ci, ten-thousand, hundred-thousand, queue or swarm.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Cores for rows of many seeds. [default: all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    cores: Option<u16>,
    /// Seeds in place of a row's own number: what is reached is then no answer to its goal.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Nodes of a rollout, or of a swarm and ten times as many of the large one, in place of a row's own: the same.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=105_000))]
    nodes: Option<u32>,
    /// Virtual seconds after which a rollout is left where it is: the same.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Prints one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

impl Bench {
    /// Measures, and prints each row as it is known.
    pub(crate) fn measure(&self) -> Result<u8, Failure> {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cores = self.cores.map_or_else(all, usize::from);
        let names: Vec<&str> = match &self.only {
            Some(name) if !ROWS.contains(&name.as_str()) => {
                let hint = format!("the rows are {}", ROWS.join(", "));
                return Err(Failure::new(format!("there is no row {name:?}"), hint));
            }
            Some(name) => vec![name],
            None => ROWS.to_vec(),
        };
        let means = Means { cores, seeds: self.seeds, nodes: self.nodes, seconds: self.seconds };
        let mut rows: Vec<Row> = Vec::new();
        for name in names {
            measure(name, means, &mut |row| {
                if !self.json {
                    print(&row);
                }
                rows.push(row);
            });
        }
        let ok = rows.iter().all(|row| row.ok);
        if self.json {
            say_json(&serde_json::json!({ "ok": ok, "cores": cores, "rows": rows }));
        }
        Ok(if ok { EXIT_OK } else { EXIT_MISSED })
    }
}

fn print(row: &Row) {
    say(&format!("{:<18}{}", row.name, row.run));
    say(&format!("  goal            {}", row.goal));
    say(&format!("  reached         {}  {}", row.reached, if row.ok { "ok" } else { "MISSED" }));
    say(&format!("  beside          {}", row.beside));
}
