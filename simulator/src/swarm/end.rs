//! The ends that a run can come to, and their exit codes.

use serde::Serialize;

use super::Flight;
use crate::checkers::{Property, Violation};
use crate::report::{EXIT_CRASHED, EXIT_DIFFERS, EXIT_OK, EXIT_STUCK, EXIT_UNSAFE, Outcome};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum End {
    /// Every property held.
    Held,
    /// A property was breached; the worst one, safety before liveness.
    Breached {
        /// Which.
        property: Property,
        /// When, in milliseconds of virtual time.
        at_ms: u64,
        /// What happened.
        what: String,
    },
    /// The core panicked.
    Crashed {
        /// Its words.
        what: String,
    },
    /// Two runs of one seed differed.
    Differs {
        /// One fingerprint.
        one: String,
        /// The other.
        other: String,
    },
}

/// The exit codes, worst first: a breach of safety, a crash, a difference, a breach of liveness.
const WORST_FIRST: [u8; 4] = [EXIT_UNSAFE, EXIT_CRASHED, EXIT_DIFFERS, EXIT_STUCK];

impl End {
    /// The end of a run that was played to its end.
    pub fn of(outcome: &Outcome) -> Self {
        let worst = outcome.violations.iter().min_by_key(|v| (!v.property.is_safety(), v.at_ms));
        worst.map_or(Self::Held, |Violation { property, at_ms, what, .. }| Self::Breached {
            property: *property,
            at_ms: *at_ms,
            what: what.clone(),
        })
    }

    /// Its exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Held => EXIT_OK,
            Self::Breached { property, .. } if property.is_safety() => EXIT_UNSAFE,
            Self::Breached { .. } => EXIT_STUCK,
            Self::Crashed { .. } => EXIT_CRASHED,
            Self::Differs { .. } => EXIT_DIFFERS,
        }
    }

    /// Whether two ends break the same rule.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Breached { property: one, .. }, Self::Breached { property: other, .. }) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held => write!(f, "every property held"),
            Self::Breached { property, at_ms, what } => {
                write!(f, "{property:?} breached at {}.{:03} s: {what}", at_ms / 1000, at_ms % 1000)
            }
            Self::Crashed { what } => write!(f, "the core panicked: {what}"),
            Self::Differs { one, other } => write!(f, "two runs differ: {one} and {other}"),
        }
    }
}

/// The exit code of the worst end.
pub fn worst(flights: &[Flight]) -> u8 {
    let codes: Vec<u8> = flights.iter().map(|flight| flight.end.code()).collect();
    WORST_FIRST.into_iter().find(|code| codes.contains(code)).unwrap_or(EXIT_OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(property: Property) -> End {
        End::Breached { property, at_ms: 0, what: String::new() }
    }

    #[test]
    fn the_worst_end_gives_the_exit_code() {
        let flight = |end| Flight { seed: 1, nodes: 4, end, events: 0, virtual_ms: 0 };
        let crash = || End::Crashed { what: String::new() };
        assert_eq!(worst(&[flight(End::Held)]), 0);
        assert_eq!(worst(&[flight(breach(Property::L1)), flight(crash())]), 4);
        assert_eq!(worst(&[flight(crash()), flight(breach(Property::S5))]), 1);
        assert_eq!(worst(&[flight(End::Held), flight(breach(Property::L3))]), 3);
    }

    #[test]
    fn ends_are_alike_if_they_break_one_rule() {
        assert!(breach(Property::S1).is_like(&breach(Property::S1)));
        assert!(!breach(Property::S1).is_like(&breach(Property::S2)));
        assert!(!End::Held.is_like(&breach(Property::S2)));
    }
}
