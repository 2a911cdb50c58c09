//! How times, sizes, shares and machines are written in scenario files.
//!
//! Each module serves one kind of field through serde's `with`. In memory all are integers; on paper
//! they carry their unit: `"5s"`, `"20MB"`, `"10%"`. A refusal says what was expected and, after
//! `NEAREST`, the valid word that is nearest to what was written.

use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Parts a refusal's sentence from the nearest valid word.
pub(super) const NEAREST: char = '\u{1f}';

/// Units of time, in microseconds, largest first.
const TIMES: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];
/// Units of size, in bytes.
const SIZES: [(&str, u64); 7] = [
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("B", 1),
];
/// Units of share, in thousandths.
const SHARES: [(&str, u64); 2] = [("%", 10), ("‰", 1)];

/// A kind of quantity: its name, an example, and its units.
pub struct Kind {
    name: &'static str,
    example: &'static str,
    units: &'static [(&'static str, u64)],
}

const TIME: Kind = Kind { name: "time", example: "5s, 250ms or 2h", units: &TIMES };
const SIZE: Kind = Kind { name: "size", example: "20MB or 64KiB", units: &SIZES };
const SHARE: Kind = Kind { name: "share", example: "10% or 5‰", units: &SHARES };

fn refusal(what: &str, nearest: Option<&str>) -> String {
    nearest.map_or_else(|| what.to_owned(), |near| format!("{what}{NEAREST}{near}"))
}

impl Kind {
    /// Reads a quantity whose unit is a multiple of `grain`.
    fn read(&self, text: &str, grain: u64) -> Result<u64, String> {
        let (name, example) = (self.name, self.example);
        if let Some(positive) = text.strip_prefix('-') {
            return Err(refusal(&format!("a {name} cannot be negative"), Some(positive)));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let wrong = |nearest: Option<&str>| refusal(&format!("no {name}: write {example}"), nearest);
        let Ok(number) = number.parse::<u64>() else { return Err(wrong(None)) };
        let Some((_, factor)) = self.units.iter().find(|(word, _)| *word == unit.trim()) else {
            let names: Vec<&str> = self.units.iter().map(|(word, _)| *word).collect();
            let near = match unit.trim() {
                "" => Some(self.smallest(grain)),
                unit => {
                    nearest(unit, &names).or_else(|| names.iter().copied().find(|n| unit.starts_with(*n)))
                }
            };
            let near = near.map(|unit| format!("{number}{unit}"));
            return Err(wrong(near.as_deref()));
        };
        let value = number.checked_mul(*factor).ok_or_else(|| wrong(None))?;
        if value % grain != 0 {
            let smallest =
                self.units.iter().find(|(_, factor)| *factor == grain).map_or("", |(word, _)| *word);
            let near = format!("{}{smallest}", (value / grain).max(1));
            return Err(refusal(&format!("this {name} is counted in whole {smallest}"), Some(&near)));
        }
        Ok(value / grain)
    }

    /// The unit that fields of a grain count in.
    fn smallest(&self, grain: u64) -> &'static str {
        self.units.iter().find(|(_, factor)| *factor == grain).map_or("", |(word, _)| *word)
    }

    /// Writes a quantity with the largest unit that leaves it whole.
    fn write(&self, value: u64, grain: u64) -> String {
        let whole = value.saturating_mul(grain);
        let mut units = self.units.to_vec();
        units.sort_by_key(|(_, factor)| std::cmp::Reverse(*factor));
        let fits = units.iter().find(|(_, factor)| whole > 0 && whole.is_multiple_of(*factor));
        let (unit, factor) =
            *fits.unwrap_or(&units.iter().copied().find(|(_, f)| *f == grain).unwrap_or(("", 1)));
        format!("{}{unit}", whole / factor)
    }
}

/// The one of `names` that was probably meant: one in three letters may be wrong.
pub(super) fn nearest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let most = written.chars().count().div_ceil(3).max(1);
    let distance = |name: &str| strsim::osa_distance(&written.to_lowercase(), &name.to_lowercase());
    names
        .iter()
        .map(|name| (distance(name), *name))
        .min()
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, name)| name)
}

/// What a field counts.
pub trait Unit {
    /// The kind of quantity.
    const KIND: &'static Kind;
    /// The number in memory counts so many of the kind's smallest unit.
    const GRAIN: u64;
}

