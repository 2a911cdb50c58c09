//! Curves over time: what runs where, who ran the release against what the plan allowed, and bytes.

use std::fmt::Write as _;

use super::html::{Tenths, Text, bytes, count, px};
use super::scale::{CountAxis, LEFT, RIGHT, TimeAxis, WIDTH, clusters, label_width, spread};
use crate::report::trace::{Clock, GOSSIP, Journey, PARTITION, PAYLOAD, SYNC, Series, Trace};
use crate::world::queue::Moment;

const TOP: u64 = 40;

/// The path of a number over time, as steps from the beginning to the axis' end.
fn steps(series: &Series, clock: &Clock, time: &TimeAxis, counts: &CountAxis) -> String {
    let mut path = format!("M{LEFT} {}", counts.y(0));
    for point in series.points() {
        let at = clock.begins(point.bucket);
        if !time.shows(at) {
            break;
        }
        let _ = write!(path, "H{}", time.x(at));
        if point.high != point.last {
            let _ = write!(path, "V{}", counts.y(point.high));
        }
        let _ = write!(path, "V{}", counts.y(point.last));
    }
    let _ = write!(path, "H{RIGHT}");
    path
}

/// Its value where the axis ends.
fn at_end(series: &Series, clock: &Clock, time: &TimeAxis) -> u64 {
    let shown = series.points().iter().take_while(|point| time.shows(clock.begins(point.bucket)));
    shown.last().map_or(0, |point| point.last)
}

/// Opens a chart over time.
pub(super) fn open(out: &mut String, height: u64, words: &str, time: &TimeAxis) {
    let _ = write!(
        out,
        "<svg class=\"time\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\" data-end=\"{}\">",
        Text(words),
        time.end_micros()
    );
}

/// Gates as dashed lines over a plot, with how far they open above it.
fn gates(out: &mut String, journey: &Journey, time: &TimeAxis, bottom: u64) {
    let shown: Vec<_> =
        journey.gates.iter().filter(|gate| time.shows(gate.at) && gate.open <= journey.members).collect();
    let places: Vec<Tenths> = shown.iter().map(|gate| time.x(gate.at)).collect();
    for (gate, x) in shown.iter().zip(&places) {
        let _ = write!(
            out,
            "<path class=\"gate\" d=\"M{x} {}V{bottom}\"><title>{} s: open {}, as machine {} sees first</title></path>",
            TOP - 20,
            gate.at.to_string().trim(),
            count(u64::from(gate.open)),
            gate.node
        );
    }
    let number = |place: usize| shown.get(place).map_or(0, |gate| u64::from(gate.open));
    let label = |first: usize, last: usize| {
        if first == last {
            format!("open {}", count(number(first)))
        } else {
            format!("open {} … {}", count(number(first)), count(number(last)))
        }
    };
    for (first, last) in clusters(&places, label) {
        let words = label(first, last);
        let _ = write!(
            out,
            "<text class=\"gate\" x=\"{}\" y=\"{}\">{words}</text>",
            places[last].plus(px(4)),
            TOP - 12
        );
    }
    end(out, journey, time, bottom);
}

/// The end of the journey as a line, named at its foot where no gate's label can be.
fn end(out: &mut String, journey: &Journey, time: &TimeAxis, bottom: u64) {
    let Some(end) = journey.end.as_ref().filter(|end| time.shows(end.at)) else { return };
    let x = time.x(end.at);
    let (class, words) = if end.stopped.is_some() { ("bad", "stopped") } else { ("good", "done") };
    let right = px(RIGHT).minus(x) > label_width(words).plus(px(8));
    let (at, anchor) = if right { (x.plus(px(5)), "start") } else { (x.minus(px(5)), "end") };
    let _ = write!(
        out,
        "<path class=\"end {class}\" d=\"M{x} {TOP}V{bottom}\"/><text class=\"end {class}\" x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\">{words}</text>",
        bottom - 8
    );
}

