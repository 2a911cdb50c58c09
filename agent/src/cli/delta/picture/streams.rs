//! Where the delta's bytes go: one bar, and a line for each stream.

use groundswell_delta::inspect::Inspection;

use super::canvas::{Canvas, Place, share};
use super::style::{STREAM_COLOURS, stream_class};
use super::{INNER, MARGIN, WIDTH, percent};
use crate::cli::words::{bytes, count};

const BAR_HEIGHT: f64 = 34.0;
const LINE: u32 = 21;
/// Where the columns of the legend stand.
const NAME: u32 = MARGIN + 20;
const METHOD: u32 = MARGIN + 260;
const RAW_END: u32 = MARGIN + 560;
const PACKED_END: u32 = MARGIN + 720;

/// A line of the legend.
struct Share {
    name: String,
    method: String,
    raw_bytes: Option<u64>,
    packed_bytes: u64,
}

pub(super) fn draw(canvas: &mut Canvas, found: &Inspection) {
    let windows = count(found.windows.len() as u64, "window");
    let regions = count(found.windows.iter().map(|window| window.regions).sum::<u64>(), "region");
    canvas.section(
        "Where the bytes of the delta go",
        &format!("{} in {windows} and {regions}, by stream", bytes(found.delta_bytes)),
    );
    let shares = shares(found);
    let mut x = f64::from(MARGIN);
    let track = Place { x, top: 0.0, width: f64::from(INNER), height: BAR_HEIGHT };
    canvas.rectangle("track", track, "");
    for (number, each) in shares.iter().enumerate() {
        let width = share(each.packed_bytes, found.delta_bytes);
        let title = format!(
            "{}: {}, {} of the delta",
            each.name,
            bytes(each.packed_bytes),
            percent(each.packed_bytes, found.delta_bytes)
        );
        // A hair of ground between neighbours tells them apart without colour.
        let place = Place { x, width: (width - 1.0).max(width / 2.0), ..track };
        canvas.rectangle(&stream_class(number), place, &title);
        x += width;
    }
    canvas.down(60);
    canvas.text(NAME, "faint", "stream");
    canvas.text(METHOD, "faint", "packed by");
    canvas.text_end(RAW_END, "faint", "unpacked");
    canvas.text_end(PACKED_END, "faint", "in the delta");
    canvas.text_end(WIDTH - MARGIN, "faint", "share");
    for (number, each) in shares.iter().enumerate() {
        canvas.down(LINE);
        canvas.swatch(MARGIN, &stream_class(number));
        canvas.text(NAME, "", &each.name);
        canvas.text(METHOD, "faint", &each.method);
        if let Some(raw) = each.raw_bytes {
            canvas.text_end(RAW_END, "faint", &bytes(raw));
        }
        canvas.text_end(PACKED_END, "", &bytes(each.packed_bytes));
        canvas.text_end(WIDTH - MARGIN, "", &percent(each.packed_bytes, found.delta_bytes));
    }
}

/// The streams that have bytes, the largest first; those for which there is no colour together.
fn shares(found: &Inspection) -> Vec<Share> {
    let streams = found.streams.iter().filter(|stream| stream.packed_bytes > 0);
    let mut shares: Vec<Share> = streams
        .map(|stream| Share {
            name: stream.name.clone(),
            method: stream.method.clone(),
            raw_bytes: Some(stream.raw_bytes),
            packed_bytes: stream.packed_bytes,
        })
        .collect();
    shares.push(Share {
        name: "header and tables".to_owned(),
        method: String::new(),
        raw_bytes: None,
        packed_bytes: found.framing_bytes,
    });
    shares.sort_by_key(|share| std::cmp::Reverse(share.packed_bytes));
    if shares.len() > STREAM_COLOURS {
        let rest = shares.split_off(STREAM_COLOURS - 1);
        shares.push(Share {
            name: format!("{} smaller streams", rest.len()),
            method: String::new(),
            raw_bytes: Some(rest.iter().filter_map(|share| share.raw_bytes).sum()),
            packed_bytes: rest.iter().map(|share| share.packed_bytes).sum(),
        });
    }
    shares
}
