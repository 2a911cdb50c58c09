//! `swell status`: one agent's view of itself and the fleet, on one screen.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::facts::health::Health;
use groundswell_protocol::node::record::{Ending, SlotRecord};
use groundswell_protocol::node::status::{ComponentStatus, MemberStatus, RolloutStatus, Signing, Status};
use groundswell_protocol::rollout::quorum::Quorum;

use super::clock;
use super::daemon::SocketArgs;
use super::explain::missing_lines;
use super::failure::Failure;
use super::screen::{Answer, Screen, table};
use super::words::{bar, bytes, count, span, thousandths, when};
use crate::control::api::{AgentStatus, SwarmView};
use crate::telemetry::words::hold_words;
use crate::transfer::Caps;

/// Members shown without --all.
const MEMBERS_SHOWN: usize = 32;
const BAR_WIDTH: u32 = 20;

/// Shows this agent's view: fleet, versions, members, live rollouts
#[derive(Args, Debug)]
#[command(after_help = "EXAMPLES:
  swell status
  swell status --socket data/agent.sock --json")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// Show all members of a large fleet
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &StatusArgs, screen: Screen) -> Result<Answer, Failure> {
    let status = args.socket.daemon()?.status()?;
    let most = if args.all { usize::MAX } else { MEMBERS_SHOWN };
    Ok(Answer::new(words(&status, most, screen, clock::now()), &status))
}

fn words(agent: &AgentStatus, most_members: usize, screen: Screen, now: u64) -> String {
    let status = &agent.node;
    let mut text = head(agent, screen, now);
    if !status.components.is_empty() {
        text.push('\n');
        text.push_str(&components(&status.components, screen));
    }
    let live: Vec<&RolloutStatus> =
        status.rollouts.iter().filter(|rollout| rollout.ending.is_none()).collect();
    if !live.is_empty() {
        text.push('\n');
        for rollout in live {
            let _ = writeln!(text, "{}", rollout_line(rollout, screen));
        }
    }
    text.push('\n');
    text.push_str(&members(status, most_members, screen));
    text
}

fn head(agent: &AgentStatus, screen: Screen, now: u64) -> String {
    let status = &agent.node;
    let mut text = String::new();
    let heard = status.members.iter().filter(|member| member.silent_ms.is_some()).count();
    let linked = status.members.iter().filter(|member| member.linked).count();
    let policy = when(status.policy_expires, now);
    let policy = if status.policy_expires <= now {
        screen.warn(&format!("expired {policy}: rotate it with `swell fleet rotate`"))
    } else {
        format!("expires {policy}")
    };
    let name = screen.strong(&status.fleet_name);
    let _ = writeln!(
        text,
        "fleet   {name} {}   policy {} {policy}   census {}",
        status.fleet.0.short(),
        status.policy,
        status.census
    );
    let _ = writeln!(
        text,
        "node    {}   start {}   {}",
        screen.strong(&status.node.short()),
        status.boot,
        signing(status.signing, screen)
    );
    let _ = writeln!(text, "jury    {}", guarantee(&status.quorum));
    let _ = writeln!(
        text,
        "agent   {}   process {}   {} resident   sent {}, received {}   {heard} of {} heard, {linked} linked",
        agent.version,
        agent.pid,
        bytes(agent.counters.resident_bytes),
        bytes(agent.counters.link_sent_bytes),
        bytes(agent.counters.link_received_bytes),
        count(status.members.len() as u64, "member"),
    );
    for transfer in &agent.transfers {
        let _ = writeln!(
            text,
            "fetch   {}   {} of {} from {}",
            transfer.rollout.0.short(),
            bytes(transfer.done_bytes),
            bytes(transfer.bytes),
            count(transfer.peers, "peer")
        );
        for line in missing_lines(transfer) {
            let _ = writeln!(text, "missing {}", screen.warn(&line));
        }
    }
    text.push_str(&swarm(&agent.swarm, screen));
    if status.conflict {
        let _ = writeln!(
            text,
            "{}",
            screen.bad("alarm   two policies or censuses of one version are signed: a key is misused")
        );
    }
    text
}

