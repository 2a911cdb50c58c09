//! Small texts: times, sizes, and lines that fit.

use ratatui::text::Span;

/// The time of day, UTC.
pub(super) fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A number of bytes with three digits or so.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes, 0);
    let mut tenths = 0;
    while value >= 1_000 && unit + 1 < UNITS.len() {
        tenths = value % 1_000 / 100;
        value /= 1_000;
        unit += 1;
    }
    if unit == 0 || value >= 100 {
        format!("{value} {}", UNITS[unit])
    } else {
        format!("{value}.{tenths} {}", UNITS[unit])
    }
}

/// A span of time in its largest sensible unit.
pub(super) fn span(milliseconds: u64) -> String {
    match milliseconds / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// `text` cut to `columns`, with a mark if something is missing.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if width(&kept) + width(character.encode_utf8(&mut [0; 4])) + 1 > columns {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// `text` cut or filled to exactly `columns`.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let cut = cut(text, columns);
    let missing = columns.saturating_sub(width(&cut));
    cut + &" ".repeat(missing)
}

/// A component and its version, separated by a space, in exactly `columns`: the version is what differs,
/// so the component gives way first.
pub(super) fn fit_name(name: &str, columns: usize) -> String {
    let Some((component, version)) = name.split_once(' ').filter(|_| width(name) > columns) else {
        return fit(name, columns);
    };
    let version = cut(version, columns.saturating_sub(4));
    let room = columns.saturating_sub(width(&version) + 1);
    fit(&format!("{} {version}", cut(component, room)), columns)
}

/// `text` broken into at most `lines` lines of `columns` at spaces; the last is cut.
pub(super) fn wrap(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let last_line = wrapped.len() == lines;
        match wrapped.last_mut() {
            Some(line) if last_line || width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => wrapped.push(word.to_owned()),
        }
    }
    wrapped.iter().map(|line| cut(line, columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_texts() {
        assert_eq!(clock(86_400_000 + 3_723_999), "01:02:03");
        assert_eq!([bytes(999), bytes(1_250), bytes(21_400_000)], ["999 B", "1.2 kB", "21.4 MB"]);
        assert_eq!([span(1_500), span(3_540_000)], ["1 s", "59 min"]);
        assert_eq!([fit("abc", 5), fit("abcdef", 4)], ["abc  ", "abc…"]);
        assert_eq!(fit_name("recommender 2024.11.3", 14), "rec… 2024.11.3");
        assert_eq!(wrap("one two three four five", 9, 2), ["one two", "three fo…"]);
        assert!(wrap("", 9, 2).is_empty());
    }
}
