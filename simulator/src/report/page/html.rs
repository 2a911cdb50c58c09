//! Text that cannot break out of where it is put, and figures that people can read.

use std::fmt::{self, Display, Formatter};

/// Untrusted text, as it stands in an element or in a quoted attribute.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => write!(f, "{letter}")?,
                // What would turn the direction of the text, or show nothing at all, shows itself.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => {
                    f.write_str("\u{fffd}")?;
                }
                letter if letter.is_control() => f.write_str("\u{fffd}")?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

/// A length on the page, in tenths of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tenths(pub(super) u64);

impl Display for Tenths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, tenth) => write!(f, "{whole}.{tenth}"),
        }
    }
}

/// Whole pixels.
pub(super) const fn px(pixels: u64) -> Tenths {
    Tenths(pixels * 10)
}

impl Tenths {
    /// So much further.
    pub(super) const fn plus(self, other: Tenths) -> Tenths {
        Tenths(self.0.saturating_add(other.0))
    }

    /// So much less far; at least zero.
    pub(super) const fn minus(self, other: Tenths) -> Tenths {
        Tenths(self.0.saturating_sub(other.0))
    }
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Three digits of a number that is `thousandths` of a unit.
fn three_digits(thousandths: u64) -> String {
    match thousandths {
        0..10_000 => format!("{}.{:02}", thousandths / 1000, thousandths % 1000 / 10),
        10_000..100_000 => format!("{}.{}", thousandths / 1000, thousandths % 1000 / 100),
        _ => count(thousandths / 1000),
    }
}

/// A number of bytes.
pub(super) fn bytes(number: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        if number < unit.saturating_mul(1000) || name == "TB" {
            return if unit == 1 {
                format!("{number} B")
            } else {
                format!("{} {name}", three_digits(number / (unit / 1000)))
            };
        }
        unit = unit.saturating_mul(1000);
    }
    format!("{number} B")
}

/// A length of time.
pub(super) fn duration(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", three_digits(micros)),
        1_000_000..120_000_000 => format!("{}.{} s", seconds, micros % 1_000_000 / 100_000),
        120_000_000..7_200_000_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// One thing or many.
pub(super) fn many(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</title><script>alert('1')</script>\"&\u{202e}\u{0}\u{7}";
        let shown = Text(hostile).to_string();
        assert!(!shown.contains(['<', '>', '"', '\'', '\u{0}', '\u{202e}']), "{shown}");
        assert!(shown.starts_with("&lt;/title&gt;&lt;script&gt;"));
    }

    #[test]
    fn figures_have_units_and_three_digits() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((bytes(999).as_str(), bytes(6_715_916).as_str()), ("999 B", "6.71 MB"));
        assert_eq!((bytes(45_000).as_str(), bytes(792_000).as_str()), ("45.0 kB", "792 kB"));
        let long: Vec<String> =
            [12, 12_340, 312_000, 9_300_000, 190_000_000, 9_000_000_000].map(duration).into();
        assert_eq!(long, ["12 µs", "12.3 ms", "312 ms", "9.3 s", "3 min 10 s", "2 h 30 min"]);
    }
}
