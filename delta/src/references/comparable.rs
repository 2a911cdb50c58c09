//! Images of a window for matching: moved code is not like the code that it was, because what it names is another distance
//! away. In these images each field holds something that stays.

use super::aliases::Aliases;
use super::kind::Reference;
use super::layout::{BEYOND, Layout};
use super::projection::Projection;
use super::store::References;
use super::target::{Address, Locator};

/// The window with nothing in its fields.
pub(crate) fn blank(window: &[u8], references: &References) -> Vec<u8> {
    let mut image = window.to_vec();
    each(references, &mut image, |reference, field| {
        let value = read(field);
        write(field, reference.kind.blanked(value));
    });
    image
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
    each(references, &mut image, |reference, field| {
        let was = read(field);
        let address = before.take().filter(|(at, _)| reference.at.wrapping_sub(*at) <= 8);
        let address = address.map(|(_, address)| address);
        if let Some(target) = locator.named_by(&reference, was, reference.base, address) {
            if !reference.kind.is_length() {
                before = Some((reference.at, locator.target(target)));
            }
            write(field, reference.kind.standing_for(was, moved(target)));
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
