//! How far the making of a delta has come.

/// Work done and work in all, in units of about equal time. Both rise together towards the end; the total does not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// Tells someone of progress.
pub(crate) struct Meter<'a> {
    tell: &'a mut dyn FnMut(Progress),
    progress: Progress,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(total: u64, tell: &'a mut dyn FnMut(Progress)) -> Self {
        Self { tell, progress: Progress { done: 0, total } }
    }

    /// So many more units are done.
    pub(crate) fn advance(&mut self, units: u64) {
        self.progress.done = self.progress.done.saturating_add(units).min(self.progress.total);
        (self.tell)(self.progress);
    }

    /// Everything is done.
    pub(crate) fn finish(&mut self) {
        self.advance(u64::MAX);
    }
}
