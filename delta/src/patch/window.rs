//! A window of a patch: a stretch of the new file, made from a stretch of the old one.
//!
//! | bytes | what |
//! |---|---|
//! | numbers | the old stretch: where it begins, its size |
//! | number | size of the new stretch |
//! | number | number of regions |
//! | 1 | flags: 1 the streams are joined in one, else they stand apart; 2 a layout comes first |
//! | layout | a stream: where the new stretch lives in memory (`references/told.rs`) |
//! | apart | eight streams: lengths, gaps, turns, shifts, rights, runs, values, literals |
//! | joined | seven numbers, the sizes of all but the last; one stream of all eight in a row |

use crate::access::ReadAt;
use crate::codec::{self, Packed, Section, Stream, Strength, Unpacker};
use crate::error::Reason;
use crate::limits::{
    JOINED_BYTES_MAX, LAYOUT_BYTES_MAX, LITERALS_WINDOW_LOG, NUMBERS_WINDOW_LOG, REGIONS_MAX,
    WINDOW_BYTES_MAX,
};
use crate::numbers;

/// How many streams a window has.
pub(crate) const STREAMS: usize = 8;
/// Their names, for people.
pub(crate) const STREAM_NAMES: [&str; STREAMS] =
    ["lengths", "gaps", "turns", "shifts", "rights", "runs", "values", "literals"];

const LITERALS: usize = STREAMS - 1;
/// Streams of so many bytes together are always joined.
const TINY_BYTES_MAX: u64 = 1 << 10;

const JOINED: u8 = 1;
const LAYOUT: u8 = 2;

/// Where a window lies in both files, and how many regions it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) old_at: u64,
    pub(crate) old_bytes: u32,
    pub(crate) new_bytes: u32,
    pub(crate) regions: u32,
}

/// Appends a window in its smallest form. The streams are in the order of [`STREAM_NAMES`]; the primer is for literals.
pub(crate) fn write(
    span: Span,
    layout: Option<&[u8]>,
    streams: &[Vec<u8>; STREAMS],
    primer: &[u8],
    strength: Strength,
    threads: usize,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    numbers::put(out, span.old_at);
    numbers::put(out, u64::from(span.old_bytes));
    numbers::put(out, u64::from(span.new_bytes));
    numbers::put(out, u64::from(span.regions));
    let total = streams.iter().map(Vec::len).sum::<usize>() as u64;
    let joined = if total <= JOINED_BYTES_MAX { Some(pack_joined(streams, strength)?) } else { None };
    let apart =
        if total > TINY_BYTES_MAX { pack_apart(streams, primer, strength, threads)? } else { Vec::new() };
    let apart_bytes = apart.iter().map(Packed::size).sum::<usize>();
    let joined =
        joined.filter(|(sizes, packed)| apart.is_empty() || sizes.len() + packed.size() < apart_bytes);
    let mut flags = 0;
    if joined.is_some() {
        flags |= JOINED;
    }
    if layout.is_some() {
        flags |= LAYOUT;
    }
    out.push(flags);
    if let Some(layout) = layout {
        codec::pack(layout, &[], NUMBERS_WINDOW_LOG, strength)?.write(out);
    }
    match joined {
        Some((sizes, packed)) => {
            out.extend_from_slice(&sizes);
            packed.write(out);
        }
        None => {
            for packed in apart {
                packed.write(out);
            }
        }
    }
    Ok(())
}

/// The streams one by one; literals beside the others where there are two threads.
fn pack_apart(
    streams: &[Vec<u8>; STREAMS],
    primer: &[u8],
    strength: Strength,
    threads: usize,
) -> std::io::Result<Vec<Packed>> {
    let [numbers @ .., literals] = streams;
    let pack_numbers = || {
        let packed = numbers.iter().map(|raw| codec::pack(raw, &[], NUMBERS_WINDOW_LOG, strength));
        packed.collect::<std::io::Result<Vec<_>>>()
    };
    let pack_literals = || codec::pack(literals, primer, LITERALS_WINDOW_LOG, strength);
    let (numbers, literals) = if threads > 1 {
        std::thread::scope(|scope| {
            let beside = scope.spawn(pack_literals);
            let numbers = pack_numbers();
            (numbers, beside.join().expect("BUG: packing panicked"))
        })
    } else {
        (pack_numbers(), pack_literals())
    };
    let mut packed = numbers?;
    packed.push(literals?);
    Ok(packed)
}

/// All of them in one stream, with the sizes to part them again.
fn pack_joined(streams: &[Vec<u8>; STREAMS], strength: Strength) -> std::io::Result<(Vec<u8>, Packed)> {
    let mut sizes = Vec::new();
    for stream in streams.iter().take(LITERALS) {
        numbers::put(&mut sizes, stream.len() as u64);
    }
    let joined = streams.concat();
    Ok((sizes, codec::pack(&joined, &[], LITERALS_WINDOW_LOG, strength)?))
}

/// A window's place in a delta.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) span: Span,
    layout: Option<Stream>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Apart(Box<[Stream; STREAMS]>),
    Joined { sizes: [u64; LITERALS], stream: Stream },
}

impl Located {
    /// Reads a window's head and passes over its streams.
    pub(crate) fn read(section: &mut Section<'_>) -> Result<Self, Reason> {
        let old_at = section.number()?;
        let mut short = |limit, what| {
            let number = section.number_at_most(u64::from(limit), what)?;
            u32::try_from(number).map_err(|_| Reason::Malformed("a window is too large"))
        };
        let old_bytes = short(WINDOW_BYTES_MAX, "bytes in a window")?;
        let new_bytes = short(WINDOW_BYTES_MAX, "bytes in a window")?;
        let regions = short(REGIONS_MAX, "regions in a window")?;
        let span = Span { old_at, old_bytes, new_bytes, regions };
        let flags = section.byte()?;
        if flags & !(JOINED | LAYOUT) != 0 {
            return Err(Reason::Malformed("a window has an unknown form"));
        }
        let layout =
            if flags & LAYOUT == 0 { None } else { Some(Stream::locate(section, LAYOUT_BYTES_MAX)?) };
        let form = if flags & JOINED == 0 {
            Form::Apart(Box::new(Self::locate_apart(section, span)?))
        } else {
            Self::locate_joined(section)?
        };
        Ok(Self { span, layout, form })
    }

