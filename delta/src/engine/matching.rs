//! Which stretches of the new file resemble which stretches of the old one.

/// A stretch of the new file that resembles one of the old file, though not in every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) old: usize,
    pub(super) new: usize,
    pub(super) bytes: usize,
}

/// Finds them: in the new file's order, without overlap there, none empty.
pub(super) fn matches(old: &[u8], new: &[u8]) -> Vec<Match> {
    let mut records = Vec::new();
    bsdiff::diff(old, new, &mut records).expect("BUG: writing to memory failed");
    let mut found = Vec::new();
    let (mut old_at, mut new_at) = (0_usize, 0_usize);
    let mut rest = &records[..];
    while let Some((control, after)) = rest.split_first_chunk::<24>() {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&control[at..at + 8]);
            u64::from_le_bytes(bytes) as usize
        };
        let (add, insert, seek) = (number(0), number(8), number(16));
        if add > 0 {
            found.push(Match { old: old_at, new: new_at, bytes: add });
        }
        new_at += add + insert;
        old_at += add;
        let sign = 1_usize << 63;
        old_at = if seek & sign == 0 { old_at + seek } else { old_at - (seek & !sign) };
        rest = &after[add + insert..];
    }
    found
}