macro_rules! units {
    ($($(#[$about:meta])* $name:ident = $kind:expr, $grain:expr;)*) => {$(
        $(#[$about])*
        pub struct $name;
        impl Unit for $name {
            const KIND: &'static Kind = &$kind;
            const GRAIN: u64 = $grain;
        }
    )*};
}

units! {
    /// Time in microseconds.
    Micros = TIME, 1;
    /// Time in milliseconds.
    Milliseconds = TIME, 1_000;
    /// Time in seconds.
    Seconds = TIME, 1_000_000;
    /// Bytes.
    Bytes = SIZE, 1;
    /// Thousandths.
    Permille = SHARE, 1;
}

/// A quantity with its unit: `#[serde(with = "Written::<Milliseconds>")]`.
pub struct Written<U>(PhantomData<U>);

impl<U: Unit> Written<U> {
    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<N: Copy + Into<u64>, S: Serializer>(
        value: &N,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&U::KIND.write((*value).into(), U::GRAIN))
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no such quantity, or too large.
    pub fn deserialize<'de, N: TryFrom<u64>, D: Deserializer<'de>>(deserializer: D) -> Result<N, D::Error> {
        let value = deserializer.deserialize_any(Quantity { kind: U::KIND, grain: U::GRAIN })?;
        N::try_from(value).map_err(|_| D::Error::custom(format!("this {} is too large", U::KIND.name)))
    }
}

/// The same for a field that may be left out.
pub struct Maybe<U>(PhantomData<U>);

impl<U: Unit> Maybe<U> {
    /// Writes it if it is there.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<N: Copy + Into<u64>, S: Serializer>(
        value: &Option<N>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => Written::<U>::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads it; it is there.
    ///
    /// # Errors
    /// As for [`Written`].
    pub fn deserialize<'de, N: TryFrom<u64>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<N>, D::Error> {
        deserializer.deserialize_option(IfGiven::<U, N>(PhantomData))
    }
}

struct IfGiven<U, N>(PhantomData<(U, N)>);

impl<'de, U: Unit, N: TryFrom<u64>> Visitor<'de> for IfGiven<U, N> {
    type Value = Option<N>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} or nothing", U::KIND.name)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Written::<U>::deserialize(deserializer).map(Some)
    }
}

/// Visits a quantity: text with a unit. A bare number is refused with the unit it probably lacks.
struct Quantity {
    kind: &'static Kind,
    grain: u64,
}

impl Quantity {
    fn unitless<E: Error>(&self, number: i128) -> E {
        if number < 0 {
            return E::custom(refusal(&format!("a {} cannot be negative", self.kind.name), None));
        }
        let unit =
            self.kind.units.iter().find(|(_, factor)| *factor == self.grain).map_or("", |(word, _)| *word);
        let what = format!("a {} needs a unit: write {}", self.kind.name, self.kind.example);
        E::custom(refusal(&what, Some(&format!("{number}{unit}"))))
    }
}

impl Visitor<'_> for Quantity {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} such as {}", self.kind.name, self.kind.example)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        self.kind.read(text, self.grain).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        Err(self.unitless(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Err(self.unitless(number.into()))
    }
}

/// Reads a size such as `20MB`, for the command line.
///
/// # Errors
/// When it is no size.
pub fn size(text: &str) -> Result<u64, String> {
    quantity::<Bytes>(text)
}

/// Reads any quantity, for the command line.
///
/// # Errors
/// When it is none.
pub fn quantity<U: Unit>(text: &str) -> Result<u64, String> {
    U::KIND.read(text, U::GRAIN).map_err(|words| match words.split_once(NEAREST) {
        Some((what, near)) => format!("{what}; did you mean {near}?"),
        None => words,
    })
}

/// Finds rounder forms of a quantity.
pub struct Rounder;

impl Rounder {
    /// Rounder forms of a text, if it is a quantity; the plainest first, each plainer than the text. With
    /// `smaller`, smaller ones as well, down to nothing.
    pub fn of(text: &str, smaller: bool) -> Vec<String> {
        let kinds: [&Kind; 3] = [&TIME, &SIZE, &SHARE];
        let Some((kind, value)) = kinds.iter().find_map(|kind| Some((kind, kind.read(text, 1).ok()?))) else {
            return Vec::new();
        };
        let plainness = |value: u64| (significant(kind, value), if smaller { value } else { 0 });
        let mut forms: Vec<u64> = vec![leading(value)];
        if smaller {
            forms.extend([0, leading(value / 2)]);
        }
        for (_, factor) in kind.units.iter().filter(|(_, factor)| *factor < value) {
            let whole = value / factor;
            forms.extend([
                whole / 10 * 10 * factor,
                whole / 5 * 5 * factor,
                whole * factor,
                (whole + 1) * factor,
            ]);
        }
        forms.retain(|form| plainness(*form) < plainness(value) && (smaller || *form > 0));
        forms.sort_by_key(|form| plainness(*form));
        forms.dedup();
        forms.into_iter().map(|form| kind.write(form, 1)).collect()
    }
}

