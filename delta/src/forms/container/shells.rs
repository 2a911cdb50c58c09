//! Where a file is packed and how, in few bytes.
//!
//! A file is a chain of stretches: some as they are, some packed. What a packed stretch holds is such a chain again.
//! Depth first, one column of LEB128 numbers for each thing told, so that like stands by like:
//!
//! | column | what |
//! |---|---|
//! | 1 | shells; after how many of them the file's own chain has no more; bytes after the last of that chain |
//! | methods | how many; each as in `method.rs` |
//! | 1 each | method |
//! | 1 each | shells directly inside |
//! | 1 each | bytes between the stretch before, or the start of the chain, and this one |
//! | 1 each | bytes after the last shell inside, or all that it holds |
//! | 1 each with shells inside | size of what it holds |
//! | 2 each by deflate | sizes of the notes on tokens and on blocks |
//! | … | all notes on tokens, all notes on blocks |

use std::collections::BTreeMap;

use super::deflate::Notes;
use super::method::{Check, Method};
use super::{DEPTH_MAX, NOTES_BYTES_MAX, SHELLS_MAX};
use crate::error::Reason;
use crate::numbers;

/// A packed stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shell {
    /// Bytes as they are between the stretch before and this one.
    pub(crate) gap: u64,
    /// How it is packed.
    pub(crate) method: Method,
    /// What packing alone does not tell.
    pub(crate) notes: Notes,
    /// The size of what it holds, as packed.
    pub(crate) size: u64,
    /// What it holds.
    pub(crate) chain: Chain,
}

/// A file, or what a packed stretch holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Packed stretches in order.
    pub(crate) shells: Vec<Shell>,
    /// Bytes as they are after the last.
    pub(crate) tail: u64,
}

impl Chain {
    /// How many bytes it has with everything unpacked. None when it is beyond counting.
    pub(crate) fn plain_bytes(&self) -> Option<u64> {
        self.shells.iter().try_fold(self.tail, |sum, shell| {
            sum.checked_add(shell.gap)?.checked_add(shell.chain.plain_bytes()?)
        })
    }

    /// The most memory that is used at one time, where `of` tells what a method takes.
    pub(crate) fn memory_bytes(&self, of: fn(Method) -> u64) -> u64 {
        let each = self.shells.iter().map(|shell| of(shell.method) + shell.chain.memory_bytes(of));
        each.max().unwrap_or(0)
    }

