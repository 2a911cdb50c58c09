//! Slots of the stack.
//!
//! When a function keeps one more value, its frame grows, and all slots beyond the new one move by the same. So what one
//! displacement turned out to be tells about those next to it, up to the function's end.

use super::kind::{Kind, signed, signed_byte};
use crate::models::cut;

/// Most displacements remembered of one function.
const SLOTS_MAX: usize = 48;
/// So many are put in order at one time.
const WAITING_MAX: usize = 256;
/// Slots do not move further: what seems to is another instruction.
const MOVE_MAX: u64 = 64 << 10;
/// So far apart, two fields are not in one function.
const FUNCTION_BYTES_MAX: u32 = 16 << 10;

/// What is known of the function in work.
#[derive(Default)]
pub(super) struct Frames {
    /// Displacements from the stack pointer, old and new, in order.
    stack: Slots,
    /// The same from the frame pointer.
    frame: Slots,
    /// The size of the stack that it takes.
    size: Option<Moved>,
    last_at: u32,
}

/// Displacements that were seen, in order.
#[derive(Default)]
struct Slots {
    /// In order of the old ones, without those that wait.
    known: Vec<Moved>,
    /// Seen since, and as they were, as almost all are: put in order only when one has moved.
    waiting: Vec<i64>,
    /// Whether any has moved.
    moved: bool,
}

#[derive(Clone, Copy)]
struct Moved {
    old: i64,
    new: i64,
}

impl Frames {
    /// What a field will be. None: as it was, or none of these.
    #[inline]
    pub(super) fn predict(&mut self, kind: Kind, was: u64, at: u32) -> Option<u64> {
        if at.wrapping_sub(self.last_at) > FUNCTION_BYTES_MAX {
            self.forget();
        }
        self.last_at = at;
        let old = value(kind, was);
        let new = match kind {
            Kind::Slot | Kind::LongSlot => self.stack.guess(old)?,
            Kind::FrameSlot | Kind::LongFrameSlot => self.frame.guess(old)?,
            Kind::Leave | Kind::LongLeave => self.size.filter(|size| size.old == old)?.new,
            _ => return None,
        };
        let fits = kind.bytes() > 1 || i8::try_from(new).is_ok();
        fits.then_some(new.cast_unsigned())
    }

    #[inline]
    pub(super) fn learn(&mut self, kind: Kind, was: u64, is: u64) {
        let moved = Moved { old: value(kind, was), new: value(kind, is) };
        match kind {
            Kind::Slot | Kind::LongSlot => self.stack.remember(moved),
            Kind::FrameSlot | Kind::LongFrameSlot => self.frame.remember(moved),
            Kind::Enter | Kind::LongEnter => {
                self.forget();
                self.size = Some(moved);
                self.stack.remember(Moved { old: 0, new: 0 });
                self.stack.remember(moved);
            }
            _ => {}
        }
    }

    /// Predicts a slot of which it is known that it is as predicted, and learns that. None: as it was.
    #[inline]
    pub(super) fn confirm(&mut self, kind: Kind, was: u64, at: u32) -> Option<u64> {
        if at.wrapping_sub(self.last_at) > FUNCTION_BYTES_MAX {
            self.forget();
        }
        let slots =
            if matches!(kind, Kind::Slot | Kind::LongSlot) { &mut self.stack } else { &mut self.frame };
        if !slots.moved && slots.waiting.len() < WAITING_MAX {
            self.last_at = at;
            slots.waiting.push(value(kind, was));
            return None;
        }
        let predicted = self.predict(kind, was, at);
        self.learn(kind, was, predicted.map_or(was, |predicted| cut(predicted, kind.bytes())));
        predicted
    }

    fn forget(&mut self) {
        self.stack.clear();
        self.frame.clear();
        self.size = None;
    }
}

fn value(kind: Kind, field: u64) -> i64 {
    (if kind.bytes() == 1 { signed_byte(field) } else { signed(field) }).cast_signed()
}

impl Slots {
    fn clear(&mut self) {
        self.known.clear();
        self.waiting.clear();
        self.moved = false;
    }

    /// A slot moves like the nearest one. None: as it was.
    #[inline]
    fn guess(&self, old: i64) -> Option<i64> {
        if self.moved { nearest(&self.known, old) } else { None }
    }

    #[inline]
    fn remember(&mut self, moved: Moved) {
        if moved.old.abs_diff(moved.new) > MOVE_MAX {
            return;
        }
        if !self.moved && moved.old == moved.new && self.waiting.len() < WAITING_MAX {
            self.waiting.push(moved.old);
            return;
        }
        self.moved |= moved.old != moved.new;
        for old in self.waiting.drain(..) {
            insert(&mut self.known, Moved { old, new: old });
        }
        insert(&mut self.known, moved);
    }
}

fn nearest(known: &[Moved], old: i64) -> Option<i64> {
    let next = known.partition_point(|moved| moved.old < old);
    let after = known.get(next);
    let before = next.checked_sub(1).and_then(|before| known.get(before));
    let nearest = match (before, after) {
        (Some(before), Some(after)) => {
            if after.old - old <= old - before.old {
                after
            } else {
                before
            }
        }
        (before, after) => before.or(after)?,
    };
    Some(old - nearest.old + nearest.new)
}

fn insert(known: &mut Vec<Moved>, moved: Moved) {
    let place = known.partition_point(|known| known.old < moved.old);
    if let Some(known) = known.get_mut(place).filter(|known| known.old == moved.old) {
        known.new = moved.new;
    } else if known.len() < SLOTS_MAX {
        known.insert(place, moved);
    }
}
