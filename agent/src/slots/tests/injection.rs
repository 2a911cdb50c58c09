//! Failing, "crashing" and recording at every change of the disk, in the thread of a test.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use super::super::disk::Step;

/// What happens at the change with a given number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Failure {
    /// It and all later ones fail, as if the process were gone.
    Crash,
    /// It alone fails: the disk is full.
    Full,
}

#[derive(Default)]
struct Injected {
    at: Option<(usize, Failure)>,
    trace: Vec<(Step, PathBuf)>,
}

thread_local! {
    static INJECTED: RefCell<Injected> = RefCell::default();
}

pub(in super::super) fn step(step: Step, path: &Path) -> io::Result<()> {
    INJECTED.with_borrow_mut(|injected| {
        let number = injected.trace.len();
        injected.trace.push((step, path.to_owned()));
        match injected.at {
            Some((at, Failure::Crash)) if number >= at => Err(io::Error::other("the process is gone")),
            Some((at, Failure::Full)) if number == at => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    })
}

/// Runs something that meets a failure at a change; gives the changes that it tried, too.
pub(in super::super) fn with_failure<T>(
    at: Option<(usize, Failure)>,
    work: impl FnOnce() -> T,
) -> (T, Vec<(Step, PathBuf)>) {
    INJECTED.set(Injected { at, trace: Vec::new() });
    let done = work();
    (done, INJECTED.take().trace)
}
