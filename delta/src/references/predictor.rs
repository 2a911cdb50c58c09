//! What a field will be in the new file.
//!
//! The place that it named in the old window is projected through the regions into the new one, and named from there. If
//! a field with the same target was seen before and was not as projected, then this one will be like it. Targets
//! in no region go where something near them went.

use super::frames::Frames;
use super::kallsyms::TOKENS;
use super::kind::{Kind, Reference, Sort, signed};
use super::layout::{BEYOND, Layout};
use super::learning::{FOR_TARGETS, Learned};
use super::lines::Lines;
use super::members::Members;
use super::numbers::Numbers;
use super::projection::{Projected, Projection};
use super::shifts::{self, Shifted, Shifts};
use super::target::{Address, Locator, exactly};
use crate::matching::Region;
use crate::models::cut;

/// How far what was learned of a neighbour reaches, for targets that are in the window.
const NEIGHBOURHOOD_BYTES: u32 = 4096;

/// What went astray takes along what is so near.
const STREAK_BYTES: u32 = 64;
/// Lengths change by so much at most, if not by half.
const LENGTH_CHANGE_BYTES: u64 = 64;

/// Predicts the fields of regions, which come in the new file's order, and learns from what they are.
pub(crate) struct Predictor<'a> {
    old: Locator<'a>,
    new: Locator<'a>,
    regions: &'a [Region],
    /// The region in work.
    current: usize,
    /// Old places in it that are in a row in memory, in both files, with the last field.
    within: Within,
    projection: Projection,
    shifts: Shifts,
    /// The base that was asked for last, and its address.
    base: Option<(u32, u64)>,
    learned: Learned,
    frames: Frames,
    lines: Lines,
    members: Members,
    numbers: Numbers,
    /// What token each became.
    tokens: [u8; TOKENS],
    /// The new element for each old one.
    successors: Vec<u32>,
    /// The field that was predicted last.
    last: Option<Predicted>,
    /// The last target that was not where it was projected to: old, projected, new.
    astray: Option<(u32, u32, u32)>,
    /// What the field before named.
    before: Option<Before>,
    /// AArch64: the page that each register was last loaded with, in the new file.
    pages: [Option<Address>; REGISTERS],
}

const REGISTERS: usize = 32;

/// The number of a register in an instruction.
fn register(word: u64, shift: u32) -> usize {
    usize::from((word >> shift).to_le_bytes()[0] & 31)
}

struct Predicted {
    new_at: u32,
    target: u32,
    /// Where the regions say it is.
    projected: Option<Projected>,
    guess: Option<u32>,
    /// What the field has to be to name the guess.
    named: Option<u64>,
}

/// A length that has little to do with the old one comes from an end that went elsewhere.
fn is_plausible_length(was: u64, named: u64) -> bool {
    named.abs_diff(was) <= was / 2 + LENGTH_CHANGE_BYTES
}

/// A stretch of places.
#[derive(Clone, Copy, Default)]
struct Within {
    start: u32,
    bytes: u32,
    /// What is added to a place to have its address, and to that to have its new one.
    to_address: u64,
    by: u64,
}

impl Within {
    #[inline]
    fn has(self, place: u32) -> bool {
        place.wrapping_sub(self.start) < self.bytes
    }
}

#[derive(Clone, Copy)]
struct Before {
    old_at: u32,
    /// What it named.
    old: Target,
    new: Target,
    /// Whether it was where the regions say.
    expected: bool,
}

#[derive(Clone, Copy)]
enum Target {
    Place(u32),
    Address(Address),
}

impl Target {
    fn address(self, locator: &mut Locator<'_>) -> Address {
        match self {
            Self::Place(place) => locator.target(place),
            Self::Address(address) => address,
        }
    }
}

impl<'a> Predictor<'a> {
    /// Regions in the new window's order. `successors` says for each old element which new one it became.
    pub(crate) fn new(old: &'a Layout, new: &'a Layout, regions: &'a [Region]) -> Self {
        Self {
            old: Locator::new(old),
            new: Locator::new(new),
            regions,
            current: 0,
            within: Within::default(),
            projection: Projection::new(regions),
            shifts: Shifts::new(old, new),
            base: None,
            learned: Learned::new(FOR_TARGETS),
            frames: Frames::default(),
            lines: Lines::default(),
            members: Members::new(),
            numbers: Numbers::default(),
            tokens: std::array::from_fn(|token| token.to_le_bytes()[0]),
            successors: new.successors(old),
            last: None,
            astray: None,
            before: None,
            pages: [None; REGISTERS],
        }
    }

