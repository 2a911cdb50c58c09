//! Opens an old and a new file, so that their insides can be compared.

use std::collections::HashSet;
use std::io::{self, Write};

use super::find::{Budget, Found, find};
use super::held::Held;
use super::method::Method;
use super::shells::{Chain, Shell};
use super::study::Student;
use super::{NOTES_BYTES_MAX, deflate::Notes};
use crate::access::ReadAt;

/// What opening may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Most bytes of either plain form.
    pub(crate) plain_bytes_max: u64,
    /// Most memory for packing again, or for unpacking, when the delta is followed.
    pub(crate) memory_bytes_max: u64,
}

/// A file whose shells are open.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Its plain form.
    pub(crate) plain: Held,
    /// Where its shells were.
    pub(crate) chain: Chain,
}

/// Opens what differs in two files. None when nothing can be opened in both.
///
/// # Errors
/// When a plain form cannot be packed to be held.
pub(crate) fn open(old: &[u8], new: &[u8], options: Options) -> io::Result<Option<(Opened, Opened)>> {
    let mut old_found = find(old, 0, &mut Budget::new(old, options.plain_bytes_max));
    if old_found.is_empty() {
        return Ok(None);
    }
    let mut new_found = find(new, 0, &mut Budget::new(new, options.plain_bytes_max));
    let same: HashSet<_> = digests(&old_found).intersection(&digests(&new_found)).copied().collect();
    close_same(&mut old_found, &same);
    close_same(&mut new_found, &same);
    let mut student = Student::new(NOTES_BYTES_MAX);
    let new_chain = study(new, &mut new_found, &mut student, options.memory_bytes_max);
    let mut kinds = HashSet::new();
    note_kinds(&new_chain, 0, &mut kinds);
    let old_chain = keep(old.len(), &mut old_found, 0, &kinds, options.memory_bytes_max);
    if old_chain.shells.is_empty() || new_chain.shells.is_empty() {
        return Ok(None);
    }
    let opened = |file, found, chain| {
        let mut plain = Held::new();
        flatten(file, found, &mut plain)?;
        io::Result::Ok((plain.size() <= options.plain_bytes_max).then_some(Opened { plain, chain }))
    };
    let (old, new) = (opened(old, old_found, old_chain)?, opened(new, new_found, new_chain)?);
    Ok(old.zip(new))
}

fn digests(found: &[Found]) -> HashSet<blake3::Hash> {
    let mut all: HashSet<_> = found.iter().map(|found| found.digest).collect();
    found.iter().for_each(|found| all.extend(digests(&found.inner)));
    all
}

/// Leaves closed what both files hold.
fn close_same(found: &mut Vec<Found>, same: &HashSet<blake3::Hash>) {
    found.retain(|found| !same.contains(&found.digest));
    found.iter_mut().for_each(|found| close_same(&mut found.inner, same));
}

/// Keeps what can be made again exactly, and tells how.
fn study(file: &[u8], found: &mut Vec<Found>, student: &mut Student, memory_bytes: u64) -> Chain {
    let mut chain = Chain::default();
    let mut after = 0;
    found.retain_mut(|found| {
        let packed = &file[found.packed.clone()];
        let Some((method, notes)) = student.study(packed, found, memory_bytes) else { return false };
        let left = memory_bytes - method.packing_bytes();
        let inner = study(&found.plain, &mut found.inner, student, left);
        chain.shells.push(shell(found, after, method, notes, inner));
        after = found.end();
        true
    });
    chain.tail = (file.len() - after) as u64;
    chain
}

/// Keeps what is packed in a way that is also opened in the new file, at the same depth.
fn keep(
    bytes: usize,
    found: &mut Vec<Found>,
    depth: usize,
    kinds: &HashSet<(usize, u8)>,
    memory_bytes: u64,
) -> Chain {
    let mut chain = Chain::default();
    let mut after = 0;
    found.retain_mut(|found| {
        let method = found.method.for_unpacking(found.plain.len() as u64);
        let needed = method.unpacking_bytes();
        if !kinds.contains(&(depth, kind(method))) || needed > memory_bytes {
            return false;
        }
        let inner = keep(found.plain.len(), &mut found.inner, depth + 1, kinds, memory_bytes - needed);
        chain.shells.push(shell(found, after, method, Notes::default(), inner));
        after = found.end();
        true
    });
    chain.tail = (bytes - after) as u64;
    chain
}

fn shell(found: &Found, after: usize, method: Method, notes: Notes, chain: Chain) -> Shell {
    Shell { gap: (found.packed.start - after) as u64, method, notes, size: found.plain.len() as u64, chain }
}

fn note_kinds(chain: &Chain, depth: usize, kinds: &mut HashSet<(usize, u8)>) {
    for shell in &chain.shells {
        kinds.insert((depth, kind(shell.method)));
        note_kinds(&shell.chain, depth + 1, kinds);
    }
}

/// The kind of a method, whatever its settings.
fn kind(method: Method) -> u8 {
    let mut bytes = Vec::new();
    method.put(&mut bytes);
    bytes[0]
}

/// Writes the plain form. What is written is let go at once.
fn flatten(file: &[u8], found: Vec<Found>, plain: &mut Held) -> io::Result<()> {
    let mut after = 0;
    for found in found {
        plain.write_all(&file[after..found.packed.start])?;
        after = found.end();
        flatten(&found.plain, found.inner, plain)?;
    }
    plain.write_all(&file[after..])
}
