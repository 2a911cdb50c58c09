//! What the demo promises, held against what it measured.

use serde::Serialize;

use super::json::{Outcome, ReleaseReport, Report};
use super::narrator::bytes;

/// Copies of the payload that the publisher's agent sends at most.
const PUBLISHER_COPIES_MAX: u64 = 2;
/// What surrounds the payload: the hand-over is counted in whole pieces of 64 KiB.
const PIECE_BYTES: u64 = 64 * 1024;
/// From the hand-over to the last confirmation, seconds, in a fleet of up to [`SMALL_FLEET`].
const RELEASE_SECONDS_MAX: f64 = 20.0;
/// The fleet that the times are promised for.
const SMALL_FLEET: usize = 12;
/// From the first failing probe to the failing node being back, seconds.
const REVERT_SECONDS_MAX: f64 = 1.0;
/// From the first failing probe to all nodes being back and the release stopped, seconds.
const ROLLBACK_SECONDS_MAX: f64 = 8.0;
/// From the leader's death to the next one's proposal, seconds.
const FAILOVER_SECONDS_MAX: f64 = 5.0;
/// Memory of an agent without a live rollout.
const IDLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The whole demo, seconds.
const DEMO_SECONDS_MAX: f64 = 90.0;

/// A promise and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Promise {
    /// What is promised.
    pub(super) what: String,
    /// How much of it.
    pub(super) promised: String,
    /// What was measured.
    pub(super) measured: String,
    /// Whether it was kept.
    pub(super) kept: bool,
}

/// What the demo was about, where the figures alone do not tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Nodes that may run a bad release before it stops: one, or two where one liar must not stop it.
    pub(super) exposed_max: usize,
    /// Whether a leader was killed.
    pub(super) leader_killed: bool,
    /// Whether the trees are the demo's own: of others nobody knows how long they take.
    pub(super) own_trees: bool,
}

/// Judges a report.
pub(super) fn judge(report: &Report, terms: Terms) -> Vec<Promise> {
    let mut promises = Vec::new();
    let timed = terms.own_trees && report.nodes <= SMALL_FLEET;
    for release in &report.releases {
        match release.version.as_str() {
            "3.0" => judge_bad(release, terms, &mut promises),
            "2.0" => {
                judge_good(release, report.nodes, &mut promises);
                if timed {
                    promises.push(within(
                        "2.0 from its hand-over to the last node's confirmation",
                        RELEASE_SECONDS_MAX,
                        release.seconds,
                    ));
                }
            }
            _ => judge_good(release, report.nodes, &mut promises),
        }
    }
    if terms.leader_killed {
        let seconds = report.leader_failover_seconds;
        promises.push(within("a killed leader is replaced", FAILOVER_SECONDS_MAX, seconds));
    }
    promises.push(Promise {
        what: "memory of an idle agent".to_owned(),
        promised: format!("under {}", bytes(IDLE_BYTES_MAX)),
        measured: bytes(report.agent_idle_rss_bytes_max),
        kept: (1..IDLE_BYTES_MAX).contains(&report.agent_idle_rss_bytes_max),
    });
    if timed {
        promises.push(within("the whole demo", DEMO_SECONDS_MAX, Some(report.seconds)));
    }
    promises
}

fn judge_good(release: &ReleaseReport, nodes: usize, promises: &mut Vec<Promise>) {
    let version = &release.version;
    promises.push(Promise {
        what: format!("{version} completes"),
        promised: format!("on {nodes} of {nodes} nodes"),
        measured: format!("{}, ran on {}", words(release.outcome), release.nodes_exposed),
        kept: release.outcome == Outcome::Completed,
    });
    if release.requests_served + release.requests_failed > 0 {
        promises.push(Promise {
            what: format!("no request fails during {version}"),
            promised: "0 failed".to_owned(),
            measured: requests(release.requests_failed, release),
            kept: release.requests_failed == 0,
        });
    }
    let payload = release.delta_bytes.unwrap_or(release.full_bytes).div_ceil(PIECE_BYTES) * PIECE_BYTES;
    promises.push(Promise {
        what: format!("the publisher's agent sends few copies of {version}"),
        promised: format!("at most {PUBLISHER_COPIES_MAX} x {}", bytes(payload)),
        measured: bytes(release.publisher_bytes),
        kept: release.publisher_bytes <= payload * PUBLISHER_COPIES_MAX,
    });
}