    /// What the field will be, that was `was` and goes to `new_at`. None: as it was.
    #[inline]
    pub(crate) fn predict(&mut self, reference: &Reference, was: u64, new_at: u32) -> Option<u64> {
        self.last = None;
        match reference.kind.sort() {
            Sort::Place => self.predict_place(reference, was, new_at),
            Sort::Frame => self.frames.predict(reference.kind, was, reference.at),
            Sort::Line => self.lines.predict(was, reference.at),
            Sort::Member => self.members.predict(was, reference.at),
            Sort::Number => self.numbers.predict(reference, was, &self.projection),
            Sort::Token => {
                Some(u64::from_le_bytes(was.to_le_bytes().map(|token| self.tokens[usize::from(token)])))
            }
        }
    }

    /// Predicts a field of which it is known that it is as predicted, and learns that. None: as it was.
    #[inline]
    pub(crate) fn confirm(&mut self, reference: &Reference, was: u64, new_at: u32) -> Option<u64> {
        match reference.kind {
            Kind::Ahead | Kind::Ahead1 | Kind::Ahead2 | Kind::Ahead4 => {
                self.confirm_ahead(reference, was, new_at)
            }
            Kind::Slot | Kind::LongSlot | Kind::FrameSlot | Kind::LongFrameSlot => {
                self.frames.confirm(reference.kind, was, reference.at)
            }
            kind => {
                if kind.sort() == Sort::Place {
                    let before = self.before.take();
                    self.enter(reference.at, new_at);
                    if let Some(named) = self.confirm_usual(reference, was, before) {
                        return Some(named);
                    }
                    self.before = before;
                }
                let predicted = self.predict(reference, was, new_at);
                let is = predicted.map_or(was, |predicted| cut(predicted, kind.bytes()));
                self.learn(reference, was, new_at, is);
                predicted
            }
        }
    }

    /// The same for a distance ahead: most fields of code.
    #[inline]
    fn confirm_ahead(&mut self, reference: &Reference, was: u64, new_at: u32) -> Option<u64> {
        let (at, kind) = (reference.at, reference.kind);
        self.before = None;
        self.enter(at, new_at);
        if kind == Kind::Ahead
            && self.within.has(at)
            && let Some(distance) = kind.distance(was)
            && self.within.has(at.wrapping_add(distance))
        {
            return Some(was);
        }
        if let Some(named) = self.confirm_usual(reference, was, None) {
            return Some(named);
        }
        let target = self.old.ahead(at, kind, was)?;
        let projected = self.project(target);
        let guess = self.guess(target, projected);
        let named = guess.map(|guess| self.new.naming_ahead(new_at, kind, guess));
        if let (Some(projected), Some(named), Some(guess)) = (projected, named, guess)
            && projected == (Projected { place: guess, covered: true })
            && named == signed(named)
        {
            // As expected: nothing is news.
            let (old, new) = (Target::Place(target), Target::Place(guess));
            self.before = Some(Before { old_at: at, old, new, expected: true });
            self.return_from_astray(target);
            return Some(named);
        }
        self.last = Some(Predicted { new_at, target, projected, guess, named });
        self.learn_place(reference, new_at, named.map_or(was, |named| cut(named, kind.bytes())));
        named
    }

