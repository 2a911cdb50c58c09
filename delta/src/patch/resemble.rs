//! Finding the regions of a window: on the bytes themselves, or where there are executables, on images of both stretches in
//! which moved code looks alike.

use std::borrow::Cow;
use std::io;

use super::Options;
use super::predict::Windows;
use crate::access::{ReadAt, view};
use crate::forms::wasm::{Index, Map, Survey};
use crate::matching::{self, Region};
use crate::references::{Layout, Projection, References, blank, comparable_new, comparable_old};

/// What a window's regions were found on.
pub(super) struct Resemblance<'a> {
    pub(super) regions: Vec<Region>,
    /// The images of both stretches that regions are weighed on; mostly the bytes themselves.
    pub(super) old_image: Cow<'a, [u8]>,
    pub(super) new_image: Cow<'a, [u8]>,
    /// What must be told of the new layout.
    layout: Option<Vec<u8>>,
}

impl Resemblance<'_> {
    /// Gives up everything but what must be told.
    pub(super) fn into_layout(self) -> Option<Vec<u8>> {
        self.layout
    }
}

/// Two stretches, and the files that they are of. Their bytes are in memory only while they are looked at: indices and
/// images take enough of it.
pub(super) struct Pair<'a> {
    pub(super) old_file: &'a dyn ReadAt,
    pub(super) new_file: &'a dyn ReadAt,
    pub(super) windows: Windows,
    /// If the files are the wide forms of modules: where the fields of the old one are.
    pub(super) module: Option<&'a Map>,
}

impl<'a> Pair<'a> {
    /// The bytes of the old stretch.
    pub(super) fn old_bytes(&self) -> io::Result<Cow<'a, [u8]>> {
        view(self.old_file, self.windows.old.clone())
    }

    /// The bytes of the new stretch.
    pub(super) fn new_bytes(&self) -> io::Result<Cow<'a, [u8]>> {
        view(self.new_file, self.windows.new.clone())
    }
}

/// Finds the regions of a pair; says so each time that it has looked.
pub(super) fn find<'a>(
    pair: &Pair<'a>,
    options: &Options,
    looked: &mut dyn FnMut(),
) -> io::Result<Resemblance<'a>> {
    if let Some(map) = pair.module {
        return find_renumbered(pair, map, options, looked);
    }
    let old = Layout::read(pair.old_file, pair.windows.old.clone())?;
    let new = Layout::read(pair.new_file, pair.windows.new.clone())?;
    match (old, new) {
        (Some(old), Some(new)) => find_moved(pair, &old, &new, options, looked),
        _ => {
            let (old_image, new_image) = (pair.old_bytes()?, pair.new_bytes()?);
            let regions = matching::find(&old_image, &new_image, options.matching(), options.threads);
            looked();
            Ok(Resemblance { regions, old_image, new_image, layout: None })
        }
    }
}

/// Finds the regions of modules: first as they are, then with the numbers of the old one as most of them became.
fn find_renumbered<'a>(
    pair: &Pair<'a>,
    map: &Map,
    options: &Options,
    looked: &mut dyn FnMut(),
) -> io::Result<Resemblance<'a>> {
    let new_image = pair.new_bytes()?;
    let at = pair.windows.old.start;
    let find = |old: &[u8]| matching::find(old, &new_image, options.matching(), options.threads);
    let mut regions = find(&pair.old_bytes()?);
    looked();
    let mut image = Vec::new();
    for _ in 0..options.passes() {
        drop(image);
        let mut index = Index::new(pair.old_file, map);
        let old = pair.old_bytes()?;
        let survey = Survey::new(&mut index, at, &old, &new_image, &regions)?;
        image = survey.project(&mut index, at, &old)?;
        drop((survey, old));
        regions = find(&image);
        looked();
    }
    let mut index = Index::new(pair.old_file, map);
    let mut told = Vec::new();
    Survey::new(&mut index, at, &pair.old_bytes()?, &new_image, &regions)?.hints().encode(&mut told);
    Ok(Resemblance { regions, old_image: image.into(), new_image, layout: Some(told) })
}

/// Finds the regions of executables: first with nothing in the fields that name addresses, then with where the regions found
/// so far say that their targets went.
fn find_moved<'a>(
    pair: &Pair<'a>,
    old: &Layout,
    new: &Layout,
    options: &Options,
    looked: &mut dyn FnMut(),
) -> io::Result<Resemblance<'a>> {
    let old_references = References::find(old, pair.old_file)?;
    let new_references = References::find(new, pair.new_file)?;
    let find = |old: &[u8], new: &[u8]| matching::find(old, new, options.matching(), options.threads);
    let old_blank = blank(pair.old_bytes()?.into_owned(), &old_references);
    let new_blank = blank(pair.new_bytes()?.into_owned(), &new_references);
    let mut regions = find(&old_blank, &new_blank);
    drop((old_blank, new_blank));
    looked();
    let new_image = comparable_new(&pair.new_bytes()?, new, &new_references);
    drop(new_references);
    let mut old_image = Vec::new();
    for _ in 0..options.passes() {
        drop(old_image);
        old_image = comparable_old(&pair.old_bytes()?, old, &old_references, &Projection::new(&regions));
        regions = find(&old_image, &new_image);
        looked();
    }
    let layout = Some(new.encode(old));
    Ok(Resemblance { regions, old_image: old_image.into(), new_image: new_image.into(), layout })
}
