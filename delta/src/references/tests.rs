//! All of it together: on small files made here, on files broken at random, and on layouts and regions from strangers.

use proptest::prelude::*;

use super::samples::{
    ADDRESS, CODE, DATA, KERNEL_ADDRESS, Part, READ, WRITE, ZEROS, kernel, linked, object, offset,
};
use super::*;
use crate::matching::Region;

/// Predicts every field of the regions and learns from the new window. Returns what was predicted wrongly.
fn mispredicted(old: &[u8], new: &[u8], regions: &[Region]) -> Vec<(Reference, u64, u64)> {
    let (old_layout, new_layout) = (read(old), read(new));
    let told = new_layout.encode(&old_layout);
    let told = Layout::decode(&told, &old_layout, 0..new.len() as u64).unwrap();
    let references = References::find(&old_layout, &old).unwrap();
    let mut predictor = Predictor::new(&old_layout, &told, regions);
    let mut wrong = Vec::new();
    for region in regions {
        for reference in references.within(region.old..region.old + region.bytes) {
            let new_at = region.new + (reference.at - region.old);
            let was = field(old, reference.at, reference.bytes());
            let is = field(new, new_at, reference.bytes());
            let predicted = predictor.predict(&reference, was, new_at).unwrap_or(was);
            let mask = u64::MAX >> (64 - 8 * u32::from(reference.bytes()));
            predictor.learn(&reference, was, new_at, is);
            if predicted & mask != is {
                wrong.push((reference, predicted & mask, is));
            }
        }
    }
    wrong
}

fn read(bytes: &[u8]) -> Layout {
    Layout::read(&bytes, 0..bytes.len() as u64).unwrap().unwrap_or_default()
}