    /// The same for a field of the region in work whose target, and base if it has one, moved as usual: with all that is
    /// around, and nothing is known of it. Nothing else is learned of these than what they name.
    #[inline]
    fn confirm_usual(&mut self, reference: &Reference, was: u64, before: Option<Before>) -> Option<u64> {
        let Reference { at, kind, base } = *reference;
        let here = self.within;
        let at_address = || here.has(at).then(|| here.to_address.wrapping_add(at.into()));
        // The target, what is added to the field, and whether it is so.
        let (target, named) = match kind {
            Kind::Ahead | Kind::Ahead1 | Kind::Ahead2 | Kind::Ahead4 | Kind::Here => {
                let distance = signed(was);
                let target = at_address()?.wrapping_add(kind.ahead()).wrapping_add(distance);
                let shifted = self.usual(target)?;
                let named = distance.wrapping_add(shifted.by).wrapping_sub(here.by);
                ((target, shifted.by), (named == signed(named)).then_some(named)?)
            }
            Kind::Back => {
                let target = at_address()?.wrapping_sub(was);
                let shifted = self.usual(target)?;
                let named = was.wrapping_add(here.by).wrapping_sub(shifted.by);
                ((target, shifted.by), u32::try_from(named).ok()?.into())
            }
            Kind::Pointer => {
                let shifted = self.usual(was)?;
                ((was, shifted.by), was.wrapping_add(shifted.by))
            }
            Kind::Based => {
                let (base, base_shifted) = self.usual_base(base)?;
                let target = base.wrapping_add(signed(was));
                let shifted = self.usual(target)?;
                let named = signed(was).wrapping_add(shifted.by).wrapping_sub(base_shifted.by);
                ((target, shifted.by), (named == signed(named)).then_some(named)?)
            }
            Kind::Symbol | Kind::Word | Kind::Function => {
                let entry = kind.entry_bytes();
                let (base, base_shifted) = self.usual_base(base)?;
                let distance = was.wrapping_mul(entry);
                let target = base.wrapping_add(distance);
                let shifted = self.usual(target)?;
                let named = distance.wrapping_add(shifted.by).wrapping_sub(base_shifted.by);
                ((target, shifted.by), u32::try_from(exactly(named, entry)?).ok()?.into())
            }
            Kind::Length | Kind::LongLength => {
                let before =
                    before.filter(|before| at.wrapping_sub(before.old_at) <= 8 && before.expected)?;
                let (Target::Address(old), Target::Address(new)) = (before.old, before.new) else {
                    return None;
                };
                let target = old.value.wrapping_add(was.checked_sub(1)?);
                let shifted = self.usual(target)?;
                let named = target.wrapping_add(shifted.by).wrapping_sub(new.value).wrapping_add(1);
                let fits = kind == Kind::LongLength || u32::try_from(named).is_ok();
                return (fits && named > 0 && is_plausible_length(was, named)).then_some(named);
            }
            _ => return None,
        };
        let (old, by) = target;
        let (old, new) = (shifts::address(old), shifts::address(old.wrapping_add(by)));
        let (old, new) = (Target::Address(old), Target::Address(new));
        self.before = Some(Before { old_at: at, old, new, expected: true });
        Some(named)
    }

    /// How far an address moved, if that is as usual: with the region in work if that covers it, else with its block.
    #[inline]
    fn usual(&mut self, address: u64) -> Option<Shifted> {
        let here = self.within;
        if let Ok(place) = u32::try_from(address.wrapping_sub(here.to_address))
            && here.has(place)
            && self.shifts.is_unambiguous()
        {
            return Some(Shifted { by: here.by, place }).filter(|shifted| self.is_usual(shifted.place));
        }
        let layouts = (self.old.layout, self.new.layout);
        let shifted = self.shifts.get(address, layouts, &self.projection)?;
        let region = self.regions.get(self.current)?;
        let is_here = shifted.place.wrapping_sub(region.old) < region.bytes;
        (!is_here && self.is_usual(shifted.place)).then_some(shifted)
    }

    /// Whether nothing is known of a place but what the regions say.
    #[inline]
    fn is_usual(&self, place: u32) -> bool {
        let is_astray = self.astray.is_some_and(|(old, ..)| old.abs_diff(place) <= STREAK_BYTES);
        !is_astray && self.learned.exception(place).is_none()
    }

    /// The address of a base, and how far it moved if that is as usual. It does not count whether the region in work covers it.
    #[inline]
    fn usual_base(&mut self, base: u32) -> Option<(u64, Shifted)> {
        let address = match self.base.filter(|(known, _)| *known == base) {
            Some((_, address)) => address,
            None => {
                let address = self.old.target(base).value;
                self.base = Some((base, address));
                address
            }
        };
        let layouts = (self.old.layout, self.new.layout);
        let shifted = self.shifts.get(address, layouts, &self.projection)?;
        (shifted.place == base && self.is_usual(base)).then_some((address, shifted))
    }

