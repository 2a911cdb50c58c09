//! Lanes under one time axis: who led, what was proposed and opened, why it held, verdicts, stops, faults.

use std::fmt::Write as _;

use groundswell_protocol::facts::StopReason;
use groundswell_protocol::node::event::Hold;

use super::curves::open;
use super::html::{Tenths, Text, count, many, px};
use super::scale::{LEFT, RIGHT, TimeAxis, WIDTH, clusters, label_width, rows_for};
use crate::report::trace::{FAILED, HEALTHY, HOLDS, Journey, PEOPLE, Span, Trace, hold_words};
use crate::world::queue::Moment;

const TOP: u64 = 8;
/// Height of a row, and of the bar in it.
const ROW: u64 = 20;
const BAR: u64 = 14;
/// Rows that a lane may need before its faults are shown as a count instead.
const ROWS_MAX: usize = 6;
/// A lane with more faults than this is shown as a count.
const BARS_MAX: usize = 60;
/// Pixels that stand for one count in lanes of counts.
const CELL: u64 = 4;

/// A bar or tick in a lane, before it has its place.
struct Item {
    from: Tenths,
    to: Tenths,
    class: &'static str,
    words: String,
    title: String,
    /// A tick keeps its label beside it, a bar in it.
    tick: bool,
}

/// A drawing that grows downwards.
struct Lanes<'a> {
    time: &'a TimeAxis,
    body: String,
    y: u64,
}

impl Lanes<'_> {
    fn title(&mut self, words: &str) {
        let _ = write!(
            self.body,
            "<text class=\"lane\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8,
            self.y + 14,
            Text(words)
        );
    }

    fn line(&mut self) {
        let _ = write!(self.body, "<path class=\"sep\" d=\"M0 {}H{WIDTH}\"/>", self.y);
    }

    /// A lane of bars and ticks, in as many rows as keeps them apart.
    fn lane(&mut self, words: &str, items: &[Item]) {
        if items.is_empty() {
            return;
        }
        self.title(words);
        let spans: Vec<(Tenths, Tenths)> = items
            .iter()
            .map(|item| {
                let label = label_width(&item.words).plus(px(8));
                (
                    item.from,
                    if item.tick { item.from.plus(label) } else { item.to.max(item.from.plus(px(2))) },
                )
            })
            .collect();
        let mut rows = rows_for(&spans, ROWS_MAX);
        let used = rows.iter().flatten().max().map_or(1, |most| most + 1);
        // What finds no room lies in the last row without its label.
        let crowded: Vec<bool> = rows.iter().map(Option::is_none).collect();
        rows.iter_mut().for_each(|row| *row = Some(row.unwrap_or(used - 1)));
        for ((item, row), crowded) in items.iter().zip(rows).zip(crowded) {
            let y = self.y + 3 + ROW * row.unwrap_or(0) as u64;
            if item.tick { self.tick(item, y, crowded) } else { self.bar(item, y) }
        }
        self.y += ROW * used as u64;
        self.line();
    }

    fn tick(&mut self, item: &Item, y: u64, crowded: bool) {
        let _ = write!(
            self.body,
            "<g class=\"{}\"><path class=\"tickmark\" d=\"M{} {y}v{BAR}\"/><title>{}</title>",
            item.class,
            item.from,
            Text(&item.title)
        );
        if !crowded && !item.words.is_empty() {
            let room = px(WIDTH).minus(item.from).minus(px(6)) >= label_width(&item.words);
            let (x, anchor) =
                if room { (item.from.plus(px(5)), "start") } else { (item.from.minus(px(5)), "end") };
            let _ = write!(
                self.body,
                "<text class=\"mark\" x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                y + 11,
                Text(&item.words)
            );
        }
        self.body.push_str("</g>");
    }

    fn bar(&mut self, item: &Item, y: u64) {
        let width = item.to.minus(item.from).max(px(2));
        let _ = write!(
            self.body,
            "<g class=\"{}\"><rect class=\"bar\" x=\"{}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"2\"/><title>{}</title>",
            item.class,
            item.from,
            Text(&item.title)
        );
        if label_width(&item.words).plus(px(8)) <= width {
            let _ = write!(
                self.body,
                "<text class=\"inbar\" x=\"{}\" y=\"{}\">{}</text>",
                item.from.plus(px(5)),
                y + 11,
                Text(&item.words)
            );
        }
        self.body.push_str("</g>");
    }

    /// A lane of counts by time: bars from its bottom.
    fn counts(&mut self, words: &str, class: &str, cells: &[u64], about: &str) {
        let highest = cells.iter().copied().max().unwrap_or(0);
        if highest == 0 {
            return;
        }
        self.title(words);
        let (base, height) = (self.y + 24, 20);
        let _ = write!(self.body, "<g class=\"{class}\"><title>{}</title>", Text(about));
        let mut path = String::new();
        for (place, cell) in cells.iter().enumerate().filter(|(_, cell)| **cell > 0) {
            let tall = Tenths(cell * height * 10 / highest).max(px(2));
            let _ = write!(path, "M{} {base}v-{tall}", LEFT + CELL * place as u64 + CELL / 2);
        }
        let _ = write!(self.body, "<path class=\"count\" d=\"{path}\"/></g>");
        let _ = write!(
            self.body,
            "<text class=\"mark\" x=\"{}\" y=\"{}\">{}</text>",
            RIGHT + 8,
            self.y + 16,
            Text(about)
        );
        self.y += 28;
        self.line();
    }
}

