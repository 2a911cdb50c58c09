//! The file's short forms, made long before serde reads them; every word keeps its place.
//!
//! - A step's moment and act stand side by side, and an act without details is `heal = true`.
//! - `every` and `times` repeat a step that is `at` a time.
//! - Releases are named by their version; in memory by their place in the list.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::check::nearest_version;
use super::super::words::{Milliseconds, Written};
use super::super::{Act, Fault, STEPS_MAX, When};
use super::fault::Mistake;

/// Words of a step that are neither its moment nor its act.
const REPEAT: [&str; 2] = ["every", "times"];

/// Numbers as text that lives as long as any file, for the values that replace versions.
const PLACES: &str = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 \
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63";

/// The act that files never name: each fault has a word of its own.
const FAULT: &str = "fault";

type Value<'i> = Spanned<DeValue<'i>>;

pub(super) fn lengthen(root: &mut DeTable<'_>) -> Result<(), Mistake> {
    let versions = versions(root);
    for (key, value) in root.iter_mut() {
        match key.get_ref().as_ref() {
            "release" => {}
            "back-to" | "goal" => name_all(value, &versions)?,
            "step" => {
                lengthen_steps(value)?;
                name_releases(value, &versions)?;
            }
            _ => name_releases(value, &versions)?,
        }
    }
    Ok(())
}

fn versions(root: &DeTable<'_>) -> Vec<String> {
    let Some(DeValue::Array(releases)) = root.get("release").map(Spanned::get_ref) else { return Vec::new() };
    let version = |release: &Value<'_>| match release.get_ref() {
        DeValue::Table(table) => match table.get("version").map(Spanned::get_ref) {
            Some(DeValue::String(text)) => text.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    releases.iter().map(version).collect()
}

/// Replaces the version under every key `release`, at any depth.
fn name_releases(value: &mut Value<'_>, versions: &[String]) -> Result<(), Mistake> {
    match value.get_mut() {
        DeValue::Array(items) => items.iter_mut().try_for_each(|item| name_releases(item, versions)),
        DeValue::Table(table) => table.iter_mut().try_for_each(|(key, value)| {
            if key.get_ref() == "release" {
                name_all(value, versions)
            } else {
                name_releases(value, versions)
            }
        }),
        _ => Ok(()),
    }
}

/// Replaces a version, or every version inside.
fn name_all(value: &mut Value<'_>, versions: &[String]) -> Result<(), Mistake> {
    let span = value.span();
    let written = match value.get_mut() {
        DeValue::Table(table) => {
            return table.iter_mut().try_for_each(|(_, value)| name_all(value, versions));
        }
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        _ => return Ok(()),
    };
    let Some(place) = versions.iter().position(|version| *version == written) else {
        let known: Vec<&str> = versions.iter().map(String::as_str).collect();
        return Err(Mistake {
            span: Some(span),
            what: format!("there is no such release; there are {}", known.join(", ")),
            nearest: nearest_version(&written, &known).map(str::to_owned),
            word: Some(written),
        });
    };
    // Places beyond the list are more releases than a story may have: the check finds them.
    let number = PLACES.split_whitespace().nth(place).unwrap_or("0");
    *value.get_mut() = DeValue::parse(number).map_err(|error| Mistake::from_toml(&error))?.into_inner();
    Ok(())
}

fn lengthen_steps(value: &mut Value<'_>) -> Result<(), Mistake> {
    let DeValue::Array(steps) = value.get_mut() else { return Ok(()) };
    let mut long = toml::de::DeArray::new();
    for step in std::mem::replace(steps, toml::de::DeArray::new()) {
        let span = step.span();
        let DeValue::Table(table) = step.into_inner() else {
            return Err(Mistake {
                span: Some(span),
                word: None,
                what: "a step is a table".to_owned(),
                nearest: None,
            });
        };
        for step in lengthen_step(table, &span)? {
            long.push(step);
        }
        if long.len() > STEPS_MAX {
            let what = format!("there are more than {STEPS_MAX} steps");
            return Err(Mistake { span: Some(span), word: None, what, nearest: None });
        }
    }
    *steps = long;
    Ok(())
}

fn lengthen_step<'i>(table: DeTable<'i>, span: &Range<usize>) -> Result<Vec<Value<'i>>, Mistake> {
    let moments = names_of::<When>();
    let acts: Vec<&str> = names_of::<Act>().iter().copied().filter(|act| *act != FAULT).collect();
    let acts = &[&acts, names_of::<Fault>()].concat();
    let (mut when, mut act, mut repeat) = (DeTable::new(), DeTable::new(), DeTable::new());
    for (key, value) in table {
        let word = key.get_ref().to_string();
        let part = if moments.contains(&word.as_str()) {
            &mut when
        } else if acts.contains(&word.as_str()) {
            &mut act
        } else if REPEAT.contains(&word.as_str()) {
            &mut repeat
        } else {
            let known: Vec<&str> = [moments, acts.as_slice(), &REPEAT].concat();
            return Err(Mistake::unknown(Some(key.span()), &word, &known));
        };
        part.insert(key, value);
    }
    for (part, known, what) in [(&when, moments, "moment"), (&act, acts.as_slice(), "act")] {
        if part.len() != 1 {
            let second = part.iter().nth(1).map(|(key, _)| (key.span(), key.get_ref().to_string()));
            let (at, word) = second.map_or((span.clone(), None), |(at, word)| (at, Some(word)));
            let what = format!("a step has one {what}, of {}", known.join(", "));
            return Err(Mistake { span: Some(at), word, what, nearest: None });
        }
    }
    let times = repetitions(&when, &repeat)?;
    let step = |when: DeTable<'i>, act: Value<'i>| {
        let mut step = DeTable::new();
        step.insert(
            Spanned::new(span.clone(), Cow::from("when")),
            Spanned::new(span.clone(), DeValue::Table(when)),
        );
        step.insert(Spanned::new(span.clone(), Cow::from("act")), act);
        Spanned::new(span.clone(), DeValue::Table(step))
    };
    let act = lengthen_act(act, span);
    Ok(match times {
        None => vec![step(when, act)],
        Some(times) => times
            .into_iter()
            .map(|at| {
                let mut moved = when.clone();
                for (_, value) in &mut moved {
                    *value.get_mut() = DeValue::String(Cow::Owned(format!("{at}ms")));
                }
                step(moved, act.clone())
            })
            .collect(),
    })
}