    /// Something went where the regions say: so will what is near it.
    #[inline]
    fn return_from_astray(&mut self, target: u32) {
        if self.astray.is_some_and(|(old, ..)| old.abs_diff(target) <= STREAK_BYTES) {
            self.astray = None;
        }
    }

    #[inline]
    fn predict_place(&mut self, reference: &Reference, was: u64, new_at: u32) -> Option<u64> {
        self.enter(reference.at, new_at);
        if let Some(distance) = reference.kind.distance(was)
            && self.within.has(reference.at.wrapping_add(distance))
            && self.within.has(reference.at)
        {
            // Most jumps: what a distance tells of is in the same region, and it stays as it is.
            return Some(was);
        }
        let before = self.before.filter(|before| reference.at.wrapping_sub(before.old_at) <= 8);
        let old_before =
            before.filter(|_| reference.kind.is_length()).map(|before| before.old.address(&mut self.old));
        let target = self.old.named_by(reference, was, reference.base, old_before)?;
        let projected = self.project(target);
        let guess = self.guess(target, projected);
        self.last = Some(Predicted { new_at, target, projected, guess, named: None });
        if reference.kind.is_length() && before.is_some_and(|before| !before.expected) {
            // It went elsewhere as a whole.
            return None;
        }
        let base = if reference.kind.has_base() { self.base(reference)? } else { 0 };
        let moved = Reference { at: new_at, ..*reference };
        let new_before =
            before.filter(|_| reference.kind.is_length()).map(|before| before.new.address(&mut self.new));
        let named = self.new.naming(&moved, was, guess?, base, new_before)?;
        if let Some(last) = &mut self.last {
            last.named = Some(named);
        }
        let plausible = !reference.kind.is_length() || is_plausible_length(was, named);
        plausible.then_some(named)
    }

    /// What the field was predicted as last is.
    #[inline]
    pub(crate) fn learn(&mut self, reference: &Reference, was: u64, new_at: u32, is: u64) {
        match reference.kind.sort() {
            Sort::Place => self.learn_place(reference, new_at, is),
            Sort::Frame => self.frames.learn(reference.kind, was, is),
            Sort::Line => self.lines.learn(was, reference.at, is),
            Sort::Member => self.members.learn(was, reference.at, is),
            Sort::Number => self.numbers.learn(reference, was, is, &self.projection),
            Sort::Token => {
                let tokens = was.to_le_bytes().into_iter().zip(is.to_le_bytes());
                for (old, new) in tokens.take(usize::from(reference.bytes())) {
                    self.tokens[usize::from(old)] = new;
                }
            }
        }
    }

    #[inline]
    fn learn_place(&mut self, reference: &Reference, new_at: u32, is: u64) {
        let before = self.before.take().filter(|before| reference.at.wrapping_sub(before.old_at) <= 8);
        if reference.kind == Kind::Page {
            let page = self.new.page(new_at, is);
            self.pages[register(is, 0)] = Some(page);
            return;
        }
        let Some(last) = self.last.take().filter(|last| last.new_at == new_at) else { return };
        let before = before.filter(|_| reference.kind.is_length());
        let before = before.map(|before| before.new.address(&mut self.new));
        let Some(actual) = self.actual(reference, &last, is, before) else { return };
        let expected = last.projected == Some(Projected { place: actual, covered: true });
        if !reference.kind.is_length() {
            let (old, new) = (Target::Place(last.target), Target::Place(actual));
            self.before = Some(Before { old_at: reference.at, old, new, expected });
        }
        if expected && last.guess == Some(actual) {
            // Nothing is news.
            self.return_from_astray(last.target);
            return;
        }
        self.learned.learn(last.target, last.projected.map(|projected| projected.place), actual);
        if let Some(projected) = last.projected.filter(|projected| projected.covered) {
            if projected.place != actual {
                self.astray = Some((last.target, projected.place, actual));
            } else {
                self.return_from_astray(last.target);
            }
        }
        let covered = last.projected.is_some_and(|projected| projected.covered);
        if !covered || last.guess != Some(actual) {
            self.learned.learn_near(last.target, actual);
        }
    }