pub(super) fn draw(out: &mut String, trace: &Trace, journey: &Journey, time: &TimeAxis) {
    let mut lanes = Lanes { time, body: String::new(), y: TOP };
    lanes.line();
    leaders(&mut lanes, trace, journey);
    proposals(&mut lanes, journey);
    openings(&mut lanes, journey);
    holds(&mut lanes, trace, journey);
    verdicts(&mut lanes, trace, journey);
    stops(&mut lanes, journey);
    faults(&mut lanes, trace);
    let bottom = lanes.y;
    open(out, bottom + 26, "Leaders, openings, verdicts and faults, over time", time);
    time.grid(out, TOP, bottom, true);
    out.push_str(&lanes.body);
    out.push_str("</svg>");
}

fn tick(lanes: &Lanes<'_>, at: Moment, class: &'static str, words: String, title: String) -> Option<Item> {
    let x = lanes.time.x(at);
    lanes.time.shows(at).then_some(Item { from: x, to: x, class, words, title, tick: true })
}

fn bar(
    lanes: &Lanes<'_>,
    (from, to): (Moment, Moment),
    class: &'static str,
    words: String,
    title: String,
) -> Option<Item> {
    let shown = lanes.time.shows(from);
    shown.then(|| Item { from: lanes.time.x(from), to: lanes.time.x(to), class, words, title, tick: false })
}

fn leaders(lanes: &mut Lanes<'_>, trace: &Trace, journey: &Journey) {
    let over = journey.end.as_ref().map_or(trace.ended, |end| end.at);
    let ends = journey.terms.iter().skip(1).map(|term| term.at).chain([over.max(Moment(1))]);
    let items: Vec<Item> = journey
        .terms
        .iter()
        .zip(ends)
        .filter_map(|(term, end)| {
            let leader = term.leader.map_or("nobody".to_owned(), |node| format!("machine {node}"));
            let words = format!("term {} · {leader}", term.term);
            let title = format!("{} s: {words}", term.at);
            bar(
                lanes,
                (term.at, end.max(term.at)),
                if term.term % 2 == 0 { "lead" } else { "lead2" },
                words,
                title,
            )
        })
        .collect();
    lanes.lane("leader", &items);
}

fn opened(journey: &Journey, open: u32) -> String {
    if open > journey.members { "done".to_owned() } else { count(u64::from(open)) }
}