/// `heal = true` is the act `"heal"`, and a fault's word stands for the act of that fault.
fn lengthen_act<'i>(act: DeTable<'i>, span: &Range<usize>) -> Value<'i> {
    if act.keys().any(|word| names_of::<Fault>().contains(&word.get_ref().as_ref())) {
        let mut fault = DeTable::new();
        fault.insert(
            Spanned::new(span.clone(), Cow::from(FAULT)),
            Spanned::new(span.clone(), DeValue::Table(act)),
        );
        return Spanned::new(span.clone(), DeValue::Table(fault));
    }
    let bare = act.iter().next().filter(|(_, value)| matches!(value.get_ref(), DeValue::Boolean(true)));
    match bare {
        Some((key, _)) => Spanned::new(key.span(), DeValue::String(key.get_ref().clone())),
        None => Spanned::new(span.clone(), DeValue::Table(act)),
    }
}

/// The milliseconds of each repetition of a step; `None` if it is not repeated.
fn repetitions(when: &DeTable<'_>, repeat: &DeTable<'_>) -> Result<Option<Vec<u64>>, Mistake> {
    let Some((word, value)) = repeat.iter().next() else { return Ok(None) };
    let wrong = |span: Range<usize>, word: &str, what: &str| Mistake {
        span: Some(span),
        word: Some(word.to_owned()),
        what: what.to_owned(),
        nearest: None,
    };
    let (Some(at), Some(every), Some(times)) = (when.get("at"), repeat.get("every"), repeat.get("times"))
    else {
        return Err(wrong(word.span(), word.get_ref(), "a repeated step has `at`, `every` and `times`"));
    };
    let (at, every) = (milliseconds(at)?, milliseconds(every)?);
    let count = match times.get_ref() {
        DeValue::Integer(number) => number.as_str().parse::<u64>().ok(),
        _ => None,
    };
    let most = STEPS_MAX as u64;
    let Some(count) = count.filter(|count| (1..=most).contains(count)) else {
        return Err(wrong(value.span(), "times", &format!("a step is repeated 1 to {most} times")));
    };
    Ok(Some((0..count).map(|turn| at.saturating_add(every.saturating_mul(turn))).collect()))
}

fn milliseconds(value: &Value<'_>) -> Result<u64, Mistake> {
    let read = toml::de::ValueDeserializer::from(value.clone());
    Written::<Milliseconds>::deserialize(read).map_err(|error| Mistake::from_toml(&error))
}

/// The words of an enum, as serde knows them: asks it to read itself from nothing.
fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Asked<'a>(&'a mut &'static [&'static str]);

    impl<'de> serde::Deserializer<'de> for Asked<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only asked for its names"))
        }

        fn deserialize_enum<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            variants: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = variants;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(Asked(&mut names));
    names
}