    fn depth_first<'a>(&'a self, into: &mut Vec<&'a Shell>) {
        for shell in &self.shells {
            into.push(shell);
            shell.chain.depth_first(into);
        }
    }

    /// Appends the encoding.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut all = Vec::new();
        self.depth_first(&mut all);
        numbers::put(out, all.len() as u64);
        numbers::put(out, self.shells.len() as u64);
        numbers::put(out, self.tail);
        let mut methods = BTreeMap::new();
        all.iter().for_each(|shell| {
            methods.insert(shell.method, 0);
        });
        numbers::put(out, methods.len() as u64);
        for (place, (method, number)) in methods.iter_mut().enumerate() {
            *number = place as u64;
            method.put(out);
        }
        let mut column = |of: &dyn Fn(&Shell) -> Option<u64>| {
            all.iter().filter_map(|shell| of(shell)).for_each(|number| numbers::put(out, number));
        };
        column(&|shell| methods.get(&shell.method).copied());
        column(&|shell| Some(shell.chain.shells.len() as u64));
        column(&|shell| Some(shell.gap));
        column(&|shell| Some(shell.chain.tail));
        column(&|shell| (!shell.chain.shells.is_empty()).then_some(shell.size));
        column(&|shell| has_notes(shell.method).then_some(shell.notes.tokens.len() as u64));
        column(&|shell| has_notes(shell.method).then_some(shell.notes.blocks.len() as u64));
        all.iter().for_each(|shell| out.extend_from_slice(&shell.notes.tokens));
        all.iter().for_each(|shell| out.extend_from_slice(&shell.notes.blocks));
    }

    /// Takes an encoding off the bytes.
    pub(crate) fn take(bytes: &mut &[u8]) -> Result<Self, Reason> {
        let count = numbers::take_at_most(bytes, SHELLS_MAX as u64, "containers in a file")?;
        let outer = numbers::take_at_most(bytes, count, "containers in a file")?;
        let tail = numbers::take(bytes)?;
        let kinds = numbers::take_at_most(bytes, count, "kinds of containers")?;
        let methods: Vec<Method> = (0..kinds).map(|_| Method::take(bytes)).collect::<Result<_, _>>()?;
        let mut column = |most: u64| -> Result<Vec<u64>, Reason> {
            (0..count).map(|_| numbers::take_at_most(bytes, most, "units in a container")).collect()
        };
        let kind = column(kinds.saturating_sub(1))?;
        let inner = column(count)?;
        let gap = column(SIZE_MAX)?;
        let tails = column(SIZE_MAX)?;
        let mut shells = Vec::with_capacity(whole(count));
        for place in 0..whole(count) {
            let method =
                *methods.get(whole(kind[place])).ok_or(Reason::Malformed("a container's method is none"))?;
            let chain = Chain { shells: Vec::new(), tail: tails[place] };
            shells.push(Shell {
                gap: gap[place],
                method,
                notes: Notes::default(),
                size: tails[place],
                chain,
            });
        }
        for (shell, _) in shells.iter_mut().zip(&inner).filter(|(_, inner)| **inner > 0) {
            shell.size = numbers::take_at_most(bytes, SIZE_MAX, "bytes in a container")?;
        }
        take_notes(&mut shells, bytes)?;
        let mut rest = shells.into_iter().zip(inner.into_iter().map(whole));
        let shells = nest(&mut rest, whole(outer), DEPTH_MAX)?;
        if rest.next().is_some() {
            return Err(Reason::Malformed("containers are in no container"));
        }
        Ok(Self { shells, tail })
    }
}

/// Sizes beyond are never true, and sums of sizes below do not overflow.
const SIZE_MAX: u64 = 1 << 40;

/// A number that was found small.
fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn has_notes(method: Method) -> bool {
    matches!(method, Method::Deflate { .. })
}

fn take_notes(shells: &mut [Shell], bytes: &mut &[u8]) -> Result<(), Reason> {
    let noted = || shells.iter().filter(|shell| has_notes(shell.method)).count();
    let mut left = NOTES_BYTES_MAX as u64;
    let mut sizes = Vec::with_capacity(2 * noted());
    for _ in 0..2 * noted() {
        let size = numbers::take_at_most(bytes, left, "bytes of notes on containers")?;
        left -= size;
        sizes.push(whole(size));
    }
    let (tokens, blocks) = sizes.split_at(noted());
    let mut take = |size: &usize| {
        let (part, rest) = bytes.split_at_checked(*size).ok_or(Reason::Truncated)?;
        *bytes = rest;
        Ok::<_, Reason>(part.to_vec())
    };
    let mut noted: Vec<&mut Shell> = shells.iter_mut().filter(|shell| has_notes(shell.method)).collect();
    for (shell, size) in noted.iter_mut().zip(tokens) {
        shell.notes.tokens = take(size)?;
    }
    for (shell, size) in noted.iter_mut().zip(blocks) {
        shell.notes.blocks = take(size)?;
    }
    Ok(())
}

/// Puts shells that come depth first into one another.
fn nest(
    rest: &mut impl Iterator<Item = (Shell, usize)>,
    count: usize,
    depth: usize,
) -> Result<Vec<Shell>, Reason> {
    if count > 0 && depth == 0 {
        return Err(Reason::Malformed("containers are too deep in containers"));
    }
    let mut shells = Vec::new();
    for _ in 0..count {
        let (mut shell, inner) = rest.next().ok_or(Reason::Malformed("a container is missing"))?;
        shell.chain.shells = nest(rest, inner, depth - 1)?;
        shells.push(shell);
    }
    Ok(shells)
}

/// How many bytes after a packed stretch belong to it.
pub(crate) fn check_bytes(method: Method) -> usize {
    match method {
        Method::Deflate { check, .. } => check.bytes(),
        _ => Check::None.bytes(),
    }
}