fn field(bytes: &[u8], at: u32, size: u8) -> u64 {
    let field = &bytes[at as usize..at as usize + usize::from(size)];
    field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn part(name: &'static str, kind: u32, flags: u64, bytes: Vec<u8>) -> Part {
    Part { name, kind, flags, bytes }
}

/// A program whose functions call each other and use data; `gap` bytes are added after the first function.
fn program(gap: usize) -> Vec<Part> {
    let mut parts = vec![
        part(".text", DATA, CODE, Vec::new()),
        part(".rodata", DATA, READ, vec![0; 64]),
        part(".data", DATA, WRITE, vec![0; 64]),
        part(".rela.dyn", 4, READ, vec![0; 48]),
    ];
    let second = 32 + gap;
    parts[0].bytes = vec![0xcc; second + 64];
    let [text, constants, data, _] = [0, 1, 2, 3].map(|index| ADDRESS + offset(&parts, index));
    let zeros = {
        let all = linked(62, &parts);
        let end = field(&all, 64 + 32, 8);
        ADDRESS + end + ZEROS - 16
    };
    let mut code = Vec::new();
    let relative = |code: &mut Vec<u8>, opcode: &[u8], target: u64| {
        code.extend_from_slice(opcode);
        let end = text + code.len() as u64 + 4;
        code.extend_from_slice(&(target.wrapping_sub(end) as u32).to_le_bytes());
    };
    relative(&mut code, &[0xe8], text + second as u64);
    relative(&mut code, &[0x48, 0x8d, 0x05], constants + 8);
    relative(&mut code, &[0x48, 0x8b, 0x05], zeros);
    code.resize(second, 0xcc);
    relative(&mut code, &[0xe8], text);
    relative(&mut code, &[0x48, 0x8b, 0x05], data + 16);
    code.push(0xbf);
    code.extend_from_slice(&((data + 24) as u32).to_le_bytes());
    code.resize(second + 64, 0x90);
    parts[0].bytes = code;
    parts[2].bytes[8..16].copy_from_slice(&(text + second as u64).to_le_bytes());
    parts[3].bytes[..8].copy_from_slice(&(data + 8).to_le_bytes());
    parts[3].bytes[8] = 8;
    parts[3].bytes[16..24].copy_from_slice(&(text + second as u64).to_le_bytes());
    parts
}

#[test]
fn what_moved_is_predicted_but_for_what_regions_do_not_say() {
    let (old_parts, new_parts) = (program(0), program(80));
    let (old, new) = (linked(62, &old_parts), linked(62, &new_parts));
    let region = |old: u64, new: u64, bytes: usize| Region {
        old: old.try_into().unwrap(),
        new: new.try_into().unwrap(),
        bytes: bytes.try_into().unwrap(),
    };
    let (text_old, text_new) = (offset(&old_parts, 0), offset(&new_parts, 0));
    let rest = text_old + 32;
    let regions = [region(text_old, text_new, 32), region(rest, text_new + 112, old.len() - rest as usize)];
    let wrong = mispredicted(&old, &new, &regions);
    assert_eq!(wrong, []);
    // Without prediction, nearly every field would be wrong.
    let references = References::find(&read(&old), &&old[..]).unwrap();
    assert!(references.count() > 12, "{}", references.count());
}

#[test]
fn in_images_for_matching_moved_code_is_equal() {
    let (old, new) = (linked(62, &program(0)), linked(62, &program(80)));
    let (old_layout, new_layout) = (read(&old), read(&new));
    let old_references = References::find(&old_layout, &&old[..]).unwrap();
    let new_references = References::find(&new_layout, &&new[..]).unwrap();
    let regions = [
        Region { old: 128, new: 128, bytes: 32 },
        Region { old: 160, new: 240, bytes: old.len() as u32 - 160 },
    ];
    let projection = Projection::new(&regions);
    let old_image = comparable_old(&old, &old_layout, &old_references, &projection);
    let new_image = comparable_new(&new, &new_layout, &new_references);
    let same = |a: &[u8], b: &[u8]| a[128..160] == b[128..160] && a[160..224] == b[240..304];
    assert!(same(&old_image, &new_image));
    assert!(same(&blank(old.clone(), &old_references), &blank(new.clone(), &new_references)));
    assert!(!same(&old, &new));
}

/// A kernel's table of symbols, whose tokens are numbered by rotating them.
fn symbols(count: u32, rotated: u8, later: bool) -> Vec<u8> {
    let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(8), 0);
    let token = |token: u8| token.wrapping_add(rotated);
    let (mut names, mut marks) = (Vec::new(), Vec::new());
    for number in 0..count {
        if number % 256 == 0 {
            marks.extend_from_slice(&(names.len() as u32).to_le_bytes());
        }
        let length = 3 + number % 7;
        names.push(length as u8);
        names.extend((0..length).map(|at| token((number.wrapping_mul(31) >> at) as u8)));
    }
    align(&mut names);
    align(&mut marks);
    let texts: Vec<String> = (0..=255).map(|at: u8| format!("t{}", at.wrapping_sub(rotated))).collect();
    let (mut tokens, mut index) = (Vec::new(), Vec::new());
    for text in texts {
        index.extend_from_slice(&(tokens.len() as u16).to_le_bytes());
        tokens.extend_from_slice(text.as_bytes());
        tokens.push(0);
    }
    align(&mut tokens);
    let mut offsets: Vec<u8> = (0..count).flat_map(|number| (!number).to_le_bytes()).collect();
    align(&mut offsets);
    let ranks: Vec<u8> = (0..count).flat_map(|number| number.to_be_bytes()[1..].to_vec()).collect();
    let base = (KERNEL_ADDRESS + 128).to_le_bytes().to_vec();
    let counted = u64::from(count).to_le_bytes().to_vec();
    let parts = if later {
        vec![counted, names, marks, tokens, index, offsets, base, ranks]
    } else {
        vec![offsets, base, counted, names, marks, tokens, index]
    };
    parts.concat()
}

