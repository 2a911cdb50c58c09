//! The headers of a tar archive (POSIX.1-2001, "ustar Interchange Format" and "pax Interchange Format").
//!
//! From one release to the next nearly every header changes, and in the same way: the owner, the first directory's name, the
//! times. So a header's bytes are expected to change as those of the header before it did. Two fields follow from
//! others: the time of a member from the pax record before it, and the checksum from all the rest.

use std::io;
use std::ops::Range;

use super::changes::Changes;
use super::{Field, Model, Piece};
use crate::access::ReadAt;

const BLOCK_BYTES: u64 = 512;
/// Where a header says what it is, and what it says.
const MAGIC: Range<usize> = 257..262;
const USTAR: &[u8] = b"ustar";
/// A member's size in a header, in octal digits.
const SIZE: Range<usize> = 124..135;
/// A member's time, in octal digits with a terminator.
const TIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
/// The kind of a pax header for the member after it.
const PAX: u8 = b'x';
/// What a time in a pax record begins with, and how many digits its seconds have until the year 2286.
const PAX_TIME: &[u8] = b"mtime=";
const PAX_TIME_DIGITS: usize = 10;

/// The fields of a header; those of more than eight bytes are predicted in parts.
const FIELDS: [Range<usize>; 16] = [
    0..100,
    100..108,
    108..116,
    116..124,
    124..136,
    TIME,
    CHECKSUM,
    KIND..KIND + 1,
    157..257,
    257..265,
    265..297,
    297..329,
    329..337,
    337..345,
    345..500,
    500..512,
];
/// A field's name: its header's number above, its part below. The two highest parts are a pax record's seconds.
const PART_BITS: u32 = 8;
const PAX_PARTS: [(u64, Range<usize>); 2] = [(254, 0..8), (255, 8..PAX_TIME_DIGITS)];

/// How far the first header of a window is sought.
const SEARCHED_BYTES: u64 = 8 << 20;
/// Most headers that are predicted: the rest is taken as it is.
const HEADERS_MAX: usize = 1 << 20;

/// A header in the old window, with the seconds of its pax record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    at: u32,
    pax_time_at: Option<u32>,
}

/// Predicts headers from those before them.
pub(crate) struct TarModel<'a> {
    old: &'a dyn ReadAt,
    window_at: u64,
    headers: Vec<Header>,
    parts: Vec<Range<usize>>,
    /// What a part became, by what it was.
    learned: Changes,
    /// The last header, as it was and as it is.
    before: [[u8; 512]; 2],
    /// The header in work, as it was and, as far as it is known, as it is.
    current: [[u8; 512]; 2],
    current_number: Option<u64>,
    /// The seconds of the latest pax record, as they are.
    pax_time: [u8; PAX_TIME_DIGITS],
}

impl<'a> TarModel<'a> {
    /// Reads the headers of archives in a window of the old file, the first of which begins near the window's start. None if
    /// there is no archive.
    pub(crate) fn find(old: &'a dyn ReadAt, window: Range<u64>) -> io::Result<Option<Self>> {
        let mut headers = Vec::new();
        if let Some(start) = first_header(old, &window)? {
            find_headers(old, start, &window, &mut headers)?;
        }
        Ok((!headers.is_empty()).then(|| Self {
            old,
            window_at: window.start,
            headers,
            parts: parts(),
            learned: Changes::new(),
            before: [[0; 512]; 2],
            current: [[0; 512]; 2],
            current_number: None,
            pax_time: [b' '; PAX_TIME_DIGITS],
        }))
    }

    /// Begins another header when a part belongs to it.
    fn turn_to(&mut self, number: u64) {
        if self.current_number == Some(number) {
            return;
        }
        self.before = self.current;
        self.current_number = Some(number);
        let header = usize::try_from(number).ok().and_then(|number| self.headers.get(number));
        let at = header.map_or(0, |header| self.window_at + u64::from(header.at));
        // A header that cannot be read now could be read before: what is made of it will not be what was promised.
        let [was, is] = &mut self.current;
        if self.old.read_exact_at(was, at).is_err() {
            was.fill(0);
        }
        *is = *was;
    }

    fn range(&self, part: u64) -> Range<usize> {
        usize::try_from(part).ok().and_then(|part| self.parts.get(part)).cloned().unwrap_or_default()
    }

    /// What a part is expected to be: what the same became before, else changed as in the header before.
    fn expected(&self, part: u64, was: u64) -> u64 {
        if let Some(is) = self.learned.get(part, was) {
            return is;
        }
        let mut bytes = was.to_le_bytes();
        let [before_was, before_is] = &self.before;
        for (at, byte) in self.range(part).zip(&mut bytes) {
            if *byte == before_was[at] {
                *byte = before_is[at];
            }
        }
        u64::from_le_bytes(bytes)
    }

