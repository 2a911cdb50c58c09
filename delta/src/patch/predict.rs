//! Which model predicts a window's fields, on both sides of a patch.

use std::ops::Range;
use std::rc::Rc;

use super::differences::Correct;
use super::made::Made;
use super::old::OldWindow;
use super::walk::Walk;
use crate::access::ReadAt;
use crate::error::Reason;
use crate::forms::wasm::{Hints, Index, Indices, Map};
use crate::matching::Region;
use crate::models::{Both, Counts, ElfModel, Ground, Nothing, TarModel};
use crate::references::{Layout, References};

/// The stretches of the two files that a window compares.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub(super) old: Range<u64>,
    pub(super) new: Range<u64>,
}

/// Rebuilds the regions of a window with the model that suits it.
pub(super) enum Rebuilder<'a> {
    Plain(Walk<Nothing>),
    Executables(Box<Walk<ElfModel>>),
    Archive(Box<Walk<TarModel<'a>>>),
    ArchiveOfExecutables(Box<Walk<Both<ElfModel, TarModel<'a>>>>),
    Module(Box<Walk<Indices<'a>>>),
}

impl<'a> Rebuilder<'a> {
    /// What was told is the new layout where there are executables to predict, or in the wide form of a module how its
    /// numbers moved.
    pub(super) fn new(
        old: &'a dyn ReadAt,
        windows: Windows,
        module: Option<&'a Map>,
        told: Option<&[u8]>,
        regions: &Rc<[Region]>,
    ) -> Result<Self, Reason> {
        if let Some(map) = module {
            let mut rest = told.ok_or(Reason::Malformed("it does not say how a module's numbers moved"))?;
            let hints = Hints::decode(&mut rest)?;
            let indices = Indices::new(Index::new(old, map), windows.old.start, hints);
            return Ok(Self::Module(Box::new(Walk::new(indices))));
        }
        let archive = TarModel::find(old, windows.old.clone()).map_err(Reason::from_old)?;
        let executables = told.map(|told| executables(old, windows, told, regions)).transpose()?;
        Ok(match (executables, archive) {
            (None, None) => Self::Plain(Walk::new(Nothing)),
            (Some(executables), None) => Self::Executables(Box::new(Walk::new(executables))),
            (None, Some(archive)) => Self::Archive(Box::new(Walk::new(archive))),
            (Some(executables), Some(archive)) => {
                Self::ArchiveOfExecutables(Box::new(Walk::new(Both(executables, archive))))
            }
        })
    }

    /// Appends the next piece of a region, of which `done` bytes were rebuilt before. Returns how many bytes it has.
    pub(super) fn piece(
        &mut self,
        region: &Region,
        done: u32,
        old: &mut OldWindow<'_>,
        corrections: &mut impl Correct,
        out: &mut Made,
    ) -> Result<u32, Reason> {
        match self {
            Self::Plain(walk) => walk.piece(region, done, old, corrections, out),
            Self::Executables(walk) => walk.piece(region, done, old, corrections, out),
            Self::Archive(walk) => walk.piece(region, done, old, corrections, out),
            Self::ArchiveOfExecutables(walk) => walk.piece(region, done, old, corrections, out),
            Self::Module(walk) => walk.piece(region, done, old, corrections, out),
        }
    }

    /// How predictions came out.
    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Plain(walk) => walk.counts,
            Self::Executables(walk) => walk.counts,
            Self::Archive(walk) => walk.counts,
            Self::ArchiveOfExecutables(walk) => walk.counts,
            Self::Module(walk) => walk.counts,
        }
    }
}

fn executables(
    old: &dyn ReadAt,
    windows: Windows,
    told: &[u8],
    regions: &Rc<[Region]>,
) -> Result<ElfModel, Reason> {
    let layout = Layout::read(old, windows.old).map_err(Reason::from_old)?;
    let layout = layout.ok_or(Reason::Malformed("a layout is told where the old file has none"))?;
    let new = Layout::decode(told, &layout, windows.new)?;
    let references = References::find_but_code(&layout, old).map_err(Reason::from_old)?;
    Ok(ElfModel::new(references, Ground { old: layout, new, regions: Rc::clone(regions) }))
}
