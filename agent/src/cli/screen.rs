//! Where answers go: standard output, for people or as JSON, with colour only where it helps.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use super::failure::{Code, Failure};

/// How to answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// As JSON.
    pub(super) json: bool,
    /// With colour.
    pub(super) colour: bool,
}

/// What a verb has found or done.
#[derive(Debug)]
pub(super) struct Answer {
    human: String,
    json: Value,
    good: bool,
}

impl Screen {
    /// Colour is for terminals alone, and never when `NO_COLOR` is set (no-color.org) or the terminal is dumb.
    pub(super) fn new(json: bool) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { json, colour: !json && io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb }
    }

    /// Whether progress may be shown on standard error.
    pub(super) fn shows_progress(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Names and headings.
    pub(super) fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters less.
    pub(super) fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What is well.
    pub(super) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What needs attention.
    pub(super) fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What is wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Prints an answer. A reader that closes the pipe early is no failure.
    pub(super) fn print(self, answer: &Answer) -> Result<ExitCode, Failure> {
        let text = if self.json { format!("{:#}\n", answer.json) } else { answer.human.clone() };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                Code::Local,
                "cannot print the answer",
                error.to_string(),
                "check where the output goes; what the command did is done",
            )),
            _ if answer.good => Ok(ExitCode::SUCCESS),
            _ => Ok(ExitCode::from(Code::Bad as u8)),
        }
    }
}

impl Answer {
    /// The same answer for people and for programs.
    pub(super) fn new(human: String, json: &impl Serialize) -> Self {
        let json = serde_json::to_value(json).expect("BUG: an answer that is no JSON");
        Self { human, json, good: true }
    }

    /// Whether the thing that was asked about is good: decides between exit codes 0 and 1.
    pub(super) fn judged(mut self, good: bool) -> Self {
        self.good = good;
        self
    }
}

/// Rows under a heading, in columns as wide as their content. Cells hold no escape codes.
pub(super) fn table<const COLUMNS: usize>(
    screen: Screen,
    heading: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |cells: [&str; COLUMNS]| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        line.trim_end().to_owned()
    };
    let mut text = format!("{}\n", screen.faint(&line(heading)));
    for row in rows {
        text.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content() {
        let screen = Screen { json: false, colour: false };
        let rows = [["web".to_owned(), "1.2.0".to_owned()], ["database".to_owned(), String::new()]];
        assert_eq!(
            table(screen, ["NAME", "VERSION"], &rows),
            "NAME      VERSION\nweb       1.2.0\ndatabase\n"
        );
    }

    #[test]
    fn without_colour_there_is_not_one_escape_code() {
        let plain = Screen { json: false, colour: false };
        assert_eq!(plain.bad("x"), "x");
        assert_eq!(Screen { colour: true, ..plain }.bad("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
