//! Numbers that stand for things: what one turned out to be, it is wherever it occurs, and those counted next to it
//! have moved by as much.

use super::kind::{Kind, Reference};
use super::learning::{FOR_NUMBERS, Learned};
use super::projection::Projection;

/// How far what is known of one number tells of others.
const NEIGHBOURHOOD: u32 = 1 << 20;

/// A number does not move by so much: it stands for not knowing.
const UNKNOWN: u32 = 1 << 31;

/// What is known of numbers of each sort.
#[derive(Default)]
pub(super) struct Numbers {
    types: Option<Box<Learned>>,
    foreign_types: Option<Box<Learned>>,
    foreign_names: Option<Box<Learned>>,
    checksums: Option<Box<Learned>>,
    /// For each piece that went somewhere as a whole, how much its types' numbers have moved.
    pieces: Vec<u32>,
    own_names: Option<Box<Learned>>,
    /// The beginning of the table of names in work, and how much names in it have moved beside their places.
    names: Option<(u32, u32)>,
}

impl Numbers {
    /// What a number will be. None: as it was.
    pub(super) fn predict(&self, reference: &Reference, was: u64, projection: &Projection) -> Option<u64> {
        let old = u32::try_from(was).ok()?;
        let moved = match reference.kind {
            // By where the type is described: the same for all in a row.
            Kind::Type => {
                let types = self.types.as_ref()?;
                let place = reference.base;
                let by_piece = || {
                    let piece = projection.piece_over(place)?;
                    self.pieces.get(piece).filter(|by| **by != UNKNOWN).map(|by| place.wrapping_add(*by))
                };
                let moved = types.exception(place).or_else(by_piece);
                let moved = moved.or_else(|| types.neighbour(place, NEIGHBOURHOOD))?;
                old.wrapping_add(moved.wrapping_sub(place))
            }
            Kind::Name => {
                let place = reference.base.wrapping_add(old);
                let exception = self.own_names.as_ref().and_then(|names| names.exception(place));
                match exception {
                    Some(moved) => old.wrapping_add(moved.wrapping_sub(place)),
                    None => self.name(reference, old, projection)?,
                }
            }
            Kind::ForeignType => known(self.foreign_types.as_ref()?, old)?,
            Kind::ForeignName => known(self.foreign_names.as_ref()?, old)?,
            _ => self.checksums.as_ref()?.exception(old)?,
        };
        Some(u64::from(moved))
    }

    pub(super) fn learn(&mut self, reference: &Reference, was: u64, is: u64, projection: &Projection) {
        let (Ok(old), Ok(new)) = (u32::try_from(was), u32::try_from(is)) else { return };
        let (numbers, key, moved) = match reference.kind {
            Kind::Type => {
                let place = reference.base;
                if let Some(piece) = projection.piece_over(place) {
                    self.pieces.resize(projection.pieces(), UNKNOWN);
                    self.pieces[piece] = new.wrapping_sub(old);
                }
                (&mut self.types, place, place.wrapping_add(new.wrapping_sub(old)))
            }
            Kind::Name => {
                let place = reference.base.wrapping_add(old);
                let moved = |new: u32| place.wrapping_add(new.wrapping_sub(old));
                let projected = self.name(reference, old, projection).map(moved);
                let names = self.own_names.get_or_insert_with(|| Box::new(Learned::new(FOR_NUMBERS)));
                names.learn(place, projected, moved(new));
                if let Some(projected) = projection.project(place).filter(|projected| projected.covered) {
                    let beside = new.wrapping_sub(old).wrapping_sub(projected.place.wrapping_sub(place));
                    self.names = Some((reference.base, beside));
                }
                return;
            }
            Kind::ForeignType => (&mut self.foreign_types, old, new),
            Kind::ForeignName => (&mut self.foreign_names, old, new),
            _ => (&mut self.checksums, old, new),
        };
        let numbers = numbers.get_or_insert_with(|| Box::new(Learned::new(FOR_NUMBERS)));
        numbers.learn(key, None, moved);
        numbers.learn_near(key, moved);
    }
}

impl Numbers {
    /// What a name's number will be if it went with its region.
    fn name(&self, reference: &Reference, old: u32, projection: &Projection) -> Option<u32> {
        let place = reference.base.wrapping_add(old);
        let projected = projection.project(place)?.place;
        let (_, beside) = self.names.filter(|(names, _)| *names == reference.base)?;
        Some(old.wrapping_add(projected.wrapping_sub(place)).wrapping_add(beside))
    }
}

fn known(numbers: &Learned, old: u32) -> Option<u32> {
    numbers.exception(old).or_else(|| numbers.neighbour(old, NEIGHBOURHOOD))
}