/// Ticks at which a number rises: neighbours share a label.
fn rising(lanes: &mut Lanes<'_>, words: &str, class: &'static str, steps: &[(Moment, String, String)]) {
    let shown: Vec<_> = steps.iter().filter(|(at, ..)| lanes.time.shows(*at)).collect();
    if shown.is_empty() {
        return;
    }
    lanes.title(words);
    let y = lanes.y + 3;
    let places: Vec<Tenths> = shown.iter().map(|(at, ..)| lanes.time.x(*at)).collect();
    let label = |first: usize, last: usize| {
        if first == last {
            shown[first].1.clone()
        } else {
            format!("{} … {}", shown[first].1, shown[last].1)
        }
    };
    for (first, last) in clusters(&places, label) {
        // The label stands at the last tick of a group, where nothing is drawn over it.
        for (place, (at, _, title)) in shown.iter().enumerate().take(last + 1).skip(first) {
            let words = if place == last { label(first, last) } else { String::new() };
            if let Some(item) = tick(lanes, *at, class, words, title.clone()) {
                lanes.tick(&item, y, false);
            }
        }
    }
    lanes.y += ROW;
    lanes.line();
}

fn proposals(lanes: &mut Lanes<'_>, journey: &Journey) {
    let steps: Vec<_> = journey
        .proposals
        .iter()
        .map(|one| {
            let words = opened(journey, one.open);
            let title = format!("{} s: machine {} proposes to open to {words}", one.at, one.node);
            (one.at, words, title)
        })
        .collect();
    rising(lanes, "proposed", "ink", &steps);
}

fn openings(lanes: &mut Lanes<'_>, journey: &Journey) {
    let steps: Vec<_> = journey
        .gates
        .iter()
        .map(|gate| {
            let words = opened(journey, gate.open);
            let title = format!(
                "{} s: machine {} sees a quorum of {} open to {words}",
                gate.at, gate.node, journey.quorum
            );
            (gate.at, words, title)
        })
        .collect();
    rising(lanes, "opened", "good", &steps);
}

/// How a hold looks.
fn hold_class(hold: Hold) -> &'static str {
    match hold {
        Hold::None => "free",
        Hold::WaitingForHealth => "wait",
        Hold::WaitingForLeader => "wait2",
        Hold::Failures | Hold::Conflict | Hold::SignersRevoked => "bad",
        Hold::Paused | Hold::Superseded => "people",
        Hold::Ended => "ended",
        _ => "warn",
    }
}

fn holds(lanes: &mut Lanes<'_>, trace: &Trace, journey: &Journey) {
    let clock = &trace.clock;
    let over = journey.end.as_ref().map_or(trace.ended, |end| end.at);
    let points = journey.hold.points();
    let ends = points.iter().skip(1).map(|point| clock.begins(point.bucket)).chain([trace.ended]);
    let mut items: Vec<Item> = Vec::new();
    for (point, end) in points.iter().zip(ends) {
        let hold = usize::try_from(point.last).ok().and_then(|place| HOLDS.get(place)).copied();
        let hold = hold.unwrap_or(Hold::None);
        let (words, class) = (hold_words(hold), hold_class(hold));
        let begin = clock.begins(point.bucket);
        if begin > over || hold == Hold::Ended {
            continue;
        }
        let end = end.min(over).max(begin);
        let title = format!("from {begin} s most jurors say: {words}");
        items.extend(bar(lanes, (begin, end), class, words.to_owned(), title));
    }
    // One row: they follow each other, and each ends where the next begins.
    if !items.is_empty() {
        lanes.title("jury says");
        let y = lanes.y + 3;
        items.iter().for_each(|item| lanes.bar(item, y));
        lanes.y += ROW;
        lanes.line();
    }
}

fn cells(trace: &Trace, time: &TimeAxis, at: impl Iterator<Item = (Moment, u64)>) -> Vec<u64> {
    let mut cells = vec![0_u64; usize::try_from((RIGHT - LEFT).div_ceil(CELL)).unwrap_or(1)];
    for (at, amount) in at.filter(|(at, _)| time.shows(*at) && *at <= trace.ended) {
        let place = time.x(at).minus(px(LEFT)).0 / (CELL * 10);
        if let Some(cell) = usize::try_from(place).ok().and_then(|place| cells.get_mut(place)) {
            *cell += amount;
        }
    }
    cells
}