/// What the swarm's rules come to here.
fn swarm(swarm: &SwarmView, screen: Screen) -> String {
    let mut text = String::new();
    if swarm.caps != Caps::default() {
        let _ = writeln!(text, "caps    {}", swarm.caps.words());
    }
    if let Some(courtesy) = &swarm.courtesy {
        let others = if courtesy.others_send { "other programs send" } else { "no other program sends" };
        let left = match courtesy.bytes_per_second {
            Some(rate) => format!("{} a second left to pieces", bytes(rate)),
            None => screen.warn(
                "the line is not known, so all of it is left to pieces: name it with transfer.interface",
            ),
        };
        let _ = writeln!(text, "yields  {others}   {left}");
    }
    let site = &swarm.site;
    if !site.zone.is_empty() && site.inside_bytes + site.outside_bytes > 0 {
        let _ = writeln!(
            text,
            "site    {}, {} there   received {} from inside, {} from outside",
            site.zone,
            count(site.members, "other member"),
            bytes(site.inside_bytes),
            bytes(site.outside_bytes)
        );
    }
    if !swarm.offences.is_empty() {
        let kinds: Vec<String> =
            swarm.offences.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let _ = writeln!(text, "refused {}", screen.warn(&format!("pieces' peers: {}", kinds.join(", "))));
    }
    for budget in &swarm.egress {
        let (copies, permille) = (budget.copies_permille(), budget.permille);
        let left = match budget.beyond_bytes {
            0 => format!("{} left", bytes(budget.left_bytes)),
            beyond => screen
                .warn(&format!("{} beyond it, because nobody else could be asked for them", bytes(beyond))),
        };
        let _ = writeln!(
            text,
            "egress  {}   sent {} of {}, {} copies   budget {}x, {left}",
            budget.release.short(),
            bytes(budget.sent_bytes),
            bytes(budget.payload_bytes),
            thousandths(copies),
            thousandths(permille),
        );
    }
    text
}

fn signing(signing: Signing, screen: Screen) -> String {
    match signing {
        Signing::Yes => "may sign".to_owned(),
        Signing::Recovering { heard, needed } => screen
            .warn(&format!("may not sign yet: heard from {heard} of {needed} electors since it started")),
        Signing::NotEnrolled => screen.warn("may not sign: it is in no census"),
        Signing::Cloned => {
            screen.bad("may not sign: another machine uses its key; give one of them a new one")
        }
    }
}

/// What a jury of this size can bear, in words.
fn guarantee(quorum: &Quorum) -> String {
    let Quorum { jurors, faulty, quorum } = *quorum;
    match jurors {
        0 | 1 => "1 juror: local revert only, nobody else judges".to_owned(),
        2 => "2 jurors: both needed".to_owned(),
        3 => format!("3 jurors, {quorum} must agree: one crash is borne, no liar"),
        4 | 5 => format!("{jurors} jurors, {quorum} must agree: one liar or crash is borne"),
        _ => format!(
            "{jurors} jurors, {quorum} must agree: {} may lie, {} may be gone",
            faulty,
            jurors.saturating_sub(quorum)
        ),
    }
}

fn components(components: &[ComponentStatus], screen: Screen) -> String {
    let version =
        |slot: &Option<SlotRecord>| slot.as_ref().map_or_else(|| "-".to_owned(), |slot| slot.version.clone());
    let rows: Vec<[String; 6]> = components
        .iter()
        .map(|component| {
            let installed = &component.installed;
            [
                component.component.to_string(),
                version(&installed.active),
                version(&installed.trial),
                version(&installed.previous),
                version(&installed.anchor),
                health(component),
            ]
        })
        .collect();
    table(screen, ["COMPONENT", "ACTIVE", "TRIAL", "PREVIOUS", "ANCHOR", "HEALTH"], &rows)
}

fn health(component: &ComponentStatus) -> String {
    let Some(report) = &component.health else { return "-".to_owned() };
    let word = match report.health {
        Health::Unknown => "not known yet",
        Health::Healthy => "healthy",
        Health::Unhealthy => "UNHEALTHY",
    };
    if report.note.is_empty() { word.to_owned() } else { format!("{word}: {}", report.note) }
}

/// One line on one rollout, with its waves as a bar.
pub(super) fn rollout_line(rollout: &RolloutStatus, screen: Screen) -> String {
    let open = rollout.open.min(rollout.members);
    let name = format!("{} {}", rollout.component, rollout.version);
    let state = match rollout.ending {
        Some(Ending::Done) => screen.good("done"),
        Some(Ending::Stopped) => screen
            .bad(&format!("stopped: {}", rollout.stopped_why.as_deref().unwrap_or("no reason is known"))),
        Some(Ending::Superseded) => screen.faint("superseded"),
        None => hold_words(rollout.hold).to_owned(),
    };
    format!(
        "{}  {}  {} {open}/{} open, {} good, {} bad  {state}",
        rollout.rollout.0.short(),
        screen.strong(&name),
        bar(open, rollout.members, BAR_WIDTH),
        rollout.members,
        rollout.tally.good,
        rollout.tally.bad,
    )
}

