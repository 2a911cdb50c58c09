//! Room for files that are needed only while a version is built: without a name, gone when they are closed or the
//! process ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use groundswell_delta::{ReadAt, Scratch, ScratchFile};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::disk::{Step, step};

/// The disk of a directory.
pub(crate) struct ScratchSpace {
    directory: PathBuf,
}

impl ScratchSpace {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }
}

impl Scratch for ScratchSpace {
    fn file(&self) -> io::Result<Box<dyn ScratchFile>> {
        step(Step::Create, &self.directory)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(CWD, &self.directory, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Box::new(Unnamed { file: file.into(), bytes: 0 }))
    }
}

/// A file without a name.
struct Unnamed {
    file: File,
    bytes: u64,
}

impl Write for Unnamed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ReadAt for Unnamed {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_can_be_read_and_leaves_nothing() {
        let room = tempfile::tempdir().unwrap();
        let mut file = ScratchSpace::in_directory(room.path()).file().unwrap();
        file.write_all(b"on the ").unwrap();
        file.write_all(b"way").unwrap();
        let mut end = [0; 5];
        file.read_exact_at(&mut end, 5).unwrap();
        assert_eq!((file.size(), &end), (10, b"e way"));
        assert!(file.read_exact_at(&mut end, 6).is_err());
        assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 0);
    }
}
