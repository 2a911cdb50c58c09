//! How an element follows from the old one: the walk that both sides run, and what it learns on the way.
//!
//! A training step moves weights by amounts that depend little on their size. Counted in units in the last place, the same
//! move is twice as many in the next smaller power of two: so chances are kept for each class of the old magnitude. Rows of
//! a table that saw no training stand still, while their neighbours move: so chances also know how lively the elements
//! before were, for what is usual in their classes, over a short and a long stretch.
//!
//! Elements go in groups, coded in one of three ways: nothing has changed, by differences, or, if those are as large as the
//! elements, by themselves.

use super::element::{CLASSES, Element};
use super::range::{Chance, Coder};

/// How many elements decide together which way they are coded.
pub(super) const GROUP_ELEMENTS: u32 = 2048;

/// How a group is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As it was.
    Same,
    /// By differences.
    Apart,
    /// By itself, whatever was there.
    Alone,
}

/// Everything learnt of one type of element.
pub(super) struct Model {
    element: Element,
    /// Elements left in the group, and how it is coded.
    group_left: u32,
    way: Way,
    same: Chance,
    alone: Chance,
    lively: Lively,
    drift: Drift,
    /// By class, long and short liveliness: not what was expected.
    moved: Vec<Chance>,
    /// By class: the second guess is right.
    second: Vec<Chance>,
    /// By class and whether the old one was negative: the move's sign.
    sign: Vec<Chance>,
    /// By class, long liveliness: the move's length in bits, as a tree or step by step.
    length: Vec<Chance>,
    /// By length, long liveliness: the two bits below the highest.
    top: Vec<Chance>,
    own: Own,
}

/// Lengths of moves: 0 for none, at most 64.
const LENGTHS: usize = 128;
/// Types of at most so many bits have short moves: their length is coded step by step.
const STEPPED_BITS: u32 = 16;

impl Model {
    pub(super) fn new(element: Element) -> Self {
        let chances = |count: usize| vec![Chance::EVEN; count];
        Self {
            element,
            group_left: 0,
            way: Way::Same,
            same: Chance::EVEN,
            alone: Chance::EVEN,
            lively: Lively::new(),
            drift: Drift::new(element),
            moved: chances(CLASSES * LONG_LEVELS * SHORT_LEVELS),
            second: chances(CLASSES),
            sign: chances(CLASSES * 2),
            length: chances(CLASSES * LONG_LEVELS * LENGTHS),
            top: chances(LENGTHS * CLASSES * 4),
            own: Own::new(element),
        }
    }

    /// What it takes in memory.
    #[cfg(test)]
    pub(super) fn memory_bytes(element: Element) -> usize {
        let model = Self::new(element);
        let tables = [&model.moved, &model.second, &model.sign, &model.length, &model.top];
        let own = model.own.exponent.capacity() + model.own.top.capacity();
        let chances = own + tables.map(Vec::capacity).iter().sum::<usize>();
        size_of::<Self>()
            + chances * size_of::<Chance>()
            + model.drift.cells.capacity() * size_of::<(i64, i64)>()
    }

    /// How many elements follow before the next group begins.
    pub(super) fn group_left(&self) -> u32 {
        self.group_left
    }

    /// Ends the group: elements of another type came between.
    pub(super) fn end_group(&mut self) {
        self.group_left = 0;
    }

    /// Begins a group, whatever was left of the one before. Reading, `way` is any.
    pub(super) fn begin_group<C: Coder>(&mut self, coder: &mut C, way: Way) {
        self.group_left = GROUP_ELEMENTS;
        self.way = if coder.bit(&mut self.same, way == Way::Same) {
            Way::Same
        } else if coder.bit(&mut self.alone, way == Way::Alone) {
            Way::Alone
        } else {
            Way::Apart
        };
    }

    /// One element of a group that has begun. Reading, `new` is anything.
    #[inline(always)]
    pub(super) fn element<C: Coder>(&mut self, coder: &mut C, old: u64, new: u64) -> u64 {
        self.group_left = self.group_left.saturating_sub(1);
        match self.way {
            Way::Same => old,
            Way::Apart => self.follow(coder, old, new),
            Way::Alone => self.own.element(coder, new),
        }
    }

