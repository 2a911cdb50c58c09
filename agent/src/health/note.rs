//! Notes for people, made of what strangers printed: bounded and harmless.

use groundswell_protocol::facts::health::NOTE_MAX;

/// The text without control characters, cut to [`NOTE_MAX`] bytes at a character's boundary.
pub(super) fn note(text: &str) -> String {
    let clean: String = text.chars().map(|one| if one.is_control() { '\u{b7}' } else { one }).collect();
    shorten(&clean, NOTE_MAX)
}

/// The text, cut to `bytes` at a character's boundary, with an ellipsis where something was cut off.
pub(super) fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let ellipsis = "\u{2026}";
    let mut end = bytes.saturating_sub(ellipsis.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ellipsis}", &text[..end])
}

/// The last line that is not blank.
pub(super) fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_escapes_do_not_survive() {
        assert_eq!(note("\u{1b}[2Jbad\n"), "\u{b7}[2Jbad\u{b7}");
        assert_eq!(last_line(b"one\n  two \n\n"), Some("two".to_owned()));
        assert_eq!(last_line(b" \n"), None);
    }

    proptest! {
        #[test]
        fn a_note_never_exceeds_its_bound(text in "\\PC{0,300}|[\u{0}-\u{1f}]{0,300}") {
            let cut = note(&text);
            prop_assert!(cut.len() <= NOTE_MAX);
            prop_assert!(!cut.chars().any(char::is_control));
        }
    }
}
