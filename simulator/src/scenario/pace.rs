//! A plan as scenario files write it: the protocol's, with units, and with one probe.

use groundswell_protocol::trust::plan::{Plan, Rung};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::words::{Count, Milliseconds, Permille, Seconds, Written};

/// The plan of simulated releases: waves at the pace of a demonstration, the protocol's own defaults for the rest.
pub fn plan() -> Plan {
    Plan {
        ladder: vec![
            Rung::Nodes(1),
            Rung::Nodes(4),
            Rung::Nodes(16),
            Rung::Permille(500),
            Rung::Permille(1000),
        ],
        bake_s: 4,
        stage_s: 60,
        trial_s: 5,
        hold_s: 600,
        revert_spread_s: 5,
        probes: vec![probe()],
        ..Plan::default()
    }
}

fn probe() -> Probe {
    Probe {
        action: ProbeAction::Http { port: 0, path: "/health".to_owned() },
        initial_delay_ms: 200,
        period_ms: 500,
        timeout_ms: 200,
        success_threshold: 1,
        failure_threshold: 2,
    }
}

/// The file's form. What is left out is as in [`plan`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Pace {
    ladder: Vec<Count>,
    #[serde(with = "Written::<Seconds>")]
    bake: u32,
    #[serde(with = "Written::<Seconds>")]
    stage: u32,
    #[serde(with = "Written::<Seconds>")]
    trial: u32,
    #[serde(with = "Written::<Seconds>")]
    hold: u32,
    #[serde(with = "Written::<Permille>")]
    hold_share: u16,
    #[serde(with = "Written::<Permille>")]
    stop_share: u16,
    #[serde(with = "Written::<Seconds>")]
    revert_spread: u32,
    #[serde(with = "Written::<Milliseconds>")]
    beacon: u32,
    probe: Option<Probing>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Probing {
    #[serde(with = "Written::<Milliseconds>")]
    delay: u32,
    #[serde(with = "Written::<Milliseconds>")]
    every: u32,
    #[serde(with = "Written::<Milliseconds>")]
    timeout: u32,
    passes: u32,
    failures: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self::from(&plan())
    }
}

impl Default for Probing {
    fn default() -> Self {
        Self::from(&probe())
    }
}

impl From<&Probe> for Probing {
    fn from(probe: &Probe) -> Self {
        Self {
            delay: probe.initial_delay_ms,
            every: probe.period_ms,
            timeout: probe.timeout_ms,
            passes: probe.success_threshold,
            failures: probe.failure_threshold,
        }
    }
}

impl From<&Plan> for Pace {
    fn from(plan: &Plan) -> Self {
        let rung = |rung: &Rung| match *rung {
            Rung::Nodes(nodes) => Count::Number(nodes),
            Rung::Permille(permille) => Count::Permille(permille.into()),
        };
        Self {
            ladder: plan.ladder.iter().map(rung).collect(),
            bake: plan.bake_s,
            stage: plan.stage_s,
            trial: plan.trial_s,
            hold: plan.hold_s,
            hold_share: plan.hold_permille,
            stop_share: plan.stop_permille,
            revert_spread: plan.revert_spread_s,
            beacon: plan.beacon_ms,
            probe: plan.probes.first().map(Probing::from),
        }
    }
}

impl From<Pace> for Plan {
    fn from(pace: Pace) -> Self {
        let rung = |count: Count| match count {
            Count::Number(nodes) => Rung::Nodes(nodes),
            Count::Permille(permille) => Rung::Permille(u16::try_from(permille).unwrap_or(u16::MAX)),
        };
        let probed = |probing: Probing| Probe {
            initial_delay_ms: probing.delay,
            period_ms: probing.every,
            timeout_ms: probing.timeout,
            success_threshold: probing.passes,
            failure_threshold: probing.failures,
            ..probe()
        };
        Self {
            ladder: pace.ladder.into_iter().map(rung).collect(),
            bake_s: pace.bake,
            stage_s: pace.stage,
            trial_s: pace.trial,
            hold_s: pace.hold,
            hold_permille: pace.hold_share,
            stop_permille: pace.stop_share,
            revert_spread_s: pace.revert_spread,
            beacon_ms: pace.beacon,
            probes: pace.probe.into_iter().map(probed).collect(),
            ..plan()
        }
    }
}

/// Writes a plan in the file's form.
///
/// # Errors
/// The serializer's.
pub(super) fn serialize<S: Serializer>(plan: &Plan, serializer: S) -> Result<S::Ok, S::Error> {
    Pace::from(plan).serialize(serializer)
}

/// Reads a plan in the file's form.
///
/// # Errors
/// When it has unknown words or no such quantities.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Plan, D::Error> {
    Pace::deserialize(deserializer).map(Plan::from)
}
