//! Where a window's bytes live in memory.
//!
//! A window of a file may hold one ELF file, or thousands of them: in a tar, in a disk image, in a container that was
//! opened. Each is an [`Element`] with addresses of its own. So that a target can be spoken of without saying whose it
//! is, all of them are mapped to **places**, numbers of 32 bits. The place of a byte in the window is where it is in the
//! window. Memory that has no byte there (zeros that are not stored, parts of the file beyond the window) is given places
//! from [`BEYOND`] on, in the order of the segments.
//!
//! An applier gets the new file's layout with the delta ([`encode`](Layout::encode)), because addresses are predicted
//! before the headers that say them are there.

use std::cmp::Reverse;
use std::io;
use std::ops::Range;

use super::elf::{Header, MAGIC, Machine, Segment};
use super::source::Source;
use crate::access::ReadAt;

/// The first place that is no byte of the window.
pub(super) const BEYOND: u32 = crate::limits::WINDOW_BYTES_MAX;
/// Most ELF files in one window; more are left alone.
pub(super) const ELEMENTS_MAX: usize = 16 << 10;
/// Most headers that are read for one window, of files and sections.
const HEADERS_MAX: usize = 1 << 20;
/// Most segments in one window.
pub(super) const ALL_SEGMENTS_MAX: usize = 64 << 10;

/// Where the bytes of a window of a file live in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(super) window: Range<u64>,
    pub(super) elements: Vec<Element>,
    /// Element by element, in the order of addresses.
    spans: Vec<Span>,
    /// The same spans in the order of places.
    by_place: Vec<u32>,
    /// For a layout that was told: which of the old files with segments each was compared with.
    pub(super) likes: Vec<usize>,
}

/// An ELF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Where it begins in the file (not in the window).
    pub(super) at: u64,
    /// How many bytes it has; zero where that was not told.
    pub(super) bytes: u64,
    pub(super) machine: Machine,
    /// Empty for an object to be linked.
    pub(super) segments: Vec<Segment>,
    spans: Range<u32>,
}

/// Bytes that are in a row, both in memory and in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) address: u64,
    pub(super) place: u32,
    pub(super) bytes: u32,
    pub(super) element: u32,
    /// Which part of which segment it is.
    pub(super) role: u8,
}

impl Span {
    pub(super) fn has_place(&self, place: u32) -> bool {
        place.wrapping_sub(self.place) < self.bytes
    }

    pub(super) fn has_address(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < u64::from(self.bytes)
    }
}

/// The parts of a segment: before the window, in it, after it, and not stored.
const PARTS: usize = 4;

impl Layout {
    /// Looks for ELF files in a window of a file. None: there is nothing here to predict.
    pub(crate) fn read(bytes: &dyn ReadAt, window: Range<u64>) -> io::Result<Option<Self>> {
        let source = Source::new(bytes, 0..bytes.size());
        let mut layout = Self { window: window.clone(), ..Self::default() };
        let (mut segments, mut headers) = (0, HEADERS_MAX);
        let mut at = match read_element(&source, 0, &mut headers)? {
            Some(element) => {
                let end = element.bytes;
                if end > window.start {
                    segments += element.segments.len();
                    layout.elements.push(element);
                }
                end.max(window.start)
            }
            None => window.start,
        };
        while let Some(found) = search(&source, at..window.end)? {
            at = found + 1;
            let Some(element) = read_element(&source, found, &mut headers)? else { continue };
            segments += element.segments.len();
            if layout.elements.len() == ELEMENTS_MAX || segments > ALL_SEGMENTS_MAX {
                break;
            }
            at = found + element.bytes;
            layout.elements.push(element);
        }
        layout.lay();
        Ok((!layout.elements.is_empty()).then_some(layout))
    }

    /// A layout that was told.
    pub(super) fn told(window: Range<u64>, elements: Vec<Element>, likes: Vec<usize>) -> Self {
        let mut layout = Self { window, elements, likes, ..Self::default() };
        layout.lay();
        layout
    }

