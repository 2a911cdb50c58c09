//! Following several deltas in one go.
//!
//! All deltas are opened first: they hold the trees on the way, and their plans say which files each of them reads. So
//! of a version on the way only those files are made that the next delta needs and that are in no file on disk; they
//! are held in memory or scratch space, never in a directory.

use blake3::Hash;

use crate::access::{ReadAt, ReadTree, Scratch, WriteTree};
use crate::blob::{ByContent, Opened, file, write_groups, write_tree};
use crate::error::{ApplyError, Reason};
use crate::limits::Limits;
use crate::tree::Tree;

use super::held::{CHAIN_MEMORY_BYTES, Digests, Held, Keeper, View};

/// Most deltas that are followed in one go: for each a tree is in memory.
pub const CHAIN_STEPS_MAX: usize = 8;

/// A delta on the way.
#[derive(Clone, Copy, Debug)]
pub struct ChainStep<'a, D: ?Sized> {
    /// The delta.
    pub delta: &'a D,
    /// The tree that it must lead to.
    pub to: Hash,
    /// What it and its tree may take.
    pub limits: Limits,
}

/// Builds the tree that the last delta leads to, and returns it. As safe as [`apply_tree`](crate::apply_tree): every
/// tree on the way is the one named, every file read or written is what its tree says. Takes
/// [`CHAIN_MEMORY_BYTES`] and a tree for each delta beside what one delta takes.
///
/// # Errors
/// Names the file in work, and says whose fault it is. Nothing is written before all deltas were opened.
pub fn apply_chain<D: ReadAt + ?Sized>(
    old: &Tree,
    old_files: &impl ReadTree,
    steps: &[ChainStep<'_, D>],
    new_files: &mut impl WriteTree,
    scratch: &dyn Scratch,
) -> Result<Tree, ApplyError> {
    apply_within(CHAIN_MEMORY_BYTES, old, old_files, steps, new_files, scratch)
}

/// The same, with another bound on the memory for files on the way.
pub(super) fn apply_within<D: ReadAt + ?Sized>(
    memory: u64,
    old: &Tree,
    old_files: &impl ReadTree,
    steps: &[ChainStep<'_, D>],
    new_files: &mut impl WriteTree,
    scratch: &dyn Scratch,
) -> Result<Tree, ApplyError> {
    let chain = Chain::open(old, steps)?;
    let known = ByContent::new(old);
    let needs = chain.needs(&known)?;
    let mut held = Held::new();
    for (number, wanted) in needs.iter().enumerate() {
        let (before, opened) = chain.step(number)?;
        let view = View { tree: before, old: &known, old_files, held: &held };
        let mut keeper = Keeper::new(&opened.new, wanted, scratch, held.room(memory));
        write_groups(opened, before, &view, &mut keeper, scratch, &|digest| {
            wanted.contains(digest.as_bytes())
        })?;
        let made = keeper.held;
        held.retain(wanted);
        held.add(made);
    }
    let (before, last) = chain.step(needs.len())?;
    let view = View { tree: before, old: &known, old_files, held: &held };
    write_tree(last, before, &view, new_files, scratch)?;
    chain.into_last()
}

/// Deltas of which each begins where the one before leads.
struct Chain<'a, D: ?Sized> {
    old: &'a Tree,
    opened: Vec<Opened<'a, D>>,
}

impl<'a, D: ReadAt + ?Sized> Chain<'a, D> {
    fn open(old: &'a Tree, steps: &[ChainStep<'a, D>]) -> Result<Self, Reason> {
        if steps.len() > CHAIN_STEPS_MAX {
            let (found, limit) = (steps.len() as u64, CHAIN_STEPS_MAX as u64);
            return Err(Reason::Limit { what: "deltas in turn", found, limit });
        }
        let mut opened: Vec<Opened<'a, D>> = Vec::new();
        for step in steps {
            let before = opened.last().map_or(old, |opened| &opened.new);
            opened.push(Opened::read(before, step.delta, &step.to, &step.limits)?);
        }
        Ok(Self { old, opened })
    }

    /// A delta, and the tree before it.
    fn step(&self, number: usize) -> Result<(&Tree, &Opened<'a, D>), Reason> {
        let opened = self.opened.get(number).ok_or(Reason::Malformed("it leads through no delta"))?;
        let before = number.checked_sub(1).and_then(|number| self.opened.get(number));
        Ok((before.map_or(self.old, |before| &before.new), opened))
    }

    fn into_last(mut self) -> Result<Tree, ApplyError> {
        let last = self.opened.pop().ok_or(Reason::Malformed("it leads through no delta"))?;
        Ok(last.new)
    }

    /// What is needed of each tree on the way: contents that the deltas after it read and no file on disk has. Found from
    /// the last delta backwards.
    fn needs(&self, known: &ByContent<'_>) -> Result<Vec<Digests>, Reason> {
        let mut needs = Vec::new();
        let mut wanted: Option<Digests> = None;
        for number in (1..self.opened.len()).rev() {
            let reads = self.reads(number, wanted.as_ref())?;
            let unknown = |digest: &[u8; 32]| known.get(&Hash::from_bytes(*digest)).is_none();
            let reads: Digests = reads.into_iter().filter(unknown).collect();
            needs.push(reads.clone());
            wanted = Some(reads);
        }
        needs.reverse();
        Ok(needs)
    }

    /// What a delta reads of the tree before it to make what is wanted; everything, if nothing is said.
    fn reads(&self, number: usize, wanted: Option<&Digests>) -> Result<Digests, Reason> {
        let (before, opened) = self.step(number)?;
        let is_wanted = |digest: &Hash| wanted.is_none_or(|wanted| wanted.contains(digest.as_bytes()));
        let copies = opened.copies().map(|file| file.digest);
        let mut reads: Digests =
            copies.filter(|digest| is_wanted(digest)).map(|digest| *digest.as_bytes()).collect();
        for group in opened.plan.iter().filter(|group| opened.makes_any(group, &is_wanted)) {
            reads.extend(
                group.sources().iter().filter_map(|at| file(before, *at)).map(|old| *old.digest.as_bytes()),
            );
        }
        Ok(reads)
    }
}
