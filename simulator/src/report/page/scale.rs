//! Axes: from moments and counts to places on the page, with ticks at round numbers.

use std::fmt::Write as _;

use super::html::{Tenths, count, px};
use crate::world::queue::Moment;

/// Where every chart over time begins and ends, so that they stand exactly under each other.
pub(super) const LEFT: u64 = 118;
/// See [`LEFT`].
pub(super) const RIGHT: u64 = 1_040;
/// Width of a chart, labels to the right of its plot among it.
pub(super) const WIDTH: u64 = 1_160;
/// Ticks of a time axis at most.
const TIME_TICKS_MAX: u64 = 10;

/// The time axis that all charts of a page share.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    end: u64,
}

/// Round steps of time, in milliseconds.
const STEPS: [u64; 22] = [
    1,
    10,
    100,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    1_200_000,
    1_800_000,
    3_600_000,
    7_200_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
];

impl TimeAxis {
    /// From the beginning to `end`.
    pub(super) fn to(end: Moment) -> Self {
        Self { end: end.0.max(1_000) }
    }

    /// Where a moment lies; what is beyond the axis lies at its end.
    pub(super) fn x(&self, moment: Moment) -> Tenths {
        let width = u128::from(RIGHT - LEFT) * 10;
        let along = u128::from(moment.0.min(self.end)) * width / u128::from(self.end);
        px(LEFT).plus(Tenths(u64::try_from(along).unwrap_or(0)))
    }

    /// Whether a moment lies on the axis.
    pub(super) fn shows(&self, moment: Moment) -> bool {
        moment.0 <= self.end
    }

    /// Its length in microseconds.
    pub(super) fn end_micros(&self) -> u64 {
        self.end
    }

    fn step(&self) -> u64 {
        let fits = |step: &u64| self.end / (step * 1000) <= TIME_TICKS_MAX;
        let longest = STEPS[STEPS.len() - 1];
        let longer = (1..40).map(|power| longest << power);
        STEPS.into_iter().chain(longer).find(fits).unwrap_or(u64::MAX / 1000) * 1000
    }

    /// Lines at round moments from `top` to `bottom`, with labels below if `labels`.
    pub(super) fn grid(&self, out: &mut String, top: u64, bottom: u64, labels: bool) {
        let step = self.step();
        for nth in 0..=self.end / step {
            let at = Moment(nth * step);
            let x = self.x(at);
            let _ = write!(out, "<path class=\"grid\" d=\"M{x} {top}V{bottom}\"/>");
            if labels {
                let _ = write!(
                    out,
                    "<text class=\"tick\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    bottom + 16,
                    self.label(at)
                );
            }
        }
    }

    fn label(&self, at: Moment) -> String {
        let (seconds, milliseconds) = (at.0 / 1_000_000, at.0 / 1000 % 1000);
        if at.0 == 0 {
            "0".to_owned()
        } else if self.step() < 1_000_000 {
            format!("{seconds}.{milliseconds:03} s")
        } else if self.end < 300_000_000 {
            format!("{seconds} s")
        } else if self.end < 10_800_000_000 {
            format!("{}:{:02} min", seconds / 60, seconds % 60)
        } else {
            format!("{}:{:02} h", seconds / 3600, seconds % 3600 / 60)
        }
    }
}

/// A vertical axis from zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountAxis {
    top: u64,
    bottom: u64,
    highest: u64,
}

impl CountAxis {
    /// Over a plot between two heights, up to `highest`.
    pub(super) fn new(top: u64, bottom: u64, highest: u64) -> Self {
        Self { top, bottom, highest: highest.max(1) }
    }

    /// Where a number lies.
    pub(super) fn y(&self, number: u64) -> Tenths {
        let height = u128::from(self.bottom - self.top) * 10;
        let up = u128::from(number.min(self.highest)) * height / u128::from(self.highest);
        px(self.bottom).minus(Tenths(u64::try_from(up).unwrap_or(0)))
    }

    /// The round numbers from zero upwards: at most six.
    pub(super) fn ticks(&self) -> Vec<u64> {
        let mut step = 1_u64;
        let mut next = [2, 5, 10].into_iter().cycle();
        let mut decade = 1_u64;
        while self.highest / step > 5 {
            let factor = next.next().unwrap_or(10);
            step = decade.saturating_mul(factor);
            if factor == 10 {
                decade = step;
            }
        }
        (0..=self.highest / step).map(|nth| nth * step).collect()
    }

