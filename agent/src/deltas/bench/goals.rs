//! What was promised of deltas, and what was measured of it.

use serde::Serialize;

use super::PairReport;
use super::kind::Kind;
use super::measure::Figures;
use super::tools::Tool;

/// Size against the best peer of each pair: the geometric mean of a kind, and the largest of any pair.
const SIZES: [(Kind, Option<f64>, Option<f64>); 6] = [
    (Kind::Elf, Some(0.45), Some(0.72)),
    (Kind::Wasm, Some(0.60), None),
    (Kind::Text, None, Some(1.00)),
    (Kind::Container, None, Some(0.10)),
    (Kind::Kernel, None, Some(0.20)),
    (Kind::Weights, None, Some(0.87)),
];
/// Speed of applying, bytes of the new file in a second of processor time, against others'.
const APPLY_AGAINST_HDIFFPATCH: f64 = 0.7;
const APPLY_AGAINST_BSDIFF: f64 = 2.0;
/// Memory of applying, above what this program takes to do nothing.
const APPLY_MEMORY_BYTES: u64 = 64 << 20;
/// Processor time of making, against bsdiff's.
const MAKE_BEST_AGAINST_BSDIFF: f64 = 3.0;
const MAKE_FAST_AGAINST_BSDIFF: f64 = 0.3;
/// Memory of making, beyond doing nothing: so many times the larger file where that has at most so many bytes, and so
/// much above.
const MAKE_MEMORY_TIMES: u64 = 10;
const MAKE_MEMORY_SMALL_BYTES: u64 = 256 << 20;
const MAKE_MEMORY_LARGE_BYTES: u64 = 3 << 30;

/// One promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Of what.
    pub what: String,
    /// The bound.
    pub promised: f64,
    /// Whether the bound is the least that may be, or the most.
    pub at_least: bool,
    /// What was measured, if anything that it is about was.
    pub measured: Option<f64>,
    /// The pair that was furthest from it.
    pub worst: Option<String>,
    /// Whether it was kept.
    pub kept: Option<bool>,
}

/// A pair's name, and its figure for a goal.
type Case<'a> = (&'a str, f64);

/// Judges what was measured; `idle_bytes` is the memory that this program takes to do nothing.
pub(super) fn judge(pairs: &[PairReport], idle_bytes: u64) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (kind, mean, each) in SIZES {
        let ratios: Vec<Case<'_>> = cases(pairs, |pair| pair.ratio().filter(|_| pair.kind == kind));
        if let Some(promised) = mean {
            goals.push(mean_goal(format!("size, {}, geometric mean", kind.name()), promised, &ratios));
        }
        if let Some(promised) = each {
            goals.push(most_goal(format!("size, {}, each", kind.name()), promised, &ratios));
        }
    }
    let faster = |peer| cases(pairs, move |pair| against(pair, peer, Tool::SwellBest, |it| it.apply_seconds));
    goals.push(least_goal(
        "apply speed against hpatchz",
        APPLY_AGAINST_HDIFFPATCH,
        &faster(Tool::Hdiffpatch),
    ));
    goals.push(least_goal("apply speed against bspatch", APPLY_AGAINST_BSDIFF, &faster(Tool::Bsdiff)));
    let apply_memory = cases(pairs, |pair| {
        let taken = pair.figures(Tool::SwellBest)?.apply_memory_bytes.saturating_sub(idle_bytes);
        Some(part(taken, APPLY_MEMORY_BYTES))
    });
    goals.push(most_goal("apply memory, of 64 MiB", 1.0, &apply_memory));
    let make = |tool| cases(pairs, move |pair| against(pair, tool, Tool::Bsdiff, |it| it.make_seconds));
    goals.push(most_goal(
        "make time, best, against bsdiff",
        MAKE_BEST_AGAINST_BSDIFF,
        &make(Tool::SwellBest),
    ));
    goals.push(most_goal(
        "make time, fast, against bsdiff",
        MAKE_FAST_AGAINST_BSDIFF,
        &make(Tool::SwellFast),
    ));
    let fast_size = cases(pairs, |pair| {
        let fast = pair.figures(Tool::SwellFast)?.bytes;
        Some(part(fast, pair.figures(Tool::Bsdiff)?.bytes))
    });
    goals.push(most_goal("size, fast, against bsdiff", 1.0, &fast_size));
    let make_memory = cases(pairs, |pair| make_memory(pair, idle_bytes));
    goals.push(most_goal("make memory, of its bound", 1.0, &make_memory));
    goals
}

fn cases<'a>(pairs: &'a [PairReport], figure: impl Fn(&PairReport) -> Option<f64>) -> Vec<Case<'a>> {
    pairs.iter().filter_map(|pair| Some((pair.name.as_str(), figure(pair)?))).collect()
}

/// One tool's figure divided by another's.
fn against(pair: &PairReport, one: Tool, other: Tool, figure: impl Fn(&Figures) -> f64) -> Option<f64> {
    let (one, other) = (figure(pair.figures(one)?), figure(pair.figures(other)?));
    (other > 0.0).then(|| one / other)
}

