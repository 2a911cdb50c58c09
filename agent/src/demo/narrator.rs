//! What the demo says while it runs: a line for each thing that matters, and on a terminal one more line
//! that shows how far it is. All of it on standard error, so that the answer stands alone on standard output.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// Goes to the line's begin and empties it.
const CLEAR: &str = "\r\u{1b}[2K";

/// The voice.
#[derive(Debug)]
pub(super) struct Narrator {
    began: Instant,
    terminal: bool,
    live: bool,
}

impl Narrator {
    /// Begins to count the time.
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { began: Instant::now(), terminal: io::stderr().is_terminal() && !dumb, live: false }
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// A new part of the story.
    pub(super) fn heading(&mut self, text: &str) {
        let bold = if self.terminal { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
        self.print(&format!("\n{bold}\n"));
    }

    /// Something happened.
    pub(super) fn line(&mut self, text: &str) {
        let seconds = self.seconds();
        self.print(&format!("{seconds:6.1} s  {text}\n"));
    }

    /// How far it is; replaced by whatever is said next.
    pub(super) fn live(&mut self, text: &str) {
        if self.terminal {
            let seconds = self.seconds();
            self.print(&format!("{seconds:6.1} s  {text}"));
            self.live = true;
        }
    }

    /// Leaves no half line behind.
    pub(super) fn hush(&mut self) {
        self.print("");
    }

    fn print(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.live) { CLEAR } else { "" };
        let mut out = io::stderr().lock();
        // Whoever closed standard error does not want to hear.
        let _ = write!(out, "{clear}{text}").and_then(|()| out.flush());
    }
}

impl Default for Narrator {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.hush();
    }
}

/// Bytes in decimal units: `812 B`, `4.20 MB`.
pub(super) fn bytes(number: u64) -> String {
    let mut unit = 1;
    for name in ["B", "kB", "MB", "GB"] {
        if number < unit * 1_000 || name == "GB" {
            let tenths = number / (unit / 10).max(1);
            return match name {
                "B" => format!("{number} B"),
                _ => format!("{}.{} {name}", tenths / 10, tenths % 10),
            };
        }
        unit *= 1_000;
    }
    format!("{number} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_fits() {
        for (number, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (4_260_000, "4.2 MB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(bytes(number), words);
        }
    }
}
