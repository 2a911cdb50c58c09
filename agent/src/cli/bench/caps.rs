//! `swell bench caps`: whether caps hold over any second.

use clap::Args;

use crate::bench::{CapHeld, caps_held, size};
use crate::cli::failure::{Code, Failure};
use crate::cli::progress::Progress;
use crate::cli::screen::{Answer, Screen, table};
use crate::cli::words::bytes;

/// What the goal is about: caps down to the smallest that a thin line needs.
const CAPS: [&str; 4] = ["16KiB", "64KiB", "1MiB", "8MiB"];
/// The goal: no second further off than this.
const GOAL_PERMILLE: u64 = 20;

/// Measures how exactly caps on what is sent hold
#[derive(Args, Debug)]
#[command(
    after_help = "Four streams share each cap for six seconds, through memory, so that the machine's scheduler is all that
disturbs. Fails if any second brought 2 % more or less than the cap.

EXAMPLES:
  swell bench caps
  swell bench caps --cap 16KiB --cap 4MiB --json"
)]
pub(in crate::cli) struct CapsArgs {
    /// A cap in bytes a second; may be repeated [default: 16KiB, 64KiB, 1MiB and 8MiB]
    #[arg(long, value_name = "RATE", value_parser = parse_cap)]
    cap: Vec<u64>,
}

fn parse_cap(text: &str) -> Result<u64, String> {
    const CAP_MAX: u64 = 1 << 30;
    size(text)
        .filter(|cap| (1_024..=CAP_MAX).contains(cap))
        .ok_or_else(|| format!("`{text}` is not a cap between 1KiB and 1GiB, as 64KiB is"))
}

pub(super) fn run(args: &CapsArgs, screen: Screen) -> Result<Answer, Failure> {
    let caps = if args.cap.is_empty() {
        CAPS.iter().filter_map(|cap| size(cap)).collect()
    } else {
        args.cap.clone()
    };
    let progress = Progress::new(screen);
    let runtime = crate::cli::run::runtime("measure caps")?;
    let mut held = Vec::new();
    for (done, cap) in (0..).zip(&caps) {
        progress.step(&format!("{} a second", bytes(*cap)), done, caps.len() as u64);
        held.push(runtime.block_on(caps_held(*cap)).map_err(|error| {
            Failure::new(Code::Local, "cannot measure caps", error.to_string(), "try again")
        })?);
    }
    drop(progress);
    let good = held.iter().all(|held| held.is_within(GOAL_PERMILLE));
    Ok(Answer::new(words(&held, screen), &held).judged(good))
}

fn words(held: &[CapHeld], screen: Screen) -> String {
    let rows: Vec<[String; 4]> = held
        .iter()
        .map(|held| {
            let share = |part: u64| {
                let permille = part.saturating_mul(1_000) / held.bytes_per_second.max(1);
                format!("{}.{} %", permille / 10, permille % 10)
            };
            let verdict =
                if held.is_within(GOAL_PERMILLE) { screen.good("held") } else { screen.bad("missed") };
            [
                format!("{} a second", bytes(held.bytes_per_second)),
                share(held.least_bytes),
                share(held.most_bytes),
                verdict,
            ]
        })
        .collect();
    table(screen, ["CAP", "LEAST OF ANY SECOND", "MOST", "WITHIN 2 %"], &rows)
}