fn make_memory(pair: &PairReport, idle_bytes: u64) -> Option<f64> {
    let larger = pair.old_bytes.max(pair.new_bytes);
    let bound = if larger <= MAKE_MEMORY_SMALL_BYTES {
        larger.max(1).saturating_mul(MAKE_MEMORY_TIMES)
    } else {
        MAKE_MEMORY_LARGE_BYTES
    };
    let taken = pair.figures(Tool::SwellBest)?.make_memory_bytes.saturating_sub(idle_bytes);
    Some(part(taken, bound))
}

pub(super) fn part(bytes: u64, of: u64) -> f64 {
    float(bytes) / float(of.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "ratios for people")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

fn mean_goal(what: String, promised: f64, cases: &[Case<'_>]) -> Goal {
    let worst = cases.iter().max_by(|one, other| one.1.total_cmp(&other.1));
    let goal = Goal { worst: worst.map(|(name, _)| (*name).to_owned()), ..open_goal(what, promised, false) };
    judged(goal, geometric_mean(cases))
}

fn most_goal(what: impl Into<String>, promised: f64, cases: &[Case<'_>]) -> Goal {
    let worst = cases.iter().max_by(|one, other| one.1.total_cmp(&other.1));
    worst_goal(open_goal(what.into(), promised, false), worst)
}

fn least_goal(what: impl Into<String>, promised: f64, cases: &[Case<'_>]) -> Goal {
    let worst = cases.iter().min_by(|one, other| one.1.total_cmp(&other.1));
    worst_goal(open_goal(what.into(), promised, true), worst)
}

fn worst_goal(goal: Goal, worst: Option<&Case<'_>>) -> Goal {
    let named = Goal { worst: worst.map(|(name, _)| (*name).to_owned()), ..goal };
    judged(named, worst.map(|(_, figure)| *figure))
}

fn open_goal(what: String, promised: f64, at_least: bool) -> Goal {
    Goal { what, promised, at_least, measured: None, worst: None, kept: None }
}

fn judged(goal: Goal, measured: Option<f64>) -> Goal {
    let kept = measured.map(|it| if goal.at_least { it >= goal.promised } else { it <= goal.promised });
    Goal { measured, kept, ..goal }
}

fn geometric_mean(cases: &[Case<'_>]) -> Option<f64> {
    let logarithms: f64 = cases.iter().map(|(_, figure)| figure.ln()).sum();
    let count = u32::try_from(cases.len()).ok().filter(|count| *count > 0)?;
    Some((logarithms / f64::from(count)).exp())
}

#[cfg(test)]
mod tests {
    use super::super::ToolReport;
    use super::*;

    fn pair(name: &str, kind: Kind, ours: u64, theirs: u64) -> PairReport {
        let figures = |bytes, make_seconds, apply_seconds| Figures {
            bytes,
            make_seconds,
            make_memory_bytes: (1 << 20) + 5_000,
            apply_seconds,
            apply_memory_bytes: 20 << 20,
        };
        let report = |tool, figures| ToolReport { tool, figures: Some(figures), failure: None };
        PairReport {
            name: name.to_owned(),
            what: None,
            kind,
            old_bytes: 1_000,
            new_bytes: 1_000,
            tools: vec![
                report(Tool::SwellBest, figures(ours, 20.0, 1.0)),
                report(Tool::SwellFast, figures(ours + 1, 4.0, 1.0)),
                report(Tool::Bsdiff, figures(theirs, 10.0, 1.5)),
                report(Tool::Hdiffpatch, figures(theirs + 5, 10.0, 0.9)),
            ],
        }
    }

    fn goal<'a>(goals: &'a [Goal], what: &str) -> &'a Goal {
        goals.iter().find(|goal| goal.what == what).expect("a goal")
    }

    #[test]
    fn goals_are_judged_by_the_worst_pair_and_by_the_mean() {
        let pairs = [pair("one", Kind::Elf, 200, 1_000), pair("two", Kind::Elf, 800, 1_000)];
        let goals = judge(&pairs, 1 << 20);
        let mean = goal(&goals, "size, elf, geometric mean");
        assert_eq!((mean.measured.map(|it| (it * 100.0).round()), mean.kept), (Some(40.0), Some(true)));
        let each = goal(&goals, "size, elf, each");
        assert_eq!((each.measured, each.kept, each.worst.as_deref()), (Some(0.8), Some(false), Some("two")));
        assert_eq!(goal(&goals, "size, wasm, geometric mean").kept, None, "none was measured");
        assert_eq!(goal(&goals, "apply speed against hpatchz").measured, Some(0.9));
        assert_eq!(goal(&goals, "apply speed against bspatch").kept, Some(false));
        assert_eq!(goal(&goals, "make time, best, against bsdiff").measured, Some(2.0));
        assert_eq!(goal(&goals, "make time, fast, against bsdiff").kept, Some(false));
        assert_eq!(goal(&goals, "apply memory, of 64 MiB").kept, Some(true));
        assert_eq!(goal(&goals, "make memory, of its bound").measured, Some(0.5));
        assert_eq!(goal(&goals, "size, fast, against bsdiff").worst.as_deref(), Some("two"));
    }
}