/// What people call each release.
fn versions(status: &Status) -> BTreeMap<RolloutId, String> {
    let rollouts = status
        .rollouts
        .iter()
        .map(|rollout| (rollout.rollout, format!("{} {}", rollout.component, rollout.version)));
    let slots = status.components.iter().flat_map(|component| {
        let installed = &component.installed;
        [&installed.active, &installed.previous, &installed.anchor, &installed.trial]
            .into_iter()
            .flatten()
            .map(|slot| (slot.rollout, format!("{} {}", component.component, slot.version)))
    });
    slots.chain(rollouts).collect()
}

fn members(status: &Status, most: usize, screen: Screen) -> String {
    let names = versions(status);
    let row = |member: &MemberStatus| {
        let me = member.enrolment.node == status.node;
        let heard = match member.silent_ms {
            _ if me => "here".to_owned(),
            Some(ms) => format!("{} ago", span(ms)),
            None => "never".to_owned(),
        };
        let link = if member.linked { "up" } else { "-" };
        let runs: Vec<String> = member
            .installed
            .iter()
            .map(|installed| {
                let name = names.get(&installed.rollout).cloned();
                let name = name.unwrap_or_else(|| installed.rollout.0.short());
                if installed.healthy { name } else { format!("{name} (UNHEALTHY)") }
            })
            .collect();
        [
            member.enrolment.node.short(),
            member.enrolment.zone.clone(),
            member.enrolment.ring.clone(),
            heard,
            link.to_owned(),
            runs.join(", "),
        ]
    };
    let rows: Vec<[String; 6]> = status.members.iter().take(most).map(row).collect();
    let mut text = table(screen, ["MEMBER", "ZONE", "RING", "HEARD", "LINK", "RUNS"], &rows);
    let more = status.members.len().saturating_sub(most);
    if more > 0 {
        let _ = writeln!(text, "{}", screen.faint(&format!("and {more} more: --all shows them")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::digest::Digest;
    use groundswell_protocol::transfer::egress::EgressReport;

    use crate::control::api::CourtesyView;

    #[test]
    fn budgets_are_said_with_what_is_left_or_what_went_beyond() {
        let budget = EgressReport {
            release: Digest([0xab; 32]),
            permille: 1_050,
            payload_bytes: 2_000_000,
            distinct_bytes: 2_000_000,
            sent_bytes: 2_060_000,
            left_bytes: 40_000,
            beyond_bytes: 0,
            referred: 3,
        };
        let spent = EgressReport { sent_bytes: 2_110_000, left_bytes: 0, beyond_bytes: 10_000, ..budget };
        let words =
            swarm(&SwarmView { egress: vec![budget, spent], ..SwarmView::default() }, Screen::new(true));
        let lines: Vec<&str> = words.lines().collect();
        assert_eq!(
            lines,
            [
                "egress  abababab   sent 2.06 MB of 2.00 MB, 1.03 copies   budget 1.05x, 40.0 kB left",
                "egress  abababab   sent 2.11 MB of 2.00 MB, 1.055 copies   budget 1.05x, 10.0 kB beyond it, \
                 because nobody else could be asked for them",
            ]
        );
    }

    #[test]
    fn what_others_leave_of_the_line_is_said_where_the_agent_yields() {
        let say = |others_send, bytes_per_second| {
            let courtesy = Some(CourtesyView { others_send, bytes_per_second });
            swarm(&SwarmView { courtesy, ..SwarmView::default() }, Screen::new(true))
        };
        assert_eq!(
            say(true, Some(209_000)),
            "yields  other programs send   209 kB a second left to pieces\n"
        );
        assert_eq!(
            say(false, Some(3_900_000)),
            "yields  no other program sends   3.90 MB a second left to pieces\n"
        );
        assert!(say(false, None).contains("name it with transfer.interface"));
        assert_eq!(swarm(&SwarmView::default(), Screen::new(true)), "");
    }

    #[test]
    fn the_guarantee_is_said_for_every_size() {
        let say = |jurors| guarantee(&Quorum::of(jurors));
        assert_eq!(say(1), "1 juror: local revert only, nobody else judges");
        assert_eq!(say(2), "2 jurors: both needed");
        assert_eq!(say(3), "3 jurors, 2 must agree: one crash is borne, no liar");
        assert_eq!(say(5), "5 jurors, 4 must agree: one liar or crash is borne");
        assert_eq!(say(12), "12 jurors, 8 must agree: 3 may lie, 4 may be gone");
    }
}
