//! How fast facts travelled, and how many bytes of what.

use std::fmt::Write as _;

use super::html::{bytes, count, duration, px};
use super::scale::{LEFT, WIDTH};
use crate::report::trace::{Histogram, Kind, Trace};

/// Height of one histogram.
const ROW: u64 = 52;
const TOP: u64 = 22;
/// Where the columns of figures end.
const COLUMNS: [(u64, &str); 4] =
    [(860, "half within"), (950, "99 % within"), (1_040, "longest"), (1_150, "arrivals")];
/// Where the histograms end.
const PLOT: u64 = 760;

/// Powers of ten of microseconds that hold all latencies: (lowest, highest).
fn decades(histograms: &[(&str, &Histogram)]) -> (u32, u32) {
    let filled = histograms.iter().flat_map(|(_, histogram)| histogram.filled());
    let (low, high) = filled.fold((u64::MAX, 1), |(low, high), (from, to, _)| (low.min(from), high.max(to)));
    if low == u64::MAX {
        return (3, 6);
    }
    let low = low.max(100).ilog10();
    (low, (high.ilog10() + 1).max(low + 1))
}

/// A place on the logarithmic axis: exact at powers of ten, linear between the steps of 1 to 10 by logarithm's table.
fn log_x(micros: u64, (low, high): (u32, u32)) -> u64 {
    // Thousandths of a decade for 1.0, 1.1 .. 9.9: log10 in integers, by repeated comparison.
    let decade = micros.max(1).ilog10();
    let base = 10_u64.pow(decade);
    let tenths =
        usize::try_from((u128::from(micros) * 10 / u128::from(base)).saturating_sub(10)).unwrap_or(0);
    let within = LOG10[tenths.min(LOG10.len() - 1)];
    let along = (u64::from(decade) * 1000 + within).saturating_sub(u64::from(low) * 1000);
    let whole = u64::from(high - low) * 1000;
    LEFT + along.min(whole) * (PLOT - LEFT) / whole
}

/// 1,000 x log10 of 1.0, 1.1, .. 9.9.
const LOG10: [u64; 90] = [
    0, 41, 79, 114, 146, 176, 204, 230, 255, 279, 301, 322, 342, 362, 380, 398, 415, 431, 447, 462, 477, 491,
    505, 519, 531, 544, 556, 568, 580, 591, 602, 613, 623, 633, 643, 653, 663, 672, 681, 690, 699, 708, 716,
    724, 732, 740, 748, 756, 763, 771, 778, 785, 792, 799, 806, 813, 820, 826, 833, 839, 845, 851, 857, 863,
    869, 875, 881, 886, 892, 898, 903, 908, 914, 919, 924, 929, 934, 940, 944, 949, 954, 959, 964, 968, 973,
    978, 982, 987, 991, 996,
];

pub(super) fn latency(out: &mut String, trace: &Trace) {
    let latency = &trace.latency;
    let all = [
        ("documents", &latency.papers),
        ("decisions", &latency.decisions),
        ("votes", &latency.votes),
        ("beacons", &latency.beacons),
        ("by sync", &latency.synced),
    ];
    let shown: Vec<(&str, &Histogram)> = all.into_iter().filter(|(_, h)| h.total() > 0).collect();
    if shown.is_empty() {
        out.push_str("<p class=\"empty\">No fact travelled from one machine to another.</p>");
        return;
    }
    let decades = decades(&shown);
    let bottom = TOP + ROW * shown.len() as u64;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"How long facts took to arrive\">",
        bottom + 26
    );
    for (x, words) in COLUMNS {
        let _ = write!(out, "<text class=\"unit\" x=\"{x}\" y=\"14\" text-anchor=\"end\">{words}</text>");
    }
    for decade in decades.0..=decades.1 {
        let micros = 10_u64.pow(decade);
        let x = log_x(micros, decades);
        let words = match micros {
            0..1_000 => format!("{micros} µs"),
            1_000..1_000_000 => format!("{} ms", micros / 1_000),
            _ => format!("{} s", micros / 1_000_000),
        };
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{x} {TOP}V{bottom}\"/><text class=\"tick\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{words}</text>",
            bottom + 16
        );
    }
    for (row, (words, histogram)) in (0..).zip(&shown) {
        one(out, words, histogram, TOP + ROW * row, decades);
    }
    out.push_str("</svg>");
}

