//! Numbers as people read them.

/// `1 node`, `2 nodes`.
pub(super) fn count(number: impl Into<u64>, thing: &str) -> String {
    let number = number.into();
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Bytes in decimal units, three digits at least: `999 B`, `1.23 kB`, `45.6 MB`.
pub(super) fn bytes(number: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut whole, mut rest, mut unit) = (number, 0, "B");
    for larger in units {
        if whole < 1000 {
            break;
        }
        (whole, rest, unit) = (whole / 1000, whole % 1000, larger);
    }
    match (unit, whole) {
        ("B", _) | (_, 100..) => format!("{whole} {unit}"),
        (_, 10..) => format!("{whole}.{} {unit}", rest / 100),
        _ => format!("{whole}.{:02} {unit}", rest / 10),
    }
}

/// Thousandths as a decimal fraction without needless zeros: `1.05`, `2`.
pub(super) fn thousandths(number: impl Into<u64>) -> String {
    let number = number.into();
    let digits = format!("{}.{:03}", number / 1000, number % 1000);
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A length of time in its two largest units at most: `850 ms`, `2.5 s`, `3 min 20 s`, `5 days`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..10 => format!("{seconds}.{} s", ms % 1000 / 100),
        10..120 => format!("{seconds} s"),
        120..7_200 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Seconds of a plan.
pub(super) fn seconds(number: u32) -> String {
    span(u64::from(number) * 1000)
}

/// A moment as seen from now: `in 30 days`, `5 days ago`.
pub(super) fn when(unix_seconds: u64, now: u64) -> String {
    if unix_seconds > now {
        format!("in {}", span((unix_seconds - now).saturating_mul(1000)))
    } else {
        format!("{} ago", span((now - unix_seconds).saturating_mul(1000)))
    }
}

/// How far something has come, as a bar of `width` signs that needs no colour.
pub(super) fn bar(done: u32, of: u32, width: u32) -> String {
    let filled = if of == 0 { 0 } else { u64::from(done.min(of)) * u64::from(width) / u64::from(of) };
    let filled = usize::try_from(filled).unwrap_or(0);
    let width = usize::try_from(width).unwrap_or(0);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(width - filled))
}

/// At most `most` of `items`, and how many more there are.
pub(super) fn some_of(items: &[String], most: usize) -> String {
    let shown = items.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_three_digits() {
        for (number, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_999, "999 kB"),
            (20_123_456, "20.1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), words);
        }
    }

    #[test]
    fn spans_use_the_units_that_fit() {
        for (ms, words) in [
            (850, "850 ms"),
            (2_500, "2.5 s"),
            (90_000, "90 s"),
            (600_000, "10 min"),
            (200_000, "3 min 20 s"),
            (8_000_000, "2 h 13 min"),
            (864_000_000, "10 days"),
        ] {
            assert_eq!(span(ms), words);
        }
        assert_eq!(when(100, 40), "in 60 s");
        assert_eq!(when(40, 100), "60 s ago");
    }

    #[test]
    fn bars_are_as_long_as_told() {
        assert_eq!(bar(3, 12, 8), "[##......]");
        assert_eq!(bar(13, 12, 4), "[####]");
        assert_eq!(bar(0, 0, 4), "[....]");
    }
}
