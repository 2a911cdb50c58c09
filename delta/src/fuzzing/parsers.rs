//! What reads bytes of strangers, one reader at a time.

use super::script::{edit, sample, take, take_part};
use crate::codec::{Section, Stream};
use crate::references::{Layout, References};
use crate::{CHUNK_BYTES_MAX, ReadAt, Tree};

/// What decodes as a tree is its own only encoding.
///
/// # Panics
/// When it is not.
pub fn tree(data: &[u8]) {
    if let Ok(tree) = Tree::decode(data) {
        assert_eq!(tree.encode(), data, "a tree has two encodings");
    }
}

/// Any bytes as a packed stream that leans on other bytes: no more comes out than it says.
///
/// # Panics
/// When more does.
pub fn streams(mut data: &[u8]) {
    const RAW_BYTES_MAX: u64 = 1 << 16;
    const WINDOW_LOG: u32 = 20;
    let primer = &sample(take(&mut data)).pair.old;
    let primer = primer.get(..usize::from(take(&mut data)) * 8).unwrap_or(primer);
    let unpack = || {
        let mut section = Section::new(&data, 0..data.size())?;
        let stream = Stream::locate(&mut section, RAW_BYTES_MAX)?;
        let raw = stream.unpack_all(&data, primer, WINDOW_LOG)?;
        assert_eq!(raw.len() as u64, stream.raw_bytes, "a stream is not as long as it says");
        Ok::<_, crate::Reason>(())
    };
    let _ = unpack();
}

/// Executables in which anything may be wrong: references are found within them, in order, and a layout that was told
/// is read.
///
/// # Panics
/// When they lie elsewhere.
pub fn references(mut data: &[u8]) {
    let mut old = sample(take(&mut data)).pair.old.clone();
    edit(&mut old, take_part(&mut data));
    let skip = u64::from(take(&mut data)).min(old.size());
    let window = skip..old.size();
    let layout = Layout::read(&old, window.clone()).expect("memory can be read");
    let Some(layout) = layout else { return };
    let _ = Layout::decode(data, &layout, window.clone());
    let told = layout.encode(&layout);
    assert!(told.is_empty(), "something is told of a layout that is as before");
    let found = References::find(&layout, &old).expect("memory can be read");
    let bytes = u32::try_from(window.end - window.start).expect("BUG: samples are small");
    let mut end = 0;
    for reference in found.within(0..bytes) {
        assert!(reference.at >= end, "references overlap");
        end = reference.at + u32::from(reference.bytes());
        assert!(end <= bytes, "a reference lies outside");
    }
}

/// A stream, however it is read, is cut in the same places; its chunks are all of it.
///
/// # Panics
/// When it is not so.
pub fn chunks(mut data: &[u8]) {
    // Few bytes make a long stream: pieces are repeated.
    let mut stream = Vec::new();
    let step = 1 + usize::from(take(&mut data)) * 100;
    while !data.is_empty() && stream.len() < CHUNK_BYTES_MAX {
        let times = usize::from(take(&mut data)) * 8;
        let part = take_part(&mut data);
        stream.extend(part.iter().copied().cycle().take((part.len() * times).min(CHUNK_BYTES_MAX)));
    }
    let cut = |reader: &mut dyn std::io::Read| -> Vec<Vec<u8>> {
        crate::chunks(reader).map(|chunk| chunk.expect("memory can be read").bytes).collect()
    };
    let at_once = cut(&mut &stream[..]);
    assert_eq!(at_once.concat(), stream, "chunks are not the stream");
    assert!(at_once.iter().all(|chunk| (1..=CHUNK_BYTES_MAX).contains(&chunk.len())));
    assert_eq!(cut(&mut Slowly { stream: &stream, step }), at_once, "cuts depend on how a stream is read");
}

/// Gives a few bytes at a time.
struct Slowly<'a> {
    stream: &'a [u8],
    step: usize,
}

impl std::io::Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.step);
        std::io::Read::read(&mut self.stream, &mut buffer[..most])
    }
}
