//! Outages: a machine that falls silent together with its zone says nothing about the release.
//!
//! A release that hangs its machine and a zone without power look alike: silence. What tells them apart is the zone's
//! other machines, those which are not on trial: they run what ran before, or have proved themselves. If most of them
//! fell silent when the machine did, the zone is out. Then the machine is in doubt and not bad: doubt holds the
//! rollout, and does not stop it. It stays in doubt while the zone is out, and for as long after as a machine that
//! has just switched may be silent.
//!
//! Whoever would hide a release that hangs machines this way needs most of a zone's other machines to play dead, and
//! gains a rollout that is held until it expires.

use std::collections::BTreeMap;

use crate::bounds::{OUTAGE_WITNESSES, SILENCE};
use crate::marks::mark;
use crate::time::{Span, Time};

/// Periods of beacons after which a witness that was not heard from counts as gone. One less than for what it bears
/// witness to: of machines that fall silent at once, some have spoken a period before others.
const GONE_PERIODS: u64 = 2;

/// A machine of a zone, and when it was last heard from, on the driver's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heard {
    pub zone: u16,
    pub at: Time,
}

/// The clocks of one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// The driver's.
    pub now: Time,
    /// The juror's.
    pub juror: Span,
    /// Between two beacons.
    pub period: Span,
    /// How long a machine that has just switched may be silent.
    pub grace: Span,
}

/// Machines that were silent together with their zone, and until when they stay in doubt.
#[derive(Debug, Default)]
pub(super) struct Outages {
    /// By rank, on the juror's clock.
    doubted_until: BTreeMap<u32, Span>,
}

impl Outages {
    /// Which of the `silent`, by rank, are in doubt: how many, and when the juror's clock alone will next change that.
    /// `witnesses` are the machines that are not on trial and were ever heard from.
    pub(super) fn doubted(
        &mut self,
        clocks: Clocks,
        silent: &BTreeMap<u32, Heard>,
        witnesses: impl Iterator<Item = Heard>,
    ) -> (u32, Option<Span>) {
        self.doubted_until.retain(|rank, until| silent.contains_key(rank) && *until > clocks.juror);
        let zones = Zones::of(clocks, witnesses);
        for (rank, heard) in silent {
            if zones.went_out_with(*heard) {
                mark!(SilentWithItsZone);
                self.doubted_until.insert(*rank, Span(clocks.juror.0.saturating_add(clocks.grace.0)));
            }
        }
        let count = u32::try_from(self.doubted_until.len()).unwrap_or(u32::MAX);
        (count, self.doubted_until.values().min().copied())
    }

    /// Nobody is silent any more.
    pub(super) fn clear(&mut self) {
        self.doubted_until.clear();
    }
}

/// The witnesses of each zone.
struct Zones {
    /// How many are there.
    here: BTreeMap<u16, usize>,
    /// When those who are gone were last heard from, in order.
    gone: BTreeMap<u16, Vec<Time>>,
    /// Who falls silent within so much of another does so together with it.
    together: Span,
}

impl Zones {
    fn of(clocks: Clocks, witnesses: impl Iterator<Item = Heard>) -> Self {
        let together = SILENCE.max(clocks.period.times(GONE_PERIODS));
        let mut zones = Self { here: BTreeMap::new(), gone: BTreeMap::new(), together };
        for Heard { zone, at } in witnesses {
            if clocks.now < at + clocks.period.times(GONE_PERIODS) {
                *zones.here.entry(zone).or_default() += 1;
            } else {
                zones.gone.entry(zone).or_default().push(at);
            }
        }
        zones.gone.values_mut().for_each(|times| times.sort_unstable());
        zones
    }