    /// What a field names that was predicted.
    #[inline]
    fn actual(
        &mut self,
        reference: &Reference,
        last: &Predicted,
        is: u64,
        before: Option<Address>,
    ) -> Option<u32> {
        if last.guess.is_some() && last.named.is_some_and(|named| reference.kind.is_one_to_one(named, is)) {
            return last.guess;
        }
        if reference.kind == Kind::InPage {
            return self.pages[register(is, 5)].and_then(|page| self.new.in_page(page, is));
        }
        let base = self.base(reference)?;
        self.new.named_by(&Reference { at: last.new_at, ..*reference }, is, base, before)
    }

    fn base(&self, reference: &Reference) -> Option<u32> {
        if !reference.kind.has_base() || matches!(reference.kind, Kind::Page | Kind::InPage) {
            return Some(reference.base);
        }
        let projected = self.far(reference.base);
        self.guess(reference.base, projected)
    }

    #[inline]
    fn guess(&self, target: u32, projected: Option<Projected>) -> Option<u32> {
        if let Some(place) = self.learned.exception(target) {
            return Some(place);
        }
        if let Some(projected) = projected.filter(|projected| projected.covered) {
            let astray = self.astray.filter(|(old, wrong, _)| {
                target.abs_diff(*old) <= STREAK_BYTES
                    && target.wrapping_sub(*old) == projected.place.wrapping_sub(*wrong)
            });
            return Some(
                astray.map_or(projected.place, |(old, _, new)| target.wrapping_sub(old).wrapping_add(new)),
            );
        }
        let farthest = if target >= BEYOND { u32::MAX } else { NEIGHBOURHOOD_BYTES };
        self.learned.neighbour(target, farthest).or(projected.map(|projected| projected.place))
    }

    /// Turns to the region that a new field is in, and to what of it is in a row in memory with the field, in both files.
    #[inline]
    fn enter(&mut self, at: u32, new_at: u32) {
        let ends = |region: &Region| region.new + (region.bytes.max(1) - 1);
        let current = self.current;
        while self.regions.get(self.current).is_some_and(|region| ends(region) < new_at) {
            self.current += 1;
        }
        if self.current != current || !self.within.has(at) {
            self.within = self.find_within(at, new_at);
        }
    }

    fn find_within(&mut self, at: u32, new_at: u32) -> Within {
        let nowhere = Within::default();
        let Some(region) = self.regions.get(self.current) else { return nowhere };
        let spans = self.old.layout.span_at(at).zip(self.new.layout.span_at(new_at));
        let Some((old, new)) = spans else { return nowhere };
        let (start, end) = (u64::from(region.old), u64::from(region.old) + u64::from(region.bytes));
        let to_old = |place: u64| place.saturating_add(region.old.into()).saturating_sub(region.new.into());
        let new_end = u64::from(new.place) + u64::from(new.bytes);
        let start = start.max(old.place.into()).max(to_old(new.place.into()));
        let end = end.min(u64::from(old.place) + u64::from(old.bytes)).min(to_old(new_end));
        let short = |place: u64| u32::try_from(place).unwrap_or(u32::MAX);
        let to_address = old.address.wrapping_sub(old.place.into());
        let to_new_address = new.address.wrapping_sub(new.place.into());
        let moved = u64::from(region.new).wrapping_sub(region.old.into());
        Within {
            start: short(start),
            bytes: short(end.saturating_sub(start)),
            to_address,
            by: to_new_address.wrapping_sub(to_address).wrapping_add(moved),
        }
    }

    /// Where a target is that a field of the region in work names.
    #[inline]
    fn project(&self, target: u32) -> Option<Projected> {
        if let Some(region) = self.regions.get(self.current)
            && target.wrapping_sub(region.old) < region.bytes
        {
            return Some(Projected { place: region.new + (target - region.old), covered: true });
        }
        self.far(target)
    }

    fn far(&self, target: u32) -> Option<Projected> {
        if target < BEYOND { self.projection.project(target) } else { self.beyond(target) }
    }

    /// Memory that is not stored went with its segment.
    fn beyond(&self, target: u32) -> Option<Projected> {
        let old = self.old.layout.span_at(target)?;
        let element = *self.successors.get(old.element as usize)?;
        let new = self.new.layout.span_with_role(element, old.role)?;
        Some(Projected { place: new.place.checked_add(target - old.place)?, covered: false })
    }
}
