//! How the demo's releases go live: the product's own rules with times that a person can watch.

use groundswell_protocol::trust::plan::{Plan, Rung};
use groundswell_protocol::trust::probe::{Probe, ProbeAction};

/// From the start of the bad version to its first failed answer.
pub(super) const FAIL_AFTER_MS: u64 = 700;
/// Times of a plan with its waves, its trial and its probes.
const STAGE_S: u32 = 30;
const HOLD_S: u32 = 90;
const REVERT_SPREAD_S: u32 = 2;
const BEACON_MS: u32 = 1_000;
/// A service is asked ten times a second, and three failures in a row are enough.
const HTTP_PERIOD_MS: u32 = 100;
const HTTP_FAILURES: u32 = 3;
/// A command costs more, and says clearly what it finds.
const EXEC_PERIOD_MS: u32 = 1_000;
const EXEC_TIMEOUT_MS: u32 = 30_000;

/// What healthy means for the demo's own service.
pub(super) fn service_probes() -> Vec<Probe> {
    vec![Probe {
        period_ms: HTTP_PERIOD_MS,
        failure_threshold: HTTP_FAILURES,
        ..Probe::new(ProbeAction::Http { port: 0, path: "/health".to_owned() })
    }]
}

/// What healthy means for a tree of the user's: the command ends well inside it.
pub(super) fn command_probes(command: &str) -> Vec<Probe> {
    let command = ["/bin/sh", "-c", command].map(str::to_owned).to_vec();
    vec![Probe {
        period_ms: EXEC_PERIOD_MS,
        timeout_ms: EXEC_TIMEOUT_MS,
        failure_threshold: 1,
        ..Probe::new(ProbeAction::Exec { command })
    }]
}

/// The first version, on all nodes as fast as the jury can: there is nothing yet to be careful about.
pub(super) fn installation(probes: Vec<Probe>) -> Plan {
    Plan { ladder: vec![Rung::Permille(1_000)], trial_s: 1, ..waves(probes) }
}

/// One canary, two more, then everybody; two seconds of trial each.
pub(super) fn waves(probes: Vec<Probe>) -> Plan {
    Plan {
        ladder: vec![Rung::Nodes(1), Rung::Nodes(3), Rung::Permille(1_000)],
        bake_s: 0,
        stage_s: STAGE_S,
        trial_s: 2,
        hold_s: HOLD_S,
        revert_spread_s: REVERT_SPREAD_S,
        beacon_ms: BEACON_MS,
        probes,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_are_within_their_bounds() {
        for probes in [service_probes(), command_probes("./bin/tool --version"), Vec::new()] {
            assert_eq!(waves(probes.clone()).check(), Ok(()));
            assert_eq!(installation(probes).check(), Ok(()));
        }
        assert_eq!(waves(Vec::new()).targets(12), [1, 3, 12]);
        assert_eq!(waves(Vec::new()).targets(1), [1]);
    }

    #[test]
    fn the_bad_version_fails_inside_its_trial() {
        let failing = u64::from(HTTP_PERIOD_MS * HTTP_FAILURES) + FAIL_AFTER_MS;
        assert!(failing < u64::from(waves(Vec::new()).trial_s) * 1_000);
    }
}