    /// Gives every segment its places.
    fn lay(&mut self) {
        self.spans.clear();
        let mut free = u64::from(BEYOND);
        for (index, element) in self.elements.iter_mut().enumerate() {
            let first = self.spans.len();
            for (number, segment) in element.segments.iter().enumerate() {
                for (part, bytes) in parts(element.at, segment, &self.window).into_iter().enumerate() {
                    let place = match part {
                        1 => (element.at + segment.at + (bytes.start - segment.address))
                            .saturating_sub(self.window.start),
                        _ => {
                            let place = free;
                            // A page is left between, for addresses just beyond an end.
                            free += (bytes.end - bytes.start).div_ceil(PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES;
                            place
                        }
                    };
                    let stored = bytes.end - bytes.start;
                    // The end of a segment is spoken of as well.
                    let length = if part == PARTS - 1 { stored + END_BYTES } else { stored };
                    let (Ok(place), Ok(length)) = (u32::try_from(place), u32::try_from(length)) else {
                        continue;
                    };
                    if length > 0 && place.checked_add(length).is_some() {
                        let role = u8::try_from(number * PARTS + part).unwrap_or(u8::MAX);
                        let element = u32::try_from(index).unwrap_or(u32::MAX);
                        self.spans.push(Span { address: bytes.start, place, bytes: length, element, role });
                    }
                }
            }
            let spans = self.spans.get_mut(first..).unwrap_or_default();
            // What is in the window comes last, and so is found where an end is a beginning, too.
            spans.sort_by_key(|span| (span.address, Reverse(span.place)));
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            element.spans = short(first)..short(self.spans.len());
        }
        self.by_place = (0..u32::try_from(self.spans.len()).unwrap_or(u32::MAX)).collect();
        self.by_place.sort_by_key(|index| self.spans[*index as usize].place);
    }

    /// Where a byte of the file is in the window.
    pub(super) fn place_in_window(&self, file_at: u64) -> Option<u32> {
        let place = file_at.checked_sub(self.window.start)?;
        u32::try_from(place).ok().filter(|place| *place < self.window_bytes())
    }

    /// The size of the window.
    pub(super) fn window_bytes(&self) -> u32 {
        let bytes = self.window.end.saturating_sub(self.window.start);
        u32::try_from(bytes).map_or(BEYOND, |bytes| bytes.min(BEYOND))
    }

    pub(super) fn element(&self, index: u32) -> Option<&Element> {
        self.elements.get(index as usize)
    }

    /// All spans.
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn spans_of(&self, element: u32) -> &[Span] {
        let range = self.element(element).map_or(0..0, |element| element.spans.clone());
        self.spans.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// The span that a place is in.
    #[inline]
    pub(super) fn span_at(&self, place: u32) -> Option<Span> {
        let at = self.by_place.partition_point(|index| self.spans[*index as usize].place <= place);
        let index = *self.by_place.get(at.checked_sub(1)?)?;
        self.spans.get(index as usize).copied().filter(|span| span.has_place(place))
    }

    /// The span of an element that an address is in.
    #[inline]
    pub(super) fn span_of(&self, element: u32, address: u64) -> Option<Span> {
        let spans = self.spans_of(element);
        let at = spans.partition_point(|span| span.address <= address);
        let span = spans.get(at.checked_sub(1)?)?;
        span.has_address(address).then_some(*span)
    }

    /// The place of an address of an element.
    pub(super) fn place_of(&self, element: u32, address: u64) -> Option<u32> {
        let span = self.span_of(element, address)?;
        span.place.checked_add(u32::try_from(address.wrapping_sub(span.address)).ok()?)
    }

    /// The element that a place in the window belongs to, whether or not it is loaded.
    pub(super) fn element_at(&self, place: u32) -> u32 {
        let at = self.window.start.saturating_add(u64::from(place));
        let next = self.elements.partition_point(|element| element.at <= at);
        u32::try_from(next.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The address of a page of an element, counted from its first page.
    pub(super) fn page(&self, element: u32, number: u32) -> u64 {
        let first = self.bounds(element).start & !(PAGE_BYTES - 1);
        first.wrapping_add(u64::from(number).wrapping_mul(PAGE_BYTES))
    }

    /// The span of an element that plays a role.
    pub(super) fn span_with_role(&self, element: u32, role: u8) -> Option<Span> {
        self.spans_of(element).iter().find(|span| span.role == role).copied()
    }

    /// The smallest and the first address beyond the largest of an element. Those of a kernel are in the upper half; what it
    /// has for each processor is not counted.
    pub(super) fn bounds(&self, element: u32) -> Range<u64> {
        let spans = self.spans_of(element);
        let end = spans.iter().map(|span| span.address + u64::from(span.bytes)).max();
        let half = end.unwrap_or(0) >> 63;
        let first = spans.iter().find(|span| span.address >> 63 == half);
        first.map_or(0, |span| span.address)..end.unwrap_or(0)
    }
}

const PAGE_BYTES: u64 = 4096;
const END_BYTES: u64 = 16;

/// The addresses of a segment's parts.
fn parts(element_at: u64, segment: &Segment, window: &Range<u64>) -> [Range<u64>; PARTS] {
    let file_at = element_at.saturating_add(segment.at);
    let before = window.start.saturating_sub(file_at).min(segment.file_bytes);
    let until = window.end.saturating_sub(file_at).min(segment.file_bytes).max(before);
    let address = |bytes: u64| segment.address.saturating_add(bytes);
    [
        address(0)..address(before),
        address(before)..address(until),
        address(until)..address(segment.file_bytes),
        address(segment.file_bytes)..address(segment.memory_bytes),
    ]
}

/// Reads one, while there is work left to spend on headers.
fn read_element(source: &Source<'_>, at: u64, work: &mut usize) -> io::Result<Option<Element>> {
    let header = Header::read(source, at)?;
    let cost = header.map(|header| 1 + usize::from(header.sections));
    let Some((header, left)) = header.zip(cost.and_then(|cost| work.checked_sub(cost))) else {
        return Ok(None);
    };
    *work = left;
    let segments = header.segments(source)?;
    let sections = header.sections(source)?;
    let bytes = header.extent(&segments, &sections);
    let fits = at.checked_add(bytes).is_some_and(|end| end <= source.size());
    let empty = segments.is_empty() && sections.is_empty();
    let element = Element { at, bytes, machine: header.machine, segments, spans: 0..0 };
    Ok((fits && !empty).then_some(element))
}

/// The first place where an ELF file may begin. Steps grow, because most files in an archive follow one another.
fn search(source: &Source<'_>, range: Range<u64>) -> io::Result<Option<u64>> {
    const STEP_BYTES: Range<u64> = 4 << 10..256 << 10;
    let end = range.end.min(source.size());
    let overlap = MAGIC.len() as u64 - 1;
    let (mut at, mut step) = (range.start, STEP_BYTES.start);
    let mut buffer = Vec::new();
    while at + overlap < end {
        let bytes = (end - at).min(step);
        buffer.resize(usize::try_from(bytes).unwrap_or_default(), 0);
        source.fill(at, &mut buffer)?;
        if let Some(within) = find_magic(&buffer) {
            return Ok(Some(at + within as u64));
        }
        at += bytes - overlap;
        step = (2 * step).min(STEP_BYTES.end);
    }
    Ok(None)
}

fn find_magic(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let within = rest.iter().position(|byte| *byte == MAGIC[0])?;
        if rest.get(within..)?.starts_with(&MAGIC) {
            return Some(from + within);
        }
        from += within + 1;
    }
}

impl Element {
    pub(super) fn new(at: u64, machine: Machine, segments: Vec<Segment>) -> Self {
        Self { at, bytes: 0, machine, segments, spans: 0..0 }
    }

    /// An object to be linked: its bytes' addresses are taken to be their places.
    pub(super) fn is_relocatable(&self) -> bool {
        self.segments.is_empty()
    }
}
