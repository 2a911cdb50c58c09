//! Two models at once, each with fields of its own: executables in an archive.

use super::{Field, Model, Piece};

/// Two models. Where their fields overlap, those that begin first stay, and of two that begin together the first model's.
pub(crate) struct Both<First, Second>(pub(crate) First, pub(crate) Second);

/// Whose field it is, and what that one knows it by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Either<First, Second> {
    First(First),
    Second(Second),
}

impl<First: Model, Second: Model> Model for Both<First, Second> {
    type Name = Either<First::Name, Second::Name>;
    const LOOKS_BEFORE: bool = First::LOOKS_BEFORE || Second::LOOKS_BEFORE;

    fn fields(&mut self, piece: &Piece<'_>, out: &mut Vec<Field<Self::Name>>) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        self.0.fields(piece, &mut first);
        self.1.fields(piece, &mut second);
        let mut end = 0;
        let mut push = |field: Field<Self::Name>| {
            if field.at >= end {
                end = field.at + u32::from(field.bytes);
                out.push(field);
            }
        };
        let mut second = second.into_iter().map(|field| named(&field, Either::Second(field.name))).peekable();
        for field in first {
            while let Some(before) = second.next_if(|other| other.at < field.at) {
                push(before);
            }
            push(named(&field, Either::First(field.name)));
        }
        second.for_each(push);
    }

    #[inline]
    fn predict(&mut self, field: &Field<Self::Name>, was: u64, new_at: u32) -> Option<u64> {
        match field.name {
            Either::First(name) => self.0.predict(&named(field, name), was, new_at),
            Either::Second(name) => self.1.predict(&named(field, name), was, new_at),
        }
    }

    #[inline]
    fn learn(&mut self, field: &Field<Self::Name>, was: u64, new_at: u32, is: u64) {
        match field.name {
            Either::First(name) => self.0.learn(&named(field, name), was, new_at, is),
            Either::Second(name) => self.1.learn(&named(field, name), was, new_at, is),
        }
    }
}

/// The same field by another name.
fn named<Name, Other>(field: &Field<Name>, name: Other) -> Field<Other> {
    Field { at: field.at, bytes: field.bytes, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has fields of four bytes at some places.
    struct At(&'static [u32]);

    impl Model for At {
        type Name = ();
        const LOOKS_BEFORE: bool = false;

        fn fields(&mut self, piece: &Piece<'_>, out: &mut Vec<Field<()>>) {
            let within = self.0.iter().filter(|at| piece.range().contains(at));
            out.extend(within.map(|at| Field { at: *at, bytes: 4, name: () }));
        }

        fn predict(&mut self, _: &Field<()>, _: u64, _: u32) -> Option<u64> {
            None
        }

        fn learn(&mut self, _: &Field<()>, _: u64, _: u32, _: u64) {}
    }

    #[test]
    fn fields_come_in_order_and_never_overlap() {
        let mut both = Both(At(&[4, 20, 40]), At(&[0, 2, 20, 30, 42, 50]));
        let mut fields = Vec::new();
        both.fields(&Piece { region: 0..100, at: 0, bytes: &[0; 100], before: &[] }, &mut fields);
        let places: Vec<_> =
            fields.iter().map(|field| (field.at, matches!(field.name, Either::First(())))).collect();
        assert_eq!(places, [(0, false), (4, true), (20, true), (30, false), (40, true), (50, false)]);
    }
}
