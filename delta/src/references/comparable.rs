//! Images of a window for matching: moved code is not like the code that it was, because what it names is another distance
//! away. In these images each field holds something that stays.

use std::collections::HashMap;

use super::aliases::Aliases;
use super::found::References;
use super::kallsyms::TOKENS;
use super::kind::{Kind, Reference};
use super::layout::{BEYOND, Layout};
use super::projection::Projection;
use super::target::{Address, Locator};

/// The window with nothing in its fields.
pub(crate) fn blank(mut window: Vec<u8>, references: &References) -> Vec<u8> {
    each(references, &mut window, |reference, field| {
        let value = read(field);
        write(field, reference.kind.blanked(value));
    });
    window
}

/// The old window with the new places of their targets in its fields.
pub(crate) fn comparable_old(
    window: &[u8],
    layout: &Layout,
    references: &References,
    projection: &Projection,
) -> Vec<u8> {
    let aliases = Aliases::read(layout, window);
    comparable(window, layout, references, |place| {
        let place = aliases.resolve(place);
        if place >= BEYOND {
            place
        } else {
            projection.project(place).map_or(place, |projected| projected.place)
        }
    })
}

/// The new window with the places of their targets in its fields.
pub(crate) fn comparable_new(window: &[u8], layout: &Layout, references: &References) -> Vec<u8> {
    let aliases = Aliases::read(layout, window);
    comparable(window, layout, references, |place| aliases.resolve(place))
}

fn comparable(
    window: &[u8],
    layout: &Layout,
    references: &References,
    moved: impl Fn(u32) -> u32,
) -> Vec<u8> {
    let mut image = window.to_vec();
    let mut locator = Locator::new(layout);
    let mut before: Option<(u32, Address)> = None;
    let mut tokens = HashMap::new();
    each(references, &mut image, |reference, field| {
        let was = read(field);
        let address = before.take().filter(|(at, _)| reference.at.wrapping_sub(*at) <= 8);
        let address = address.map(|(_, address)| address);
        match reference.kind {
            Kind::Type => return write(field, moved(reference.base).into()),
            Kind::Name => {
                let place = u32::try_from(was).map_or(0, |name| reference.base.wrapping_add(name));
                return write(field, moved(place).into());
            }
            kind if kind.is_of_tokens() => {
                let names = tokens.entry(reference.base).or_insert_with(|| ranks(window, reference.base));
                let ranked = was.to_le_bytes().map(|token| names[usize::from(token)]);
                return write(field, u64::from_le_bytes(ranked));
            }
            Kind::ForeignType | Kind::ForeignName | Kind::Checksum => return write(field, 0),
            _ => {}
        }
        if let Some(target) = locator.named_by(&reference, was, reference.base, address) {
            if !reference.kind.is_length() {
                before = Some((reference.at, locator.target(target)));
            }
            // What names nothing but zeros says only how far down it is in a table.
            let is_told = reference.kind != Kind::LongBased || !is_empty(window, target);
            write(field, if is_told { reference.kind.standing_for(was, moved(target)) } else { 0 });
        }
    });
    image
}

fn each(references: &References, image: &mut [u8], mut visit: impl FnMut(Reference, &mut [u8])) {
    for reference in references.within(0..u32::MAX) {
        let at = reference.at as usize;
        if let Some(field) = image.get_mut(at..at + usize::from(reference.bytes())) {
            visit(reference, field);
        }
    }
}

/// Whether there are only zeros around a place.
fn is_empty(window: &[u8], place: u32) -> bool {
    let at = place as usize;
    window.get(at.saturating_sub(4)..at + 12).is_some_and(|around| around.iter().all(|byte| *byte == 0))
}

/// The tokens of a table by their rank in the order of what they stand for: their numbers differ in every build.
fn ranks(window: &[u8], place: u32) -> [u8; TOKENS] {
    let table = window.get(place as usize..).unwrap_or_default();
    let mut order: Vec<(&[u8], usize)> = table.split(|byte| *byte == 0).take(TOKENS).zip(0..).collect();
    order.sort();
    let mut ranks = std::array::from_fn(|token| token.to_le_bytes()[0]);
    for (rank, (_, token)) in order.into_iter().enumerate() {
        ranks[token] = rank.to_le_bytes()[0];
    }
    ranks
}

fn read(field: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(field) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

fn write(field: &mut [u8], value: u64) {
    for (to, from) in field.iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}