fn verdicts(lanes: &mut Lanes<'_>, trace: &Trace, journey: &Journey) {
    for (verdict, words, class) in [(HEALTHY, "passed trial", "good"), (FAILED, "failed trial", "bad")] {
        let buckets = journey.verdicts.buckets().iter().zip(0..);
        let total: u64 = journey.verdicts.buckets().iter().map(|bucket| bucket[verdict]).sum();
        let moments = buckets.map(|(bucket, place)| (trace.clock.begins(place), bucket[verdict]));
        let cells = cells(trace, lanes.time, moments);
        lanes.counts(words, class, &cells, &count(total));
    }
}

/// Jurors who say stop: a tick each, and the words for those that it takes.
fn stops(lanes: &mut Lanes<'_>, journey: &Journey) {
    let shown: Vec<_> = journey.stops.iter().filter(|word| lanes.time.shows(word.at)).collect();
    if let Some(first) = shown.first() {
        lanes.title("says stop");
        let y = lanes.y + 3;
        let who: Vec<String> = shown.iter().take(3).map(|word| word.node.to_string()).collect();
        let more = if shown.len() > who.len() { " …" } else { "" };
        let words = format!(
            "{}: {}{more} ({} needed)",
            many(shown.len() as u64, "juror", "jurors"),
            who.join(", "),
            journey.stoppers
        );
        let label_at = shown.last().map_or(first.at, |last| last.at);
        for word in &shown {
            let why = match word.reason {
                StopReason::Evidence => "enough nodes failed",
                StopReason::Expired => "it stands still for too long",
            };
            let title = format!("{} s: juror {} says stop: {why}", word.at, word.node);
            let words = if word.at == label_at { words.clone() } else { String::new() };
            if let Some(item) = tick(lanes, word.at, "bad", words, title) {
                lanes.tick(&item, y, false);
            }
        }
        lanes.y += ROW;
        lanes.line();
    }
    if let Some(end) = &journey.end {
        let (words, class) = match &end.stopped {
            Some(why) => (format!("stopped: {why}"), "bad"),
            None => ("done".to_owned(), "good"),
        };
        let title = format!("{} s: machine {} is the first to know", end.at, end.node);
        let items: Vec<Item> = tick(lanes, end.at, class, words, title).into_iter().collect();
        lanes.lane("end", &items);
    }
}

fn faults(lanes: &mut Lanes<'_>, trace: &Trace) {
    let mut kinds: Vec<&'static str> = Vec::new();
    for span in trace.faults.spans() {
        if !kinds.contains(&span.lane) {
            kinds.push(span.lane);
        }
    }
    for kind in kinds {
        let spans: Vec<&Span> = trace.faults.spans().iter().filter(|span| span.lane == kind).collect();
        if spans.len() > BARS_MAX {
            crowd(lanes, trace, kind, &spans);
            continue;
        }
        let items: Vec<Item> = spans
            .iter()
            .filter_map(|span| {
                let title = format!("{} s: {}", span.began, span.words);
                let class = if kind == PEOPLE { "people" } else { "fault" };
                if span.is_mark() {
                    return tick(lanes, span.began, class, span.words.clone(), title);
                }
                let end = span.ended.unwrap_or(trace.ended);
                bar(lanes, (span.began, end), class, span.words.clone(), title)
            })
            .collect();
        lanes.lane(kind, &items);
    }
}

/// Very many faults of one lane: how many there are at a time.
fn crowd(lanes: &mut Lanes<'_>, trace: &Trace, kind: &str, spans: &[&Span]) {
    let mut at_once = vec![0_u64; usize::try_from((RIGHT - LEFT).div_ceil(CELL)).unwrap_or(1)];
    for span in spans.iter().filter(|span| lanes.time.shows(span.began)) {
        let place =
            |at: Moment| usize::try_from(lanes.time.x(at).minus(px(LEFT)).0 / (CELL * 10)).unwrap_or(0);
        let (from, to) = (place(span.began), place(span.ended.unwrap_or(trace.ended)));
        at_once.iter_mut().take(to + 1).skip(from).for_each(|cell| *cell += 1);
    }
    let most = at_once.iter().copied().max().unwrap_or(0);
    let about = format!("{}, ≤ {} at once", many(spans.len() as u64, "fault", "faults"), count(most));
    lanes.counts(kind, "fault", &at_once, &about);
}