/// How many digits of a quantity as it is written count.
fn significant(kind: &Kind, value: u64) -> usize {
    let text = kind.write(value, 1);
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.trim_end_matches('0').len()
}

/// The number with all digits but the first zero.
fn leading(value: u64) -> u64 {
    let power = value.checked_ilog10().unwrap_or(0);
    value / 10_u64.pow(power) * 10_u64.pow(power)
}

/// A number of machines or ranks: as such, or as a share of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Number(u32),
    /// So many of 1,000, rounded up.
    Permille(u32),
}

impl Count {
    /// How many that is in a fleet of `nodes`, at most all.
    pub fn of(self, nodes: u32) -> u32 {
        match self {
            Self::Number(number) => number.min(nodes),
            Self::Permille(permille) => share(nodes, permille, 999),
        }
    }
}

/// So many of 1,000 of `whole`; `rest` thousandths are given away to round up.
fn share(whole: u32, permille: u32, rest: u64) -> u32 {
    let part = (u64::from(whole) * u64::from(permille) + rest) / 1000;
    u32::try_from(part).unwrap_or(whole).min(whole)
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Permille(permille) => serializer.serialize_str(&SHARE.write(u64::from(*permille), 1)),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counted;
        impl Visitor<'_> for Counted {
            type Value = Count;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a number or a share such as 50%")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                let fits = u32::try_from(number);
                fits.map(Count::Number).map_err(|_| E::custom("a number of machines is not negative"))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
                u32::try_from(number).map(Count::Number).map_err(E::custom)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
                permille(text).map(Count::Permille).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Counted)
    }
}

/// A share of a whole: at most all of it.
fn permille(text: &str) -> Result<u32, String> {
    let value = SHARE.read(text, 1)?;
    u32::try_from(value)
        .ok()
        .filter(|permille| *permille <= 1000)
        .ok_or_else(|| refusal("a share is at most all", Some("100%")))
}

/// Which machines are meant: by place, by a share, or by the part that they play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The one at this place, counted from 0.
    Node(u32),
    /// The one so many thousandths along the fleet: `"at 50%"` is the middle, `"at 100%"` the last.
    At(u32),
    /// The one that proposed last; at the beginning, the one that leads the first term.
    Leader,
    /// The one that switched last.
    OnTrial,
    /// The one that the goal's release was handed to.
    Publisher,
    /// One of those that are on, by lot.
    Any,
    /// A share of the fleet, by lot: `"10% of fleet"`.
    OfFleet(u32),
    /// A share of the jury of the goal's release, by lot, rounded down: `"33% of jury"`.
    OfJury(u32),
    /// Everybody in a zone: `"zone 2"`.
    Zone(u32),
}

/// The words for machines, and examples of those that carry a number.
const WHO: [&str; 9] = [
    "leader",
    "on-trial",
    "publisher",
    "any",
    "everybody",
    "at 50%",
    "10% of fleet",
    "33% of jury",
    "zone 2",
];

impl Who {
    /// Reads the word for machines.
    fn read(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["leader"] => Ok(Self::Leader),
            ["on-trial"] => Ok(Self::OnTrial),
            ["publisher"] => Ok(Self::Publisher),
            ["any"] => Ok(Self::Any),
            ["everybody"] => Ok(Self::OfFleet(1000)),
            ["at", share] => permille(share).map(Self::At),
            [share, "of", "fleet"] => permille(share).map(Self::OfFleet),
            [share, "of", "jury"] => permille(share).map(Self::OfJury),
            ["zone", zone] if zone.parse::<u32>().is_ok() => Ok(Self::Zone(zone.parse().unwrap_or(0))),
            _ => Err(refusal("no machine goes by this name", nearest(text, &WHO))),
        }
    }

    /// The place that is meant in a fleet of `nodes`, if it does not depend on what happens.
    pub fn place(self, nodes: u32) -> Option<u32> {
        match self {
            Self::Node(place) => Some(place),
            Self::At(permille) => Some(share(nodes.saturating_sub(1), permille, 500)),
            _ => None,
        }
    }

    /// So many of `whole`, for the shares that are drawn by lot.
    pub fn share_of(whole: u32, permille: u32) -> u32 {
        share(whole, permille, 0)
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |permille: &u32| SHARE.write(u64::from(*permille), 1);
        match self {
            Self::Node(place) => write!(f, "{place}"),
            Self::At(permille) => write!(f, "at {}", share(permille)),
            Self::Leader => write!(f, "leader"),
            Self::OnTrial => write!(f, "on-trial"),
            Self::Publisher => write!(f, "publisher"),
            Self::Any => write!(f, "any"),
            Self::OfFleet(1000) => write!(f, "everybody"),
            Self::OfFleet(permille) => write!(f, "{} of fleet", share(permille)),
            Self::OfJury(permille) => write!(f, "{} of jury", share(permille)),
            Self::Zone(zone) => write!(f, "zone {zone}"),
        }
    }
}

impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Node(place) => serializer.serialize_u32(*place),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl Visitor<'_> for Named {
            type Value = Who;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a machine: its place or a word such as \"leader\"")
            }
            fn visit_i64<E: Error>(self, place: i64) -> Result<Who, E> {
                let fits = u32::try_from(place);
                fits.map(Who::Node).map_err(|_| E::custom(refusal("places count from 0", Some("0"))))
            }
            fn visit_u64<E: Error>(self, place: u64) -> Result<Who, E> {
                u32::try_from(place).map(Who::Node).map_err(E::custom)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Who, E> {
                Who::read(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_they_are_read() {
        for (text, micros) in
            [("5s", 5_000_000), ("250ms", 250_000), ("2h", 7_200_000_000), ("90m", 5_400_000_000), ("0us", 0)]
        {
            assert_eq!(TIME.read(text, 1), Ok(micros));
            assert_eq!(TIME.write(micros, 1), text);
        }
        for (text, bytes) in [("20MB", 20_000_000), ("64KiB", 65_536), ("7B", 7)] {
            assert_eq!(SIZE.read(text, 1), Ok(bytes));
            assert_eq!(SIZE.write(bytes, 1), text);
        }
        assert_eq!(SHARE.write(5, 1), "5‰");
    }

    #[test]
    fn a_wrong_quantity_is_refused_with_the_nearest_right_one() {
        for (text, near) in [
            ("-5s", Some("5s")),
            ("5sec", Some("5s")),
            ("5 S", Some("5s")),
            ("soon", None),
            ("5", Some("5ms")),
        ] {
            let words = TIME.read(text, 1000).expect_err(text);
            assert_eq!(words.split_once(NEAREST).map(|(_, near)| near), near, "{text}");
        }
        assert!(TIME.read("250us", 1000).expect_err("too fine").ends_with("1ms"));
        assert!(permille("120%").expect_err("too much").ends_with("100%"));
    }

    #[test]
    fn rounder_forms_are_plainer_and_end() {
        for text in ["47312ms", "5s", "17%", "812345B", "1d"] {
            let forms = Rounder::of(text, true);
            let mut form = text.to_owned();
            let mut steps = 0;
            while let Some(next) = Rounder::of(&form, true).last() {
                form.clone_from(next);
                steps += 1;
                assert!(steps < 200, "{text} never ends");
            }
            assert!(forms.iter().all(|form| form != text), "{forms:?}");
        }
        assert!(Rounder::of("47312ms", false).contains(&"47s".to_owned()));
        assert_eq!(Rounder::of("leader", true), Vec::<String>::new());
        assert_eq!(Rounder::of("5s", false), Vec::<String>::new());
    }

    #[test]
    fn machines_are_written_as_they_are_read() {
        for text in [
            "leader",
            "on-trial",
            "publisher",
            "any",
            "everybody",
            "at 50%",
            "5‰ of fleet",
            "33% of jury",
            "zone 2",
        ] {
            assert_eq!(Who::read(text).map(|who| who.to_string()).as_deref(), Ok(text));
        }
        assert!(Who::read("leeder").expect_err("no word").ends_with("leader"));
    }

    #[test]
    fn shares_of_a_fleet_are_machines_of_it() {
        assert_eq!(Who::At(0).place(7), Some(0));
        assert_eq!(Who::At(500).place(7), Some(3));
        assert_eq!(Who::At(1000).place(7), Some(6));
        assert_eq!(Count::Permille(500).of(7), 4);
        assert_eq!(Who::share_of(64, 333), 21);
    }
}