    /// How a group is best coded, by an estimate in halves of a bit.
    pub(super) fn best_way(&self, elements: impl Iterator<Item = (u64, u64)>) -> Way {
        let (mut apart, mut alone, mut same) = (0_u64, 0_u64, true);
        for (old, new) in elements {
            let moved = self.element.rank(new).wrapping_sub(self.element.rank(old));
            same &= moved == 0;
            apart += 2 * u64::from(length_of(moved.unsigned_abs())) + if moved == 0 { 1 } else { 4 };
            alone += 2 * u64::from(self.element.fraction()) + 8;
        }
        match (same, apart > alone) {
            (true, _) => Way::Same,
            (false, false) => Way::Apart,
            (false, true) => Way::Alone,
        }
    }

    #[inline(always)]
    fn follow<C: Coder>(&mut self, coder: &mut C, old: u64, new: u64) -> u64 {
        let element = self.element;
        let class = element.class(old);
        let negative = element.is_negative(old);
        let toward = |rank_moved: i64| if negative { rank_moved.wrapping_neg() } else { rank_moved };
        let (long, short) = self.lively.levels();
        let place = class * LONG_LEVELS + long;

        // Moves are counted away from zero.
        let is = toward(element.rank(new).wrapping_sub(element.rank(old)));
        let expected = self.drift.expected(old);
        let moved = coder.bit(&mut self.moved[place * SHORT_LEVELS + short], is != expected);
        let by = if !moved {
            self.lively.learn(class, 0);
            expected
        } else {
            let by = self.how_far(coder, old, class, place, is);
            self.lively.learn(class, 1 + length_of(by.unsigned_abs()));
            by
        };
        element.of_rank(element.rank(old).wrapping_add(toward(by)))
    }

    /// The move of an element that did not do what was expected.
    #[inline(always)]
    fn how_far<C: Coder>(&mut self, coder: &mut C, old: u64, class: usize, place: usize, is: i64) -> i64 {
        if let Some(guess) = self.drift.second(old)
            && coder.bit(&mut self.second[class], is == guess)
        {
            self.drift.confirm(old);
            return guess;
        }
        let length = self.length(coder, place, length_of(is.unsigned_abs()));
        let far = if length <= 1 {
            u64::from(length)
        } else {
            let below = length - 1;
            let chances = &mut self.top[(length as usize * CLASSES + class) * 4..][..4];
            (1 << below) | bits_of(coder, chances, below, is.unsigned_abs())
        };
        let sign = &mut self.sign[class * 2 + usize::from(far == 1)];
        let back = length > 0 && coder.bit(sign, is < 0);
        let by = far.cast_signed();
        let by = if back { by.wrapping_neg() } else { by };
        self.drift.learn(old, by);
        by
    }

    #[inline(always)]
    fn length<C: Coder>(&mut self, coder: &mut C, place: usize, length: u32) -> u32 {
        let chances = &mut self.length[place * LENGTHS..][..LENGTHS];
        if self.element.bits() > STEPPED_BITS {
            let length = tree(coder, chances, LENGTHS.ilog2(), u64::from(length));
            return u32::try_from(length).map_or(u64::BITS, |length| length.min(u64::BITS));
        }
        // What is expected is no move here, so that there is a first bit.
        let mut at = 1;
        while at < STEPPED_BITS + 1 && coder.bit(&mut chances[at as usize], length > at) {
            at += 1;
        }
        at
    }
}

