//! Faults as data: what goes wrong, with whom, and for how long. Every fault ends.
//!
//! In files a fault stands in its step like any other act: `at = "5s"`, `clog = { who = "zone 1", lasts =
//! "20s" }`. The world begins and ends them (`world::faults`); [`super::families`] draws them from seeds.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::words::{Micros, Milliseconds, Permille, Who, Written};
use crate::world::links::{Bursts, Weather};

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Frames between two groups of machines are lost; with `one-way`, only those from the first to the
    /// second. Without `to` the second group is everybody else.
    Cut {
        /// One group.
        from: Whom,
        /// The other; empty: everybody else.
        #[serde(default, skip_serializing_if = "Whom::is_empty")]
        to: Whom,
        /// Whether what the second group sends still arrives.
        #[serde(default, skip_serializing_if = "is_false")]
        one_way: bool,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Frames between two groups of machines wait, and arrive all at once when it ends.
    Clog {
        /// One group.
        who: Whom,
        /// The other; empty: everybody.
        #[serde(default, skip_serializing_if = "Whom::is_empty")]
        to: Whom,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Frames from and to machines suffer.
    Weather {
        /// Whose.
        who: Whom,
        /// Frames lost, of 1,000.
        #[serde(default, with = "Written::<Permille>", skip_serializing_if = "is_zero")]
        loss: u32,
        /// Losses in bursts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bursts: Option<Bursts>,
        /// Frames that arrive twice, of 1,000.
        #[serde(default, with = "Written::<Permille>", skip_serializing_if = "is_zero")]
        duplicates: u32,
        /// Frames that later ones overtake, of 1,000.
        #[serde(default, with = "Written::<Permille>", skip_serializing_if = "is_zero")]
        reordered: u32,
        /// Frames that arrive with a flipped bit, of 1,000.
        #[serde(default, with = "Written::<Permille>", skip_serializing_if = "is_zero")]
        damage: u32,
        /// Microseconds that every frame takes more.
        #[serde(default, with = "Written::<Micros>", skip_serializing_if = "is_nothing")]
        delay: u64,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Disks misbehave.
    BadDisk {
        /// Whose.
        who: Whom,
        /// How.
        how: DiskFault,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Clocks go wrong. At the end the clock on the wall is set right, and no clock drifts any more; a
    /// monotonic clock that was ahead stays ahead.
    BadClock {
        /// Whose.
        who: Whom,
        /// How.
        how: ClockFault,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines stand still, and then take in at once all that came meanwhile.
    Freeze {
        /// Which.
        who: Whom,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines lose their power and their disks: they come back with their keys and what they had when
    /// the story began.
    Wipe {
        /// Which.
        who: Whom,
        /// Milliseconds without power.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines come and go: again and again one of them, by lot, loses its power for a while.
    Churn {
        /// Among which.
        who: Whom,
        /// Milliseconds from one to the next.
        #[serde(with = "Written::<Milliseconds>")]
        every: u64,
        /// Milliseconds without power, on average; never more than twice that.
        #[serde(with = "Written::<Milliseconds>")]
        away: u64,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines go for good, one after the other, by lot.
    Attrition {
        /// Among which.
        who: Whom,
        /// Milliseconds from one to the next.
        #[serde(with = "Written::<Milliseconds>")]
        every: u64,
        /// Of 1,000 machines of the fleet, so many may be gone in all, whatever took them.
        #[serde(rename = "most", with = "Written::<Permille>")]
        permille: u32,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines lose their power at one exact point of their work, if they come to it in time.
    CrashPoint {
        /// Which.
        who: Whom,
        /// At which point.
        point: CrashPoint,
        /// When they come there for the so-manieth time, counted from 1.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        nth: u32,
        /// Milliseconds without power.
        #[serde(with = "Written::<Milliseconds>")]
        back_after: u64,
        /// Milliseconds in which it may happen.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines run an agent whose frames have another version: they understand each other, and refuse what the
    /// rest of the fleet says as the rest refuses what they say.
    OtherVersion {
        /// Which.
        who: Whom,
        /// Milliseconds until they have the version of all others again.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
    /// Machines are surrounded: they have links to liars alone, who let through what suits them.
    Eclipse {
        /// Whom.
        who: Whom,
        /// Milliseconds.
        #[serde(with = "Written::<Milliseconds>")]
        lasts: u64,
    },
}

/// How a disk misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFault {
    /// It refuses every write.
    Refuses,
    /// There is no room: neither records nor bytes of releases can be kept.
    Full,
    /// It takes so many times as long.
    Slow(u32),
    /// It says that a write is durable when it is not: a crash undoes all that it was given in this time.
    Forgets,
}

/// How a clock goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockFault {
    /// It gains so many microseconds a second, or loses them.
    Drift(i32),
    /// The clock on the wall is set forward, by milliseconds.
    WallAhead(#[serde(with = "Written::<Milliseconds>")] u64),
    /// The clock on the wall is set back, by milliseconds.
    WallBehind(#[serde(with = "Written::<Milliseconds>")] u64),
    /// The monotonic clock jumps forward, by milliseconds: it never goes back.
    Leap(#[serde(with = "Written::<Milliseconds>")] u64),
}

/// A point of a machine's work at which its power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashPoint {
    /// The core wants a record kept, and the disk has not been told.
    BeforePersist,
    /// The disk is writing: any first part of the commit may survive.
    InCommit,
    /// The commit is durable, and the core has not been told.
    AfterCommit,
    /// The slot is about to be switched.
    BeforeSwitch,
    /// The slot is switched, and the core has not been told.
    AfterSwitch,
}

fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_first(number: &u32) -> bool {
    *number == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_nothing(number: &u64) -> bool {
    *number == 0
}

impl Fault {
    /// Milliseconds that it lasts, but for what it leaves behind.
    pub fn lasts(&self) -> u64 {
        match self {
            Self::Cut { lasts, .. }
            | Self::Clog { lasts, .. }
            | Self::Weather { lasts, .. }
            | Self::BadDisk { lasts, .. }
            | Self::BadClock { lasts, .. }
            | Self::Freeze { lasts, .. }
            | Self::Wipe { lasts, .. }
            | Self::Churn { lasts, .. }
            | Self::Attrition { lasts, .. }
            | Self::CrashPoint { lasts, .. }
            | Self::OtherVersion { lasts, .. }
            | Self::Eclipse { lasts, .. } => *lasts,
        }
    }

    /// How long it lasts, to be changed.
    pub fn lasts_mut(&mut self) -> &mut u64 {
        match self {
            Self::Cut { lasts, .. }
            | Self::Clog { lasts, .. }
            | Self::Weather { lasts, .. }
            | Self::BadDisk { lasts, .. }
            | Self::BadClock { lasts, .. }
            | Self::Freeze { lasts, .. }
            | Self::Wipe { lasts, .. }
            | Self::Churn { lasts, .. }
            | Self::Attrition { lasts, .. }
            | Self::CrashPoint { lasts, .. }
            | Self::OtherVersion { lasts, .. }
            | Self::Eclipse { lasts, .. } => lasts,
        }
    }

    /// The machines that it names, group by group, to be changed.
    pub fn groups_mut(&mut self) -> Vec<&mut Whom> {
        match self {
            Self::Cut { from, to, .. } => vec![from, to],
            Self::Clog { who, to, .. } => vec![who, to],
            Self::Weather { who, .. }
            | Self::BadDisk { who, .. }
            | Self::BadClock { who, .. }
            | Self::Freeze { who, .. }
            | Self::Wipe { who, .. }
            | Self::Churn { who, .. }
            | Self::Attrition { who, .. }
            | Self::CrashPoint { who, .. }
            | Self::OtherVersion { who, .. }
            | Self::Eclipse { who, .. } => vec![who],
        }
    }

    /// The machines that it names.
    pub fn named(&self) -> impl Iterator<Item = Who> {
        let (one, other) = match self {
            Self::Cut { from, to, .. } => (from, Some(to)),
            Self::Clog { who, to, .. } => (who, Some(to)),
            Self::Weather { who, .. }
            | Self::BadDisk { who, .. }
            | Self::BadClock { who, .. }
            | Self::Freeze { who, .. }
            | Self::Wipe { who, .. }
            | Self::Churn { who, .. }
            | Self::Attrition { who, .. }
            | Self::CrashPoint { who, .. }
            | Self::OtherVersion { who, .. }
            | Self::Eclipse { who, .. } => (who, None),
        };
        one.0.iter().chain(other.into_iter().flat_map(|whom| &whom.0)).copied()
    }

    /// Whether it is one of links: what is said meanwhile may not arrive.
    pub fn is_of_links(&self) -> bool {
        matches!(
            self,
            Self::Cut { .. }
                | Self::Clog { .. }
                | Self::Weather { .. }
                | Self::OtherVersion { .. }
                | Self::Eclipse { .. }
        )
    }

    /// Whether machines are gone for good after it.
    pub fn takes_for_good(&self) -> bool {
        matches!(self, Self::Attrition { .. })
    }

    /// The weather that it brings, if it is that.
    pub fn weather(&self) -> Option<Weather> {
        let Self::Weather { loss, bursts, duplicates, reordered, damage, delay, .. } = *self else {
            return None;
        };
        Some(Weather { loss, bursts, duplicates, late: reordered, damage, delay_micros: delay })
    }

    /// What about it cannot be.
    pub(super) fn wrong(&self) -> Option<(&'static str, String)> {
        let share = |word, permille| (permille > 1000).then(|| (word, "a share is at most all".to_owned()));
        if self.lasts() == 0 {
            return Some(("lasts", "a fault lasts for a time".to_owned()));
        }
        match self {
            Self::Weather { loss, bursts, duplicates, reordered, damage, .. } => share("loss", *loss)
                .or(share("duplicates", *duplicates))
                .or(share("reordered", *reordered))
                .or(share("damage", *damage))
                .or(bursts.and_then(|b| share("bursts", b.begin.max(b.end).max(b.loss)))),
            Self::Churn { every: 0, .. } | Self::Attrition { every: 0, .. } => {
                Some(("every", "one machine goes after the other, not all at once".to_owned()))
            }
            Self::Attrition { permille, .. } => share("most", *permille),
            Self::CrashPoint { nth: 0, .. } => Some(("nth", "it is counted from 1".to_owned())),
            Self::BadDisk { how: DiskFault::Slow(0), .. } => {
                Some(("slow", "a slow disk takes at least once as long".to_owned()))
            }
            Self::BadClock { how: ClockFault::Drift(drift), .. } if drift.unsigned_abs() > DRIFT_MAX => {
                Some(("drift", format!("a clock drifts by at most {DRIFT_MAX} microseconds a second")))
            }
            _ => None,
        }
    }
}

/// Most that a clock may gain or lose, in microseconds a second: a tenth.
const DRIFT_MAX: u32 = 100_000;

/// Machines, as a list of words for them; a single one is written without brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom(pub Vec<Who>);

impl Whom {
    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Who> for Whom {
    fn from(who: Who) -> Self {
        Self(vec![who])
    }
}

impl std::fmt::Display for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |who: &Who| match who {
            Who::Node(place) => format!("machine {place}"),
            other => other.to_string(),
        };
        f.write_str(&self.0.iter().map(word).collect::<Vec<_>>().join(", "))
    }
}

impl Serialize for Whom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            list => list.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Whom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Listed;
        impl<'de> Visitor<'de> for Listed {
            type Value = Whom;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "machines: a place, a word such as \"leader\", or a list of them")
            }
            fn visit_i64<E: Error>(self, place: i64) -> Result<Whom, E> {
                Who::deserialize(serde::de::value::I64Deserializer::new(place)).map(Whom::from)
            }
            fn visit_u64<E: Error>(self, place: u64) -> Result<Whom, E> {
                Who::deserialize(serde::de::value::U64Deserializer::new(place)).map(Whom::from)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Whom, E> {
                Who::deserialize(serde::de::value::StrDeserializer::new(text)).map(Whom::from)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Whom, A::Error> {
                let mut list = Vec::new();
                while let Some(who) = items.next_element()? {
                    list.push(who);
                }
                Ok(Whom(list))
            }
        }
        deserializer.deserialize_any(Listed)
    }
}
