//! From a field's value to the place that it names, and back.

use super::kind::{Kind, Reference, bits, signed, signed_byte};
use super::layout::{BEYOND, Layout, Span};
use super::pages::Pages;

/// An element's number, where there is none: addresses are places.
const NO_ELEMENT: u32 = u32::MAX;

/// An address in some element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) element: u32,
    pub(super) value: u64,
}

impl Address {
    fn plus(self, distance: u64) -> Self {
        Self { value: self.value.wrapping_add(distance), ..self }
    }
}

#[inline]
fn address_in(span: Option<Span>, place: u32) -> Address {
    match span {
        Some(span) => {
            let within = u64::from(place.wrapping_sub(span.place));
            Address { element: span.element, value: span.address.wrapping_add(within) }
        }
        None => Address { element: NO_ELEMENT, value: u64::from(place) },
    }
}

/// Maps places and addresses to each other, and remembers where it last was.
pub(super) struct Locator<'a> {
    pub(super) layout: &'a Layout,
    /// The span of the last field.
    fields: Option<Span>,
    /// Those of the last targets, the latest first: code names other code, constants and variables in turn.
    targets: [Option<Span>; RECENT],
    by_place: Pages,
    by_address: Pages,
}

/// How many spans are remembered.
const RECENT: usize = 3;