#[test]
fn a_kernels_symbols_are_predicted_though_tokens_have_other_numbers() {
    for later in [false, true] {
        let parts = |rotated| {
            vec![
                part(".text", DATA, CODE, vec![0x90; 4096]),
                part(".rodata", DATA, READ, symbols(1500, rotated, later)),
            ]
        };
        let (old, new) = (kernel(&parts(0)), kernel(&parts(5)));
        assert_eq!(old.len(), new.len());
        let region = Region { old: 0, new: 0, bytes: old.len() as u32 };
        let references = References::find(&read(&old), &&old[..]).unwrap();
        assert!(references.count() > 3 * 1500, "{}", references.count());
        let wrong = mispredicted(&old, &new, &[region]).len();
        assert!(wrong <= 256, "{wrong}");
    }
}

/// A file of every kind of section, filled with given bytes.
fn any_parts(fill: &[u8]) -> Vec<Part> {
    let mut fill = fill.iter().copied().cycle();
    let mut bytes = |count: usize| fill.by_ref().take(count).collect::<Vec<u8>>();
    let mut parts = vec![
        part(".gnu.hash", 0x6fff_fff6, READ, bytes(64)),
        part(".hash", 5, READ, bytes(40)),
        part(".dynsym", 11, READ, bytes(96)),
        part(".dynstr", 3, READ, bytes(40)),
        part(".rela.dyn", 4, READ, bytes(96)),
        part(".relr.dyn", 19, READ, bytes(64)),
        part(".rela.plt", 4, READ, bytes(48)),
        part(".plt", DATA, CODE, bytes(64)),
        part(".text", DATA, CODE, bytes(300)),
        part(".rodata", DATA, READ, bytes(200)),
        part(".eh_frame_hdr", DATA, READ, bytes(60)),
        part(".eh_frame", DATA, READ, bytes(200)),
        part(".gcc_except_table", DATA, READ, bytes(100)),
        part(".dynamic", 6, WRITE, bytes(64)),
        part(".data.rel.ro", DATA, WRITE, bytes(64)),
        part(".gopclntab", DATA, READ, bytes(300)),
        part("__ksymtab", DATA, READ, bytes(64)),
        part(".symtab", 2, 0, bytes(96)),
    ];
    parts[10].bytes[..4].copy_from_slice(&[1, 0x1b, 3, 0x3b]);
    let mut types = bytes(160);
    let words = [0x0001_eb9f, 24, 0, 96, 96, 40].map(u32::to_le_bytes);
    types[..24].copy_from_slice(words.as_flattened());
    types[27] = 0;
    types[31] %= 20;
    parts.push(part(".typelink", DATA, READ, bytes(40)));
    parts.push(part(".go.module", DATA, WRITE, vec![0; 41 * 8]));
    parts.push(part(".BTF", DATA, READ, types));
    parts.push(part("__versions", DATA, READ, bytes(128)));
    let addresses: Vec<u64> = (0..parts.len()).map(|index| ADDRESS + offset(&parts, index)).collect();
    let put =
        |part: &mut Part, at: usize, value: u64| part.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    // Go: five functions, tables of names, units, files and values.
    for (word, value) in [0x0801_0000_ffff_fff1, 5, 1, 0, 72, 80, 96, 104, 120].into_iter().enumerate() {
        put(&mut parts[15], 8 * word, value);
    }
    let (text, constants, functions) = (addresses[8], addresses[9], addresses[15]);
    let words = [
        (0, functions),
        (1, functions + 72),
        (19, constants),
        (22, text),
        (37, constants),
        (38, constants + 200),
    ];
    for (word, value) in words.into_iter().chain([(40, constants)]) {
        put(&mut parts[19], 8 * word, value);
    }
    parts
}

fn any_regions() -> impl Strategy<Value = Vec<Region>> {
    let region = (any::<u16>(), 0_u32..4000, 1_u32..3000);
    proptest::collection::vec(region, 0..12).prop_map(|regions| {
        let mut new = 0;
        let mut found = Vec::new();
        for (gap, old, bytes) in regions {
            new += u32::from(gap % 64);
            found.push(Region { old, new, bytes });
            new += bytes;
        }
        found
    })
}

