//! A tree of files in memory, for the tests of this crate.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::access::{Listed, ListedKind, ReadTree, WriteTree};
use crate::tree::TreePath;

/// Files by path; content only for files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) things: BTreeMap<TreePath, (ListedKind, Vec<u8>)>,
    /// How many files, directories and links were begun.
    pub(crate) begun: usize,
    /// As on a full disk: how many bytes may still be written, in all.
    pub(crate) room: Option<usize>,
}

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

impl Memory {
    /// Adds a file and the directories that it needs.
    pub(crate) fn with(mut self, text: &str, content: impl Into<Vec<u8>>) -> Self {
        let mut parent = path(text);
        while let Some(above) = parent.parent().map(path) {
            self.things.insert(above.clone(), (ListedKind::Directory, Vec::new()));
            parent = above;
        }
        let kind = ListedKind::File { executable: false };
        self.things.insert(path(text), (kind, content.into()));
        self
    }

    pub(crate) fn with_link(mut self, text: &str, target: &str) -> Self {
        let target = target.to_owned();
        self.things.insert(path(text), (ListedKind::Symlink { target }, Vec::new()));
        self
    }
}

impl ReadTree for Memory {
    type File = Vec<u8>;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let listed = self
            .things
            .iter()
            .rev()
            .map(|(path, (kind, _))| Listed { path: path.clone(), kind: kind.clone() });
        Ok(listed.collect())
    }

    fn open(&self, path: &TreePath) -> io::Result<Self::File> {
        match self.things.get(path) {
            Some((ListedKind::File { .. }, content)) => Ok(content.clone()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

pub(crate) struct Unfinished {
    path: TreePath,
    kind: ListedKind,
    content: Vec<u8>,
    room: Option<usize>,
}

impl Write for Unfinished {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.room.is_some_and(|room| self.content.len() + buffer.len() > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteTree for Memory {
    type File = Unfinished;

    fn directory(&mut self, path: &TreePath) -> io::Result<()> {
        self.begun += 1;
        self.things.insert(path.clone(), (ListedKind::Directory, Vec::new()));
        Ok(())
    }

    fn symlink(&mut self, path: &TreePath, target: &str) -> io::Result<()> {
        self.begun += 1;
        let target = target.to_owned();
        self.things.insert(path.clone(), (ListedKind::Symlink { target }, Vec::new()));
        Ok(())
    }

    fn create(&mut self, path: &TreePath, executable: bool) -> io::Result<Unfinished> {
        self.begun += 1;
        Ok(Unfinished {
            path: path.clone(),
            kind: ListedKind::File { executable },
            content: Vec::new(),
            room: self.room,
        })
    }

    fn finish(&mut self, file: Unfinished) -> io::Result<()> {
        self.things.insert(file.path, (file.kind, file.content));
        Ok(())
    }
}