    fn locate_apart(section: &mut Section<'_>, span: Span) -> Result<[Stream; STREAMS], Reason> {
        let numbers = u64::from(span.regions) * numbers::NUMBER_BYTES_MAX as u64;
        let new = u64::from(span.new_bytes);
        // No run is empty, and each takes at least a byte of the new stretch.
        let runs = new.saturating_mul(5).min(u64::from(WINDOW_BYTES_MAX));
        Ok([
            Stream::locate(section, numbers)?,
            Stream::locate(section, numbers)?,
            Stream::locate(section, u64::from(span.regions))?,
            Stream::locate(section, numbers)?,
            Stream::locate(section, runs)?,
            Stream::locate(section, runs)?,
            Stream::locate(section, new)?,
            Stream::locate(section, new)?,
        ])
    }

    fn locate_joined(section: &mut Section<'_>) -> Result<Form, Reason> {
        let mut sizes = [0; LITERALS];
        for size in &mut sizes {
            *size = section.number_at_most(JOINED_BYTES_MAX, "bytes in a stream")?;
        }
        let stream = Stream::locate(section, JOINED_BYTES_MAX)?;
        if sizes.iter().sum::<u64>() > stream.raw_bytes {
            return Err(Reason::Malformed("joined streams are longer than they are together"));
        }
        Ok(Form::Joined { sizes, stream })
    }

    /// Its streams, by name.
    pub(crate) fn streams(&self) -> Vec<(&'static str, &Stream)> {
        let layout = self.layout.iter().map(|stream| ("layout", stream));
        match &self.form {
            Form::Apart(streams) => layout.chain(STREAM_NAMES.into_iter().zip(streams.iter())).collect(),
            Form::Joined { stream, .. } => layout.chain([("all", stream)]).collect(),
        }
    }

    /// Unpacks the layout of the new stretch, if it has one.
    pub(crate) fn layout(&self, delta: &dyn ReadAt) -> Result<Option<Vec<u8>>, Reason> {
        self.layout.as_ref().map(|stream| stream.unpack_all(delta, &[], NUMBERS_WINDOW_LOG)).transpose()
    }

    /// Unpacks the four streams of the regions, and opens the four others.
    pub(crate) fn open<'a>(&self, delta: &'a dyn ReadAt) -> Result<([Vec<u8>; 4], Rest<'a>), Reason> {
        match &self.form {
            Form::Apart(streams) => {
                let [lengths, gaps, turns, shifts, rest @ ..] = &**streams;
                let unpack = |stream: &Stream| stream.unpack_all(delta, &[], NUMBERS_WINDOW_LOG);
                let control = [unpack(lengths)?, unpack(gaps)?, unpack(turns)?, unpack(shifts)?];
                Ok((control, Rest::Apart { delta, streams: Box::new(rest.clone()) }))
            }
            Form::Joined { sizes, stream } => {
                let raw = stream.unpack_all(delta, &[], LITERALS_WINDOW_LOG)?;
                let mut rest = &raw[..];
                let mut parts = sizes.iter().map(|size| {
                    let bytes = usize::try_from(*size).unwrap_or(usize::MAX).min(rest.len());
                    let (part, after) = rest.split_at(bytes);
                    rest = after;
                    part.to_vec()
                });
                let mut part = || parts.next().unwrap_or_default();
                let control = [part(), part(), part(), part()];
                let (rights, runs, values) = (part(), part(), part());
                let literals = rest.to_vec();
                Ok((control, Rest::Joined([rights, runs, values, literals])))
            }
        }
    }
}

/// The streams that are unpacked while the window is made: rights, runs, values, literals.
pub(crate) enum Rest<'a> {
    Apart { delta: &'a dyn ReadAt, streams: Box<[Stream; 4]> },
    Joined([Vec<u8>; 4]),
}

impl<'a> Rest<'a> {
    /// Unpacks the first two: where predictions are right, and where they are wrong.
    pub(crate) fn differences(&self) -> Result<[Vec<u8>; 2], Reason> {
        match self {
            Self::Apart { delta, streams } => {
                let [rights, runs, ..] = &**streams;
                let unpack = |stream: &Stream| stream.unpack_all(*delta, &[], NUMBERS_WINDOW_LOG);
                Ok([unpack(rights)?, unpack(runs)?])
            }
            Self::Joined([rights, runs, ..]) => Ok([rights.clone(), runs.clone()]),
        }
    }

    /// Opens them, the literals with their primer.
    pub(crate) fn unpack(self, primer: &[u8]) -> Result<[Unpacker<'a>; 4], Reason> {
        match self {
            Self::Apart { delta, streams } => {
                let [rights, runs, values, literals] = &*streams;
                Ok([
                    rights.unpack(delta, &[], NUMBERS_WINDOW_LOG)?,
                    runs.unpack(delta, &[], NUMBERS_WINDOW_LOG)?,
                    values.unpack(delta, &[], NUMBERS_WINDOW_LOG)?,
                    literals.unpack(delta, primer, LITERALS_WINDOW_LOG)?,
                ])
            }
            Self::Joined(parts) => Ok(parts.map(Unpacker::of)),
        }
    }
}