/// Everything that an applier does with an old file and a layout from strangers.
fn follow(old: &[u8], told: &Layout, regions: &[Region], fields: u64) {
    let layout = read(old);
    let references = References::find(&layout, &old).unwrap();
    let mut predictor = Predictor::new(&layout, told, regions);
    let mut is = fields;
    for region in regions {
        for reference in references.within(region.old..region.old.saturating_add(region.bytes)) {
            let was = field(old, reference.at, reference.bytes());
            let new_at = region.new + (reference.at - region.old);
            let predicted = predictor.predict(&reference, was, new_at);
            is = is.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(predicted.unwrap_or(1));
            let is = if is & 3 == 0 { is } else { predicted.unwrap_or(was) };
            predictor.learn(
                &reference,
                was,
                new_at,
                is & (u64::MAX >> (64 - 8 * u32::from(reference.bytes()))),
            );
        }
    }
    let projection = Projection::new(regions);
    comparable_old(old, &layout, &references, &projection);
    comparable_new(old, &layout, &references);
    blank(old.to_vec(), &references);
}

proptest! {
    #[test]
    fn a_layout_decodes_as_it_was_encoded(
        gaps in proptest::collection::vec(0_usize..300, 1..4),
        new_gaps in proptest::collection::vec(0_usize..300, 1..4),
    ) {
        let archive = |gaps: &[usize]| {
            gaps.iter().flat_map(|gap| linked(62, &program(*gap))).collect::<Vec<u8>>()
        };
        let (old, new) = (read(&archive(&gaps)), read(&archive(&new_gaps)));
        let told = new.encode(&old);
        let decoded = Layout::decode(&told, &old, new.window.clone()).unwrap();
        prop_assert_eq!(decoded.elements.len(), new_gaps.len());
        for (decoded, new) in decoded.elements.iter().zip(&new.elements) {
            prop_assert_eq!((decoded.at, &decoded.segments), (new.at, &new.segments));
        }
        prop_assert!(new.encode(&new).is_empty());
    }

    #[test]
    fn a_layout_from_a_stranger_is_refused_or_followed(
        told in proptest::collection::vec(any::<u8>(), 0..60),
        fill in proptest::collection::vec(any::<u8>(), 1..200),
        regions in any_regions(),
        fields: u64,
    ) {
        let old = linked(62, &any_parts(&fill));
        if let Ok(layout) = Layout::decode(&told, &read(&old), 0..20_000) {
            follow(&old, &layout, &regions, fields);
        }
    }

    #[test]
    fn files_of_any_content_are_followed_without_harm(
        fill in proptest::collection::vec(any::<u8>(), 1..400),
        broken in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..40),
        shape in 0_u8..5,
        regions in any_regions(),
        fields: u64,
    ) {
        let parts = any_parts(&fill);
        let mut old = match shape {
            0 => linked(62, &parts),
            1 => linked(183, &parts),
            2 => object(&parts),
            3 => kernel(&parts),
            _ => [vec![0; 512], object(&parts), vec![0; 24], linked(62, &parts)].concat(),
        };
        for (at, byte) in broken {
            let at = usize::from(at) % old.len();
            // Headers more often than anything else.
            let at = if byte & 1 == 0 { at % 128 } else { at };
            old[at] = byte;
        }
        let layout = read(&old);
        let told = Layout::decode(&layout.encode(&layout), &layout, 0..old.len() as u64).unwrap();
        follow(&old, &told, &regions, fields);
    }

    #[test]
    fn references_lie_within_the_window_and_in_order(
        fill in proptest::collection::vec(any::<u8>(), 1..400),
        window in (0_u64..1500, 0_u64..3000),
    ) {
        let file = linked(62, &any_parts(&fill));
        let window = window.0..(window.0 + window.1).min(file.len() as u64).max(window.0);
        if let Some(layout) = Layout::read(&file, window.clone()).unwrap() {
            let mut end = 0;
            for reference in References::find(&layout, &file).unwrap().within(0..u32::MAX) {
                prop_assert!(reference.at >= end);
                end = reference.at + u32::from(reference.bytes());
            }
            prop_assert!(u64::from(end) <= window.end - window.start);
        }
    }
}
