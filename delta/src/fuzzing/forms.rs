//! Plain forms: files taken apart and made again.

use std::io::{self, Read, Write};

use super::script::{NEW_BYTES_MAX, edit, sample, take, take_part};
use crate::access::{ReadAt, load};
use crate::forms::container::{Chain, Closed, Method, Options, open, unpack};

/// Most memory that shells may take: a caller asks before it follows them.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Containers in which anything may be wrong: what opens closes again to the same bytes.
///
/// # Panics
/// When it does not.
pub fn containers(mut data: &[u8]) {
    let sample = sample(take(&mut data));
    let (mut old, mut new) = (sample.pair.old.clone(), sample.pair.new.clone());
    edit(&mut old, take_part(&mut data));
    edit(&mut new, data);
    let options = Options { plain_bytes_max: NEW_BYTES_MAX, memory_bytes_max: MEMORY_BYTES_MAX };
    let opened = open(&old, &new, options).expect("what is opened can be held");
    let Some((opened_old, opened_new)) = opened else { return };
    let all = |held: &dyn ReadAt| load(held, 0..held.size()).expect("what is held can be read");
    let mut told = Vec::new();
    opened_old.chain.put(&mut told);
    opened_new.chain.put(&mut told);
    let told = &mut &told[..];
    let old_chain = Chain::take(told).expect("shells read back");
    let new_chain = Chain::take(told).expect("shells read back");
    let mut plain = Vec::new();
    unpack(&old, &old_chain, &mut plain).expect("what was opened opens again");
    assert_eq!(plain, all(&opened_old.plain), "an old file opens to something else");
    let mut closed = Vec::new();
    let plain = all(&opened_new.plain);
    let mut reader = Closed::new(new_chain, &plain[..]);
    reader.read_to_end(&mut closed).expect("what was opened closes");
    assert_eq!(closed, new, "a new file closes to something else");
}

/// Any bytes as the shells of a file that may have none: they are refused, or followed as far as it goes.
///
/// # Panics
/// When shells do not read back as they were written.
pub fn shells(mut data: &[u8]) {
    let sample = sample(take(&mut data));
    let Ok(chain) = Chain::take(&mut data) else { return };
    let mut told = Vec::new();
    chain.put(&mut told);
    assert_eq!(Chain::take(&mut &told[..]).ok().as_ref(), Some(&chain), "shells do not read back");
    let of = |of: fn(Method) -> u64| chain.memory_bytes(of);
    if of(Method::unpacking_bytes).max(of(Method::packing_bytes)) > MEMORY_BYTES_MAX {
        return;
    }
    let _ = unpack(&sample.pair.old, &chain, &mut Room(NEW_BYTES_MAX));
    let reader = Closed::new(chain, data.chain(&sample.pair.new[..]));
    let _ = io::copy(&mut reader.take(NEW_BYTES_MAX), &mut io::sink());
}

/// Takes so many bytes and no more.
struct Room(u64);

impl Write for Room {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(buffer.len() as u64).ok_or(io::ErrorKind::StorageFull)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
