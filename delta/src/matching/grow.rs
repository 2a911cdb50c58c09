//! What lies between two exact matches is given to the diagonal of the one or the other, as long as enough bytes
//! agree.

use super::agree::common;
use super::scan::Place;

/// What an agreeing byte is worth.
const RIGHT: isize = 6;
/// What a byte that does not agree costs.
const WRONG: isize = 4;
/// What is lost by so much is not won back.
const HOPELESS: isize = 1 << 14;

/// How far the region at the anchor goes on, and how far the one at the next anchor (or none, at the new file's end)
/// reaches back, without overlap.
pub(super) fn grow(old: &[u8], new: &[u8], anchor: Place, next: Option<Place>) -> (usize, usize) {
    let between = &new[anchor.new..next.map_or(new.len(), |next| next.new)];
    let ahead = forward(&old[anchor.old..], between);
    let Some(next) = next else { return (ahead, 0) };
    let back = backward(&old[..next.old], between);
    let overlap = (ahead + back).saturating_sub(between.len());
    if overlap == 0 {
        return (ahead, back);
    }
    let begin = between.len() - back;
    let kept = border(&between[begin..begin + overlap], &old[anchor.old + begin..], &old[next.old - back..]);
    (ahead - overlap + kept, back - kept)
}

/// The length at which going on from the beginning is worth the most.
fn forward(old: &[u8], new: &[u8]) -> usize {
    let length = old.len().min(new.len());
    let (mut at, mut score, mut best, mut best_length) = (0, 0, 0, 0);
    while at < length {
        let run = common(&old[at..length], &new[at..length]);
        at += run;
        score += RIGHT * run.cast_signed();
        if score > best {
            (best, best_length) = (score, at);
        }
        at += 1;
        score -= WRONG;
    }
    best_length
}

/// The length at which going back from the end is worth the most.
fn backward(old: &[u8], new: &[u8]) -> usize {
    let (mut score, mut best, mut best_length) = (0, 0, 0);
    for (length, (old, new)) in (1..).zip(old.iter().rev().zip(new.iter().rev())) {
        score += if old == new { RIGHT } else { -WRONG };
        if score > best {
            (best, best_length) = (score, length);
        } else if score < best - HOPELESS {
            break;
        }
    }
    best_length
}

/// How much of disputed bytes goes to the first of two old stretches, for most bytes to agree.
fn border(disputed: &[u8], first: &[u8], second: &[u8]) -> usize {
    let (mut score, mut best, mut best_length) = (0_isize, 0, 0);
    for (length, ((new, first), second)) in (1..).zip(disputed.iter().zip(first).zip(second)) {
        score += isize::from(new == first) - isize::from(new == second);
        if score > best {
            (best, best_length) = (score, length);
        }
    }
    best_length
}
