//! The core's own time: integers that the driver hands in. Nothing here reads a clock.

use std::fmt;
use std::ops::{Add, Sub};

use wincode::{SchemaRead, SchemaWrite};

/// A moment on the driver's monotonic clock, in milliseconds since an origin of the driver's choosing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, SchemaRead, SchemaWrite)]
pub struct Time(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

/// Wall-clock time in whole seconds since 1970-01-01 UTC; used for expiry dates alone.
pub type UnixSeconds = u64;

impl Span {
    /// `seconds` as a span.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
    /// `milliseconds` as a span.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }
    /// This span `factor` times over.
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Time {
    /// The span from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0 / 1000, self.0 % 1000)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}
