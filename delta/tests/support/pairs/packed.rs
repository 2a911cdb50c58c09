//! Containers around other bytes: gzip, zip, tar.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

use super::Pair;

/// The same compressor around both.
pub(crate) fn gzip(inside: &Pair) -> Pair {
    let pack = |plain: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::new(6));
        packer.write_all(plain).expect("memory");
        packer.finish().expect("memory")
    };
    Pair { old: pack(&inside.old), new: pack(&inside.new) }
}

/// A zip with one packed member and one that is stored.
pub(crate) fn zip(packed: &Pair, stored: &Pair) -> Pair {
    Pair { old: zip_of(&packed.old, &stored.old), new: zip_of(&packed.new, &stored.new) }
}

fn zip_of(packed: &[u8], stored: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::new(6));
    packer.write_all(packed).expect("memory");
    let deflated = packer.finish().expect("memory");
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, method, plain, content) in
        [(b"packed.bin", 8_u16, packed, &deflated[..]), (b"stored.txt", 0, stored, stored)]
    {
        let at = u32::try_from(zip.len()).expect("small");
        let about = about(method, plain, content.len());
        zip.extend(b"PK\x03\x04\x14\0\0\0");
        zip.extend(&about);
        zip.extend([10, 0, 0, 0]);
        zip.extend(name);
        zip.extend(content);
        directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0");
        directory.extend(about);
        directory.extend([10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        directory.extend(at.to_le_bytes());
        directory.extend(name);
    }
    let sizes = [directory.len(), zip.len()];
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
    zip.extend(sizes.iter().flat_map(|size| u32::try_from(*size).expect("small").to_le_bytes()));
    zip.extend([0, 0]);
    zip
}

/// What both headers of a zip's member say: method, time, checksum, sizes.
fn about(method: u16, plain: &[u8], packed_bytes: usize) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(plain);
    let mut about = method.to_le_bytes().to_vec();
    about.extend([0, 0, 0x21, 0x58]);
    about.extend(crc.sum().to_le_bytes());
    about.extend([packed_bytes, plain.len()].iter().flat_map(|size| {
        let size = u32::try_from(*size).expect("small");
        size.to_le_bytes()
    }));
    about
}

/// A file in a tar, padded.
pub(crate) fn tar_member(name: &str, time: usize, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0001750\0");
    put(116, "0001750\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, &format!("{time:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}
