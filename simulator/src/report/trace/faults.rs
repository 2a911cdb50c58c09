//! Faults with their beginning and end, and what happened in an instant: the lanes of the page.

use std::fmt::Display;

use crate::world::queue::Moment;

/// Spans and marks that are kept; of a storm the first ones, the rest is counted.
pub const SPANS_MAX: usize = 4_096;
/// Longest words of a span, in characters.
const WORDS_MAX: usize = 160;

/// A fault, or something else that people did or that befell the world.
#[derive(Clone, Debug)]
pub struct Span {
    /// Which lane it belongs to: "power", "partition", "disk" and so on.
    pub lane: &'static str,
    /// The node that it befell; `None` for the world.
    pub node: Option<u32>,
    /// What, for people.
    pub words: String,
    /// When it began.
    pub began: Moment,
    /// When it ended; the beginning itself for an instant; `None` if it never did.
    pub ended: Option<Moment>,
}

impl Span {
    /// Whether it lasted no time: an act, not a state.
    pub fn is_mark(&self) -> bool {
        self.ended == Some(self.began)
    }
}

/// All spans of a run.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    spans: Vec<Span>,
    /// Those that have not ended: their place, and the step that is to end them.
    open: Vec<(usize, Option<usize>)>,
    left_out: u64,
}

/// Words cut to a bound that a page can bear.
pub(super) fn clipped(words: &str) -> String {
    match words.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

impl Faults {
    /// A fault begins.
    pub fn began(&mut self, now: Moment, lane: &'static str, node: Option<u32>, words: &dyn Display) {
        self.began_by(None, now, lane, node, words);
    }

    /// A fault begins that a step of the scenario may have brought about.
    pub(super) fn began_by(
        &mut self,
        step: Option<usize>,
        now: Moment,
        lane: &'static str,
        node: Option<u32>,
        words: &dyn Display,
    ) {
        if self.push(now, lane, node, words, None) {
            self.open.push((self.spans.len() - 1, step));
        }
    }

    /// The faults of a lane end that no step has as its own: those of one node, or with `None` all of them.
    pub(super) fn ended(&mut self, now: Moment, lane: &'static str, node: Option<u32>) {
        self.end(now, |span, step| {
            step.is_none() && span.lane == lane && (node.is_none() || span.node == node)
        });
    }

    /// The fault that a step began ends.
    pub(super) fn ended_by(&mut self, step: usize, now: Moment) {
        self.end(now, |_, began_by| began_by == Some(step));
    }

    fn end(&mut self, now: Moment, ends: impl Fn(&Span, Option<usize>) -> bool) {
        let spans = &mut self.spans;
        self.open.retain(|(place, step)| {
            let span = &mut spans[*place];
            let ends = ends(span, *step);
            if ends {
                span.ended = Some(now);
            }
            !ends
        });
    }

    /// Something happens in an instant.
    pub(super) fn marked(&mut self, now: Moment, lane: &'static str, node: Option<u32>, words: &dyn Display) {
        self.push(now, lane, node, words, Some(now));
    }

    fn push(
        &mut self,
        began: Moment,
        lane: &'static str,
        node: Option<u32>,
        words: &dyn Display,
        ended: Option<Moment>,
    ) -> bool {
        if self.spans.len() >= SPANS_MAX {
            self.left_out += 1;
            return false;
        }
        self.spans.push(Span { lane, node, words: clipped(&words.to_string()), began, ended });
        true
    }

    /// In the order in which they began.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many were not kept.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_counted_beyond_its_bound() {
        let mut faults = Faults::default();
        for node in 0..10_000 {
            faults.began(Moment(1), "power", Some(node), &"off");
        }
        assert_eq!(faults.spans().len(), SPANS_MAX);
        assert_eq!(faults.left_out(), 10_000 - SPANS_MAX as u64);
        faults.ended(Moment(2), "power", None);
        assert!(faults.spans().iter().all(|span| span.ended == Some(Moment(2))));
    }

    #[test]
    fn one_node_ends_alone() {
        let mut faults = Faults::default();
        faults.began(Moment(1), "disk", Some(1), &"full");
        faults.began(Moment(1), "disk", Some(2), &"é".repeat(500));
        faults.ended(Moment(5), "disk", Some(1));
        let ends: Vec<_> = faults.spans().iter().map(|span| span.ended).collect();
        assert_eq!(ends, [Some(Moment(5)), None]);
        assert_eq!(faults.spans()[1].words.chars().count(), WORDS_MAX + 1);
    }
}
