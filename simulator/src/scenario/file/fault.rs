//! What is wrong with a scenario file: the line, the word, and the nearest valid word.

use std::ops::Range;

use super::super::words::{NEAREST, nearest};

/// What is wrong, before anybody knows which line that is.
pub(super) struct Mistake {
    /// Where, in bytes from the beginning.
    pub(super) span: Option<Range<usize>>,
    /// The word, where the span does not show it.
    pub(super) word: Option<String>,
    /// What is wrong, in a sentence.
    pub(super) what: String,
    /// The nearest valid word.
    pub(super) nearest: Option<String>,
}

impl Mistake {
    /// An unknown word where one of `known` was expected.
    pub(super) fn unknown(span: Option<Range<usize>>, word: &str, known: &[&str]) -> Self {
        let list = known.join(", ");
        Self {
            span,
            word: Some(word.to_owned()),
            what: if known.is_empty() {
                "unknown word; none is expected here".to_owned()
            } else {
                format!("unknown word; known are {list}")
            },
            nearest: nearest(word, known).map(str::to_owned),
        }
    }

    /// What serde or TOML refused. Their words for unknown names are read, because they carry the valid ones.
    pub(super) fn from_toml(error: &toml::de::Error) -> Self {
        let (message, span) = (error.message(), error.span());
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let (word, known) = quoted.split_first().map_or(("", &[][..]), |(word, known)| (*word, known));
            return Self::unknown(span, word, known);
        }
        let keys = message.strip_prefix("unexpected keys in table: ");
        if let Some((words, known)) = keys.and_then(|rest| rest.split_once(", available keys: ")) {
            let known: Vec<&str> = known.split(", ").filter(|word| !word.is_empty()).collect();
            let word = words.split(", ").next().unwrap_or_default();
            return Self::unknown(span, word, &known);
        }
        let (what, near) =
            message.split_once(NEAREST).map_or((message, None), |(what, near)| (what, Some(near)));
        let word = message.starts_with("missing field").then(|| quoted.first().copied().unwrap_or_default());
        Self { span, word: word.map(str::to_owned), what: what.to_owned(), nearest: near.map(str::to_owned) }
    }
}

/// What is wrong with a scenario file; whoever wrote it can mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, counted from 1; `None` if no line is to blame.
    pub line: Option<usize>,
    /// The column, in letters counted from 1.
    pub column: usize,
    /// The line itself.
    pub source_line: String,
    /// The word at fault; empty if it is more than a word.
    pub word: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The nearest valid word.
    pub nearest: Option<String>,
}

impl Fault {
    pub(super) fn unreadable(file: &str, why: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: 0,
            source_line: String::new(),
            word: String::new(),
            what: format!("cannot be read: {why}"),
            nearest: None,
        }
    }

    pub(super) fn new(file: &str, text: &str, mistake: Mistake) -> Self {
        let start = mistake.span.as_ref().map(|span| span.start.min(text.len()));
        let before = start.and_then(|start| text.get(..start));
        let shown = mistake.span.clone().and_then(|span| text.get(span)).unwrap_or_default();
        let word = mistake.word.unwrap_or_else(|| shown.trim_matches(['"', '\'']).to_owned());
        let line = before.map(|before| before.matches('\n').count() + 1);
        Self {
            file: file.to_owned(),
            line,
            column: before.map_or(0, |b| b.rsplit('\n').next().unwrap_or_default().chars().count() + 1),
            source_line: line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default().to_owned(),
            word: if word.contains('\n') { String::new() } else { word },
            what: mistake.what,
            nearest: mistake.nearest,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}:{}", self.column)?;
        }
        match self.word.as_str() {
            "" => writeln!(f, ": {}", self.what)?,
            word => writeln!(f, ": `{word}`: {}", self.what)?,
        }
        if let Some(line) = self.line {
            let margin = line.to_string();
            let (blank, indent) = (" ".repeat(margin.len()), " ".repeat(self.column.saturating_sub(1)));
            let marks = "^".repeat(self.word.chars().count().max(1));
            writeln!(f, "  {blank} |\n  {margin} | {}\n  {blank} | {indent}{marks}", self.source_line)?;
        }
        match &self.nearest {
            Some(near) => write!(f, "  hint: did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}