/// How many bits a number has without leading zeros.
#[inline(always)]
fn length_of(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// A value of few bits, highest first, each with a chance of its own for what came before it.
#[inline(always)]
fn tree<C: Coder>(coder: &mut C, chances: &mut [Chance], bits: u32, value: u64) -> u64 {
    let mut node = 1;
    for bit in (0..bits).rev() {
        let bit = coder.bit(&mut chances[node], (value >> bit) & 1 != 0);
        node = (node << 1) | usize::from(bit);
    }
    node as u64 - (1 << bits)
}

/// A value of `bits` bits: the highest two with chances, the rest plain.
#[inline(always)]
fn bits_of<C: Coder>(coder: &mut C, chances: &mut [Chance], bits: u32, value: u64) -> u64 {
    let upper = bits.min(2);
    let mut lower = bits - upper;
    let mut found = tree(coder, chances, upper, value >> lower);
    while lower > 0 {
        let count = lower.min(32);
        lower -= count;
        found = (found << count) | coder.plain(count, value >> lower);
    }
    found
}

/// How lively the elements before were.
struct Lively {
    /// What is usual, by class, in 256ths of a bit of length.
    usual: [i32; CLASSES],
    long: i32,
    short: i32,
}

const LONG_LEVELS: usize = 12;
const SHORT_LEVELS: usize = 8;

impl Lively {
    fn new() -> Self {
        Self { usual: [0; CLASSES], long: 0, short: 0 }
    }

    #[inline(always)]
    fn levels(&self) -> (usize, usize) {
        let level = |of: i32, shift: u32, count: usize| {
            let level = (of >> shift).saturating_add_unsigned(u32::try_from(count / 2).unwrap_or(0));
            usize::try_from(level).unwrap_or(0).min(count - 1)
        };
        (level(self.long, 14, LONG_LEVELS), level(self.short, 15, SHORT_LEVELS))
    }

    #[inline(always)]
    fn learn(&mut self, class: usize, length: u32) {
        let length = length.cast_signed() << 16;
        let usual = &mut self.usual[class];
        let over = length - *usual;
        *usual += over >> 8;
        let over = over.clamp(-(4 << 16), 4 << 16);
        self.long += (over - self.long) >> 5;
        self.short += (over - self.short) >> 2;
    }
}

/// What elements do that no training reached: stand still, or shrink a little with each step if weights decay. By how
/// much then depends on the fraction alone, in long steps.
struct Drift {
    shift: u32,
    /// By the fraction's highest bits: what is expected, and the last move seen that was another.
    cells: Vec<(i64, i64)>,
}

const DRIFT_BITS: u32 = 8;

impl Drift {
    fn new(element: Element) -> Self {
        match element {
            // A decay is less than half a unit in the last place here.
            Element::Bf16 | Element::F16 | Element::I8 => Self { shift: 0, cells: Vec::new() },
            Element::F32 | Element::F64 => {
                Self { shift: element.fraction() - DRIFT_BITS, cells: vec![(0, 0); 1 << DRIFT_BITS] }
            }
        }
    }

    #[inline(always)]
    fn cell(&self, old: u64) -> usize {
        usize::try_from((old >> self.shift) & ((1 << DRIFT_BITS) - 1)).unwrap_or(0)
    }

    #[inline(always)]
    fn expected(&self, old: u64) -> i64 {
        self.cells.get(self.cell(old)).map_or(0, |cell| cell.0)
    }

    #[inline(always)]
    fn second(&self, old: u64) -> Option<i64> {
        self.cells.get(self.cell(old)).map(|cell| cell.1)
    }

    /// A move that is seen twice in turn is expected from then on: trained elements hardly ever repeat one.
    #[inline(always)]
    fn confirm(&mut self, old: u64) {
        let cell = self.cell(old);
        if let Some(cell) = self.cells.get_mut(cell) {
            *cell = (cell.1, cell.0);
        }
    }

    #[inline(always)]
    fn learn(&mut self, old: u64, by: i64) {
        let cell = self.cell(old);
        if let Some(cell) = self.cells.get_mut(cell) {
            cell.1 = by;
        }
    }
}

/// Elements by themselves: the sign, the exponent, the fraction.
struct Own {
    element: Element,
    sign: Chance,
    exponent: Vec<Chance>,
    top: Vec<Chance>,
}

impl Own {
    fn new(element: Element) -> Self {
        let exponents = 1 << (element.bits() - 1 - element.fraction());
        Self {
            element,
            sign: Chance::EVEN,
            exponent: vec![Chance::EVEN; exponents],
            top: vec![Chance::EVEN; CLASSES * 4],
        }
    }

    #[inline(always)]
    fn element<C: Coder>(&mut self, coder: &mut C, new: u64) -> u64 {
        let element = self.element;
        let fraction_bits = element.fraction();
        let negative = coder.bit(&mut self.sign, element.is_negative(new));
        let exponent_bits = element.bits() - 1 - fraction_bits;
        let exponent = tree(coder, &mut self.exponent, exponent_bits, element.exponent(new));
        let without_fraction = (exponent << fraction_bits) | if negative { element.sign() } else { 0 };
        let chances = &mut self.top[element.class(without_fraction) * 4..][..4];
        without_fraction | bits_of(coder, chances, fraction_bits, new)
    }
}