    /// Part of the time, in octal, if a pax record gave it.
    fn time(&self, range: &Range<usize>) -> Option<u64> {
        let digits = std::str::from_utf8(&self.pax_time).ok()?;
        let octal = format!("{:011o}\0", digits.parse::<u64>().ok()?);
        octal.as_bytes().get(range.start - TIME.start..range.end - TIME.start).map(number)
    }

    /// The sum of all bytes, this field's taken as blanks; those after it as they are expected.
    fn checksum(&self) -> u64 {
        let [was, is] = &self.current;
        let known = is.iter().take(CHECKSUM.start).map(|byte| u32::from(*byte)).sum::<u32>();
        let mut sum = known + 8 * u32::from(b' ');
        for (part, range) in (0..).zip(&self.parts).filter(|(_, range)| range.start >= CHECKSUM.end) {
            let expected = self.expected(part, number(&was[range.clone()])).to_le_bytes();
            sum += expected.iter().take(range.len()).map(|byte| u32::from(*byte)).sum::<u32>();
        }
        number(format!("{sum:06o}\0 ").as_bytes())
    }
}

impl Model for TarModel<'_> {
    type Name = u64;
    const LOOKS_BEFORE: bool = false;

    fn fields(&mut self, piece: &Piece<'_>, out: &mut Vec<Field<u64>>) {
        let old = piece.range();
        let reach = u32::try_from(2 * BLOCK_BYTES).unwrap_or_default();
        let first = self.headers.partition_point(|header| header.at.saturating_add(reach) < old.start);
        for (number, header) in self.headers.iter().enumerate().skip(first) {
            let number = number as u64;
            if header.at.saturating_sub(reach) >= old.end {
                break;
            }
            let mut push = |at: u32, part: u64, bytes: usize| {
                let bytes = u8::try_from(bytes).unwrap_or_default();
                if at >= old.start && at + u32::from(bytes) <= old.end {
                    out.push(Field { at, bytes, name: number << PART_BITS | part });
                }
            };
            if let Some(at) = header.pax_time_at {
                for (part, range) in PAX_PARTS {
                    push(at + short(range.start), part, range.len());
                }
            }
            for (part, range) in (0..).zip(&self.parts) {
                push(header.at + short(range.start), part, range.len());
            }
        }
    }

    fn predict(&mut self, field: &Field<u64>, was: u64, _: u32) -> Option<u64> {
        let part = field.name & ((1 << PART_BITS) - 1);
        if PAX_PARTS.iter().any(|(pax, _)| *pax == part) {
            return self.learned.get(part, was);
        }
        self.turn_to(field.name >> PART_BITS);
        let range = self.range(part);
        let follows = if range == CHECKSUM {
            Some(self.checksum())
        } else if TIME.contains(&range.start) {
            self.time(&range)
        } else {
            None
        };
        Some(follows.unwrap_or_else(|| self.expected(part, was)))
    }

    fn learn(&mut self, field: &Field<u64>, was: u64, _: u32, is: u64) {
        let part = field.name & ((1 << PART_BITS) - 1);
        self.learned.set(part, was, is);
        if let Some((_, range)) = PAX_PARTS.into_iter().find(|(pax, _)| *pax == part) {
            for (at, byte) in range.zip(is.to_le_bytes()) {
                self.pax_time[at] = byte;
            }
            return;
        }
        self.turn_to(field.name >> PART_BITS);
        let range = self.range(part);
        for (at, byte) in range.clone().zip(is.to_le_bytes()) {
            self.current[1][at] = byte;
        }
        if range.end == self.current[1].len() && self.current[1][KIND] != PAX {
            // A pax record is for one member only.
            self.pax_time = [b' '; PAX_TIME_DIGITS];
        }
    }
}

/// Where the first header of a window is: at its start, or where the member ends that the window begins within.
fn first_header(old: &dyn ReadAt, window: &Range<u64>) -> io::Result<Option<u64>> {
    let mut at = window.start.next_multiple_of(BLOCK_BYTES);
    let end = if window.start == 0 { BLOCK_BYTES } else { window.start.saturating_add(SEARCHED_BYTES) };
    let mut block = [0; 512];
    while at < end && at.saturating_add(BLOCK_BYTES) <= window.end {
        old.read_exact_at(&mut block, at)?;
        if member_size(&block).is_some() {
            return Ok(Some(at));
        }
        at += BLOCK_BYTES;
    }
    Ok(None)
}

/// Appends the headers of one archive after another.
fn find_headers(
    old: &dyn ReadAt,
    start: u64,
    window: &Range<u64>,
    headers: &mut Vec<Header>,
) -> io::Result<()> {
    let mut at = start;
    let mut pax_time_at = None;
    let mut block = [0; 512];
    while at.saturating_add(BLOCK_BYTES) <= window.end && headers.len() < HEADERS_MAX {
        old.read_exact_at(&mut block, at)?;
        let Some(size) = member_size(&block) else { break };
        let within = |at: u64| u32::try_from(at - window.start).ok();
        let Some(header_at) = within(at) else { break };
        headers.push(Header { at: header_at, pax_time_at: pax_time_at.take() });
        let content = at + BLOCK_BYTES;
        if block[KIND] == PAX && content + BLOCK_BYTES <= window.end {
            old.read_exact_at(&mut block, content)?;
            pax_time_at = find_pax_time(&block).and_then(|place| within(content + place));
        }
        at = content.saturating_add(size.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES));
    }
    Ok(())
}

