//! Which models predict a window's fields, on both sides of a patch.

use std::ops::Range;
use std::rc::Rc;

use crate::access::ReadAt;
use crate::error::Reason;
use crate::forms::wasm::{Hints, Index, Indices, Map};
use crate::matching::Region;
use crate::models::{ElfModel, Ground, Models, TarModel};
use crate::references::{Layout, References};

/// The stretches of the two files that a window compares.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub(super) old: Range<u64>,
    pub(super) new: Range<u64>,
}

/// The models of a window. What was told is the new layout where there are executables to predict, or in the wide form of a
/// module how its numbers moved.
pub(super) fn models<'a>(
    old: &'a dyn ReadAt,
    windows: Windows,
    module: Option<&'a Map>,
    told: Option<&[u8]>,
    regions: &Rc<[Region]>,
) -> Result<Models<'a>, Reason> {
    let mut models = Models::default();
    if let Some(map) = module {
        let mut rest = told.ok_or(Reason::Malformed("it does not say how a module's numbers moved"))?;
        let hints = Hints::decode(&mut rest)?;
        models.push(Box::new(Indices::new(Index::new(old, map), windows.old.start, hints)));
        return Ok(models);
    }
    if let Some(told) = told {
        let old_layout = Layout::read(old, windows.old.clone()).map_err(Reason::from_old)?;
        let old_layout =
            old_layout.ok_or(Reason::Malformed("a layout is told where the old file has none"))?;
        let new_layout = Layout::decode(told, &old_layout, windows.new)?;
        let references = References::find(&old_layout, old).map_err(Reason::from_old)?;
        let ground = Ground { old: old_layout, new: new_layout, regions: Rc::clone(regions) };
        models.push(Box::new(ElfModel::new(references, ground)));
    }
    if let Some(tar) = TarModel::find(old, windows.old).map_err(Reason::from_old)? {
        models.push(Box::new(tar));
    }
    Ok(models)
}
