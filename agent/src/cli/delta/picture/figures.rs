//! References and containers, a line for each kind.

use groundswell_delta::inspect::Inspection;

use super::canvas::{Canvas, Place, ratio};
use super::{MARGIN, WIDTH, percent};
use crate::cli::words::{bytes, count};

const LINE: u32 = 22;
const BAR: f64 = 280.0;
const BAR_X: u32 = MARGIN + 220;
const BAR_HEIGHT: f64 = 10.0;

pub(super) fn draw(canvas: &mut Canvas, found: &Inspection) {
    if !found.references.is_empty() {
        references(canvas, found);
    }
    if !found.containers.is_empty() {
        containers(canvas, found);
    }
    canvas.down(44);
    let memory = format!("whoever follows it needs {} of memory", bytes(found.apply_memory_bytes));
    canvas.text(MARGIN, "faint", &format!("format {}; {memory}", found.format));
}

fn references(canvas: &mut Canvas, found: &Inspection) {
    canvas.section(
        "References",
        "fields that name a place: right predictions cost nothing, wrong ones are corrected",
    );
    for each in &found.references {
        let total = each.predicted.saturating_add(each.wrong);
        canvas.down(LINE);
        canvas.text(MARGIN, "", &each.kind);
        let bar = Place { x: f64::from(BAR_X), top: -BAR_HEIGHT, width: BAR, height: BAR_HEIGHT };
        canvas.rectangle("corrected", bar, "");
        canvas.rectangle("predicted", Place { width: BAR * ratio(each.predicted, total), ..bar }, "");
        let figures = format!("{} of {total} predicted ({})", each.predicted, percent(each.predicted, total));
        canvas.text_end(WIDTH - MARGIN, "faint", &figures);
    }
}

fn containers(canvas: &mut Canvas, found: &Inspection) {
    canvas.section("Opened containers", "unpacked to be compared, and packed again to the same bytes");
    for each in &found.containers {
        canvas.down(LINE);
        canvas.text(MARGIN, "", &each.kind);
        canvas.text(BAR_X, "faint", &format!("{}, {}", count(each.count, "time"), bytes(each.bytes)));
    }
}
