//! What the new file is made of, by offset: a cell for each of its equal parts, in the order in which people read.

use groundswell_delta::inspect::{Map, MapPart, Origin};

use super::canvas::{Canvas, Place, ratio};
use super::style::{class_of, words_of};
use super::{INNER, MARGIN, WIDTH, percent};
use crate::cli::words::bytes;

const COLUMNS: usize = 64;
const CELL_HEIGHT: f64 = 26.0;
/// The line under a cell that lies in an opened container.
const OPENED_HEIGHT: f64 = 3.0;
const ROW: u32 = 34;
/// What is there at all must be seen.
const SEEN_HEIGHT: f64 = 1.5;
const LEGEND_LINE: u32 = 22;
/// Legends stand in so many columns.
const LEGEND_COLUMNS: u32 = 3;

pub(super) fn draw(canvas: &mut Canvas, map: &Map) {
    let whole: u64 = map.parts().iter().map(MapPart::bytes).sum();
    canvas.section(
        "What the new file is made of",
        &format!(
            "from its first byte to its last, {} a cell; the fuller a colour, the more bytes of its kind",
            bytes(map.offset(1))
        ),
    );
    for (row, parts) in map.parts().chunks(COLUMNS).enumerate() {
        for (column, part) in parts.iter().enumerate() {
            draw_cell(canvas, map, row * COLUMNS + column, column, part);
        }
        canvas.down(ROW);
    }
    canvas.down(14);
    legend(canvas, map, whole);
}

fn draw_cell(canvas: &mut Canvas, map: &Map, number: usize, column: usize, part: &MapPart) {
    let width = f64::from(INNER) / COLUMNS as f64;
    let x = f64::from(MARGIN) + width * column as f64;
    let cell = Place { x, top: 0.0, width: width - 1.0, height: CELL_HEIGHT };
    canvas.group(&hint(map, number, part));
    canvas.rectangle(class_of(Origin::Copied), cell, "");
    let mut bottom = CELL_HEIGHT;
    for origin in [Origin::Literal, Origin::Corrected, Origin::Predicted, Origin::Moved] {
        let amount = part.of(origin);
        if amount == 0 || bottom <= 0.0 {
            continue;
        }
        let height = (CELL_HEIGHT * ratio(amount, part.bytes())).max(SEEN_HEIGHT).min(bottom);
        bottom -= height;
        canvas.rectangle(class_of(origin), Place { top: bottom, height, ..cell }, "");
    }
    if part.opened > 0 {
        let under = Place { top: CELL_HEIGHT + 1.0, height: OPENED_HEIGHT, ..cell };
        canvas.rectangle("opened", under, "");
    }
    canvas.end_group();
}

fn hint(map: &Map, number: usize, part: &MapPart) -> String {
    let mut hint = format!("bytes {} to {}", map.offset(number), map.offset(number + 1));
    for origin in Origin::ALL.into_iter().filter(|origin| part.of(*origin) > 0) {
        hint.push_str(&format!("\n{}: {}", words_of(origin), percent(part.of(origin), part.bytes())));
    }
    if part.opened > 0 {
        hint.push_str(&format!("\nin opened containers: {}", percent(part.opened, part.bytes())));
    }
    hint
}

fn legend(canvas: &mut Canvas, map: &Map, whole: u64) {
    let mut entries: Vec<_> =
        Origin::ALL.map(|origin| (class_of(origin), words_of(origin), map.of(origin))).into_iter().collect();
    entries.push(("opened", "in opened containers", map.opened()));
    entries.retain(|(_, _, amount)| *amount > 0);
    let width = INNER / LEGEND_COLUMNS;
    for line in entries.chunks(LEGEND_COLUMNS as usize) {
        for (column, (class, words, amount)) in (0..).zip(line) {
            let x = MARGIN + width * column;
            canvas.swatch(x, class);
            canvas.text(x + 20, "", words);
            let end = (x + width - 24).min(WIDTH - MARGIN);
            canvas.text_end(end, "faint", &format!("{}, {}", bytes(*amount), percent(*amount, whole)));
        }
        canvas.down(LEGEND_LINE);
    }
}
