use std::io::{Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;

use super::module::BODY_BYTES_MAX;
use super::widen::{Widened, widen_with};
use super::*;
use crate::matching::Region;
use crate::models::{Field, Model, Piece};

mod modules;
use modules::{Dice, body, code, module};

fn wide_of(module: &[u8]) -> Option<Vec<u8>> {
    mapped(module).map(|(wide, _)| wide)
}

fn mapped(module: &[u8]) -> Option<(Vec<u8>, Map)> {
    let mut wide = Vec::new();
    let Widened { bytes, map } = widen(&mut &module[..], module.len() as u64, &mut wide).ok()?;
    assert_eq!(bytes, wide.len() as u64);
    Some((wide, map))
}

fn narrow_of(wide: &[u8]) -> Option<Vec<u8>> {
    let mut narrow = Vec::new();
    Narrowed::new(wide).read_to_end(&mut narrow).ok()?;
    Some(narrow)
}

/// Every reference: place, size and kind.
fn fields((wide, map): &(Vec<u8>, Map), stretch: std::ops::Range<u64>) -> Vec<(u64, u8, u8)> {
    let mut index = Index::new(wide, map);
    index.set_words(1..1 << 20);
    let mut found = Vec::new();
    index.visit(stretch, |field| found.push((field.at, field.bytes, field.kind as u8))).unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_module_comes_back_from_its_wide_form(entropy in vec(any::<u8>(), 0..600)) {
        let module = module(&mut Dice::new(&entropy));
        let wide = wide_of(&module).expect("a module as it should be");
        prop_assert!(narrow_of(&wide).unwrap() == module);
    }

    #[test]
    fn a_damaged_module_is_refused_or_comes_back(
        entropy in vec(any::<u8>(), 0..600), at: prop::sample::Index, byte: u8, cut: Option<prop::sample::Index>
    ) {
        let mut module = module(&mut Dice::new(&entropy));
        let at = at.index(module.len());
        module[at] = byte;
        if let Some(cut) = cut {
            module.truncate(cut.index(module.len()));
        }
        if let Some(wide) = wide_of(&module) {
            prop_assert!(narrow_of(&wide).unwrap() == module);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_come_back(bytes in vec(any::<u8>(), 0..200), id in 0_u8..14) {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.push(id);
        module.push(u8::try_from(bytes.len().min(127)).unwrap());
        module.extend_from_slice(&bytes);
        for bytes in [&bytes, &module] {
            if let Some(wide) = wide_of(bytes) {
                prop_assert!(&narrow_of(&wide).unwrap() == bytes);
            }
        }
    }

    #[test]
    fn a_damaged_wide_form_never_panics(
        entropy in vec(any::<u8>(), 0..600), at: prop::sample::Index, byte: u8
    ) {
        let (mut wide, map) = mapped(&module(&mut Dice::new(&entropy))).unwrap();
        let at = at.index(wide.len());
        wide[at] = byte;
        narrow_of(&wide);
        let end = wide.len() as u64;
        _ = Index::new(&wide, &map).visit(0..end, |field| assert!(field.at + u64::from(field.bytes) <= end));
    }

    #[test]
    fn the_fields_of_a_stretch_are_those_of_the_whole(
        entropy in vec(any::<u8>(), 0..600), from: prop::sample::Index, to: prop::sample::Index
    ) {
        let wide = mapped(&module(&mut Dice::new(&entropy))).unwrap();
        let bytes = wide.0.len();
        let (from, to) = (from.index(bytes) as u64, to.index(bytes) as u64);
        let mut all = fields(&wide, 0..bytes as u64);
        all.retain(|field| field.0 >= from && field.0 + u64::from(field.1) <= to);
        prop_assert_eq!(fields(&wide, from..to.max(from)), all);
    }

    #[test]
    fn notes_tell_what_reading_again_finds(
        entropy in vec(any::<u8>(), 0..600),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        (stride, room) in (1_u64..300, prop_oneof![0_usize..400, Just(usize::MAX)]),
        stretches in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..9),
    ) {
        let mut module = module(&mut Dice::new(&entropy));
        for (at, byte) in damage {
            let at = at.index(module.len());
            module[at] = byte;
        }
        let mapped = || {
            let (map, mut wide) = (Map::with_stride(stride, room), Vec::new());
            let widened = widen_with(map, &mut &module[..], module.len() as u64, &mut wide).ok()?;
            Some((wide, widened.map))
        };
        let Some((wide, map)) = mapped() else { return Ok(()) };
        let without = mapped().unwrap().1.without_notes();
        let (mut noted, mut again) = (Index::new(&wide, &map), Index::new(&wide, &without));
        noted.set_words(1..1 << 20);
        again.set_words(1..1 << 20);
        let bytes = wide.len() as u64;
        let stretches = stretches.iter().map(|(from, to)| {
            let (from, to) = (from.index(wide.len()) as u64, to.index(wide.len()) as u64);
            from.min(to)..from.max(to)
        });
        for stretch in std::iter::once(0..bytes).chain(stretches) {
            let fields = |index: &mut Index<'_>| {
                let mut found = Vec::new();
                index.visit(stretch.clone(), |field| {
                    let body = if field.kind == tape::Kind::Local { field.body } else { 0 };
                    found.push((field.at, field.bytes, field.kind, body));
                }).unwrap();
                found
            };
            prop_assert_eq!(fields(&mut noted), fields(&mut again));
        }
    }

    #[test]
    fn hints_read_back_as_written(
        pieces in prop::collection::btree_map(any::<u32>(), any::<u32>(), 0..9), start: u32, end: u32
    ) {
        let mut hints = Hints { words: start.min(end)..start.max(end), ..Hints::default() };
        hints.moves[3].pieces =
            pieces.into_iter().map(|(from, shift)| spaces::Piece { from, shift }).collect();
        let mut bytes = Vec::new();
        hints.encode(&mut bytes);
        let mut rest = &bytes[..];
        prop_assert_eq!(Hints::decode(&mut rest).unwrap(), hints);
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic_as_hints(bytes in vec(any::<u8>(), 0..99)) {
        _ = Hints::decode(&mut &bytes[..]);
    }
}

/// Instructions of every proposal, each without the values that it would need.
const INSTRUCTIONS: [&[u8]; 24] = [
    &[0x02, 0x40, 0x0b],
    &[0x03, 0x7f, 0x0c, 0x00, 0x0b],
    &[0x04, 0x85, 0x01, 0x05, 0x0b],
    &[0x06, 0x40, 0x07, 0x00, 0x19, 0x0b, 0x06, 0x40, 0x18, 0x00],
    &[0x1f, 0x40, 0x02, 0x00, 0x01, 0x00, 0x03, 0x00, 0x0b],
    &[0x0e, 0x02, 0x00, 0x81, 0x00, 0x00],
    &[0x11, 0x05, 0x00, 0x12, 0x03, 0x13, 0x05, 0x80, 0x01, 0x15, 0x02],
    &[0x1c, 0x02, 0x7f, 0x64, 0x03],
    &[0x28, 0x02, 0x80, 0x08, 0x37, 0x43, 0x01, 0x10, 0x2d, 0x00, 0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x28, 0x02, 0x88, 0x80, 0x80, 0x80, 0x00],
    &[0x41, 0x7f, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x41, 0x81, 0x80, 0x80, 0x80, 0x00],
    &[0x41, 0x81, 0x80, 0x00, 0x42, 0x81, 0x80, 0x00],
    &[0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x42, 0xff, 0x7e],
    &[0x43, 1, 2, 3, 4, 0x44, 1, 2, 3, 4, 5, 6, 7, 8],
    &[0x20, 0x7f, 0x21, 0x80, 0x01, 0x22, 0xff, 0xff, 0x03],
    &[0xd0, 0x70, 0xd2, 0x81, 0x80, 0x00, 0xd1, 0xd3, 0xd4, 0xd5, 0x00],
    &[
        0xfb, 0x00, 0x01, 0xfb, 0x02, 0x01, 0x00, 0xfb, 0x11, 1, 2, 0xfb, 0x14, 0x6e, 0xfb, 0x18, 3, 0, 0x6e,
        0x6d,
    ],
    &[0xfc, 0x00, 0xfc, 0x08, 1, 0, 0xfc, 0x0a, 0, 0, 0xfc, 0x0b, 0, 0xfc, 0x10, 0, 0xfc, 0x13],
    &[0xfd, 0x00, 0x04, 0x80, 0x01, 0xfd, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    &[0xfd, 0x15, 0x01, 0xfd, 0x54, 0x00, 0x00, 0x01, 0xfd, 0x80, 0x02],
    &[0xfe, 0x00, 0x02, 0x00, 0xfe, 0x03, 0x00, 0xfe, 0x1e, 0x02, 0x80, 0x80, 0x04],
    &[0x3f, 0x00, 0x40, 0x00, 0x08, 0x00, 0x09, 0x00, 0x0a],
    &[0x23, 0x80, 0x80, 0x00, 0x24, 0x01, 0x25, 0x00, 0x26, 0x00],
    &[0x45, 0xa7, 0xc4, 0x1a, 0x1b, 0x00, 0x01],
];

#[test]
fn instructions_of_every_proposal_are_opened() {
    for instructions in INSTRUCTIONS {
        // The call after them is found only if they were understood.
        let module = code(&[body(&[instructions, &[0x10, 0x01]].concat())]);
        let wide = mapped(&module).unwrap();
        assert_eq!(narrow_of(&wide.0).unwrap(), module);
        let at = wide.0.len() as u64 - 5;
        assert_eq!(fields(&wide, at..at + 4), [(at, 4, tape::Kind::Function as u8)], "{instructions:02x?}");
    }
}

#[test]
fn a_body_that_is_not_understood_is_left_as_it_is() {
    for instructions in
        [&[0xf0, 1, 2, 3, 4][..], &[0x0b], &[0x10], &[0x41, 0xff, 0xff, 0xff, 0xff, 0x3f], &[0xff]]
    {
        let module = code(&[body(instructions), body(&[0x10, 0x01])]);
        let wide = mapped(&module).unwrap();
        assert_eq!(narrow_of(&wide.0).unwrap(), module);
        assert_eq!(fields(&wide, 0..wide.0.len() as u64).len(), 1);
    }
}

#[test]
fn what_is_too_large_is_not_opened() {
    let mut long = vec![0x01; BODY_BYTES_MAX - 2];
    let module = code(&[body(&long)]);
    let wide = wide_of(&module).unwrap();
    assert!(narrow_of(&wide).unwrap() == module);
    long.push(0x01);
    assert!(wide_of(&code(&[body(&long)])).is_none());
    // Small constants become long ones in the wide form, and nothing else does.
    let mut wide = wide;
    let end = wide.pop().unwrap();
    wide.extend_from_slice(&[0x01; 9]);
    wide.push(end);
    assert!(narrow_of(&wide).is_none());
}

#[test]
fn failures_of_files_are_told_from_bad_modules() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
    }
    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let module = code(&[body(&[0x10, 0x01])]);
    let bytes = module.len() as u64;
    let read = widen(&mut (&module[..12]).chain(Failing), bytes, &mut Vec::new());
    assert!(matches!(read, Err(NotWasm::Read(_))));
    let short = widen(&mut &module[..], bytes + 1, &mut Vec::new());
    assert!(matches!(short, Err(NotWasm::Read(_))));
    let write = widen(&mut &module[..], bytes, &mut Failing);
    assert!(matches!(write, Err(NotWasm::Write(_))));
}

/// Predicts each field of the regions as both sides do; returns how many were wrong, of how many.
fn mispredicted((old, map): &(Vec<u8>, Map), new: &[u8], regions: &[Region], hints: Hints) -> (usize, usize) {
    let mut indices = Indices::new(Index::new(old, map), 0, hints);
    let mut fields: Vec<Field<u64>> = Vec::new();
    let (mut wrong, mut all) = (0, 0);
    for region in regions {
        fields.clear();
        let (at, end) = (region.old, region.old + region.bytes);
        let bytes = &old[at as usize..end as usize];
        indices.fields(&Piece { region: at..end, at, bytes, before: &[] }, &mut fields);
        for field in &fields {
            let value = |form: &[u8], at: u32| {
                let mut bytes = [0; 8];
                let size = usize::from(field.bytes);
                bytes[..size].copy_from_slice(&form[at as usize..][..size]);
                u64::from_le_bytes(bytes)
            };
            let new_at = field.at - region.old + region.new;
            let (was, is) = (value(old, field.at), value(new, new_at));
            wrong += usize::from(indices.predict(field, was, new_at).unwrap_or(was) != is);
            all += 1;
            indices.learn(field, was, new_at, is);
        }
    }
    (wrong, all)
}

#[test]
fn calls_are_predicted_after_a_function_was_put_in() {
    let call = |function: u8| body(&[0x10, function, 0x20, 0x01, 0x1a]);
    let bodies: Vec<_> = (0..100).map(call).collect();
    let mapped_old = mapped(&code(&bodies)).unwrap();
    let (old, map) = &mapped_old;
    // Function 40 is new: the calls of all from there on change.
    let mut moved: Vec<_> = (0..100).map(|function| call(function + u8::from(function >= 40))).collect();
    moved.insert(40, body(&[0x01; 30]));
    let new = wide_of(&code(&moved)).unwrap();
    let inserted = u32::try_from(new.len() - old.len()).unwrap();
    let after = u32::try_from(old.len()).unwrap() - 60 * 11;
    let regions = [
        Region { old: 0, new: 0, bytes: after },
        Region { old: after, new: after + inserted, bytes: 60 * 11 },
    ];
    let survey = Survey::new(&mut Index::new(old, map), 0, old, &new, &regions).unwrap();
    let hints = survey.hints();
    assert_eq!(hints.moves[0].pieces, [spaces::Piece { from: 40, shift: 1 }]);
    assert_eq!(mispredicted(&mapped_old, &new, &regions, hints), (0, 200));
    assert_eq!(mispredicted(&mapped_old, &new, &regions, Hints::default()).1, 200);
    let image = survey.project(&mut Index::new(old, map), 0, old).unwrap();
    assert!(image[after as usize..] == new[(after + inserted) as usize..]);
}
