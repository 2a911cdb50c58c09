use proptest::prelude::*;

use super::*;

fn tensor(name: &str, at: u64, bytes: u64, element: Element) -> Tensor {
    Tensor { at, bytes, element, name: name.as_bytes().to_vec() }
}

fn safetensors_file() -> (Vec<u8>, Vec<Tensor>) {
    let index = concat!(
        r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"#,
        r#""ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"#,
        r#""a":{"dtype":"BF16","shape":[4],"data_offsets":[32,40]}}"#
    );
    let mut file = (index.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(index.as_bytes());
    let at = file.len() as u64;
    file.resize(file.len() + 40, 7);
    (file, vec![tensor("b", at + 8, 24, Element::F32), tensor("a", at + 32, 8, Element::Bf16)])
}

/// A field of protocol buffers that holds bytes.
fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 0x80);
    [&[field << 3 | 2, length], bytes].concat()
}

fn onnx_file() -> (Vec<u8>, Vec<Tensor>) {
    let raw = [&[0x08, 6, 0x10, 1][..], &message(8, b"raw"), &message(9, &[1; 12])].concat();
    let floats = [&[0x10, 1][..], &message(4, &[2; 8]), &message(8, b"floats")].concat();
    let constant = [&[0x10, 10][..], &message(9, &[3; 6])].concat();
    let numbers = [&[0x10, 7][..], &message(9, &[4; 8])].concat();
    let node = message(1, &message(5, &message(5, &constant)));
    let graph = [node, message(5, &raw), message(5, &floats), message(5, &numbers)].concat();
    let file = [&[FIRST, 8][..], &message(7, &graph), &message(8, &[0x10, 17])].concat();
    let at = |part: &[u8]| file.windows(part.len()).position(|found| found == part).unwrap() as u64;
    let tensors = vec![
        tensor("", at(&[3; 6]), 6, Element::F16),
        tensor("raw", at(&[1; 12]), 12, Element::F32),
        tensor("floats", at(&[2; 8]), 8, Element::F32),
    ];
    (file, tensors)
}

const FIRST: u8 = onnx::FIRST_BYTE;

fn gguf_file() -> (Vec<u8>, Vec<Tensor>) {
    let name = |name: &str| [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat();
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend([3_u64, 3].into_iter().flat_map(u64::to_le_bytes));
    file.extend([name("general.alignment"), vec![4, 0, 0, 0, 64, 0, 0, 0]].concat());
    file.extend(
        [name("words"), vec![9, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0], name("x"), name("yz")].concat(),
    );
    file.extend([name("flags"), vec![9, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]].concat());
    for (tensor, kind, at) in [("f16", 1_u32, 0_u64), ("q8", 8, 64), ("bf16", 30, 128)] {
        file.extend([name(tensor), vec![2, 0, 0, 0]].concat());
        file.extend([2_u64, 5].into_iter().flat_map(u64::to_le_bytes));
        file.extend(kind.to_le_bytes());
        file.extend(at.to_le_bytes());
    }
    let at = file.len().next_multiple_of(64);
    file.resize(at + 148, 0);
    let at = at as u64;
    (file, vec![tensor("f16", at, 20, Element::F16), tensor("bf16", at + 128, 20, Element::Bf16)])
}

fn numpy_file() -> (Vec<u8>, Vec<Tensor>) {
    let head = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1), }\n";
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend(u16::try_from(head.len()).unwrap().to_le_bytes());
    file.extend(head.as_bytes());
    let at = file.len() as u64;
    file.resize(file.len() + 24, 1);
    (file, vec![tensor("", at, 24, Element::F64)])
}

/// An archive of members stored as they are, and where each one's bytes are.
fn archive(members: &[(&str, &[u8])]) -> (Vec<u8>, Vec<u64>) {
    let (mut file, mut directory, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (name, bytes) in members {
        let head_at = u32::try_from(file.len()).unwrap();
        let size = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let name_bytes = u16::try_from(name.len()).unwrap().to_le_bytes();
        let same = [&[0; 4][..], &[0; 4], &[0; 4], &size, &size, &name_bytes].concat();
        file.extend([b"PK\x03\x04", &[0; 2][..], &same, &[3, 0], name.as_bytes(), &[0; 3]].concat());
        places.push(file.len() as u64);
        file.extend_from_slice(bytes);
        directory.extend([b"PK\x01\x02", &[0; 4][..], &same, &[0; 12]].concat());
        directory.extend([&head_at.to_le_bytes()[..], name.as_bytes()].concat());
    }
    let at = u32::try_from(file.len()).unwrap().to_le_bytes();
    let bytes = u32::try_from(directory.len()).unwrap().to_le_bytes();
    file.extend([&directory, &b"PK\x05\x06"[..], &[0; 8], &bytes, &at, &[0; 2]].concat());
    (file, places)
}

fn checkpoint_file() -> (Vec<u8>, Vec<Tensor>) {
    let pickle = b"ctorch\nHalfStorage\nq\x01ctorch\nFloatStorage\n";
    let members: [(&str, &[u8]); 4] =
        [("m/data.pkl", pickle), ("m/version", b"3\n"), ("m/data/0", &[5; 6]), ("m/data/11", &[6; 8])];
    let (file, at) = archive(&members);
    (file, vec![tensor("0", at[2], 6, Element::F16), tensor("11", at[3], 8, Element::F16)])
}

fn arrays_file() -> (Vec<u8>, Vec<Tensor>) {
    let (array, inside) = numpy_file();
    let (file, at) = archive(&[("weights.npy", &array), ("note.txt", b"hello")]);
    (file, vec![tensor("weights.npy", at[0] + inside[0].at, 24, Element::F64)])
}

fn files() -> Vec<(Vec<u8>, Vec<Tensor>)> {
    vec![safetensors_file(), onnx_file(), gguf_file(), numpy_file(), checkpoint_file(), arrays_file()]
}

#[test]
fn tensors_are_found_where_they_are() {
    for (file, tensors) in files() {
        assert_eq!(find(&file), tensors);
    }
}

#[test]
fn a_file_that_was_cut_has_no_tensors() {
    for (file, tensors) in files() {
        for bytes in 0..file.len() {
            let found = find(&file[..bytes].to_vec());
            assert!(found.len() <= tensors.len() && found.iter().all(|tensor| tensors.contains(tensor)));
        }
    }
    let (file, _) = safetensors_file();
    assert_eq!(find(&file[..file.len() - 1].to_vec()), []);
}

proptest! {
    #[test]
    fn whatever_a_file_holds_its_tensors_are_within_and_apart(
        which in 0_usize..6,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        more in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut file = files().swap_remove(which).0;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.extend(more);
        let mut end = 0;
        for tensor in find(&file) {
            prop_assert!(tensor.at >= end && tensor.bytes > 0);
            prop_assert_eq!(tensor.bytes % tensor.element.bytes() as u64, 0);
            end = tensor.at + tensor.bytes;
        }
        prop_assert!(end <= file.len() as u64);
    }
}
