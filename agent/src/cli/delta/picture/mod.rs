//! A delta as a picture: where its bytes go, and what the new file is made of. One SVG file that needs nothing else,
//! readable on light and dark ground.
//!
//! Deliberately absent: scripts, fonts, anything to fetch.

mod canvas;
mod figures;
mod map;
mod streams;
mod style;

use groundswell_delta::inspect::Inspection;

use crate::cli::words::bytes;
use canvas::Canvas;
pub(super) use style::{class_of, words_of};

/// The picture's width; its height is what the figures need.
const WIDTH: u32 = 960;
/// Empty space around everything.
const MARGIN: u32 = 32;
/// What is left between the margins.
const INNER: u32 = WIDTH - 2 * MARGIN;

/// Draws what was found in the delta called `name`.
pub(super) fn draw(name: &str, found: &Inspection) -> String {
    let mut canvas = Canvas::new(&format!("What is in {name}"));
    heading(&mut canvas, name, found);
    streams::draw(&mut canvas, found);
    if let Some(map) = &found.map {
        map::draw(&mut canvas, map);
    }
    figures::draw(&mut canvas, found);
    canvas.finish()
}

fn heading(canvas: &mut Canvas, name: &str, found: &Inspection) {
    canvas.down(30);
    canvas.text(MARGIN, "title", name);
    canvas.down(24);
    let old = found.old_bytes.map_or_else(String::new, |old| format!("from {} ", bytes(old)));
    let line = format!(
        "{old}to {} in {}: {} of the new size · {}",
        bytes(found.new_bytes),
        bytes(found.delta_bytes),
        percent(found.delta_bytes, found.new_bytes),
        found.engine,
    );
    canvas.text(MARGIN, "faint", &line);
    canvas.down(12);
}

/// A share with as many digits as it deserves: `37 %`, `4.2 %`, `0.03 %`, and `99.98 %` where all is not.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let parts = u128::from(part) * 100_000 / u128::from(whole.max(1));
    match parts {
        0 if part == 0 => "0 %".to_owned(),
        0 => "< 0.001 %".to_owned(),
        1..100 => format!("0.{parts:03} %"),
        100..1_000 => format!("0.{:02} %", parts / 10),
        1_000..10_000 => format!("{}.{} %", parts / 1_000, parts % 1_000 / 100),
        99_000..100_000 => format!("{}.{:02} %", parts / 1_000, parts % 1_000 / 10),
        _ => format!("{} %", (parts + 500) / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use groundswell_delta::inspect::{Containers, Map, Origin, References, Stream, Subject, Window};

    use super::*;

    pub(super) fn sample() -> Inspection {
        let stream = |name: &str, raw_bytes, packed_bytes, method: &str| Stream {
            name: name.to_owned(),
            raw_bytes,
            packed_bytes,
            method: method.to_owned(),
        };
        let mut map = Map::new(1_000_000);
        for _ in 0..10 {
            map.add(Origin::Copied, 70_000);
            map.add(Origin::Predicted, 10_000);
            map.add(Origin::Corrected, 1_000);
            map.add(Origin::Moved, 15_000);
            map.add(Origin::Literal, 4_000);
        }
        map.open(500_000, 100_000);
        Inspection {
            engine: "a <fine> engine".to_owned(),
            format: 2,
            subject: Subject::File,
            delta_bytes: 40_000,
            old_bytes: Some(990_000),
            new_bytes: 1_000_000,
            framing_bytes: 1_000,
            apply_memory_bytes: 32 << 20,
            streams: vec![
                stream("literals", 40_000, 30_000, "zstd"),
                stream("gaps", 20_000, 9_000, "zstd, plain"),
            ],
            windows: vec![Window { new_bytes: 1_000_000, packed_bytes: 39_000, regions: 30 }],
            map: Some(map),
            references: vec![References { kind: "x86-64 calls".to_owned(), predicted: 9_900, wrong: 100 }],
            containers: vec![Containers { kind: "gzip & zip".to_owned(), count: 3, bytes: 100_000 }],
        }
    }

    #[test]
    fn shares_have_the_digits_that_they_deserve() {
        for (part, whole, words) in [
            (0, 10, "0 %"),
            (1, 1_000_000_000, "< 0.001 %"),
            (1, 20_000, "0.005 %"),
            (42, 10_000, "0.42 %"),
            (42, 1_000, "4.2 %"),
            (1, 3, "33 %"),
            (91_220, 91_231, "99.98 %"),
            (u64::MAX, u64::MAX, "100 %"),
            (5, 0, "500 %"),
        ] {
            assert_eq!(percent(part, whole), words);
        }
    }

    #[test]
    fn the_picture_is_whole_and_shows_every_figure() {
        let picture = draw("web.delta", &sample());
        for words in [
            "literals",
            "zstd, plain",
            "header and tables",
            "x86-64 calls",
            "gzip &amp; zip",
            "a &lt;fine&gt; engine",
            "prefers-color-scheme: dark",
            "4.0 % of the new size",
        ] {
            assert!(picture.contains(words), "{words} is missing in:\n{picture}");
        }
        assert!(
            !picture.contains("http://") || picture.matches("http://").count() == 1,
            "only the namespace"
        );
        let opened = picture.matches("<g").count() + picture.matches("<svg").count();
        let closed = picture.matches("</g>").count() + picture.matches("</svg>").count();
        assert_eq!(opened, closed);
    }

    #[test]
    fn an_empty_delta_is_drawn_too() {
        let nothing = Inspection {
            delta_bytes: 0,
            new_bytes: 0,
            old_bytes: None,
            framing_bytes: 0,
            streams: Vec::new(),
            windows: Vec::new(),
            map: Some(Map::new(0)),
            references: Vec::new(),
            containers: Vec::new(),
            ..sample()
        };
        assert!(draw("nothing", &nothing).ends_with("</svg>\n"));
    }
}