impl<'a> Locator<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        let spans = if layout.elements.len() == 1 { layout.spans() } else { &[] };
        let by_place = Pages::new(spans, |span| span.place.into());
        let by_address = Pages::new(spans, |span| span.address);
        Self { layout, fields: None, targets: [None; RECENT], by_place, by_address }
    }

    /// The address of a field.
    #[inline]
    fn field(&mut self, place: u32) -> Address {
        if self.fields.is_none_or(|span| !span.has_place(place)) {
            self.fields = self.layout.span_at(place);
        }
        address_in(self.fields, place)
    }

    /// The address of a target.
    #[inline]
    pub(super) fn target(&mut self, place: u32) -> Address {
        if let Some(span) = self.by_place.get(place.into()).filter(|span| span.has_place(place)) {
            return address_in(Some(*span), place);
        }
        let known = self.targets.iter().flatten().find(|span| span.has_place(place));
        let span = known.copied().or_else(|| self.remember(self.layout.span_at(place)));
        address_in(span, place)
    }

    fn remember(&mut self, span: Option<Span>) -> Option<Span> {
        self.targets.rotate_right(1);
        self.targets[0] = span;
        span
    }

    /// The place of an address.
    #[inline]
    fn place(&mut self, address: Address) -> Option<u32> {
        if address.element == NO_ELEMENT {
            return u32::try_from(address.value).ok().filter(|place| *place < BEYOND);
        }
        let is_in = |span: &&Span| span.element == address.element && span.has_address(address.value);
        if let Some(span) = self.by_address.get(address.value).filter(is_in) {
            let within = u32::try_from(address.value.wrapping_sub(span.address)).ok()?;
            return span.place.checked_add(within);
        }
        let known = self.targets.iter().flatten().find(is_in).copied();
        let span = known.or_else(|| self.remember(self.layout.span_of(address.element, address.value)))?;
        let within = u32::try_from(address.value.wrapping_sub(span.address)).ok()?;
        span.place.checked_add(within)
    }

    /// The element that a field belongs to, for addresses that say nothing about it.
    pub(super) fn element_of_field(&mut self, place: u32) -> u32 {
        let element = self.field(place).element;
        if element == NO_ELEMENT { self.layout.element_at(place) } else { element }
    }

    /// The place that a distance ahead leads to.
    #[inline]
    pub(super) fn ahead(&mut self, at: u32, kind: Kind, value: u64) -> Option<u32> {
        let address = self.field(at).plus(kind.ahead().wrapping_add(signed(value)));
        self.place(address)
    }

    /// What a distance ahead has to be to lead to a place.
    #[inline]
    pub(super) fn naming_ahead(&mut self, at: u32, kind: Kind, place: u32) -> u64 {
        let target = self.target(place).value;
        target.wrapping_sub(self.field(at).value).wrapping_sub(kind.ahead())
    }

    /// The place that a field names. `before` is the target of the field before.
    #[inline]
    pub(super) fn named_by(
        &mut self,
        reference: &Reference,
        value: u64,
        base: u32,
        before: Option<Address>,
    ) -> Option<u32> {
        let at = reference.at;
        let address = match reference.kind {
            Kind::Short => self.field(at).plus(1_u64.wrapping_add(signed_byte(value))),
            Kind::Ahead | Kind::Ahead1 | Kind::Ahead2 | Kind::Ahead4 | Kind::Here => {
                return self.ahead(at, reference.kind, value);
            }
            Kind::Back => self.field(at).plus(value.wrapping_neg()),
            Kind::Pointer | Kind::ShortPointer => Address { element: self.element_of_field(at), value },
            Kind::SignedPointer => Address { element: self.element_of_field(at), value: signed(value) },
            Kind::Based => self.target(base).plus(signed(value)),
            Kind::LongBased => self.target(base).plus(value),
            Kind::Down => self.target(base).plus(!signed(value)),
            Kind::Rank => self.target(base).plus(rank(value) * WORD_BYTES),
            Kind::Symbol | Kind::Word | Kind::Function => {
                self.target(base).plus(value * reference.kind.entry_bytes())
            }
            // The last byte that it spans: what comes after may have moved otherwise.
            Kind::Length | Kind::LongLength => before.filter(|_| value > 0)?.plus(value - 1),
            Kind::Branch26 => self.field(at).plus(signed(bits(value, 0, 26).into())),
            Kind::Branch19 => self.field(at).plus(signed(bits(value, 5, 19).into())),
            Kind::Branch14 => self.field(at).plus(signed(bits(value, 5, 14).into())),
            Kind::Near => self.field(at).plus(split_immediate(value)),
            Kind::Page => self.page(at, value).plus(u64::from(reference.base)),
            Kind::Slot
            | Kind::LongSlot
            | Kind::FrameSlot
            | Kind::LongFrameSlot
            | Kind::Enter
            | Kind::LongEnter
            | Kind::Leave
            | Kind::LongLeave
            | Kind::Number
            | Kind::Member
            | Kind::Type
            | Kind::ForeignType
            | Kind::Name
            | Kind::ForeignName
            | Kind::Checksum
            | Kind::Token
            | Kind::Tokens4
            | Kind::Tokens8 => return None,
            Kind::Offset => {
                let place = u64::from(base).checked_add(value)?;
                return u32::try_from(place).ok().filter(|place| *place < BEYOND);
            }
            Kind::InPage => {
                let element = self.element_of_field(at);
                let page = self.layout.page(element, reference.base);
                Address { element, value: page.wrapping_add(in_page(value)) }
            }
        };
        self.place(address)
    }

    /// The page that ADRP at a place loads.
    pub(super) fn page(&mut self, at: u32, word: u64) -> Address {
        let field = self.field(at);
        let value = (field.value & !IN_PAGE).wrapping_add(split_immediate(word) << PAGE_SHIFT);
        Address { value, ..field }
    }

    /// The place that an instruction names by where it is in a page.
    pub(super) fn in_page(&mut self, page: Address, word: u64) -> Option<u32> {
        self.place(page.plus(in_page(word)))
    }

    /// What a field has to be to name a place.
    #[inline]
    pub(super) fn naming(
        &mut self,
        reference: &Reference,
        was: u64,
        place: u32,
        base: u32,
        before: Option<Address>,
    ) -> Option<u64> {
        let target = self.target(place).value;
        let from = |origin: u64| target.wrapping_sub(origin);
        let field = self.field(reference.at).value;
        Some(match reference.kind {
            Kind::Short => {
                let distance = from(field).wrapping_sub(1);
                (signed_byte(distance) == distance).then_some(distance)?
            }
            Kind::Ahead | Kind::Ahead1 | Kind::Ahead2 | Kind::Ahead4 | Kind::Here => {
                from(field).wrapping_sub(reference.kind.ahead())
            }
            Kind::Back => field.wrapping_sub(target),
            Kind::Pointer | Kind::ShortPointer | Kind::SignedPointer => target,
            Kind::Based | Kind::LongBased => from(self.target(base).value),
            Kind::Down => !from(self.target(base).value),
            Kind::Rank => rank(exactly(from(self.target(base).value), WORD_BYTES)?),
            Kind::Symbol | Kind::Word | Kind::Function => {
                exactly(from(self.target(base).value), reference.kind.entry_bytes())?
            }
            Kind::Length | Kind::LongLength => from(before?.value).wrapping_add(1),
            Kind::Branch26 => with_bits(was, from(field) >> 2, 0, 26),
            Kind::Branch19 => with_bits(was, from(field) >> 2, 5, 19),
            Kind::Branch14 => with_bits(was, from(field) >> 2, 5, 14),
            Kind::Near => with_split_immediate(was, from(field)),
            Kind::Page => {
                let pages = (target >> PAGE_SHIFT).wrapping_sub(field >> PAGE_SHIFT);
                with_split_immediate(was, pages)
            }
            Kind::Slot
            | Kind::LongSlot
            | Kind::FrameSlot
            | Kind::LongFrameSlot
            | Kind::Enter
            | Kind::LongEnter
            | Kind::Leave
            | Kind::LongLeave
            | Kind::Number
            | Kind::Member
            | Kind::Type
            | Kind::ForeignType
            | Kind::Name
            | Kind::ForeignName
            | Kind::Checksum
            | Kind::Token
            | Kind::Tokens4
            | Kind::Tokens8 => return None,
            Kind::Offset => u64::from(place.wrapping_sub(base)),
            Kind::InPage => with_in_page(was, target & IN_PAGE)?,
        })
    }
}

