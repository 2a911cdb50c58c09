use proptest::prelude::*;

use crate::memory::{Memory, path};
use crate::{scan, verify};

use super::*;

fn file(text: &str, content: &[u8]) -> Entry {
    let digest = blake3::hash(content);
    let bytes = u32::try_from(content.len()).unwrap();
    let chunks = if content.is_empty() { vec![] } else { vec![ChunkRef { digest, bytes }] };
    Entry {
        path: path(text),
        kind: EntryKind::File { executable: false, bytes: u64::from(bytes), digest, chunks },
    }
}

fn link(text: &str, target: &str) -> Entry {
    Entry { path: path(text), kind: EntryKind::Symlink { target: target.to_owned() } }
}

fn directory(text: &str) -> Entry {
    Entry { path: path(text), kind: EntryKind::Directory }
}

/// The golden vector: changing these bytes changes every tree's name in every fleet.
#[test]
fn the_encoding_is_that_of_format_1() {
    let mut tool = file("bin/tool", b"hello");
    if let EntryKind::File { executable, .. } = &mut tool.kind {
        *executable = true;
    }
    let tree =
        Tree::new(vec![link("current", "bin/tool"), tool, directory("bin"), file("empty", b"")]).unwrap();
    let hello = *blake3::hash(b"hello").as_bytes();
    let expected = [
        &b"GSTREE\x01\x00\x04\x00\x00\x00"[..],
        b"\x00\x03\x00bin",
        b"\x03\x08\x00bin/tool\x05\x00\x00\x00\x00\x00\x00\x00",
        &hello,
        b"\x01\x00\x00\x00\x05\x00\x00\x00",
        &hello,
        b"\x01\x07\x00current\x08\x00bin/tool",
        b"\x02\x05\x00empty\x00\x00\x00\x00\x00\x00\x00\x00",
        blake3::hash(b"").as_bytes(),
        b"\x00\x00\x00\x00",
    ]
    .concat();
    assert_eq!(tree.encode(), expected);
    assert_eq!(Tree::decode(&expected).unwrap(), tree);
    assert_eq!(
        tree.digest().to_hex().as_str(),
        "51465cd2c86b6d39051553a6ca8e1f07002f92df40453069890a13810c6a5456"
    );
    assert_eq!(tree.bytes(), 5);
    assert!(tree.get(&path("current")).is_some());
    assert!(tree.get(&path("bin/other")).is_none());
}

#[test]
fn paths_out_of_the_tree_are_refused() {
    for (text, reason) in [
        ("", PathError::Empty),
        ("/etc", PathError::EmptyPart),
        ("a//b", PathError::EmptyPart),
        ("a/", PathError::EmptyPart),
        ("..", PathError::Dots),
        ("a/../b", PathError::Dots),
        ("./a", PathError::Dots),
        ("a\0b", PathError::Nul),
    ] {
        assert_eq!(TreePath::new(text), Err(reason), "{text:?}");
    }
    assert_eq!(TreePath::new("a".repeat(256)), Err(PathError::LongPart));
    assert_eq!(TreePath::new("a/".repeat(600)), Err(PathError::Long));
    assert_eq!(path("a/..b/c...").parent(), Some("a/..b"));
    assert_eq!(path("bell\u{7}").to_string(), "bell\\u{7}");
}

#[test]
fn links_out_of_the_tree_are_refused() {
    let check = |target| Tree::new(vec![directory("d"), directory("d/e"), link("d/e/l", target)]).is_ok();
    for inside in ["x", "../x", "../../x", "..", "../..", "./x/.", "../e/l"] {
        assert!(check(inside), "{inside}");
    }
    // The last ones climb after a name, which may itself be a link.
    for outside in ["", "/etc", "../../..", "../../../x", "a\0", "x/..", "../x/../y"] {
        assert!(!check(outside), "{outside}");
    }
    assert!(!check(&"x".repeat(2000)));
}