/// The size of the member whose header this is, if it is one. Links and directories have none in fact.
fn member_size(block: &[u8; 512]) -> Option<u64> {
    if block[MAGIC] != *USTAR {
        return None;
    }
    let digits =
        block[SIZE].iter().skip_while(|byte| **byte == b' ').take_while(|byte| byte.is_ascii_digit());
    let size = digits.fold(0_u64, |size, digit| size << 3 | u64::from(digit & 7));
    let has_content = !matches!(block[KIND], b'1'..=b'6');
    Some(if has_content { size } else { 0 })
}

/// Where a block of pax records has the seconds of a time, all of whose digits are there.
fn find_pax_time(block: &[u8; 512]) -> Option<u64> {
    let at = block.windows(PAX_TIME.len()).position(|window| window == PAX_TIME)? + PAX_TIME.len();
    let digits = block.get(at..at + PAX_TIME_DIGITS)?;
    digits.iter().all(u8::is_ascii_digit).then_some(at as u64)
}

fn parts() -> Vec<Range<usize>> {
    let split = |field: Range<usize>| {
        let end = field.end;
        field.step_by(8).map(move |start| start..(start + 8).min(end))
    };
    FIELDS.into_iter().flat_map(split).collect()
}

fn number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    for (to, from) in number.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(number)
}

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Options, ScratchMemory, apply, diff};
    use proptest::prelude::*;

    /// A header as tar writes it.
    fn header(name: &str, kind: u8, size: usize, time: u64, owner: &str) -> Vec<u8> {
        let mut header = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, format!("{time:011o}\0").as_bytes());
        put(148, b"        ");
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        put(265, owner.as_bytes());
        let sum = header.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    }

    fn block(content: &[u8]) -> Vec<u8> {
        let mut block = content.to_vec();
        block.resize(content.len().div_ceil(512) * 512, 0);
        block
    }

    /// An archive whose members' times are all different, as a release has it.
    fn archive(version: &str, time: u64, owner: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        for number in 0..60_u64 {
            let time = time + number * number;
            let record = format!("28 mtime={time}.1234567\n");
            archive.extend(header("pax", PAX, record.len(), 0, ""));
            archive.extend(block(record.as_bytes()));
            let content = format!("member {number} of an archive");
            archive.extend(header(&format!("tool-{version}/{number}"), b'0', content.len(), time, owner));
            archive.extend(block(content.as_bytes()));
        }
        archive.extend([0; 1024]);
        archive
    }

    fn round_trip(old: &[u8], new: &[u8]) -> usize {
        let mut patch = Vec::new();
        diff(&old, &new, &Options::default(), &mut |_| {}, &mut patch).unwrap();
        let mut made = Vec::new();
        apply(&old, &patch, &mut made, &ScratchMemory, &Limits::default()).unwrap();
        assert_eq!(made, new);
        patch.len()
    }

    #[test]
    fn headers_follow_from_those_before_and_from_pax_records() {
        let old = archive("1.2.3", 1_791_287_822, "ann");
        let new = archive("1.2.4", 1_793_713_781, "bob");
        let with_headers = round_trip(&old, &new);
        // The same bytes, but no archive.
        let (mut old, mut new) = (old, new);
        old.splice(0..0, *b"x");
        new.splice(0..0, *b"x");
        let without = round_trip(&old, &new);
        assert!(with_headers * 4 < without * 3, "{with_headers} {without}");
    }

    #[test]
    fn a_checksum_follows_from_its_header() {
        let archive = archive("1", 1_791_287_822, "ann");
        let mut model = TarModel::find(&archive, 0..archive.len() as u64).unwrap().unwrap();
        let mut fields = Vec::new();
        let piece = Piece { region: 0..u32::MAX, at: 0, bytes: &archive, before: &[] };
        model.fields(&piece, &mut fields);
        for field in fields {
            let at = field.at as usize;
            let is = number(&archive[at..at + usize::from(field.bytes)]);
            let expected = model.predict(&field, is, 0);
            if at % 512 == CHECKSUM.start {
                assert_eq!(expected, Some(is));
            }
            model.learn(&field, is, 0, is);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn changed_archives_come_out_right(
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
            to_old: bool,
        ) {
            let (mut old, mut new) = (archive("1.2.3", 1_791_287_822, "ann"), archive("1.2.4", 9, "bob"));
            let edited = if to_old { &mut old } else { &mut new };
            for (at, byte) in edits {
                let at = at.index(edited.len());
                edited[at] = byte;
            }
            round_trip(&old, &new);
        }
    }
}
