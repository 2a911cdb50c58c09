//! What a region, a wrong byte and a literal cost, which differs from kind to kind.
//!
//! Measured on consecutive releases of executables, JSON, JavaScript and archives of sources, November 2026. A
//! literal of text leans on its surroundings and costs a bit or two; of code it costs six. Where several prices may suit, a
//! patch is made with each, and the smallest stays.

use crate::matching::Prices;

/// Machine code and everything else that is not text.
const CODE: [Prices; 1] = [Prices { region: 100, wrong: 10, literal: 6 }];
/// Text: much the same again and again, sentences moved about, and hardly any change.
const TEXT: [Prices; 3] = [
    Prices { region: 400, wrong: 20, literal: 2 },
    Prices { region: 250, wrong: 10, literal: 2 },
    Prices { region: 40, wrong: 10, literal: 2 },
];

/// How many places are looked at, and how much of each.
const SAMPLES: usize = 32;
const SAMPLE_BYTES: usize = 4 << 10;

/// The prices that may suit a file.
pub(super) fn prices(new: &[u8]) -> &'static [Prices] {
    if is_text(new) { &TEXT } else { &CODE }
}

/// Whether a file has hardly any control characters but the zeros of an archive: whatever its script, it is text.
fn is_text(file: &[u8]) -> bool {
    let step = (file.len() / SAMPLES).max(SAMPLE_BYTES);
    let samples = file.chunks(step).map(|part| part.get(..SAMPLE_BYTES).unwrap_or(part));
    let (mut controls, mut all) = (0_usize, 0_usize);
    for byte in samples.flatten().filter(|byte| **byte != 0) {
        all += 1;
        controls += usize::from(byte.is_ascii_control() && !byte.is_ascii_whitespace());
    }
    controls <= all / 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_code() {
        assert!(is_text(&b"the quick brown fox\n".repeat(1000)));
        assert!(is_text("быстрая лиса\n".repeat(1000).as_bytes()));
        assert!(is_text(b""));
        let mixed: Vec<u8> = (0_u32..100_000).map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
        assert!(!is_text(&mixed));
    }
}
