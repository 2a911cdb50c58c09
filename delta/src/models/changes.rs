//! What values became, as far as a table of fixed size remembers.

/// Remembers changes by a hash of what was; a later one may take the place of an earlier one. Its size is fixed, and what it
/// remembers depends on nothing but what it was told, in order.
pub(super) struct Changes {
    entries: Vec<Option<Change>>,
}

#[derive(Clone, Copy)]
struct Change {
    kind: u64,
    was: u64,
    is: u64,
}

/// As a power of two: a MiB.
const ENTRIES_LOG: u32 = 15;

impl Changes {
    pub(super) fn new() -> Self {
        Self { entries: vec![None; 1 << ENTRIES_LOG] }
    }

    /// What this value of this kind became last time.
    pub(super) fn get(&self, kind: u64, was: u64) -> Option<u64> {
        let change = self.entries.get(place(kind, was))?.as_ref()?;
        (change.kind == kind && change.was == was).then_some(change.is)
    }

    pub(super) fn set(&mut self, kind: u64, was: u64, is: u64) {
        if let Some(entry) = self.entries.get_mut(place(kind, was)) {
            *entry = Some(Change { kind, was, is });
        }
    }
}

/// Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4).
fn place(kind: u64, was: u64) -> usize {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (was ^ kind.rotate_left(32)).wrapping_mul(GOLDEN);
    usize::try_from((mixed ^ mixed >> 29).wrapping_mul(GOLDEN) >> (u64::BITS - ENTRIES_LOG))
        .unwrap_or_default()
}
