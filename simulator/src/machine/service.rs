//! What runs in a slot, and what its probes find: the ground truth of health.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::{Health, HealthNumbers, HealthReport};
use groundswell_protocol::trust::probe::Probe;
use serde::{Deserialize, Serialize};

use crate::generator::mix;
use crate::scenario::words::{Milliseconds, Permille, Written};
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
}

impl HealthLaw {
    /// Whether a service of this law works on a machine, so many milliseconds after it started.
    pub fn works(self, machine: u32, milliseconds: u64) -> bool {
        match self {
            Self::Good | Self::CrashesHost(_) => true,
            Self::FailsAfter(after) => milliseconds < after,
            Self::FailsOn(permille) => mix(u64::from(machine)) % 1000 >= u64::from(permille),
            Self::SpoilsState => false,
        }
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
