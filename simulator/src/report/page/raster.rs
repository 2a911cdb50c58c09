//! The raster: a row a machine, a colour a state.

use std::fmt::Write as _;

use super::curves::open;
use super::html::{count, px};
use super::scale::{LEFT, RIGHT, TimeAxis};
use crate::report::trace::{State, Trace};

/// Pieces of rows on a page at most; beyond, short ones melt into their neighbours.
const PIECES_MAX: usize = 24_000;
const TOP: u64 = 26;

/// A state in words, as in the legend.
pub(super) fn words(state: State) -> &'static str {
    match state {
        State::Off => "off",
        State::Idle => "on, old version",
        State::Skipped => "takes no part",
        State::Fetching => "bytes arrive",
        State::Staged => "staged, waits for its rank",
        State::Switching => "asks, tells, switches",
        State::Trial => "on trial",
        State::Healthy => "healthy",
        State::Confirmed => "confirmed",
        State::Failed => "failed, goes back",
        State::Reverted => "back after the stop",
        State::Stuck => "stuck",
    }
}

/// Height of a row in pixels.
fn row_height(rows: usize) -> u64 {
    match rows {
        0..=16 => 18,
        17..=40 => 10,
        41..=120 => 5,
        121..=240 => 3,
        _ => 2,
    }
}

pub(super) fn draw(out: &mut String, trace: &Trace, time: &TimeAxis) {
    let rows = trace.rows.len();
    let each = row_height(rows);
    let bottom = TOP + each * rows as u64;
    open(out, bottom + 26, "Where each machine stands, over time", time);
    let pieces: usize = trace.rows.iter().map(|row| row.runs.len()).sum();
    // With too many pieces only every so many buckets one may begin.
    let coarse = u32::try_from(pieces.div_ceil(PIECES_MAX)).unwrap_or(u32::MAX).max(1);
    let mut paths = vec![String::new(); State::ALL.len()];
    for (place, row) in trace.rows.iter().enumerate() {
        let y = px(TOP + each * place as u64).plus(super::html::Tenths(each * 5));
        let mut runs: Vec<(u32, State)> = Vec::with_capacity(row.runs.len());
        for (bucket, state) in &row.runs {
            let bucket = bucket / coarse * coarse;
            match runs.last_mut() {
                Some(last) if last.0 == bucket => last.1 = *state,
                _ => runs.push((bucket, *state)),
            }
        }
        let ends = runs.iter().skip(1).map(|(bucket, _)| time.x(trace.clock.begins(*bucket)));
        for ((bucket, state), end) in runs.iter().zip(ends.chain([px(RIGHT)])) {
            let begin = time.x(trace.clock.begins(*bucket));
            // What happens in less than a pixel shows as one.
            let end = end.max(begin.plus(px(1))).min(px(RIGHT));
            if end > begin {
                let _ = write!(paths[*state as usize], "M{begin} {y}H{end}");
            }
        }
    }
    let places: Vec<String> = trace.rows.iter().map(|row| row.node.to_string()).collect();
    let ranks: Vec<String> =
        trace.rows.iter().map(|row| row.rank.map_or(String::new(), |rank| rank.to_string())).collect();
    let _ = write!(
        out,
        "<g class=\"raster\" stroke-width=\"{each}\" data-top=\"{TOP}\" data-each=\"{each}\" data-nodes=\"{}\" data-ranks=\"{}\">",
        places.join(","),
        ranks.join(",")
    );
    for state in State::ALL {
        let path = &paths[state as usize];
        if !path.is_empty() {
            let _ = write!(
                out,
                "<path class=\"s{}\" d=\"{path}\" data-state=\"{}\"/>",
                state as usize,
                words(state)
            );
        }
    }
    out.push_str("</g>");
    labels(out, trace, each);
    time.grid(out, bottom, bottom + 4, true);
    out.push_str("</svg>");
}

/// Ranks at the left, as many as have room.
fn labels(out: &mut String, trace: &Trace, each: u64) {
    let rows = trace.rows.len() as u64;
    let _ = write!(
        out,
        "<text class=\"unit\" x=\"{}\" y=\"{}\" text-anchor=\"end\">rank</text>",
        LEFT - 8,
        TOP - 10
    );
    let every = [1, 2, 5, 10, 20, 50, 100].into_iter().find(|every| every * each >= 14).unwrap_or(100);
    for place in (0..rows).filter(|place| place % every == 0) {
        let row = &trace.rows[usize::try_from(place).unwrap_or(0)];
        let words = row.rank.map_or_else(|| "—".to_owned(), |rank| count(u64::from(rank)));
        let y = TOP + each * place + each / 2 + 4;
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{words}</text>",
            LEFT - 8
        );
        if each >= 14 {
            let _ =
                write!(out, "<text class=\"tick\" x=\"{}\" y=\"{y}\">machine {}</text>", RIGHT + 8, row.node);
        }
    }
}

/// The states that occur, with their colours.
pub(super) fn legend(out: &mut String, trace: &Trace) {
    out.push_str("<ul class=\"legend\">");
    for state in State::ALL {
        let seen = trace.rows.iter().any(|row| row.runs.iter().any(|(_, one)| *one == state));
        if seen {
            let _ = write!(
                out,
                "<li><svg class=\"key\" viewBox=\"0 0 14 14\" aria-hidden=\"true\"><path class=\"s{}\" stroke-width=\"14\" d=\"M0 7H14\"/></svg>{}</li>",
                state as usize,
                words(state)
            );
        }
    }
    out.push_str("</ul>");
}
