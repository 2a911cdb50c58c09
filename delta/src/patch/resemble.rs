//! Finding the regions of a window: on the bytes themselves, or where there are executables, on images of both stretches in
//! which moved code looks alike.

use std::io;

use super::Options;
use super::predict::Windows;
use crate::access::ReadAt;
use crate::forms::wasm::{Index, Map, Survey};
use crate::matching::{self, Region};
use crate::references::{Layout, Projection, References, blank, comparable_new, comparable_old};

/// What a window's regions were found on.
pub(super) struct Resemblance {
    pub(super) regions: Vec<Region>,
    /// The images that regions are weighed on, where they are not the bytes themselves.
    images: Option<(Vec<u8>, Vec<u8>)>,
    /// What must be told of the new layout.
    pub(super) layout: Option<Vec<u8>>,
}

impl Resemblance {
    /// The images that regions are weighed on.
    pub(super) fn images<'a>(&'a self, old: &'a [u8], new: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        self.images.as_ref().map_or((old, new), |(old, new)| (old, new))
    }
}

/// Two stretches in memory, and the files that they are of.
pub(super) struct Pair<'a> {
    pub(super) old_file: &'a dyn ReadAt,
    pub(super) new_file: &'a dyn ReadAt,
    pub(super) windows: Windows,
    pub(super) old: &'a [u8],
    pub(super) new: &'a [u8],
    /// If the files are the wide forms of modules: where the fields of the old one are.
    pub(super) module: Option<&'a Map>,
}

/// Finds the regions of a pair; says so each time that it has looked.
pub(super) fn find(pair: &Pair<'_>, options: &Options, looked: &mut dyn FnMut()) -> io::Result<Resemblance> {
    if let Some(map) = pair.module {
        return find_renumbered(pair, map, options, looked);
    }
    let old = Layout::read(pair.old_file, pair.windows.old.clone())?;
    let new = Layout::read(pair.new_file, pair.windows.new.clone())?;
    match (old, new) {
        (Some(old), Some(new)) => find_moved(pair, &old, &new, options, looked),
        _ => {
            let regions = matching::find(pair.old, pair.new, options.matching(), options.threads);
            looked();
            Ok(Resemblance { regions, images: None, layout: None })
        }
    }
}

/// Finds the regions of modules: first as they are, then with the numbers of the old one as most of them became.
fn find_renumbered(
    pair: &Pair<'_>,
    map: &Map,
    options: &Options,
    looked: &mut dyn FnMut(),
) -> io::Result<Resemblance> {
    let at = pair.windows.old.start;
    let find = |old: &[u8]| matching::find(old, pair.new, options.matching(), options.threads);
    let mut regions = find(pair.old);
    looked();
    let mut image = Vec::new();
    for _ in 0..options.passes() {
        drop(image);
        let mut index = Index::new(pair.old_file, map);
        let survey = Survey::new(&mut index, at, pair.old, pair.new, &regions)?;
        image = survey.project(&mut index, at, pair.old)?;
        regions = find(&image);
        looked();
    }
    let mut index = Index::new(pair.old_file, map);
    let mut told = Vec::new();
    Survey::new(&mut index, at, pair.old, pair.new, &regions)?.hints().encode(&mut told);
    Ok(Resemblance { regions, images: Some((image, pair.new.to_vec())), layout: Some(told) })
}

/// Finds the regions of executables: first with nothing in the fields that name addresses, then with where the regions found
/// so far say that their targets went.
fn find_moved(
    pair: &Pair<'_>,
    old: &Layout,
    new: &Layout,
    options: &Options,
    looked: &mut dyn FnMut(),
) -> io::Result<Resemblance> {
    let old_references = References::find(old, pair.old_file)?;
    let new_references = References::find(new, pair.new_file)?;
    let find = |old: &[u8], new: &[u8]| matching::find(old, new, options.matching(), options.threads);
    let mut regions = find(&blank(pair.old, &old_references), &blank(pair.new, &new_references));
    looked();
    let new_image = comparable_new(pair.new, new, &new_references);
    drop(new_references);
    let mut old_image = Vec::new();
    for _ in 0..options.passes() {
        drop(old_image);
        old_image = comparable_old(pair.old, old, &old_references, &Projection::new(&regions));
        regions = find(&old_image, &new_image);
        looked();
    }
    let images = Some((old_image, new_image));
    Ok(Resemblance { regions, images, layout: Some(new.encode(old)) })
}