fn judge_bad(release: &ReleaseReport, terms: Terms, promises: &mut Vec<Promise>) {
    let version = &release.version;
    promises.push(Promise {
        what: format!("{version} is caught and rolled back"),
        promised: format!("at most {} nodes ever run it", terms.exposed_max),
        measured: format!("{}, ran on {}", words(release.outcome), release.nodes_exposed),
        kept: release.outcome == Outcome::RolledBack
            && (1..=terms.exposed_max).contains(&release.nodes_exposed),
    });
    promises.push(within(
        "from the first failing probe to that node being back",
        REVERT_SECONDS_MAX,
        release.revert_seconds,
    ));
    promises.push(within(
        "from there to every node back and the release stopped",
        ROLLBACK_SECONDS_MAX,
        release.rollback_seconds,
    ));
    if release.requests_served + release.requests_failed > 0 {
        promises.push(Promise {
            what: format!("no request fails where {version} never ran"),
            promised: "0 failed".to_owned(),
            measured: requests(release.requests_failed_elsewhere, release),
            kept: release.requests_failed_elsewhere == 0,
        });
    }
}

fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::RolledBack => "rolled back",
        Outcome::Unfinished => "unfinished",
    }
}

fn requests(failed: u64, release: &ReleaseReport) -> String {
    let of = release.requests_served + release.requests_failed;
    match &release.request_failure {
        Some(why) if failed > 0 => format!("{failed} of {of}: {why}"),
        _ => format!("{failed} of {of}"),
    }
}

fn within(what: &str, most: f64, measured: Option<f64>) -> Promise {
    Promise {
        what: what.to_owned(),
        promised: format!("under {most} s"),
        measured: measured.map_or("never".to_owned(), |seconds| format!("{seconds:.1} s")),
        kept: measured.is_some_and(|seconds| seconds < most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, outcome: Outcome) -> ReleaseReport {
        ReleaseReport {
            version: version.to_owned(),
            outcome,
            waves: Vec::new(),
            seconds: Some(15.0),
            full_bytes: 4_000_000,
            delta_bytes: Some(300_000),
            publisher_bytes: 400_000,
            peer_bytes: 3_000_000,
            nodes_exposed: 2,
            revert_seconds: Some(0.4),
            rollback_seconds: Some(3.0),
            requests_served: 900,
            requests_failed: 0,
            requests_failed_elsewhere: 0,
            request_failure: None,
        }
    }

    fn good() -> Report {
        Report {
            nodes: 12,
            releases: vec![
                release("2.0", Outcome::Completed),
                ReleaseReport { requests_failed: 70, ..release("3.0", Outcome::RolledBack) },
                release("4.0", Outcome::Completed),
            ],
            leader_failover_seconds: Some(3.5),
            agent_idle_rss_bytes_max: 30_000_000,
            seconds: 60.0,
            ..Report::default()
        }
    }

    const TERMS: Terms = Terms { exposed_max: 2, leader_killed: true, own_trees: true };

    fn broken(report: &Report) -> Vec<String> {
        judge(report, TERMS).into_iter().filter(|promise| !promise.kept).map(|promise| promise.what).collect()
    }

    #[test]
    fn failures_where_the_bad_release_ran_break_no_promise() {
        assert_eq!(broken(&good()), Vec::<String>::new());
    }

    #[test]
    fn each_promise_can_be_broken() {
        type Break = fn(&mut Report);
        let breaks: [(Break, &str); 10] = [
            (|r| r.releases[0].outcome = Outcome::Unfinished, "completes"),
            (|r| r.releases[2].requests_failed = 1, "during 4.0"),
            (|r| r.releases[0].publisher_bytes = 700_000, "few copies"),
            (|r| r.releases[0].seconds = Some(20.0), "last node"),
            (|r| r.releases[1].nodes_exposed = 3, "caught"),
            (|r| r.releases[1].revert_seconds = None, "that node being back"),
            (|r| r.releases[1].rollback_seconds = Some(8.1), "stopped"),
            (|r| r.releases[1].requests_failed_elsewhere = 1, "never ran"),
            (|r| r.leader_failover_seconds = None, "leader"),
            (|r| r.agent_idle_rss_bytes_max = IDLE_BYTES_MAX, "memory"),
        ];
        for (damage, word) in breaks {
            let mut report = good();
            damage(&mut report);
            let broken = broken(&report);
            assert!(broken.len() == 1 && broken[0].contains(word), "{word}: {broken:?}");
        }
    }
}