fn one(out: &mut String, words: &str, histogram: &Histogram, top: u64, decades: (u32, u32)) {
    let base = top + ROW - 8;
    let most = histogram.filled().map(|(.., count)| count).max().unwrap_or(1);
    let mut path = String::new();
    for (from, to, count) in histogram.filled() {
        let tall = super::html::Tenths(count * (ROW - 14) * 10 / most).max(px(1));
        let (left, right) = (log_x(from, decades), log_x(to, decades));
        let _ = write!(path, "M{left} {base}v-{tall}H{}v{tall}z", right.max(left + 2) - 1);
    }
    let _ = write!(
        out,
        "<path class=\"base\" d=\"M{LEFT} {base}H{PLOT}\"/><path class=\"hist\" d=\"{path}\"/><text class=\"lane\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{words}</text>",
        LEFT - 8,
        base - 4
    );
    let (half, most_of) = (histogram.below_micros(500), histogram.below_micros(990));
    for (micros, class) in [(half, "p50"), (most_of, "p99")] {
        let x = log_x(micros, decades);
        let _ = write!(out, "<path class=\"{class}\" d=\"M{x} {}V{}\"/>", top + 4, base + 3);
    }
    let figures =
        [duration(half), duration(most_of), duration(histogram.longest_micros()), count(histogram.total())];
    for ((x, _), figure) in COLUMNS.into_iter().zip(figures) {
        let _ = write!(
            out,
            "<text class=\"figure\" x=\"{x}\" y=\"{}\" text-anchor=\"end\">{figure}</text>",
            base - 4
        );
    }
}

/// The table of bytes by kind.
pub(super) fn traffic(out: &mut String, trace: &Trace) {
    let traffic = &trace.traffic;
    let mut rows: Vec<(&str, &str, u64, u64)> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let amount = traffic.frames[kind as usize];
            let class = if kind.is_gossip() { "gossip" } else { "sync" };
            (kind.words(), class, amount.count, amount.bytes)
        })
        .chain([
            (
                "release, from its publisher",
                "payload",
                traffic.from_publisher.count,
                traffic.from_publisher.bytes,
            ),
            ("release, from other machines", "payload", traffic.from_peers.count, traffic.from_peers.bytes),
        ])
        .filter(|(_, _, count, _)| *count > 0)
        .collect();
    if rows.is_empty() {
        out.push_str("<p class=\"empty\">Nothing was sent.</p>");
        return;
    }
    rows.sort_by_key(|(words, _, _, bytes)| (std::cmp::Reverse(*bytes), *words));
    let total: u64 = rows.iter().map(|row| row.3).sum();
    let most = rows.iter().map(|row| row.3).max().unwrap_or(1).max(1);
    let nodes = u64::from(trace.nodes.max(1));
    out.push_str("<table class=\"bytes\"><thead><tr><th scope=\"col\">what</th><th scope=\"col\">sent</th><th scope=\"col\">bytes</th><th scope=\"col\">a machine</th><th scope=\"col\">share</th><th class=\"wide\" aria-hidden=\"true\"></th></tr></thead><tbody>");
    for (words, class, number, amount) in rows {
        let permille = u128::from(amount) * 1000 / u128::from(total.max(1));
        let width = u128::from(amount) * 1000 / u128::from(most);
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{words}</th><td>{}</td><td>{}</td><td>{}</td><td>{}.{} %</td><td class=\"wide\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"stack {class}\" width=\"{}\" height=\"10\"/></svg></td></tr>",
            count(number),
            bytes(amount),
            bytes(amount / nodes),
            permille / 10,
            permille % 10,
            width.max(2)
        );
    }
    let _ = write!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">all</th><td></td><td>{}</td><td>{}</td><td></td><td class=\"wide\"></td></tr></tfoot></table>",
        bytes(total),
        bytes(total / nodes)
    );
}