    /// Whether enough witnesses of its zone fell silent when it did, and more than are there.
    fn went_out_with(&self, silent: Heard) -> bool {
        let Some(gone) = self.gone.get(&silent.zone) else { return false };
        let from = gone.partition_point(|at| *at + self.together < silent.at);
        let to = gone.partition_point(|at| *at <= silent.at + self.together);
        let with = to.saturating_sub(from);
        with >= OUTAGE_WITNESSES && with > self.here.get(&silent.zone).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Span = Span::seconds(2);
    const GRACE: Span = Span::seconds(360);

    fn clocks(second: u64) -> Clocks {
        Clocks { now: Time(second * 1_000), juror: Span::seconds(second), period: PERIOD, grace: GRACE }
    }

    fn heard(zone: u16, second: u64) -> Heard {
        Heard { zone, at: Time(second * 1_000) }
    }

    /// How many of one silent machine of zone 1, last heard from at second 100, are in doubt.
    fn doubted(now: u64, witnesses: &[Heard]) -> u32 {
        let silent = BTreeMap::from([(0, heard(1, 100))]);
        Outages::default().doubted(clocks(now), &silent, witnesses.iter().copied()).0
    }

    #[test]
    fn a_machine_that_falls_silent_alone_is_not_in_doubt() {
        assert_eq!(doubted(500, &[heard(1, 499), heard(1, 500), heard(1, 498)]), 0);
        assert_eq!(doubted(500, &[]), 0, "nobody bears witness");
        assert_eq!(doubted(500, &[heard(1, 100)]), 0, "one that died with it may be chance");
        assert_eq!(doubted(500, &[heard(2, 100), heard(2, 100)]), 0, "another zone is no witness");
    }

    #[test]
    fn a_machine_that_falls_silent_with_most_of_its_zone_is_in_doubt() {
        assert_eq!(doubted(500, &[heard(1, 101), heard(1, 99)]), 1);
        assert_eq!(doubted(500, &[heard(1, 101), heard(1, 99), heard(1, 500)]), 1);
        assert_eq!(doubted(500, &[heard(1, 101), heard(1, 99), heard(1, 500), heard(1, 499)]), 0);
    }

    #[test]
    fn a_machine_that_fell_silent_before_the_outage_is_not_excused_by_it() {
        assert_eq!(doubted(500, &[heard(1, 400), heard(1, 401), heard(1, 400)]), 0);
    }

    #[test]
    fn machines_that_died_long_before_bear_no_witness() {
        assert_eq!(doubted(500, &[heard(1, 10), heard(1, 12), heard(1, 500)]), 0);
    }

    #[test]
    fn the_first_moment_of_an_outage_excuses_whoever_spoke_first() {
        // All fell silent at second 100; this machine spoke a period before its neighbours.
        let silent = BTreeMap::from([(7, heard(1, 98))]);
        let witnesses = [heard(1, 100), heard(1, 100), heard(1, 99)];
        let at = 98 + PERIOD.times(3).0 / 1_000;
        let (count, _) = Outages::default().doubted(clocks(at), &silent, witnesses.into_iter());
        assert_eq!(count, 1);
    }

    #[test]
    fn who_comes_back_later_than_its_zone_has_as_long_as_after_a_switch() {
        let silent = BTreeMap::from([(0, heard(1, 100))]);
        let mut outages = Outages::default();
        let out = [heard(1, 100), heard(1, 100), heard(1, 101)];
        assert_eq!(outages.doubted(clocks(1_000), &silent, out.into_iter()), (1, Some(Span::seconds(1_360))));
        let back = |second| [heard(1, second), heard(1, second), heard(1, second)].into_iter();
        assert_eq!(outages.doubted(clocks(1_359), &silent, back(1_359)), (1, Some(Span::seconds(1_360))));
        assert_eq!(outages.doubted(clocks(1_360), &silent, back(1_360)), (0, None));
    }

    #[test]
    fn who_was_heard_from_again_has_no_doubt_left_over() {
        let mut outages = Outages::default();
        let out = || [heard(1, 100), heard(1, 100)].into_iter();
        assert_eq!(outages.doubted(clocks(500), &BTreeMap::from([(0, heard(1, 100))]), out()).0, 1);
        let here = [heard(1, 600), heard(1, 600)].into_iter();
        assert_eq!(outages.doubted(clocks(600), &BTreeMap::new(), here).0, 0);
        let here = [heard(1, 700), heard(1, 700)].into_iter();
        assert_eq!(outages.doubted(clocks(700), &BTreeMap::from([(0, heard(1, 600))]), here).0, 0);
    }
}