#[test]
fn nothing_is_below_a_file_or_a_link_or_nothing() {
    for above in [file("d", b"x"), link("d", "e"), directory("other")] {
        let tree = Tree::new(vec![above, file("d/f", b"x")]);
        assert_eq!(tree, Err(TreeError::Parent { path: path("d/f") }));
    }
    // Sorts between the directory and what is in it.
    assert!(Tree::new(vec![directory("d"), file("d-x", b""), file("d/f", b"")]).is_ok());
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let with = |change: &dyn Fn(&mut u64, &mut Hash, &mut Vec<ChunkRef>)| {
        let mut entry = file("f", b"hello");
        if let EntryKind::File { bytes, digest, chunks, .. } = &mut entry.kind {
            change(bytes, digest, chunks);
        }
        Tree::new(vec![entry])
    };
    assert!(with(&|_, _, _| {}).is_ok());
    assert!(with(&|bytes, _, _| *bytes += 1).is_err());
    assert!(with(&|_, digest, _| *digest = blake3::hash(b"other")).is_err());
    assert!(
        with(&|bytes, _, chunks| {
            chunks.clear();
            *bytes = 0;
        })
        .is_err()
    );
    assert!(with(&|_, _, chunks| chunks.push(ChunkRef { bytes: 0, ..chunks[0] })).is_err());
    let large = u32::try_from(crate::CHUNK_BYTES_MAX).unwrap() + 1;
    assert!(
        with(&|bytes, _, chunks| {
            chunks[0].bytes = large;
            *bytes = u64::from(large);
        })
        .is_err()
    );
}

#[test]
fn claims_beyond_the_bytes_are_refused() {
    let mut many = b"GSTREE\x01\x00".to_vec();
    many.extend_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Tree::decode(&many), Err(TreeError::Truncated { entry: 0 }));
    let huge = vec![0; crate::TREE_ENCODING_BYTES_MAX + 1];
    assert!(matches!(Tree::decode(&huge), Err(TreeError::TooLarge { .. })));
    assert_eq!(Tree::decode(b"GSTREE\x02\x00"), Err(TreeError::Version(2)));
    assert_eq!(Tree::decode(b"nothing"), Err(TreeError::NotATree));
    // More files than a disk holds, each within bounds.
    let chunk = ChunkRef { digest: blake3::hash(b""), bytes: 1 << 18 };
    let large = Entry {
        path: path("f"),
        kind: EntryKind::File {
            executable: false,
            bytes: u64::MAX,
            digest: blake3::hash(b""),
            chunks: vec![chunk; 3],
        },
    };
    assert!(Tree::new(vec![large]).is_err());
}

#[test]
fn a_tree_is_verified_to_the_byte() {
    let files = Memory::default().with("a/b", "one").with("c", "two").with_link("l", "c");
    let tree = scan(&files).unwrap();
    verify(&tree, &files).unwrap();
    for (changed, says) in [
        (files.clone().with("c", "twO"), "content of c"),
        (files.clone().with("c", "two "), "content of c"),
        (files.clone().with("zz", ""), "zz is on this disk"),
        (files.clone().with("a/a", ""), "a/a is on this disk"),
        (files.clone().with_link("l", "a"), "l is of another kind"),
        (files.clone().with_link("c", "a"), "c is of another kind"),
        (Memory::default().with("a/b", "one"), "c is missing"),
    ] {
        let error = verify(&tree, &changed).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Trees of every kind of entry, a few levels deep.
pub(crate) fn trees() -> impl Strategy<Value = Memory> {
    let name = "[a-c]{1,2}(\\.[0-9]){0,2}";
    let content = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0_usize..100_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    let place = (proptest::collection::vec(name, 1..4), content, any::<bool>());
    proptest::collection::vec(place, 0..8).prop_map(|places| {
        let mut files = Memory::default();
        for (parts, content, linked) in places {
            let text = parts.join("/");
            let blocked = (1..parts.len()).any(|depth| {
                let above = files.things.get(&path(&parts[..depth].join("/")));
                above.is_some_and(|(kind, _)| *kind != crate::ListedKind::Directory)
            });
            if blocked || files.things.contains_key(&path(&text)) {
                continue;
            }
            files = files.with(&text, content);
            if linked {
                files = files.with_link(&format!("link-{}", parts[0]), &text);
            }
        }
        files
    })
}

proptest! {
    #[test]
    fn decode_reads_back_what_encode_wrote(files in trees()) {
        let tree = scan(&files).unwrap();
        prop_assert_eq!(Tree::decode(&tree.encode()).unwrap(), tree);
    }

    #[test]
    fn what_decodes_is_its_own_only_encoding(
        files in trees(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = scan(&files).unwrap().encode();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(tree) = Tree::decode(&bytes) {
            prop_assert_eq!(tree.encode(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Tree::decode(&bytes);
        let _ = Tree::decode(&[&b"GSTREE\x01\x00"[..], &bytes].concat());
    }
}
