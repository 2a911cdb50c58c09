//! What the story says of a fault: one line when it begins, one when it ends.

use crate::report::trace::PARTITION;
use crate::scenario::{ClockFault, CrashPoint, DiskFault, Fault, Whom};

/// Machines that a line names one by one; of more it says how many.
const NAMED_MAX: usize = 6;

/// A time for people.
fn time(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) {
        format!("{} s", milliseconds / 1000)
    } else {
        format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
    }
}

fn machines(who: &[u32]) -> String {
    match who {
        [] => "no machine".to_owned(),
        [one] => format!("machine {one}"),
        few if few.len() <= NAMED_MAX => {
            format!("machines {}", few.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
        }
        many => format!("{} machines", many.len()),
    }
}

fn others(to: &Whom, rest: &str) -> String {
    if to.is_empty() { rest.to_owned() } else { to.to_string() }
}

/// Its lane on the page of a run.
pub(super) fn lane(fault: &Fault) -> &'static str {
    match fault {
        Fault::Cut { .. } => PARTITION,
        Fault::Clog { .. } => "clog",
        Fault::Weather { .. } => "weather",
        Fault::BadDisk { .. } => "disk",
        Fault::BadClock { .. } => "clock",
        Fault::Freeze { .. } => "freeze",
        Fault::Wipe { .. } => "wipe",
        Fault::Churn { .. } | Fault::Attrition { .. } => "churn",
        Fault::CrashPoint { .. } => "trap",
        Fault::OtherVersion { .. } => "version",
        Fault::Eclipse { .. } => "eclipse",
    }
}

/// The line for its beginning.
pub(super) fn begins(fault: &Fault, who: &[u32]) -> String {
    let (they, lasts) = (machines(who), time(fault.lasts()));
    let named = |whom: &Whom| if who.len() > NAMED_MAX { format!("{they} ({whom})") } else { they.clone() };
    match fault {
        Fault::Cut { from, to, one_way: true, .. } => {
            format!("{}: what they send to {} is lost for {lasts}", named(from), others(to, "all others"))
        }
        Fault::Cut { from, to, .. } => {
            format!("{}: cut off from {} for {lasts}", named(from), others(to, "all others"))
        }
        Fault::Clog { who, to, .. } => {
            format!("{}: frames between them and {} wait for {lasts}", named(who), others(to, "all"))
        }
        Fault::Weather { who, .. } => format!("{}: bad weather on their links for {lasts}", named(who)),
        Fault::BadDisk { who, how, .. } => {
            let what = match how {
                DiskFault::Refuses => "refuse writes".to_owned(),
                DiskFault::Full => "are full".to_owned(),
                DiskFault::Slow(times) => format!("take {times} times as long"),
                DiskFault::Forgets => "call durable what is not".to_owned(),
            };
            format!("{}: disks {what} for {lasts}", named(who))
        }
        Fault::BadClock { who, how, .. } => {
            let what = match how {
                ClockFault::Drift(gained) => format!("clocks drift by {gained} microseconds a second"),
                ClockFault::WallAhead(by) => format!("clocks on the wall are {} ahead", time(*by)),
                ClockFault::WallBehind(by) => format!("clocks on the wall are {} behind", time(*by)),
                ClockFault::Leap(by) => format!("monotonic clocks leap forward by {}", time(*by)),
            };
            format!("{}: {what}, for {lasts}", named(who))
        }
        Fault::Freeze { who, .. } => format!("{}: stand still for {lasts}", named(who)),
        Fault::Wipe { who, .. } => format!("{}: lose power and disk, back in {lasts}", named(who)),
        Fault::Churn { who, every, .. } => {
            format!("{}: every {} one goes and comes back, for {lasts}", named(who), time(*every))
        }
        Fault::Attrition { who, every, .. } => {
            format!("{}: every {} one goes for good, for {lasts}", named(who), time(*every))
        }
        Fault::CrashPoint { who, point, nth, .. } => {
            let point = match point {
                CrashPoint::BeforePersist => "before they ask the disk",
                CrashPoint::InCommit => "in a commit",
                CrashPoint::AfterCommit => "right after a commit",
                CrashPoint::BeforeSwitch => "before they switch",
                CrashPoint::AfterSwitch => "right after they switched",
            };
            format!("{}: will lose power {point}, time {nth}, within {lasts}", named(who))
        }
        Fault::OtherVersion { who, .. } => {
            format!("{}: their frames have another version for {lasts}", named(who))
        }
        Fault::Eclipse { who, .. } => format!("{}: surrounded by liars for {lasts}", named(who)),
    }
}

/// The line for its end, unless nothing ends that could be seen.
pub(super) fn ends(fault: &Fault) -> Option<String> {
    Some(match fault {
        Fault::Cut { from, .. } => format!("the cut around {from} ends"),
        Fault::Clog { who, .. } => format!("the clog around {who} ends: what waited arrives"),
        Fault::Weather { who, .. } => format!("the weather around {who} clears up"),
        Fault::BadDisk { who, .. } => format!("the disks are well again ({who})"),
        Fault::BadClock { who, .. } => format!("the clocks go right again ({who})"),
        Fault::Freeze { who, .. } => format!("they go on ({who})"),
        Fault::Churn { who, .. } => format!("no more coming and going ({who})"),
        Fault::Attrition { who, .. } => format!("nobody else goes for good ({who})"),
        Fault::OtherVersion { who, .. } => format!("{who}: the version of all others again"),
        Fault::Eclipse { who, .. } => format!("{who}: no longer surrounded"),
        Fault::Wipe { .. } | Fault::CrashPoint { .. } => return None,
    })
}
