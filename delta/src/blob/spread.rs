//! A row of bytes cut into new files, each checked before it is finished.

use std::io::{self, Write};

use crate::access::WriteTree;
use crate::error::Reason;
use crate::tree::TreePath;
use crate::witness::Witness;

use super::files::File;

/// Writes one new file after another. Whoever writes to it sees an error of writing; what really happened, and to which
/// file, it keeps.
pub(super) struct Spread<'a, W: WriteTree, I> {
    files: I,
    into: &'a mut W,
    open: Option<Open<'a, W::File>>,
    failed: Option<Reason>,
}

struct Open<'a, F> {
    file: File<'a>,
    out: Witness<F>,
}

impl<'a, W: WriteTree, I: Iterator<Item = File<'a>>> Spread<'a, W, I> {
    /// Begins the first file.
    pub(super) fn new(files: I, into: &'a mut W) -> Self {
        let mut spread = Self { files, into, open: None, failed: None };
        spread.failed = spread.begin().err();
        spread
    }

    /// The file in work.
    pub(super) fn path(&self) -> Option<&'a TreePath> {
        self.open.as_ref().map(|open| &open.file.entry.path)
    }

    /// After everything was written, or could not be: what went wrong.
    pub(super) fn end(&mut self, outcome: Result<(), Reason>) -> Result<(), Reason> {
        match (self.failed.take(), outcome) {
            (Some(reason), _) => Err(reason),
            (None, Err(reason)) => Err(reason),
            (None, Ok(())) if self.open.is_some() => Err(Reason::Truncated),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Begins the next file, and finishes those that are empty.
    fn begin(&mut self) -> Result<(), Reason> {
        while self.open.is_none() {
            let Some(file) = self.files.next() else { return Ok(()) };
            let out = self.into.create(&file.entry.path, file.executable).map_err(Reason::Write)?;
            self.open = Some(Open { file, out: Witness::new(out) });
            self.finish_whole()?;
        }
        Ok(())
    }

    /// Finishes the file in work if all its bytes are there.
    fn finish_whole(&mut self) -> Result<(), Reason> {
        let Some(open) = self.open.take_if(|open| open.out.bytes() == open.file.bytes) else {
            return Ok(());
        };
        let (made, promised) = (open.out.digest(), *open.file.digest);
        if made != promised {
            self.open = Some(open);
            return Err(Reason::Content { made, promised });
        }
        self.into.finish(open.out.into_inner()).map_err(Reason::Write)
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        let Some(open) = &mut self.open else {
            return Err(Reason::Malformed("a group makes more than its files"));
        };
        let left = open.file.bytes - open.out.bytes();
        let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        open.out.write_all(bytes.get(..length).unwrap_or_default()).map_err(Reason::Write)?;
        self.finish_whole()?;
        self.begin()?;
        Ok(length)
    }
}

impl<'a, W: WriteTree, I: Iterator<Item = File<'a>>> Write for Spread<'a, W, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        self.write_some(bytes).map_err(|reason| {
            self.failed = Some(reason);
            io::ErrorKind::Other.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
