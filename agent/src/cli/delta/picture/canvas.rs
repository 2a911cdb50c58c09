//! A sheet of SVG that is written from top to bottom.

use std::fmt::Write;

use super::style::sheet;
use super::{INNER, MARGIN, WIDTH};

/// What has been drawn so far, and how far down.
pub(super) struct Canvas {
    label: String,
    body: String,
    y: u32,
}

impl Canvas {
    /// An empty sheet; `label` says what it shows to who cannot see it.
    pub(super) fn new(label: &str) -> Self {
        Self { label: escaped(label), body: String::new(), y: MARGIN / 2 }
    }

    /// Goes down.
    pub(super) fn down(&mut self, by: u32) {
        self.y += by;
    }

    /// Begins a part of the picture.
    pub(super) fn section(&mut self, words: &str, explained: &str) {
        let y = self.y + 18;
        let _ = writeln!(
            self.body,
            "<line class='line' x1='{MARGIN}' y1='{y}' x2='{}' y2='{y}'/>",
            WIDTH - MARGIN
        );
        self.down(48);
        self.text(MARGIN, "section", words);
        self.down(20);
        self.text(MARGIN, "faint", explained);
        self.down(14);
    }

    /// Writes words on the line at this height.
    pub(super) fn text(&mut self, x: u32, class: &str, words: &str) {
        let _ = writeln!(self.body, "<text class='{class}' x='{x}' y='{}'>{}</text>", self.y, escaped(words));
    }

    /// Writes words that end at `x`.
    pub(super) fn text_end(&mut self, x: u32, class: &str, words: &str) {
        self.text(x, &format!("end {class}"), words);
    }

    /// A little square of a class's colour, for legends; beside text on the same line.
    pub(super) fn swatch(&mut self, x: u32, class: &str) {
        let _ = writeln!(
            self.body,
            "<rect class='{class}' x='{x}' y='{}' width='11' height='11' rx='2'/>",
            self.y - 10
        );
    }

    /// A rectangle whose top is `top` below this height. Whoever points at it reads `title`.
    pub(super) fn rectangle(&mut self, class: &str, place: Place, title: &str) {
        let Place { x, top, width, height } = place;
        let y = f64::from(self.y) + top;
        let _ = write!(
            self.body,
            "<rect class='{class}' x='{x:.1}' y='{y:.1}' width='{width:.1}' height='{height:.1}'"
        );
        let _ = if title.is_empty() {
            writeln!(self.body, "/>")
        } else {
            writeln!(self.body, "><title>{}</title></rect>", escaped(title))
        };
    }

    /// Begins things that share a hint.
    pub(super) fn group(&mut self, title: &str) {
        let _ = writeln!(self.body, "<g><title>{}</title>", escaped(title));
    }

    /// Ends them.
    pub(super) fn end_group(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// The whole file.
    pub(super) fn finish(self) -> String {
        let height = self.y + MARGIN;
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' \
             height='{height}' role='img' aria-label='{}'>\n<style>{}</style>\n\
             <rect class='ground' width='{WIDTH}' height='{height}'/>\n{}</svg>\n",
            self.label,
            sheet(),
            self.body
        )
    }
}

/// Where a rectangle goes: from the left edge, and down from where the canvas is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// How long a share is of all the width that there is.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    f64::from(INNER) * ratio(part, whole)
}

/// A share, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a picture has no use for 53 bits")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64).min(1.0)
}

/// Text as XML takes it. What XML forbids altogether becomes a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            sign if sign.is_control() || matches!(sign, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            sign => escaped.push(sign),
        }
    }
    escaped
}
