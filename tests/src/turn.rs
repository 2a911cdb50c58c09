//! Taking turns: a few fleets at a time, however many tests run at once.

use std::sync::{Condvar, Mutex, PoisonError};

/// Fleets at once. Timers of the protocol mean something only while its processes get to run.
const FLEETS_MAX: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The right to run a fleet; given back when dropped.
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Waits for a turn. Blocks.
    pub fn take() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let free = ENDED.wait_while(running, |running| *running >= FLEETS_MAX);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
