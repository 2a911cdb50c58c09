//! Making a body: regions, what they were wrong by, and what is in none.

use std::io;
use std::rc::Rc;

use super::body::{MODULE, OPENED, WEIGHTS, WHOLE, WINDOWS};
use super::control::Control;
use super::differences::Recorder;

use super::made::Made;
use super::old::OldWindow;
use super::predict::{Rebuilder, Windows};
use super::prices::prices;
use super::resemble::{self, Pair};
use super::weights::Without;
use super::window::{self, Span};
use super::{Options, primer};
use crate::access::{ReadAt, view};
use crate::codec;
use crate::error::Reason;
use crate::forms::container;
use crate::forms::wasm::{self, Map};
use crate::limits::{NUMBERS_WINDOW_LOG, REGIONS_MAX, WHOLE_WINDOW_LOG};
use crate::matching::{self, Region, Window};
use crate::numbers;
use crate::progress::{Meter, Progress};
use crate::tensors;

/// A file larger than this that is made from nothing is packed in one way only: all ways would take minutes.
const ALONE_BYTES_MAX: u64 = 16 << 20;

/// Larger files are not looked through for containers: they would have to be in memory.
const OPENED_FILE_BYTES_MAX: u64 = 256 << 20;
/// Most bytes of either plain form while a patch is made.
const OPENED_PLAIN_BYTES_MAX: u64 = 768 << 20;

/// About how long the parts of the work take: finding regions, up to three times; weighing, predicting and packing them.
const WORK_FIND: u64 = 1;
const WORK_WRITE: u64 = 3;
const WORK_ALL: u64 = 3 * WORK_FIND + WORK_WRITE;

/// The smallest body that leads from one file to another.
pub(crate) fn make(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    tell: &mut dyn FnMut(Progress),
) -> io::Result<Vec<u8>> {
    let mut meter = Meter::new(new.size().saturating_mul(WORK_ALL), tell);
    if old.size() == 0 && new.size() > ALONE_BYTES_MAX {
        let mut body = vec![WHOLE];
        codec::pack_whole(new, WHOLE_WINDOW_LOG)?.write(&mut body);
        meter.finish();
        return Ok(body);
    }
    let body = make_formed(old, new, options, &mut meter)?;
    let whole = make_whole(new, body.len())?;
    meter.finish();
    Ok(match whole {
        Some(whole) if whole.len() < body.len() => whole,
        _ => body,
    })
}

/// The smallest body of all forms that suit the two files.
fn make_formed(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    meter: &mut Meter<'_>,
) -> io::Result<Vec<u8>> {
    if let Some(weights) = make_weights(old, new, options, meter)? {
        return Ok(weights);
    }
    if let Some(module) = make_module(old, new, options, meter)? {
        return Ok(module);
    }
    let opened = make_opened(old, new, options, meter)?;
    if let Some(Formed { body, told_bytes }) = &opened
        && *told_bytes <= (body.len() / TOLD_PART).max(TOLD_BYTES_SMALL)
    {
        return Ok(opened.map(|formed| formed.body).unwrap_or_default());
    }
    let mut closed = vec![WINDOWS];
    make_windows(old, new, options, meter, None, &mut closed)?;
    Ok(match opened {
        Some(opened) if opened.body.len() < closed.len() => opened.body,
        _ => closed,
    })
}

/// A body on what is in containers.
struct Formed {
    body: Vec<u8>,
    /// How much of it tells how to open and close them.
    told_bytes: usize,
}

/// Telling of containers is cheap up to here, or up to this part of a body; beyond, the files are compared closed as well.
const TOLD_BYTES_SMALL: usize = 4 << 10;
const TOLD_PART: usize = 64;

/// The packed file, unless it cannot be smaller than the body that is there.
fn make_whole(new: &dyn ReadAt, body_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    /// The strongest packing leaves at least this part of what a fast one leaves.
    const ESTIMATE_DIVISOR: usize = 3;
    /// Small files take ten times their size to be packed, which is more than all else.
    const SMALL_BYTES: u64 = 8 << 20;
    let estimate = codec::estimate(new)?;
    if body_bytes < estimate / ESTIMATE_DIVISOR {
        return Ok(None);
    }
    // Of what hardly packs, such as weights, the strongest packing leaves little less than that of parts: nothing repeats.
    let hardly_packs = estimate as u64 >= new.size() - new.size() / 5;
    if hardly_packs && new.size() <= SMALL_BYTES {
        let in_parts = codec::estimate_in_parts(new)?;
        if body_bytes < in_parts - in_parts / 10 {
            return Ok(None);
        }
    }
    let mut body = vec![WHOLE];
    codec::pack_whole(new, WHOLE_WINDOW_LOG)?.write(&mut body);
    Ok(Some(body))
}