/// Times in which links carried nothing, as bands behind a plot.
fn bands(out: &mut String, trace: &Trace, time: &TimeAxis, bottom: u64) {
    let lasting = trace.faults.spans().iter().filter(|span| span.lane == PARTITION && !span.is_mark());
    for span in lasting.filter(|span| time.shows(span.began)) {
        let (from, to) = (time.x(span.began), time.x(span.ended.unwrap_or(trace.ended)));
        let _ = write!(
            out,
            "<rect class=\"band\" x=\"{from}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            to.minus(from).max(px(1)),
            bottom - TOP,
            Text(&span.words)
        );
    }
}

/// The lines' names at their right ends.
fn names(out: &mut String, lines: &[(String, String, Tenths)], bottom: u64) {
    let places: Vec<Tenths> = lines.iter().map(|(.., y)| *y).collect();
    for ((class, words, _), y) in lines.iter().zip(spread(&places, 15, bottom)) {
        let _ = write!(
            out,
            "<text class=\"name {class}\" x=\"{}\" y=\"{}\">{}</text>",
            RIGHT + 8,
            y.plus(px(4)),
            Text(words)
        );
    }
}

/// The class of a release's colour: the one that the run is about stands out.
pub(super) fn release_class(trace: &Trace, release: usize) -> &'static str {
    if release == trace.goal { "goal" } else { ["v0", "v1", "v2", "v3"][release % 4] }
}

/// What runs where.
pub(super) fn adoption(out: &mut String, trace: &Trace, time: &TimeAxis) {
    let (bottom, height) = (TOP + 190, TOP + 190 + 26);
    let counts = CountAxis::new(TOP, bottom, u64::from(trace.nodes));
    open(out, height, "How many machines run which version, over time", time);
    bands(out, trace, time, bottom);
    time.grid(out, TOP, bottom, true);
    counts.grid_of(out, "machines");
    if let Some(journey) = trace.journeys.get(trace.goal) {
        gates(out, journey, time, bottom);
    }
    let mut lines = Vec::new();
    let mut order: Vec<usize> = (0..trace.journeys.len()).filter(|r| *r != trace.goal).collect();
    order.extend((trace.goal < trace.journeys.len()).then_some(trace.goal));
    for release in order {
        let journey = &trace.journeys[release];
        if journey.running.points().is_empty() {
            continue;
        }
        let class = release_class(trace, release);
        let path = steps(&journey.running, &trace.clock, time, &counts);
        if release == trace.goal {
            let _ = write!(out, "<path class=\"fill {class}\" d=\"{path}V{}Z\"/>", counts.y(0));
        }
        let _ = write!(out, "<path class=\"line {class}\" d=\"{path}\"/>");
        let last = at_end(&journey.running, &trace.clock, time);
        lines.push((
            class.to_owned(),
            format!("{} · {}", clip(&journey.version), count(last)),
            counts.y(last),
        ));
    }
    let off = &trace.standing[crate::report::trace::State::Off as usize];
    if off
        .points()
        .iter()
        .any(|point| point.last > 0 && trace.clock.begins(point.bucket) > Moment::seconds(1))
    {
        let _ = write!(out, "<path class=\"line off\" d=\"{}\"/>", steps(off, &trace.clock, time, &counts));
        let last = at_end(off, &trace.clock, time);
        lines.push(("off".to_owned(), format!("off · {}", count(last)), counts.y(last)));
    }
    names(out, &lines, bottom);
    out.push_str("</svg>");
}

/// A version's name, short enough for a margin.
fn clip(version: &str) -> String {
    match version.char_indices().nth(11) {
        Some((end, _)) => format!("{}…", &version[..end]),
        None => version.to_owned(),
    }
}

