//! Patches taken apart: what is behind the header and the digests, and what is behind the compression.

use super::script::{NEW_BYTES_MAX, sample, take, take_part};
use crate::codec::Section;
use crate::error::Reason;
use crate::numbers;
use crate::patch::Body;
use crate::{ReadAt, ScratchMemory};

/// Any bytes as the body of a patch that is to make a file of any size.
///
/// # Panics
/// When it makes more bytes than it should.
pub fn body(mut data: &[u8]) {
    let old = &sample(take(&mut data)).pair.old;
    let new_bytes = u64::from(u32::from_le_bytes([take(&mut data), take(&mut data), take(&mut data), 0]));
    follow(old, data, new_bytes.min(NEW_BYTES_MAX));
}

/// Windows whose streams are any bytes.
///
/// # Panics
/// When they make more bytes than they should.
pub fn windows(mut data: &[u8]) {
    let old = &sample(take(&mut data)).pair.old;
    let mut windows = Vec::new();
    let mut count = 0;
    let mut all_new_bytes = 0;
    while count == 0 || (!data.is_empty() && count < 4) {
        let new_bytes = u64::from(u16::from_le_bytes([take(&mut data), take(&mut data)]));
        window(old.len() as u64, new_bytes, &mut data, &mut windows);
        all_new_bytes += new_bytes;
        count += 1;
    }
    let mut body = vec![1];
    numbers::put(&mut body, count);
    body.extend(windows);
    follow(old, &body, all_new_bytes);
}

/// Writes a window of the format whose streams are stored as they are.
fn window(old_bytes: u64, new_bytes: u64, data: &mut &[u8], out: &mut Vec<u8>) {
    const LAYOUT: u8 = 2;
    const STREAMS: usize = 8;
    const TURNS: usize = 2;
    let flags = take(data);
    let skip = u64::from(take(data)).min(old_bytes);
    let layout = if flags & LAYOUT == 0 { None } else { Some(take_part(data)) };
    let streams: [&[u8]; STREAMS] = std::array::from_fn(|_| take_part(data));
    for number in [skip, old_bytes - skip, new_bytes, streams[TURNS].len() as u64] {
        numbers::put(out, number);
    }
    out.push(flags & LAYOUT);
    for stream in layout.into_iter().chain(streams) {
        out.push(0);
        numbers::put(out, stream.len() as u64);
        out.extend_from_slice(stream);
    }
}

fn follow(old: &[u8], body: &[u8], new_bytes: u64) {
    let mut new = Vec::new();
    let follow = |new: &mut Vec<u8>| {
        let mut section = Section::new(&body, 0..body.size())?;
        Body::read(&mut section, &body, old.size(), new_bytes)?.follow(
            &old,
            &body,
            &ScratchMemory,
            64 << 20,
            new,
        )
    };
    let done: Result<(), Reason> = follow(&mut new);
    assert!(new.len() as u64 <= new_bytes, "more was made than the header says");
    assert!(done.is_err() || new.len() as u64 == new_bytes, "less was made than the header says");
}
