//! `swell rollout pause`, `resume`, `promote` and `abort`: an operator's signed word.
//!
//! The four are one act: look at what holds now, show it, sign, hand over, say what will happen.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use groundswell_protocol::facts::{Fact, RolloutId, Statement};
use groundswell_protocol::node::status::{RolloutStatus, Status};
use groundswell_protocol::trust::command::{Command, Instruction};
use groundswell_protocol::trust::names::is_note;
use groundswell_protocol::trust::policy::RoleName;
use serde::Serialize;

use super::find::Which;
use crate::cli::daemon::Daemon;
use crate::cli::failure::{Code, Failure};
use crate::cli::screen::{Answer, Screen};
use crate::cli::status::rollout_line;
use crate::cli::words::count;
use crate::control::command;
use crate::release::keys;
use crate::release::signers::choose_signers;
use crate::telemetry::words::instruction_words;

const DEFAULT_KEY: &str = "fleet/keys/operator.key";

/// Which rollout, with which keys, and why.
#[derive(Args, Debug)]
struct Order {
    #[command(flatten)]
    which: Which,
    /// Key files of the operator role [default: fleet/keys/operator.key]
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = parse_note)]
    note: String,
}

fn parse_note(text: &str) -> Result<String, String> {
    if is_note(text) {
        Ok(text.to_owned())
    } else {
        Err("a note is at most 256 bytes on one line".to_owned())
    }
}

/// Holds a rollout: nothing more is opened until it is resumed
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell rollout pause --note 'waiting for the morning'
  swell rollout pause web --key operator.key")]
pub(in crate::cli) struct PauseArgs {
    #[command(flatten)]
    order: Order,
}

/// Lets a paused rollout go on
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell rollout resume
  swell rollout resume web --key operator.key")]
pub(in crate::cli) struct ResumeArgs {
    #[command(flatten)]
    order: Order,
}

/// Opens more nodes on an operator's word, without waiting for the jury
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell rollout promote                            to the next wave
  swell rollout promote web --to 20 --yes
  swell rollout promote web --to done              ends the rollout as done")]
pub(in crate::cli) struct PromoteArgs {
    #[command(flatten)]
    order: Order,
    /// How many nodes, or `all`, or `done` [default: the next wave]
    #[arg(long, value_name = "N", value_parser = parse_target)]
    to: Option<Target>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Ends a rollout for good: every node on it goes back
#[derive(Args, Debug)]
#[command(after_help = "Nothing unsays an abort. A fixed release needs a higher sequence.

EXAMPLES:
  swell rollout abort web --note 'wrong build'
  swell rollout abort 3f2a91 --key operator.key --yes")]
pub(in crate::cli) struct AbortArgs {
    #[command(flatten)]
    order: Order,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Nodes(u32),
    All,
    Done,
}

fn parse_target(text: &str) -> Result<Target, String> {
    match text {
        "all" => Ok(Target::All),
        "done" => Ok(Target::Done),
        number => match number.parse() {
            Ok(number) if number > 0 => Ok(Target::Nodes(number)),
            _ => Err("expected a number of nodes, `all` or `done`".to_owned()),
        },
    }
}

pub(super) fn pause(args: &PauseArgs, screen: Screen) -> Result<Answer, Failure> {
    order(&args.order, true, screen, |rollout| {
        Ok((
            command::pause(rollout),
            "nothing more is opened; trials that are under way end as they will; resume lets it go on"
                .to_owned(),
        ))
    })
}

pub(super) fn resume(args: &ResumeArgs, screen: Screen) -> Result<Answer, Failure> {
    order(&args.order, true, screen, |rollout| {
        Ok((command::resume(rollout), "jurors open the next nodes as soon as the evidence allows".to_owned()))
    })
}

pub(super) fn promote(args: &PromoteArgs, screen: Screen) -> Result<Answer, Failure> {
    order(&args.order, args.yes, screen, |rollout| {
        let open = promotion(rollout, args.to)?;
        let next = if open > rollout.members {
            "the rollout is done whatever its votes say, and can be stopped no more".to_owned()
        } else {
            format!(
                "{} nodes may run it at once instead of {}, whatever their votes say; a stop still stops it",
                open, rollout.open
            )
        };
        Ok((Instruction::Promote(open), next))
    })
}

pub(super) fn abort(args: &AbortArgs, screen: Screen) -> Result<Answer, Failure> {
    order(&args.order, args.yes, screen, |_| {
        Ok((
            Instruction::Stop,
            "every node on it goes back, the failing ones at once; a fix needs a higher sequence".to_owned(),
        ))
    })
}

/// How many ranks a promotion opens.
fn promotion(rollout: &RolloutStatus, to: Option<Target>) -> Result<u32, Failure> {
    let refuse = |why: String| {
        Failure::new(
            Code::Usage,
            "cannot promote the rollout",
            why,
            "see its waves with `swell rollout show`",
        )
    };
    let done = rollout.members.saturating_add(1);
    let open = match to {
        None => rollout.targets.iter().copied().find(|target| *target > rollout.open).unwrap_or(done),
        Some(Target::All) => rollout.members,
        Some(Target::Done) => done,
        Some(Target::Nodes(number)) if number > rollout.members => {
            return Err(refuse(format!("{number} nodes are asked for, and it has {}", rollout.members)));
        }
        Some(Target::Nodes(number)) => number,
    };
    if open <= rollout.open {
        return Err(refuse(format!("{} are open already", count(rollout.open.min(rollout.members), "node"))));
    }
    Ok(open)
}

#[derive(Serialize)]
struct Ordered {
    rollout: RolloutId,
    instruction: Instruction,
    news: bool,
    next: String,
}

/// Looks, shows, signs, hands over. `agreed` leaves the question out.
fn order(
    order: &Order,
    agreed: bool,
    screen: Screen,
    choose: impl FnOnce(&RolloutStatus) -> Result<(Instruction, String), Failure>,
) -> Result<Answer, Failure> {
    let daemon = order.which.socket.daemon()?;
    let status = daemon.status()?.node;
    let rollout = order.which.find(&status)?;
    check_live(rollout)?;
    let (instruction, next) = choose(rollout)?;
    let fact = sign(order, &daemon, &status, rollout, instruction)?;
    let now = rollout_line(rollout, screen);
    let paused = if rollout.paused { "paused now" } else { "not paused now" };
    if !agreed {
        confirm(&format!("{now}\n{paused}; {}: {next}", instruction_words(instruction)))?;
    }
    let news = daemon.hand_over(&fact.signed)?;
    let verdict = if news { "accepted" } else { "known already" };
    let text = format!("{now}\n{paused}; {} {verdict}: {next}\n", instruction_words(instruction));
    Ok(Answer::new(text, &Ordered { rollout: rollout.rollout, instruction, news, next }))
}

fn check_live(rollout: &RolloutStatus) -> Result<(), Failure> {
    if rollout.ending.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Refused,
        format!("cannot change {} {}", rollout.component, rollout.version),
        "the rollout has ended",
        "see how with `swell rollout explain`; what comes next is another release",
    ))
}

