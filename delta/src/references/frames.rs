//! Slots of the stack.
//!
//! When a function keeps one more value, its frame grows, and all slots beyond the new one move by the same. So what one
//! displacement turned out to be tells about those next to it, up to the function's end.

use super::kind::{Kind, signed, signed_byte};

/// Most displacements remembered of one function.
const SLOTS_MAX: usize = 48;
/// So far apart, two fields are not in one function.
const FUNCTION_BYTES_MAX: u32 = 16 << 10;

/// What is known of the function in work.
#[derive(Default)]
pub(super) struct Frames {
    /// Displacements from the stack pointer, old and new, in order.
    stack: Vec<Moved>,
    /// The same from the frame pointer.
    frame: Vec<Moved>,
    /// The size of the stack that it takes.
    size: Option<Moved>,
    last_at: u32,
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
            Kind::Slot | Kind::LongSlot => guess(&self.stack, old)?,
            Kind::FrameSlot | Kind::LongFrameSlot => guess(&self.frame, old)?,
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
            Kind::Slot | Kind::LongSlot => remember(&mut self.stack, moved),
            Kind::FrameSlot | Kind::LongFrameSlot => remember(&mut self.frame, moved),
            Kind::Enter | Kind::LongEnter => {
                self.forget();
                self.size = Some(moved);
                remember(&mut self.stack, Moved { old: 0, new: 0 });
                remember(&mut self.stack, moved);
            }
            _ => {}
        }
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

/// A slot moves like the nearest one.
fn guess(known: &[Moved], old: i64) -> Option<i64> {
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

fn remember(known: &mut Vec<Moved>, moved: Moved) {
    let place = known.partition_point(|known| known.old < moved.old);
    if let Some(known) = known.get_mut(place).filter(|known| known.old == moved.old) {
        known.new = moved.new;
    } else if known.len() < SLOTS_MAX {
        known.insert(place, moved);
    }
}