    /// Lines and labels at round numbers, and what is counted, in words.
    pub(super) fn grid(&self, out: &mut String, unit: &str, words: impl Fn(u64) -> String) {
        for tick in self.ticks() {
            let y = self.y(tick);
            let class = if tick == 0 { "base" } else { "grid" };
            let _ = write!(out, "<path class=\"{class}\" d=\"M{LEFT} {y}H{RIGHT}\"/>");
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                LEFT - 8,
                y.plus(px(4)),
                words(tick)
            );
        }
        let _ = write!(
            out,
            "<text class=\"unit\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{unit}</text>",
            LEFT - 8,
            self.top.saturating_sub(12)
        );
    }

    /// Lines and labels for a plain count.
    pub(super) fn grid_of(&self, out: &mut String, unit: &str) {
        self.grid(out, unit, count);
    }
}

/// About the width of a small label.
pub(super) fn label_width(words: &str) -> Tenths {
    Tenths(words.chars().count() as u64 * 65)
}

/// Places labels beside each other in as few rows as they need, so that none covers another. Returns
/// each label's row; `None` where there is no room in `rows`.
pub(super) fn rows_for(labels: &[(Tenths, Tenths)], rows: usize) -> Vec<Option<usize>> {
    let mut ends: Vec<Tenths> = vec![Tenths(0); rows];
    labels
        .iter()
        .map(|(begin, end)| {
            let row = ends.iter().position(|taken| *taken <= *begin)?;
            ends[row] = end.plus(px(8));
            Some(row)
        })
        .collect()
}

/// Room between a label and what stands right of it, with its distance from its own line.
const LABEL_GAP: Tenths = px(12);

/// Groups of neighbours, each as the place of its first and of its last: what lies closer than a label to
/// the one before it shares its label, which stands at the last of the group.
pub(super) fn clusters(places: &[Tenths], label: impl Fn(usize, usize) -> String) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (place, x) in places.iter().enumerate() {
        match groups.last_mut() {
            Some((first, last))
                if *x < places[*last].plus(label_width(&label(*first, *last))).plus(LABEL_GAP) =>
            {
                *last = place;
            }
            _ => groups.push((place, place)),
        }
    }
    groups
}

/// Moves labels apart along the vertical, each at least `apart` from the next and as near to its place
/// as can be; from the lowest place up.
pub(super) fn spread(places: &[Tenths], apart: u64, bottom: u64) -> Vec<Tenths> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(places[*place]));
    let mut spread = places.to_vec();
    let mut limit = px(bottom);
    for place in order {
        spread[place] = spread[place].min(limit);
        limit = spread[place].minus(px(apart));
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round_for_every_size() {
        for highest in [0, 1, 4, 7, 99, 100, 101, 1_000, 123_456, u64::MAX] {
            let ticks = CountAxis::new(0, 100, highest).ticks();
            assert!((1..=6).contains(&ticks.len()), "{highest}: {ticks:?}");
        }
        assert_eq!(CountAxis::new(0, 100, 100).ticks(), [0, 20, 40, 60, 80, 100]);
        for end in [1, 5_000, 53_000_000, 3_600_000_000, 86_400_000_000_000, u64::MAX] {
            let axis = TimeAxis::to(Moment(end));
            assert!(axis.end / axis.step() <= TIME_TICKS_MAX, "{end}");
        }
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        let labels = [(px(0), px(50)), (px(40), px(80)), (px(60), px(90)), (px(61), px(95))];
        assert_eq!(rows_for(&labels, 2), [Some(0), Some(1), Some(0), None]);
        let close = clusters(&[px(0), px(10), px(49), px(140), px(250)], |first, last| {
            if first == last { "open 1".to_owned() } else { "open 1 … 4".to_owned() }
        });
        assert_eq!(close, [(0, 2), (3, 3), (4, 4)]);
        let spread = spread(&[px(100), px(98), px(20)], 14, 100);
        assert_eq!(spread, [px(100), px(86), px(20)]);
    }
}