/// A body of tensors and what is around them, if both files have some and their coding pays.
fn make_weights(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    meter: &mut Meter<'_>,
) -> io::Result<Option<Vec<u8>>> {
    /// Repetitive weights, or such as were only moved, are better off as any other bytes.
    const PAYS_PART: u64 = 10;
    let pairs = tensors::pairs(&tensors::find(old), &tensors::find(new));
    let in_tensors = pairs.iter().map(|pair| pair.bytes).sum::<u64>();
    if in_tensors < new.size() / 2 {
        return Ok(None);
    }
    let coded = tensors::encode(old, new, &pairs)?;
    if coded.len() as u64 > in_tensors - in_tensors / PAYS_PART {
        return Ok(None);
    }
    let mut body = vec![WEIGHTS];
    let mut encoded = Vec::new();
    tensors::write_pairs(&pairs, &mut encoded);
    codec::pack(&encoded, &[], NUMBERS_WINDOW_LOG, options.strength())?.write(&mut body);
    numbers::put(&mut body, coded.len() as u64);
    body.extend_from_slice(&coded);
    drop(coded);
    let old_rest = Without::new(old, pairs.iter().map(tensors::Pair::old_range).collect());
    let new_rest = Without::new(new, pairs.iter().map(tensors::Pair::new_range).collect());
    make_windows(&old_rest, &new_rest, options, meter, None, &mut body)?;
    Ok(Some(body))
}

/// A body on the wide forms of two WebAssembly modules, if the files are such.
fn make_module(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    meter: &mut Meter<'_>,
) -> io::Result<Option<Vec<u8>>> {
    if old.size().max(new.size()) > OPENED_FILE_BYTES_MAX {
        return Ok(None);
    }
    let widen = |file: &dyn ReadAt| {
        let mut wide = Vec::new();
        let bytes = view(file, 0..file.size())?;
        let widened = wasm::widen(&mut &bytes[..], file.size(), &mut wide);
        io::Result::Ok(widened.ok().map(|widened| (wide, widened)))
    };
    let Some((old, widened)) = widen(old)? else { return Ok(None) };
    let map = widened.map;
    let Some((new, widened)) = widen(new)? else { return Ok(None) };
    let mut body = vec![MODULE];
    numbers::put(&mut body, widened.bytes);
    make_windows(&old, &new, options, meter, Some(&map), &mut body)?;
    Ok(Some(body))
}

/// A body on what is in containers, if both files have some that can be opened and closed again.
fn make_opened(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    meter: &mut Meter<'_>,
) -> io::Result<Option<Formed>> {
    if old.size().max(new.size()) > OPENED_FILE_BYTES_MAX {
        return Ok(None);
    }
    let may = container::Options {
        plain_bytes_max: OPENED_PLAIN_BYTES_MAX,
        memory_bytes_max: options.container_memory_bytes,
    };
    let opened = container::open(&view(old, 0..old.size())?, &view(new, 0..new.size())?, may)?;
    let Some((old, new)) = opened else { return Ok(None) };
    let mut body = vec![OPENED];
    for chain in [&old.chain, &new.chain] {
        let mut encoded = Vec::new();
        chain.put(&mut encoded);
        codec::pack(&encoded, &[], NUMBERS_WINDOW_LOG, options.strength())?.write(&mut body);
    }
    let told_bytes = body.len();
    make_windows(&old.plain, &new.plain, options, meter, None, &mut body)?;
    Ok(Some(Formed { body, told_bytes }))
}

/// Appends the windows that lead from one file, or its plain form, to another.
fn make_windows(
    old: &dyn ReadAt,
    new: &dyn ReadAt,
    options: &Options,
    meter: &mut Meter<'_>,
    module: Option<&Map>,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let windows = matching::windows(old, new)?;
    numbers::put(body, windows.len() as u64);
    for Window { old: old_range, new: new_range } in windows {
        let windows = Windows { old: old_range, new: new_range };
        let pair = Pair { old_file: old, new_file: new, windows, module };
        body.extend_from_slice(&make_window(&pair, options, meter)?);
    }
    Ok(())
}

