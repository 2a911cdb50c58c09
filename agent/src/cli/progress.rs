//! A bar on standard error for work that takes longer than a second.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::screen::Screen;

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

const BYTES_OF: &str = "{msg} [{bar:24}] {bytes}/{total_bytes} {eta}";
const BYTES: &str = "{msg} {spinner} {bytes}";
const STEPS: &str = "[{bar:24}] {pos}/{len} {msg} {elapsed}";

/// A bar that appears once the work has taken a second, and leaves no trace.
pub(super) struct Progress {
    shows: bool,
    state: RefCell<State>,
}

struct State {
    bar: ProgressBar,
    label: String,
    began: Instant,
    visible: bool,
}

impl Progress {
    pub(super) fn new(screen: Screen) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let state = State { bar, label: String::new(), began: Instant::now(), visible: false };
        Self { shows: screen.shows_progress(), state: RefCell::new(state) }
    }

    /// As [`Self::new`], but silent where nothing is to be said.
    pub(super) fn unless(quiet: bool, screen: Screen) -> Self {
        let mut progress = Self::new(screen);
        progress.shows &= !quiet;
        progress
    }

    /// Says how far the work called `label` has come, in bytes.
    pub(super) fn tell(&self, label: &str, done: u64, total: Option<u64>) {
        self.show(label, done, total, if total.is_some() { BYTES_OF } else { BYTES });
    }

    /// Says which of so many steps is being done.
    pub(super) fn step(&self, label: &str, done: u64, total: u64) {
        self.show(label, done, Some(total), STEPS);
    }

    /// Says something that stays, above the bar.
    pub(super) fn say(&self, line: &str) {
        self.state.borrow().bar.suspend(|| eprintln!("{line}"));
    }

    fn show(&self, label: &str, done: u64, total: Option<u64>, template: &str) {
        if !self.shows {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        if !state.visible && state.began.elapsed() < PATIENCE {
            return;
        }
        if !state.visible || state.label != label {
            state.visible = true;
            label.clone_into(&mut state.label);
            state.bar.finish_and_clear();
            state.bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            state.bar.set_style(style(template));
            state.bar.set_message(label.to_owned());
        }
        state.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.state.borrow().bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("BUG: the template is a constant that parses")
        .progress_chars("##.")
}
