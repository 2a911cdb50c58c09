//! What runs in a slot, and what its probes find: the ground truth of health.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::{Health, HealthNumbers, HealthReport};
use groundswell_protocol::trust::probe::Probe;
use serde::{Deserialize, Serialize};

use crate::generator::mix;
use crate::scenario::words::{Milliseconds, Permille, Written};
use crate::world::links::ClassName;
use crate::world::queue::Moment;

/// What a release does to machines that run it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthLaw {
    /// It works.
    #[default]
    Good,
    /// It fails so many milliseconds after each activation.
    FailsAfter(#[serde(with = "Written::<Milliseconds>")] u64),
    /// It fails at once on so many of 1,000 machines, always the same ones.
    FailsOn(#[serde(with = "Written::<Permille>")] u32),
    /// It takes the machine down so many milliseconds after each activation or start; the machine
    /// comes back by itself.
    CrashesHost(#[serde(with = "Written::<Milliseconds>")] u64),
    /// It fails at once and spoils what older versions need: after it nothing is healthy on the machine.
    SpoilsState,
    /// It does not start at all: the switch fails, and what ran before runs again.
    FailsAtBoot,
    /// It uses up what it needs, on each machine at its own pace: it fails between so many milliseconds and
    /// twice as many after each start. A restart helps for as long.
    Leaks(#[serde(with = "Written::<Milliseconds>")] u64),
    /// It fails at once on every machine of a class, and on no other.
    FailsOnClass(ClassName),
    /// It fails at once, and says that it is healthy: no probe sees it.
    Lies,
}

/// What a release is like on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it does its work.
    pub works: bool,
    /// Whether its probes pass.
    pub shows_healthy: bool,
}

impl HealthLaw {
    /// What a service of this law is like on a machine of a class, so many milliseconds after it started.
    pub fn condition(self, machine: u32, class: &str, milliseconds: u64) -> Condition {
        let works = match self {
            Self::Good | Self::CrashesHost(_) => true,
            Self::FailsAfter(after) => milliseconds < after,
            Self::FailsOn(permille) => mix(u64::from(machine)) % 1000 >= u64::from(permille),
            Self::Leaks(after) => milliseconds < after + mix(u64::from(machine) + 1) % after.max(1),
            Self::FailsOnClass(bad) => class != bad.as_str(),
            Self::SpoilsState | Self::FailsAtBoot | Self::Lies => false,
        };
        Condition { works, shows_healthy: works || self == Self::Lies }
    }
}

/// The probing of one component; dies with the agent.
#[derive(Debug)]
pub struct Probing {
    /// Tells ticks of this probing from those of earlier ones.
    pub serial: u64,
    /// The slot's tree when the probing began.
    pub tree: Digest,
    /// Milliseconds from one try to the next.
    pub period: u64,
    probes: Vec<Probe>,
    since: Moment,
    passed: u32,
    failed: u32,
    failed_in_a_row: u32,
    passed_in_a_row: u32,
    verdict: Health,
    reported: Option<(Moment, Health)>,
}

/// Fresh numbers of an unchanged verdict are reported this often.
const REPORT_AGAIN_MILLISECONDS: u64 = 10_000;
/// Period for a component without probes: it is healthy when it runs.
const NO_PROBE_PERIOD: u64 = 1_000;

impl Probing {
    /// Probing of `tree`, from `now` on.
    pub fn new(serial: u64, now: Moment, tree: Digest, probes: Vec<Probe>) -> Self {
        let period = probes.iter().map(|p| u64::from(p.period_ms)).min().unwrap_or(NO_PROBE_PERIOD);
        Self {
            serial,
            tree,
            period: period.max(1),
            probes,
            since: now,
            passed: 0,
            failed: 0,
            failed_in_a_row: 0,
            passed_in_a_row: 0,
            verdict: Health::Unknown,
            reported: None,
        }
    }

    /// When the first try is due.
    pub fn first_try(&self) -> Moment {
        let delay = self.probes.iter().map(|p| u64::from(p.initial_delay_ms)).max().unwrap_or(0);
        self.since.after_milliseconds(delay.max(50))
    }

    /// One try. Returns a report if there is something to say.
    pub fn try_once(&mut self, now: Moment, works: bool) -> Option<HealthReport> {
        if works {
            self.passed += 1;
            self.passed_in_a_row += 1;
            self.failed_in_a_row = 0;
        } else {
            self.failed += 1;
            self.failed_in_a_row += 1;
            self.passed_in_a_row = 0;
        }
        let needed = |of: fn(&Probe) -> u32| self.probes.iter().map(of).max().unwrap_or(1).max(1);
        if self.failed_in_a_row >= needed(|p| p.failure_threshold) {
            self.verdict = Health::Unhealthy;
        } else if self.passed_in_a_row >= needed(|p| p.success_threshold) {
            self.verdict = Health::Healthy;
        }
        let due = self.reported.is_none_or(|(at, verdict)| {
            verdict != self.verdict || now.milliseconds_since(at) >= REPORT_AGAIN_MILLISECONDS
        });
        due.then(|| self.report(now))
    }

    fn report(&mut self, now: Moment) -> HealthReport {
        self.reported = Some((now, self.verdict));
        let after = now.milliseconds_since(self.since);
        HealthReport {
            health: self.verdict,
            numbers: HealthNumbers {
                passed: self.passed,
                failed: self.failed,
                failed_in_a_row: self.failed_in_a_row,
                restarts: 0,
                slowest_micros: 900,
                after_ms: u32::try_from(after).unwrap_or(u32::MAX),
            },
            note: match self.verdict {
                Health::Unhealthy => format!("GET /health answered 500 {} times", self.failed_in_a_row),
                Health::Healthy | Health::Unknown => String::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_bad_on_the_machines_and_at_the_times_that_it_says() {
        let works = |law: HealthLaw, machine, at| law.condition(machine, "edge", at).works;
        assert!(works(HealthLaw::Good, 1, u64::MAX));
        assert!(works(HealthLaw::FailsAfter(5), 1, 4) && !works(HealthLaw::FailsAfter(5), 1, 5));
        let class = |name| HealthLaw::FailsOnClass(ClassName::new(name).expect("a good name"));
        assert!(!works(class("edge"), 1, 0) && works(class("server"), 1, 0));
        let bad = (0..1000).filter(|machine| !works(HealthLaw::FailsOn(200), *machine, 0)).count();
        assert!((150..250).contains(&bad), "{bad}");
        let fails_at =
            |machine| (0..).find(|at| !works(HealthLaw::Leaks(100), machine, *at)).expect("it leaks");
        let times: Vec<u64> = (0..50).map(fails_at).collect();
        assert!(times.iter().all(|at| (100..200).contains(at)) && times.iter().any(|at| *at != times[0]));
    }

    #[test]
    fn only_a_liar_shows_other_than_it_is() {
        assert_eq!(HealthLaw::Lies.condition(1, "", 0), Condition { works: false, shows_healthy: true });
        for law in [HealthLaw::Good, HealthLaw::SpoilsState, HealthLaw::FailsAfter(3), HealthLaw::Leaks(9)] {
            for at in [0, 5, 50] {
                let Condition { works, shows_healthy } = law.condition(3, "", at);
                assert_eq!(works, shows_healthy);
            }
        }
    }
}