/// Who ran the release, against what the plan had opened.
pub(super) fn exposure(out: &mut String, trace: &Trace, journey: &Journey, time: &TimeAxis) {
    let (bottom, height) = (TOP + 170, TOP + 170 + 26);
    let reached = journey.open.highest().max(journey.exposed.highest());
    let next = journey.targets.iter().copied().map(u64::from).find(|target| *target >= reached);
    let highest = next.unwrap_or(reached).max(reached).max(2);
    let counts = CountAxis::new(TOP, bottom, highest);
    open(out, height, "How many machines have run the release, and how many the plan allowed", time);
    bands(out, trace, time, bottom);
    time.grid(out, TOP, bottom, true);
    counts.grid_of(out, "machines");
    for target in journey.targets.iter().copied().map(u64::from).filter(|target| *target <= highest) {
        let y = counts.y(target);
        let _ = write!(out, "<path class=\"target\" d=\"M{LEFT} {y}H{RIGHT}\"/>");
    }
    let clock = &trace.clock;
    let allowed = steps(&journey.open, clock, time, &counts);
    let exposed = steps(&journey.exposed, clock, time, &counts);
    let _ = write!(out, "<path class=\"fill allowed\" d=\"{allowed}V{}Z\"/>", counts.y(0));
    let _ = write!(out, "<path class=\"fill goal\" d=\"{exposed}V{}Z\"/>", counts.y(0));
    let _ = write!(out, "<path class=\"line allowed\" d=\"{allowed}\"/>");
    let _ = write!(out, "<path class=\"line goal\" d=\"{exposed}\"/>");
    let mut lines = Vec::new();
    for (class, words, series) in [
        ("allowed", "allowed", &journey.open),
        ("goal", "ran it", &journey.exposed),
        ("bad", "found it bad", &journey.failed),
    ] {
        let last = at_end(series, clock, time);
        if class == "bad" {
            if last == 0 {
                continue;
            }
            let _ = write!(out, "<path class=\"line bad\" d=\"{}\"/>", steps(series, clock, time, &counts));
        }
        lines.push((class.to_owned(), format!("{words} · {}", count(last)), counts.y(last)));
    }
    gates(out, journey, time, bottom);
    names(out, &lines, bottom);
    out.push_str("</svg>");
}

/// Bytes a second by stream, one on top of the other.
pub(super) fn bytes_over_time(out: &mut String, trace: &Trace, time: &TimeAxis) {
    let (top, bottom, height) = (32, 172, 198);
    let buckets = trace.traffic.streams.buckets();
    let width = trace.clock.width_micros();
    // A point for each 4 pixels is as much as an eye can follow; the sum over each is exact.
    let points = (RIGHT - LEFT) / 4;
    let each = (time.end_micros() / width.max(1)).div_ceil(points).max(1);
    let each = usize::try_from(each).unwrap_or(1);
    let per_second = |amount: u64| {
        let micros = u128::from(width) * each as u128;
        u64::try_from(u128::from(amount) * 1_000_000 / micros.max(1)).unwrap_or(u64::MAX)
    };
    let sums: Vec<[u64; 3]> = buckets
        .chunks(each)
        .map(|chunk| [SYNC, GOSSIP, PAYLOAD].map(|kind| per_second(chunk.iter().map(|b| b[kind]).sum())))
        .collect();
    let highest = sums.iter().map(|sum| sum.iter().sum()).max().unwrap_or(0);
    let counts = CountAxis::new(top, bottom, highest);
    open(out, height, "Bytes sent in each second by the whole fleet, over time", time);
    time.grid(out, top, bottom, true);
    counts.grid(out, "bytes a second", bytes);
    for layer in (0..3).rev() {
        let mut path = format!("M{LEFT} {bottom}");
        for (place, sum) in sums.iter().enumerate() {
            let begins = Moment(place as u64 * each as u64 * width);
            if !time.shows(begins) {
                break;
            }
            let y = counts.y(sum[..=layer].iter().sum());
            let end = Moment(begins.0.saturating_add(each as u64 * width));
            let _ = write!(path, "V{y}H{}", time.x(end));
        }
        let class = ["sync", "gossip", "payload"][layer];
        let _ = write!(out, "<path class=\"stack {class}\" d=\"{path}V{bottom}Z\"/>");
    }
    for (place, (class, words)) in
        [("payload", "releases"), ("gossip", "gossip"), ("sync", "sync")].into_iter().enumerate()
    {
        let y = top + 12 + 18 * place as u64;
        let _ = write!(
            out,
            "<rect class=\"stack {class}\" x=\"{}\" y=\"{}\" width=\"10\" height=\"10\"/><text class=\"name\" x=\"{}\" y=\"{y}\">{words}</text>",
            RIGHT + 8,
            y - 9,
            RIGHT + 24
        );
    }
    out.push_str("</svg>");
}
