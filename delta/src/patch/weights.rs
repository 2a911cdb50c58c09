//! A file of weights: its tensors by their own coding, everything around them by windows.
//!
//! What is around the tensors is compared as if the tensors were not there: both files without the stretches that the
//! pairs name.

use std::io::{self, Read, Write};
use std::ops::Range;

use super::follow::Follower;
use super::window::Located;
use crate::access::ReadAt;
use crate::error::Reason;
use crate::tensors::{Decoder, Pair};

/// What is made of tensors and of what is around them.
pub(crate) struct Weights {
    pub(super) pairs: Vec<Pair>,
    /// Where in the delta the tensors' differences are.
    pub(super) coded: Range<u64>,
    /// What makes the rest of the new file of the rest of the old one.
    pub(super) windows: Vec<Located>,
    pub(super) new_bytes: u64,
}

/// What is decoded at one time: whole elements of every type.
const BLOCK_BYTES: usize = 64 << 10;

impl Weights {
    /// Writes the new file.
    pub(super) fn follow(
        self,
        old: &dyn ReadAt,
        delta: &dyn ReadAt,
        new: &mut impl Write,
    ) -> Result<(), Reason> {
        let rest = Without::new(old, self.pairs.iter().map(Pair::old_range).collect());
        let mut around = Follower::new(&rest, delta, self.windows);
        let mut decoder = Decoder::new(delta, self.coded)?;
        let (mut was, mut is) = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
        let mut done = 0;
        for pair in &self.pairs {
            copy(&mut around, new, pair.new_at - done)?;
            let mut at = pair.old_at;
            while at < pair.old_at + pair.bytes {
                let bytes =
                    usize::try_from(pair.old_at + pair.bytes - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
                let (Some(was), Some(is)) = (was.get_mut(..bytes), is.get_mut(..bytes)) else { break };
                old.read_exact_at(was, at).map_err(Reason::from_old)?;
                decoder.decode(pair.element, was, is)?;
                new.write_all(is).map_err(Reason::Write)?;
                at += bytes as u64;
            }
            done = pair.new_at + pair.bytes;
        }
        decoder.end()?;
        copy(&mut around, new, self.new_bytes - done)?;
        around.end()
    }
}

fn copy(from: &mut Follower<'_>, to: &mut impl Write, bytes: u64) -> Result<(), Reason> {
    let mut left = bytes;
    let mut buffer = vec![0; BLOCK_BYTES];
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let part = buffer.get_mut(..length).unwrap_or_default();
        from.read_exact(part).map_err(Reason::from_io)?;
        to.write_all(part).map_err(Reason::Write)?;
        left -= length as u64;
    }
    Ok(())
}

/// A file without some stretches of it.
pub(super) struct Without<'a> {
    file: &'a dyn ReadAt,
    /// What is left: where it begins without the stretches, and where it is in the file.
    kept: Vec<(u64, Range<u64>)>,
    size: u64,
}

impl<'a> Without<'a> {
    /// The stretches lie within the file, in any order.
    pub(super) fn new(file: &'a dyn ReadAt, mut stretches: Vec<Range<u64>>) -> Self {
        stretches.sort_unstable_by_key(|stretch| (stretch.start, stretch.end));
        let mut without = Self { file, kept: Vec::new(), size: 0 };
        let mut at = 0;
        for stretch in stretches {
            without.keep(at..stretch.start);
            at = at.max(stretch.end);
        }
        without.keep(at..file.size());
        without
    }

    fn keep(&mut self, range: Range<u64>) {
        if range.start < range.end {
            self.size += range.end - range.start;
            self.kept.push((self.size - (range.end - range.start), range));
        }
    }
}

impl ReadAt for Without<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let next = self.kept.partition_point(|(start, _)| *start <= offset);
            let (start, range) =
                next.checked_sub(1).and_then(|at| self.kept.get(at)).ok_or(io::ErrorKind::UnexpectedEof)?;
            let at = range.start + (offset - start);
            let left =
                range.end.checked_sub(at).filter(|left| *left > 0).ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let (now, later) = buffer.split_at_mut(length);
            self.file.read_exact_at(now, at)?;
            offset += length as u64;
            buffer = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Options, ScratchMemory, apply, diff};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_file_without_stretches_reads_as_what_is_left(
            cuts in proptest::collection::vec((0_u64..200, 0_u64..60), 0..6),
            from in 0_u64..200,
            bytes in 0_usize..200,
        ) {
            let file: Vec<u8> = (0..200).collect();
            let stretches: Vec<_> = cuts.iter().map(|(at, bytes)| *at..(at + bytes).min(200)).collect();
            let is_cut = |at: u64| stretches.iter().any(|stretch| stretch.contains(&at));
            let left: Vec<u8> = (0..200).filter(|at| !is_cut(u64::from(*at))).collect();
            let without = Without::new(&file, stretches.clone());
            prop_assert_eq!(without.size(), left.len() as u64);
            let mut read = vec![0; bytes];
            let expected = usize::try_from(from).ok().and_then(|from| left.get(from..from + bytes));
            match without.read_exact_at(&mut read, from) {
                Ok(()) => prop_assert_eq!(Some(&read[..]), if bytes == 0 { Some(&[][..]) } else { expected }),
                Err(_) => prop_assert!(expected.is_none()),
            }
        }
    }

    /// A safetensors file of two tensors, whose weights are a step further for each version.
    fn weights(version: u16) -> Vec<u8> {
        let header = br#"{"a":{"dtype":"F32","shape":[5000],"data_offsets":[0,20000]},"b":{"dtype":"BF16","shape":[3001],"data_offsets":[20000,26002]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        for number in 0..5000_u16 {
            let weight = (f32::from(number) * 0.7).sin() + f32::from(version) * 1e-6 * f32::from(number % 7);
            file.extend_from_slice(&weight.to_le_bytes());
        }
        for number in 0..3001_u16 {
            let weight = (f32::from(number) * 0.3).cos() + f32::from(version) * 1e-3 * f32::from(number % 5);
            file.extend_from_slice(&weight.to_le_bytes()[2..]);
        }
        file
    }

    #[test]
    fn weights_that_moved_a_little_cost_a_part_of_themselves() {
        let (old, new) = (weights(0), weights(1));
        let mut patch = Vec::new();
        diff(&old, &new, &Options::default(), &mut |_| {}, &mut patch).unwrap();
        assert!(patch.len() < new.len() * 2 / 5, "{} of {}", patch.len(), new.len());
        let mut made = Vec::new();
        apply(&old, &patch, &mut made, &ScratchMemory, &Limits::default()).unwrap();
        assert!(made == new);
        for length in (0..patch.len()).step_by(97) {
            let truncated = &patch[..length];
            assert!(apply(&old, &truncated, &mut Vec::new(), &ScratchMemory, &Limits::default()).is_err());
        }
    }
}
