//! What predicted bytes were wrong by.
//!
//! Most predictions are right, so what travels is: how many bytes are right, how many after them are wrong, and what to
//! add to those. Where nearly all are wrong, what to add to every byte packs better.

use crate::codec::Unpacker;
use crate::error::Reason;
use crate::numbers;

/// Corrects guessed bytes, in the new file's order. Making a patch and following one differ only in this.
pub(super) trait Correct {
    /// Makes guessed bytes right.
    fn correct(&mut self, guess: &mut [u8]) -> Result<(), Reason>;

    /// How many of the next bytes are known to be right as they are guessed, whatever the guess.
    fn sure(&self) -> usize;
}

/// When a patch is made: knows the right bytes, and records what was wrong.
pub(super) struct Recorder<'a> {
    new: &'a [u8],
    at: usize,
    /// Right bytes since the last wrong one.
    right: u64,
    /// Wrong bytes in the run that is still growing.
    wrong: u64,
    pub(super) recorded: Differences,
}

/// Three streams, unpacked.
#[derive(Default)]
pub(super) struct Differences {
    /// Right bytes before each run of wrong ones.
    pub(super) rights: Vec<u8>,
    /// The length of each run of wrong ones.
    pub(super) runs: Vec<u8>,
    /// What to add to each wrong byte.
    pub(super) values: Vec<u8>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(new: &'a [u8]) -> Self {
        Self { new, at: 0, right: 0, wrong: 0, recorded: Differences::default() }
    }

    /// Goes on at another place of the new file.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// Ends the recording. Right bytes at the end need no mention.
    pub(super) fn finish(mut self) -> Differences {
        self.end_run();
        self.recorded
    }

    fn end_run(&mut self) {
        if self.wrong > 0 {
            numbers::put(&mut self.recorded.rights, self.right);
            numbers::put(&mut self.recorded.runs, self.wrong);
            (self.right, self.wrong) = (0, 0);
        }
    }
}

impl Correct for Recorder<'_> {
    fn sure(&self) -> usize {
        0
    }

    fn correct(&mut self, guess: &mut [u8]) -> Result<(), Reason> {
        let is = &self.new[self.at..self.at + guess.len()];
        self.at += guess.len();
        if guess == is {
            if !guess.is_empty() {
                self.end_run();
            }
            self.right += guess.len() as u64;
            return Ok(());
        }
        for (guess, is) in guess.iter_mut().zip(is) {
            if guess == is {
                self.end_run();
                self.right += 1;
            } else {
                self.wrong += 1;
                self.recorded.values.push(is.wrapping_sub(*guess));
                *guess = *is;
            }
        }
        Ok(())
    }
}

/// When a patch is followed: knows only what was recorded.
pub(super) struct Corrections<'a> {
    rights: Numbers<'a>,
    runs: Numbers<'a>,
    values: Unpacker<'a>,
    /// Right bytes still to come before the next run.
    right: u64,
    /// Wrong bytes still to come in this run.
    wrong: u64,
}

impl<'a> Corrections<'a> {
    pub(super) fn new(
        rights: Unpacker<'a>,
        runs: Unpacker<'a>,
        values: Unpacker<'a>,
    ) -> Result<Self, Reason> {
        let (rights, runs) = (Numbers::new(rights), Numbers::new(runs));
        let mut corrections = Self { rights, runs, values, right: 0, wrong: 0 };
        corrections.next_run()?;
        Ok(corrections)
    }

    fn next_run(&mut self) -> Result<(), Reason> {
        match self.rights.next()? {
            Some(right) => {
                self.right = right;
                let Some(wrong) = self.runs.next()?.filter(|wrong| *wrong > 0) else {
                    return Err(Reason::Malformed("a run of differences has no length"));
                };
                self.wrong = wrong;
            }
            // Everything after the last run is right.
            None => self.right = u64::MAX,
        }
        Ok(())
    }

    /// Ends it: all that was recorded must have been used.
    pub(super) fn end(self) -> Result<(), Reason> {
        if self.wrong > 0 {
            return Err(Reason::Malformed("differences are left over"));
        }
        self.rights.source.end()?;
        self.runs.source.end()?;
        self.values.end()
    }
}

impl Correct for Corrections<'_> {
    #[inline]
    fn sure(&self) -> usize {
        usize::try_from(self.right).unwrap_or(usize::MAX)
    }

    #[inline]
    fn correct(&mut self, guess: &mut [u8]) -> Result<(), Reason> {
        let length = guess.len() as u64;
        if self.right >= length {
            self.right -= length;
            return Ok(());
        }
        self.change(guess)
    }
}

impl Corrections<'_> {
    /// Corrects bytes that are not all right.
    #[inline(never)]
    fn change(&mut self, mut guess: &mut [u8]) -> Result<(), Reason> {
        loop {
            let length = guess.len() as u64;
            if self.right >= length {
                self.right -= length;
                return Ok(());
            }
            let right = usize::try_from(self.right).unwrap_or_default();
            let rest = guess.get_mut(right..).unwrap_or_default();
            self.right = 0;
            let wrong = usize::try_from(self.wrong.min(rest.len() as u64)).unwrap_or_default();
            let (now, later) = rest.split_at_mut(wrong);
            self.add(now)?;
            self.wrong -= wrong as u64;
            if self.wrong == 0 {
                self.next_run()?;
            }
            if later.is_empty() {
                return Ok(());
            }
            guess = later;
        }
    }

    fn add(&mut self, bytes: &mut [u8]) -> Result<(), Reason> {
        let mut part = [0; 256];
        for bytes in bytes.chunks_mut(part.len()) {
            let part = part.get_mut(..bytes.len()).unwrap_or_default();
            self.values.fill(part)?;
            for (byte, add) in bytes.iter_mut().zip(part.iter()) {
                *byte = byte.wrapping_add(*add);
            }
        }
        Ok(())
    }
}

/// Numbers of a stream, one by one.
struct Numbers<'a> {
    source: Unpacker<'a>,
    buffer: Vec<u8>,
    used: usize,
}

impl<'a> Numbers<'a> {
    const BUFFER_BYTES: usize = 4 << 10;

    fn new(source: Unpacker<'a>) -> Self {
        Self { source, buffer: Vec::new(), used: 0 }
    }

    /// The next one, or none at the stream's end.
    fn next(&mut self) -> Result<Option<u64>, Reason> {
        if self.buffer.len() - self.used < numbers::NUMBER_BYTES_MAX {
            self.refill()?;
        }
        let mut rest = self.buffer.get(self.used..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let number = numbers::take(&mut rest)?;
        self.used = self.buffer.len() - rest.len();
        Ok(Some(number))
    }

    fn refill(&mut self) -> Result<(), Reason> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let kept = self.buffer.len();
        let more = self.source.left().min((Self::BUFFER_BYTES - kept) as u64);
        self.buffer.resize(kept + usize::try_from(more).unwrap_or_default(), 0);
        self.source.fill(self.buffer.get_mut(kept..).unwrap_or_default())
    }
}
