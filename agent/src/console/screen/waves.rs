//! Waves as bars: one cell or more for each node while they fit, shares of the wave beyond.

use groundswell_protocol::facts::VoteState;
use groundswell_protocol::node::status::RolloutStatus;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::palette::Palette;
use super::text::cut;

/// Columns of a wave's label.
const LABEL_COLUMNS: usize = 10;
/// Columns of the words behind a bar.
const WORDS_COLUMNS: usize = 30;
/// The widest cell of one node.
const CELL_COLUMNS_MAX: usize = 4;

/// Where a node of a wave stands, in the order in which a bar shows shares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Healthy,
    Trying,
    Failed,
    Skips,
    /// Its turn has come; it has not begun.
    Open,
    /// Its turn has not come; the bytes are there.
    Staged,
    /// Its turn has not come.
    Closed,
}

impl Standing {
    pub(super) const ALL: [Self; 7] =
        [Self::Healthy, Self::Trying, Self::Failed, Self::Skips, Self::Open, Self::Staged, Self::Closed];

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Healthy => "█",
            Self::Trying => "▒",
            Self::Failed => "✗",
            Self::Skips => "−",
            Self::Open => "○",
            Self::Staged => "▪",
            Self::Closed => "·",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Trying => "trying",
            Self::Failed => "failed",
            Self::Skips => "skipped",
            Self::Open => "open",
            Self::Staged => "staged",
            Self::Closed => "not staged",
        }
    }

    pub(super) fn style(self, palette: Palette) -> Style {
        match self {
            Self::Healthy => palette.good(),
            Self::Trying => palette.busy(),
            Self::Failed => palette.bad(),
            Self::Open => palette.accent(),
            Self::Skips | Self::Staged | Self::Closed => palette.dim(),
        }
    }
}

/// The number of the wave that is open, counted from 1; 0 before the first.
pub(super) fn reached(rollout: &RolloutStatus) -> usize {
    if rollout.open == 0 {
        return 0;
    }
    let full = rollout.targets.iter().filter(|target| **target < rollout.open).count();
    (full + 1).min(rollout.targets.len())
}

/// Where each node stands, by rank.
fn standings(rollout: &RolloutStatus) -> Vec<Standing> {
    let closed = |rank: u32| if rank < rollout.open { Standing::Open } else { Standing::Closed };
    let mut standings: Vec<_> = (0..rollout.members).map(closed).collect();
    for vote in &rollout.votes {
        let open = vote.rank < rollout.open;
        let standing = match vote.state {
            Some(VoteState::Healthy) => Standing::Healthy,
            Some(VoteState::Trying) => Standing::Trying,
            Some(VoteState::Failed(_)) => Standing::Failed,
            Some(VoteState::Skip(_)) => Standing::Skips,
            Some(VoteState::Staged) if !open => Standing::Staged,
            Some(VoteState::Staged) | None => continue,
        };
        if let Some(place) = standings.get_mut(vote.rank as usize) {
            *place = standing;
        }
    }
    standings
}

/// One line for each wave, at most `rows`; around the open one if they do not fit.
pub(super) fn lines(
    rollout: &RolloutStatus,
    columns: usize,
    rows: usize,
    palette: Palette,
) -> Vec<Line<'static>> {
    let standings = standings(rollout);
    let bar_columns = columns.saturating_sub(LABEL_COLUMNS + WORDS_COLUMNS).max(10);
    let mut waves = Vec::new();
    let mut from = 0;
    for target in &rollout.targets {
        let to = (*target as usize).clamp(from, standings.len());
        waves.push(&standings[from..to]);
        from = to;
    }
    let largest = waves.iter().map(|wave| wave.len()).max().unwrap_or(0);
    let cell = (bar_columns / largest.max(1)).clamp(1, CELL_COLUMNS_MAX);
    let open = reached(rollout);
    let first = open.saturating_sub(rows / 2 + 1).min(waves.len().saturating_sub(rows));
    let ended = rollout.ending.is_some();
    let line = |(place, wave): (usize, &&[Standing])| {
        let mark = if place + 1 == open && !ended { "▸" } else { " " };
        let label = format!("wave {:<2}{mark} ", place + 1);
        let mut spans = vec![Span::raw(format!("{label:<LABEL_COLUMNS$}"))];
        spans.extend(bar(wave, cell, bar_columns, palette));
        spans.push(Span::styled(cut(&words(wave), WORDS_COLUMNS), palette.dim()));
        Line::from(spans)
    };
    waves.iter().enumerate().skip(first).take(rows).map(line).collect()
}

fn bar(wave: &[Standing], cell: usize, columns: usize, palette: Palette) -> Vec<Span<'static>> {
    let mut spans: Vec<_> = if wave.len() <= columns {
        wave.iter().map(|standing| node_cell(*standing, cell, palette)).collect()
    } else {
        shares(wave, columns)
            .into_iter()
            .map(|(standing, columns)| {
                Span::styled(standing.symbol().repeat(columns), standing.style(palette))
            })
            .collect()
    };
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(columns.saturating_sub(used) + 1)));
    spans
}

/// Wide cells leave a gap, so that nodes can be counted.
fn node_cell(standing: Standing, columns: usize, palette: Palette) -> Span<'static> {
    let filled = matches!(standing, Standing::Healthy | Standing::Trying);
    let text = match (columns, filled) {
        (1, _) => standing.symbol().to_owned(),
        (columns, true) => standing.symbol().repeat(columns - 1) + " ",
        (columns, false) => format!("{:<columns$}", format!("{:>1$}", standing.symbol(), columns / 2)),
    };
    Span::styled(text, standing.style(palette))
}

/// How many of `columns` each standing gets: at least one if any node stands so, the rest by share.
fn shares(wave: &[Standing], columns: usize) -> Vec<(Standing, usize)> {
    let counts = Standing::ALL.map(|standing| (standing, wave.iter().filter(|it| **it == standing).count()));
    let mut shares: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(standing, count)| (standing, (count * columns / wave.len()).max(1)))
        .collect();
    let used: usize = shares.iter().map(|(_, columns)| columns).sum();
    if let Some((_, largest)) = shares.iter_mut().max_by_key(|(_, columns)| *columns) {
        *largest = (*largest + columns).saturating_sub(used);
    }
    shares
}

fn words(wave: &[Standing]) -> String {
    let counts = Standing::ALL.into_iter().filter_map(|standing| {
        let count = wave.iter().filter(|it| **it == standing).count();
        (count > 0).then(|| format!("{count} {}", standing.word()))
    });
    Vec::from_iter(counts).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_fill_the_bar_and_show_even_one_failure() {
        let mut wave = vec![Standing::Healthy; 9_000];
        wave.extend([Standing::Failed, Standing::Open]);
        let shares = shares(&wave, 40);
        assert_eq!(shares.iter().map(|(_, columns)| columns).sum::<usize>(), 40);
        assert!(shares.iter().any(|(standing, columns)| *standing == Standing::Failed && *columns == 1));
    }
}