const SYMBOL_BYTES: u64 = 24;
const WORD_BYTES: u64 = 4;
const FUNCTION_BYTES: u64 = 8;
const PAGE_SHIFT: u32 = 12;
const IN_PAGE: u64 = (1 << PAGE_SHIFT) - 1;

impl Kind {
    /// The size of what a field counts from its base, if it does not count bytes.
    #[inline]
    pub(super) fn entry_bytes(self) -> u64 {
        match self {
            Self::Symbol => SYMBOL_BYTES,
            Self::Word => WORD_BYTES,
            Self::Function => FUNCTION_BYTES,
            _ => 1,
        }
    }

    /// A field's value without what it names.
    pub(super) fn blanked(self, was: u64) -> u64 {
        self.standing_for(was, 0)
    }

    /// A field's value, with a place in it instead of how the place is named.
    pub(super) fn standing_for(self, was: u64, place: u32) -> u64 {
        let value = u64::from(place);
        match self {
            Self::Branch26 => with_bits(was, value >> 2, 0, 26),
            Self::Branch19 => with_bits(was, value >> 2, 5, 19),
            Self::Branch14 => with_bits(was, value >> 2, 5, 14),
            Self::Near => with_split_immediate(was, value),
            Self::Page => with_split_immediate(was, value >> 2),
            Self::InPage => with_bits(was, value, 10, 12),
            // So that another target differs in every byte.
            Self::Pointer | Self::LongBased => value.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            Self::Based | Self::Symbol | Self::Word | Self::Here => value.wrapping_mul(0x9e37_79b9),
            _ => value,
        }
    }
}

/// A number of three bytes with the other end first, in both directions.
fn rank(value: u64) -> u64 {
    let [a, b, c, ..] = value.to_le_bytes();
    u64::from(u32::from_le_bytes([c, b, a, 0]))
}

/// How many times a size is in a distance, if nothing is left over.
#[inline]
pub(super) fn exactly(distance: u64, size: u64) -> Option<u64> {
    distance.is_multiple_of(size).then_some(distance / size)
}

fn with_bits(word: u64, value: u64, shift: u32, bits: u32) -> u64 {
    let mask = ((1 << bits) - 1) << shift;
    (word & !mask) | ((value << shift) & mask)
}

/// The immediate of ADR and ADRP: two low bits at 29, the others at 5.
pub(super) fn split_immediate(word: u64) -> u64 {
    let value = ((word >> 5) & 0x7_ffff) << 2 | ((word >> 29) & 3);
    ((value << 43).cast_signed() >> 43).cast_unsigned()
}

fn with_split_immediate(word: u64, value: u64) -> u64 {
    with_bits(with_bits(word, value >> 2, 5, 19), value, 29, 2)
}

/// What an instruction adds to a page: ADD counts bytes, loads and stores count in their own size.
pub(super) fn in_page(word: u64) -> u64 {
    ((word >> 10) & IN_PAGE) << in_page_shift(word)
}

fn in_page_shift(word: u64) -> u32 {
    let is_memory = (word >> 24) & 0x3b == 0x39;
    let wide_vector = (word >> 26) & 1 == 1 && (word >> 23) & 1 == 1;
    let size = ((word >> 30) & 3) as u8;
    match (is_memory, wide_vector) {
        (false, _) => 0,
        (true, true) => 4,
        (true, false) => u32::from(size),
    }
}

fn with_in_page(word: u64, offset: u64) -> Option<u64> {
    let scaled = exactly(offset, 1 << in_page_shift(word))?;
    Some(with_bits(word, scaled, 10, 12))
}