/// The smallest window at any of the prices that may suit it.
fn make_window(pair: &Pair<'_>, options: &Options, meter: &mut Meter<'_>) -> io::Result<Vec<u8>> {
    let bytes = pair.windows.new.end - pair.windows.new.start;
    let found = resemble::find(pair, options, &mut || meter.advance(bytes * WORK_FIND))?;
    let mut best: Option<Vec<u8>> = None;
    let all = prices(&pair.new_bytes()?);
    // All are weighed first: nothing needs the images after that.
    let weighed = all.iter().map(|prices| {
        let mut regions = matching::clean(&found.old_image, &found.new_image, &found.regions, prices);
        keep_longest(&mut regions, REGIONS_MAX as usize);
        regions.into()
    });
    let weighed: Vec<Rc<[Region]>> = weighed.collect();
    let layout = found.into_layout();
    for regions in weighed {
        let window = make_window_of(pair, &regions, layout.as_deref(), options)?;
        if best.as_ref().is_none_or(|best| window.len() < best.len()) {
            best = Some(window);
        }
        meter.advance(bytes * WORK_WRITE / all.len() as u64);
    }
    Ok(best.unwrap_or_default())
}

fn make_window_of(
    pair: &Pair<'_>,
    regions: &Rc<[Region]>,
    layout: Option<&[u8]>,
    options: &Options,
) -> io::Result<Vec<u8>> {
    let short = |bytes: u64| u32::try_from(bytes).expect("BUG: a window beyond WINDOW_BYTES_MAX");
    let count = |regions: usize| u32::try_from(regions).expect("BUG: regions beyond REGIONS_MAX");
    let span = Span {
        old_at: pair.windows.old.start,
        old_bytes: short(pair.windows.old.end - pair.windows.old.start),
        new_bytes: short(pair.windows.new.end - pair.windows.new.start),
        regions: count(regions.len()),
    };
    let mut old = OldWindow::new(pair.old_file, pair.windows.old.clone()).map_err(Reason::into_io)?;
    let primer =
        primer::gather(regions, span.old_bytes, span.new_bytes, &mut old).map_err(Reason::into_io)?;
    let rebuilder = Rebuilder::new(pair.old_file, pair.windows.clone(), pair.module, layout, regions)
        .map_err(Reason::into_io)?;
    let new = pair.new_bytes()?;
    let recorded = record(&mut old, &new, regions, rebuilder).map_err(Reason::into_io)?;
    let Control { lengths, gaps, turns, shifts } = Control::encode(regions);
    let streams = [
        lengths,
        gaps,
        turns,
        shifts,
        recorded.rights,
        recorded.runs,
        recorded.values,
        literals(&new, regions),
    ];
    drop(new);
    let mut window = Vec::new();
    window::write(span, layout, &streams, &primer, options.strength(), options.threads, &mut window)?;
    Ok(window)
}

/// Leaves out the shortest regions if there are too many.
fn keep_longest(regions: &mut Vec<Region>, most: usize) {
    let mut shortest = 1;
    while regions.len() > most {
        shortest *= 2;
        regions.retain(|region| region.bytes >= shortest);
    }
}

/// Rebuilds every region as the applier will, and records what is wrong.
fn record(
    old: &mut OldWindow<'_>,
    new: &[u8],
    regions: &[Region],
    mut rebuilder: Rebuilder<'_>,
) -> Result<super::differences::Differences, Reason> {
    let mut recorder = Recorder::new(new);
    let mut made = Made::default();
    for region in regions {
        recorder.seek(region.new as usize);
        let mut done = 0;
        while done < region.bytes {
            made.clear();
            done += rebuilder.piece(region, done, old, &mut recorder, &mut made)?;
        }
    }
    Ok(recorder.finish())
}

/// The new bytes that are in no region.
fn literals(new: &[u8], regions: &[Region]) -> Vec<u8> {
    let mut literals = Vec::new();
    let mut done = 0;
    for region in regions {
        literals.extend_from_slice(&new[done..region.new as usize]);
        done = (region.new + region.bytes) as usize;
    }
    literals.extend_from_slice(&new[done..]);
    literals
}
