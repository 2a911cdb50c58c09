//! From single tries to a verdict: thresholds, counted in a row. No clock, no IO.

use groundswell_protocol::facts::health::Health;
use groundswell_protocol::trust::probe::Probe;

/// One probe's tries so far.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    success_threshold: u32,
    failure_threshold: u32,
    successes: u32,
    failures: u32,
    verdict: Health,
    failure: String,
}

impl Tally {
    /// No try yet.
    pub(super) fn new(probe: &Probe) -> Self {
        Self {
            success_threshold: probe.success_threshold,
            failure_threshold: probe.failure_threshold,
            successes: 0,
            failures: 0,
            verdict: Health::Unknown,
            failure: String::new(),
        }
    }

    /// Counts a success.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.successes >= self.success_threshold {
            self.verdict = Health::Healthy;
        }
    }

    /// Counts a failure and remembers why.
    pub(super) fn failed(&mut self, why: String) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        self.failure = why;
        if self.failures >= self.failure_threshold {
            self.verdict = Health::Unhealthy;
        }
    }

    /// Failures in a row up to now.
    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.failures
    }

    fn complaint(&self) -> String {
        match self.failures {
            // Passing again, but not often enough yet.
            0 => {
                format!("{}; {} of {} successes since", self.failure, self.successes, self.success_threshold)
            }
            1 => self.failure.clone(),
            failures => format!("{}, {failures} times in a row", self.failure),
        }
    }
}

/// The verdict of all probes together: the worst, and "not known yet" is worse than healthy.
pub(super) fn verdict(tallies: &[Tally]) -> Health {
    let worst = |health| tallies.iter().any(|tally| tally.verdict == health);
    if worst(Health::Unhealthy) {
        Health::Unhealthy
    } else if worst(Health::Unknown) {
        Health::Unknown
    } else {
        Health::Healthy
    }
}

/// The verdict in words.
pub(super) fn explanation(tallies: &[Tally]) -> String {
    if let Some(failing) = tallies.iter().find(|tally| tally.verdict == Health::Unhealthy) {
        return failing.complaint();
    }
    if let Some(shaky) = tallies.iter().find(|tally| tally.failures > 0) {
        return shaky.complaint();
    }
    let passing = tallies.iter().filter(|tally| tally.verdict == Health::Healthy).count();
    match (passing, tallies.len()) {
        (_, 0) => "there is nothing to probe".to_owned(),
        (1, 1) => "the probe passes".to_owned(),
        (passing, all) => format!("{passing} of {all} probes pass"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::trust::probe::ProbeAction;
    use proptest::prelude::*;

    fn tally(success_threshold: u32, failure_threshold: u32) -> Tally {
        Tally::new(&Probe { success_threshold, failure_threshold, ..Probe::new(ProbeAction::Process) })
    }

    fn fail(tally: &mut Tally) {
        tally.failed("GET /health answered 500".to_owned());
    }

    #[test]
    fn thresholds_count_in_a_row() {
        let mut one = tally(2, 3);
        for _ in 0..2 {
            fail(&mut one);
            fail(&mut one);
            one.succeeded();
        }
        assert_eq!(one.verdict, Health::Unknown, "neither two successes nor three failures in a row");
        one.succeeded();
        assert_eq!(one.verdict, Health::Healthy);
        fail(&mut one);
        fail(&mut one);
        assert_eq!(one.verdict, Health::Healthy);
        fail(&mut one);
        assert_eq!(one.verdict, Health::Unhealthy);
        assert_eq!(one.complaint(), "GET /health answered 500, 3 times in a row");
        one.succeeded();
        assert_eq!(one.verdict, Health::Unhealthy);
        assert_eq!(one.complaint(), "GET /health answered 500; 1 of 2 successes since");
    }

    #[test]
    fn one_failing_probe_outweighs_all_others() {
        let (mut good, mut bad, unknown) = (tally(1, 1), tally(1, 1), tally(1, 1));
        good.succeeded();
        fail(&mut bad);
        assert_eq!(verdict(&[good.clone(), unknown.clone(), bad.clone()]), Health::Unhealthy);
        assert_eq!(explanation(&[good.clone(), unknown.clone(), bad]), "GET /health answered 500");
        assert_eq!(verdict(&[good.clone(), unknown.clone()]), Health::Unknown);
        assert_eq!(explanation(&[good.clone(), unknown]), "1 of 2 probes pass");
        assert_eq!(verdict(&[good.clone(), good.clone()]), Health::Healthy);
        assert_eq!(verdict(&[]), Health::Healthy);
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_the_last_run_that_reached_its_threshold(
            success in 1_u32..4, failure in 1_u32..4, tries in proptest::collection::vec(any::<bool>(), 0..40)
        ) {
            let mut tally = tally(success, failure);
            let mut expected = Health::Unknown;
            for end in 1..=tries.len() {
                let last = tries[end - 1];
                let run = tries[..end].iter().rev().take_while(|one| **one == last).count();
                let needed = if last { success } else { failure };
                if run >= usize::try_from(needed).expect("small") {
                    expected = if last { Health::Healthy } else { Health::Unhealthy };
                }
                if last { tally.succeeded() } else { fail(&mut tally) }
                prop_assert_eq!(tally.verdict, expected);
            }
        }
    }
}
