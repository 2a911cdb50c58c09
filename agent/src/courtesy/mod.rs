//! Other programs of this machine come first: while they send, the agent sends little.
//!
//! One door: [`Courtesy::begin`]. Twenty times a second it compares what the machine's line has sent with what the agent's own
//! links have sent; the rest is what others send. `decision` turns that into a cap beside the operator's own. `line` reads the kernel's counters.
//!
//! Deliberately absent: what is received, for which an operator has a cap; and other machines behind the same router, whose
//! traffic no counter here shows.

mod decision;
mod line;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use decision::{Decision, Look};
pub use line::Line;

/// How often the line is looked at while pieces move.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// And while none do: an agent at rest hardly wakes.
const LOOK_EVERY_AT_REST: Duration = Duration::from_secs(1);
/// Pieces count as moving until so long after the last.
const MOVING: Duration = Duration::from_secs(3);
/// A cap is told anew when it changed by more than one part in so many.
const CHANGE_PART: u64 = 50;

/// What the agent has moved since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Bytes that its links have sent, all protocols.
    pub sent_bytes: u64,
    /// Bytes that its links have received, all protocols.
    pub received_bytes: u64,
    /// Payload of pieces that were sent.
    pub uploaded_bytes: u64,
}

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the agent may send, in bytes a second; none while the line is not there, or is not the one that pieces leave by.
    pub bytes_per_second: Option<u64>,
    /// Whether others send.
    pub others_send: bool,
}

/// The watch over the line. It ends when this is dropped, and what was told last stays.
pub struct Courtesy {
    standing: watch::Receiver<Standing>,
    _watch: JoinSet<()>,
}

impl Courtesy {
    /// Watches `line`. `own` says what the agent has moved; `tell` is told, whenever that has changed, how many bytes a
    /// second of pieces may be sent (none: as many as can be), and says whether it has taken it.
    pub fn begin(
        line: Line,
        own: impl Fn() -> Own + Send + Sync + 'static,
        tell: impl Fn(Option<u64>) -> bool + Send + 'static,
    ) -> Self {
        let (stands, standing) = watch::channel(Standing::default());
        let mut watch = JoinSet::new();
        watch.spawn(watch_over(line, own, tell, stands));
        Self { standing, _watch: watch }
    }

    /// How things stand now.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }
}

async fn watch_over(
    line: Line,
    own: impl Fn() -> Own,
    tell: impl Fn(Option<u64>) -> bool,
    stands: watch::Sender<Standing>,
) {
    let see = move || Seen { at: Instant::now(), line_bytes: line.sent_bytes(), own: own() };
    let (mut decision, mut before) = (Decision::default(), see());
    let (mut told, mut moved_at) = (None, None);
    let mut pace = tokio::time::interval(LOOK_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if moved_at.is_none_or(|at: Instant| at.elapsed() > MOVING) {
            tokio::time::sleep(LOOK_EVERY_AT_REST).await;
        } else {
            pace.tick().await;
        }
        let now = see();
        if now.own.uploaded_bytes != before.own.uploaded_bytes {
            moved_at = Some(now.at);
        }
        // While the line is not there nobody can be in the way.
        let cap = now.since(&before).and_then(|look| decision.look(look));
        before = now;
        stands.send_replace(Standing { bytes_per_second: cap, others_send: decision.others_send_now() });
        if differs(told, cap) && tell(cap) {
            tracing::trace!(bytes_per_second = cap, "Others leave another part of the line.");
            told = cap;
        }
    }
}

/// What the counters say at one moment.
struct Seen {
    at: Instant,
    line_bytes: Option<u64>,
    own: Own,
}

impl Seen {
    /// What happened since an earlier look, if the line was there at both.
    fn since(&self, earlier: &Self) -> Option<Look> {
        Some(Look {
            passed: self.at - earlier.at,
            line_bytes: self.line_bytes?.saturating_sub(earlier.line_bytes?),
            own_sent_bytes: self.own.sent_bytes.saturating_sub(earlier.own.sent_bytes),
            own_received_bytes: self.own.received_bytes.saturating_sub(earlier.own.received_bytes),
        })
    }
}

fn differs(told: Option<u64>, cap: Option<u64>) -> bool {
    match (told, cap) {
        (Some(told), Some(cap)) => told.abs_diff(cap) > told / CHANGE_PART,
        (told, cap) => told != cap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_a_line_nothing_is_held_back() {
        let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
        let line = Line::new(Some("no such interface".to_owned()));
        let courtesy = Courtesy::begin(line, Own::default, move |cap| told.send(cap).is_ok());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(hear.try_recv().is_err(), "nothing was ever said");
        assert_eq!(courtesy.standing(), Standing::default());
        drop(courtesy);
        assert!(hear.recv().await.is_none(), "the watch has ended");
    }

    #[test]
    fn a_cap_is_told_when_it_changed_by_more_than_a_fiftieth() {
        assert!(!differs(None, None) && differs(None, Some(1)) && differs(Some(1), None));
        assert!(!differs(Some(1_000), Some(1_020)) && differs(Some(1_000), Some(1_021)));
    }
}