/// The command, signed by enough operator keys of the newest policy.
fn sign(
    order: &Order,
    daemon: &Daemon,
    status: &Status,
    rollout: &RolloutStatus,
    instruction: Instruction,
) -> Result<Fact, Failure> {
    let default = [PathBuf::from(DEFAULT_KEY)];
    let paths = if order.key.is_empty() { &default[..] } else { &order.key };
    let keys = paths.iter().map(|path| keys::read(path)).collect::<Result<Vec<_>, _>>()?;
    let bundle = daemon.bundle()?;
    let policy = bundle.newest_policy();
    let signers = choose_signers(policy, RoleName::Operator, &keys, "cannot sign the command")?;
    let command =
        Command { rollout: rollout.rollout, policy: policy.version, instruction, note: order.note.clone() };
    Ok(Fact::sign(status.fleet, Statement::Command(command), &signers))
}

/// Asks on the terminal. Without one there is nobody to ask.
fn confirm(question: &str) -> Result<(), Failure> {
    let refuse = |why: &str| {
        Failure::new(Code::Usage, "nothing was signed", why, "say --yes to do it without being asked")
    };
    if !io::stdin().is_terminal() {
        return Err(refuse("this must be confirmed, and there is no terminal to ask on"));
    }
    let mut out = io::stderr().lock();
    let asked = write!(out, "{question}\nDo it? [y/N] ").and_then(|()| out.flush());
    let mut answer = String::new();
    let answered = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    match answered {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(refuse("it was not confirmed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::rollout;
    use groundswell_protocol::node::record::Ending;

    #[test]
    fn a_promotion_goes_to_the_next_wave_or_further() {
        let mut rollout = rollout("web", 1);
        rollout.open = 1;
        assert_eq!(promotion(&rollout, None), Ok(3));
        assert_eq!(promotion(&rollout, Some(Target::All)), Ok(12));
        assert_eq!(promotion(&rollout, Some(Target::Done)), Ok(13));
        assert_eq!(promotion(&rollout, Some(Target::Nodes(5))), Ok(5));
        assert_eq!(promotion(&rollout, Some(Target::Nodes(1))).expect_err("open already").code, Code::Usage);
        assert_eq!(promotion(&rollout, Some(Target::Nodes(13))).expect_err("too many").code, Code::Usage);
        rollout.open = 12;
        assert_eq!(promotion(&rollout, None), Ok(13));
    }

    #[test]
    fn an_ended_rollout_takes_no_orders() {
        let mut rollout = rollout("web", 1);
        assert!(check_live(&rollout).is_ok());
        rollout.ending = Some(Ending::Stopped);
        assert_eq!(check_live(&rollout).expect_err("ended").code, Code::Refused);
    }

    #[test]
    fn targets_are_numbers_or_words() {
        assert_eq!(parse_target("7"), Ok(Target::Nodes(7)));
        assert_eq!(parse_target("done"), Ok(Target::Done));
        assert!(parse_target("0").is_err() && parse_target("most").is_err());
    }
}
