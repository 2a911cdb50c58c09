//! Where each node stands, by time: the rows of the raster, and how many nodes stand where.

use groundswell_protocol::node::event::Stage;

use super::timeline::Coarsen;

/// Rows of the raster at most; of larger fleets some nodes are shown.
pub const ROWS_MAX: usize = 400;
/// Of larger fleets so many of the first in line are shown, whatever else is left out.
const FIRST_IN_LINE: usize = 64;

/// Where a node stands: what people tell apart from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Without power.
    Off,
    /// On, and nothing to do.
    Idle,
    /// Takes no part.
    Skipped,
    /// Bytes arrive, or the tree is being built.
    Fetching,
    /// The tree is here; waits for its rank.
    Staged,
    /// Asks for news, tells jurors, switches.
    Switching,
    /// On trial.
    Trial,
    /// Passed the trial.
    Healthy,
    /// Runs what completed fleet-wide.
    Confirmed,
    /// Found it bad: goes back, or is back.
    Failed,
    /// Went back because the rollout was stopped.
    Reverted,
    /// Unhealthy, with nowhere to go back to.
    Stuck,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Off,
        Self::Idle,
        Self::Skipped,
        Self::Fetching,
        Self::Staged,
        Self::Switching,
        Self::Trial,
        Self::Healthy,
        Self::Confirmed,
        Self::Failed,
        Self::Reverted,
        Self::Stuck,
    ];

    /// What a stage looks like from afar.
    pub(super) fn of(stage: Stage) -> Self {
        match stage {
            Stage::NotMine | Stage::Known => Self::Idle,
            Stage::Fetching | Stage::Staging => Self::Fetching,
            Stage::Staged => Self::Staged,
            Stage::Freshening | Stage::Announcing | Stage::Activating => Self::Switching,
            Stage::Trial => Self::Trial,
            Stage::Healthy => Self::Healthy,
            Stage::Confirmed => Self::Confirmed,
            Stage::Reverting | Stage::Reprobing | Stage::Failed => Self::Failed,
            Stage::Reverted => Self::Reverted,
            Stage::Skipped => Self::Skipped,
            Stage::Stuck => Self::Stuck,
        }
    }

    /// Whether the node is in the middle of something that it must end before anything else.
    pub(super) fn is_busy(self) -> bool {
        matches!(self, Self::Switching | Self::Trial)
    }

    /// In one bucket the state that people must not miss wins.
    fn weight(self) -> u8 {
        match self {
            Self::Stuck => 6,
            Self::Failed => 5,
            Self::Trial => 4,
            Self::Off => 3,
            Self::Reverted => 2,
            Self::Healthy => 1,
            _ => 0,
        }
    }
}

/// One node's states by time.
#[derive(Clone, Debug)]
pub struct Row {
    /// The node.
    pub node: u32,
    /// Its rank in the release that the run is about.
    pub rank: Option<u32>,
    /// From which bucket on it was in which state.
    pub runs: Vec<(u32, State)>,
}

impl Row {
    pub(super) fn set(&mut self, bucket: u32, state: State) {
        push(&mut self.runs, bucket, state);
    }
}

impl Coarsen for Row {
    fn coarsen(&mut self) {
        let mut melted = Vec::with_capacity(self.runs.len());
        for (bucket, state) in &self.runs {
            push(&mut melted, bucket / 2, *state);
        }
        self.runs = melted;
    }
}

/// Appends a state. What matters keeps its bucket, and what came after it shows in the next one.
fn push(runs: &mut Vec<(u32, State)>, bucket: u32, state: State) {
    let Some(last) = runs.last_mut() else { return runs.push((bucket, state)) };
    if last.1 == state {
        return;
    }
    if last.0 < bucket {
        return runs.push((bucket, state));
    }
    if last.0 == bucket && last.1.weight() > state.weight() {
        return runs.push((bucket + 1, state));
    }
    last.1 = state;
    if let [.., before, last] = runs.as_slice()
        && before.1 == last.1
    {
        runs.pop();
    }
}

/// The nodes to show, by place in line: all, or the first ones and an even sample of the others.
pub(super) fn sample(line: &[u32]) -> Vec<usize> {
    if line.len() <= ROWS_MAX {
        return (0..line.len()).collect();
    }
    let others = ROWS_MAX - FIRST_IN_LINE;
    let rest = line.len() - FIRST_IN_LINE;
    // The last of the line is always among them.
    let even = (1..=others).map(|nth| FIRST_IN_LINE + nth * rest / others - 1);
    (0..FIRST_IN_LINE).chain(even).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_not_lost_in_a_wide_bucket() {
        let mut row = Row { node: 0, rank: None, runs: Vec::new() };
        row.set(0, State::Idle);
        row.set(100, State::Trial);
        row.set(101, State::Failed);
        row.set(102, State::Idle);
        for _ in 0..5 {
            row.coarsen();
        }
        assert_eq!(row.runs, [(0, State::Idle), (3, State::Failed), (4, State::Idle)]);
    }

    #[test]
    fn a_sample_has_the_first_and_the_last_and_nobody_twice() {
        for nodes in [1_usize, 400, 401, 1_000, 10_000] {
            let line: Vec<u32> = (0..u32::try_from(nodes).unwrap()).collect();
            let places = sample(&line);
            assert_eq!(places.len(), nodes.min(ROWS_MAX));
            assert!(places.is_sorted_by(|a, b| a < b));
            assert_eq!((places[0], places[places.len() - 1]), (0, nodes - 1));
        }
    }
}
