//! What arrives: votes with their reasons, and all other events. The newest is at the bottom.

use groundswell_protocol::facts::health::{Health, HealthNumbers};
use groundswell_protocol::facts::{Failure, VoteState};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::Event;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::palette::Palette;
use super::text::{clock, cut, wrap};
use super::{heading, panel};
use crate::console::model::{Model, TailLine};
use crate::control::api::EventLine;
use crate::telemetry::words::{hold_words, instruction_words, rollout_of, sentence};

/// Lines that one vote's reason or one event may take.
const WRAP_LINES: usize = 3;
/// Columns before an event's words: time and symbol.
const LEAD_COLUMNS: usize = 11;

/// Draws the votes on the chosen rollout as they arrived, or as they stand if none was seen arriving.
pub(super) fn draw_votes(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let inside = panel(frame, area, heading("Votes", palette), palette);
    let (columns, rows) = (usize::from(inside.width), usize::from(inside.height));
    let Some(rollout) = model.selected() else { return };
    let arrived = model.votes.iter().rev().filter(|line| rollout_of(&line.event) == Some(rollout.rollout));
    let mut blocks: Vec<Vec<Line<'static>>> = Vec::new();
    for line in arrived.take(rows) {
        if let Event::Vote { node, state, numbers, note, .. } = &line.event {
            blocks.push(vote_lines(&clock(line.unix_ms), *node, *state, numbers, note, columns, palette));
        }
    }
    if blocks.is_empty() {
        let cast = rollout.votes.iter().filter_map(|vote| Some((vote, vote.state?)));
        let cast = cast.filter(|(_, state)| *state != VoteState::Staged).take(rows);
        for (vote, state) in cast {
            let rank = format!("rank {:<3}", vote.rank + 1);
            blocks.push(vote_lines(&rank, vote.node, state, &vote.numbers, &vote.note, columns, palette));
        }
        blocks.reverse();
    }
    if blocks.is_empty() {
        frame.render_widget(Line::from(Span::styled("none yet", palette.dim())), inside);
        return;
    }
    frame.render_widget(Paragraph::new(bottom(blocks, rows)), inside);
}

/// Draws all events but votes.
pub(super) fn draw_gossip(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let inside = panel(frame, area, heading("Events", palette), palette);
    let (columns, rows) = (usize::from(inside.width), usize::from(inside.height));
    let blocks = model.gossip.iter().rev().take(rows).map(|line| match line {
        TailLine::Event(line) => event_lines(line, model, columns, palette),
        TailLine::Missed(missed) => {
            let words = format!("… {missed} events went by unseen");
            vec![Line::from(Span::styled(cut(&words, columns), palette.dim()))]
        }
    });
    let blocks = Vec::from_iter(blocks);
    if blocks.is_empty() {
        frame.render_widget(Line::from(Span::styled("none yet", palette.dim())), inside);
        return;
    }
    frame.render_widget(Paragraph::new(bottom(blocks, rows)), inside);
}

/// The last `rows` lines of blocks that come newest first, oldest on top. A block that does not fit
/// whole is left out, unless nothing else would be shown.
fn bottom(blocks: Vec<Vec<Line<'static>>>, rows: usize) -> Vec<Line<'static>> {
    let mut kept: Vec<Vec<Line<'static>>> = Vec::new();
    let mut left = rows;
    for mut block in blocks {
        if block.len() > left && !kept.is_empty() {
            break;
        }
        block.truncate(left);
        left -= block.len();
        kept.push(block);
    }
    kept.into_iter().rev().flatten().collect()
}

fn vote_look(state: VoteState, palette: Palette) -> (&'static str, &'static str, Style) {
    match state {
        VoteState::Staged => ("▪", "staged", palette.dim()),
        VoteState::Skip(_) => ("−", "skips", palette.dim()),
        VoteState::Trying => ("▒", "trying", palette.busy()),
        VoteState::Healthy => ("✓", "healthy", palette.good()),
        VoteState::Failed(Failure::Unknown) => ("✗", "failed", palette.bad()),
        VoteState::Failed(Failure::Doubt) => ("✗", "failed, doubt", palette.bad()),
        VoteState::Failed(Failure::Recovered) => ("✗", "failed, bad", palette.bad()),
    }
}

fn vote_lines(
    lead: &str,
    node: NodeId,
    state: VoteState,
    numbers: &HealthNumbers,
    note: &str,
    columns: usize,
    palette: Palette,
) -> Vec<Line<'static>> {
    let (symbol, word, style) = vote_look(state, palette);
    let mut first = vec![
        Span::styled(format!("{lead} "), palette.dim()),
        Span::styled(format!("{symbol} "), style),
        Span::raw(format!("{} ", node.short())),
        Span::styled(word, style),
    ];
    let tries = u64::from(numbers.passed) + u64::from(numbers.failed);
    if tries > 0 && note.is_empty() {
        first.push(Span::styled(format!(" {}/{tries}", numbers.passed), palette.dim()));
    }
    let mut lines = vec![Line::from(first)];
    let reason = wrap(note, columns.saturating_sub(LEAD_COLUMNS), WRAP_LINES);
    lines.extend(
        reason
            .into_iter()
            .map(|line| Line::from(Span::styled(format!("{:LEAD_COLUMNS$}{line}", ""), palette.dim()))),
    );
    lines
}

fn event_lines(line: &EventLine, model: &Model, columns: usize, palette: Palette) -> Vec<Line<'static>> {
    let (symbol, style) = event_look(&line.event, palette);
    let words = event_words(&line.event, model);
    let mut wrapped = wrap(&words, columns.saturating_sub(LEAD_COLUMNS), WRAP_LINES).into_iter();
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", clock(line.unix_ms)), palette.dim()),
        Span::styled(format!("{symbol} "), style),
        Span::raw(wrapped.next().unwrap_or_default()),
    ])];
    lines.extend(wrapped.map(|line| Line::from(format!("{:LEAD_COLUMNS$}{line}", ""))));
    lines
}

fn event_look(event: &Event, palette: Palette) -> (&'static str, Style) {
    match event {
        Event::Done { .. } | Event::Recovered { .. } => ("✓", palette.good()),
        Event::Health { report, .. } => match report.health {
            Health::Healthy => ("✓", palette.good()),
            Health::Unhealthy => ("✗", palette.bad()),
            Health::Unknown => ("·", palette.dim()),
        },
        Event::Stopped { .. } | Event::StopBallot { .. } => ("■", palette.bad()),
        Event::Conflict { .. }
        | Event::Cloned
        | Event::FreezeSuspected { .. }
        | Event::PersistFailed
        | Event::Trouble { .. } => ("!", palette.bad()),
        Event::Opened { .. } => ("▸", palette.accent()),
        Event::Rollout { .. } | Event::Switched { .. } => ("●", palette.accent()),
        Event::Commanded { .. } => ("›", palette.accent()),
        _ => ("·", palette.dim()),
    }
}

/// An event in few words, with its rollout by name.
fn event_words(event: &Event, model: &Model) -> String {
    let name = rollout_of(event).map(|id| model.name_of(id).unwrap_or_else(|| id.0.short()));
    let name = name.unwrap_or_default();
    match event {
        Event::Rollout { component, version, members, .. } => {
            format!("release {component} {version} for {members} nodes")
        }
        Event::Opened { from, to, .. } => format!("{name}: {from} → {to} nodes open"),
        Event::Term { term, leader, .. } => format!("{name}: {} leads term {term}", leader.short()),
        Event::Proposed { open, .. } => format!("{name}: this node proposes {open}"),
        Event::Done { .. } => format!("{name} is complete"),
        Event::Stopped { why, .. } => format!("{name} stopped: {why}"),
        Event::StopBallot { .. } => format!("{name}: this node votes to stop"),
        Event::Commanded { instruction, note, .. } => {
            let why = if note.is_empty() { String::new() } else { format!(": {note}") };
            format!("{name}: operator orders {}{why}", instruction_words(*instruction))
        }
        Event::Holding { hold, .. } => format!("{name}: {}", hold_words(*hold)),
        Event::Synced { with, learned } => format!("synced with {}, {learned} new", with.short()),
        Event::Vote { .. } => String::new(),
        _ => {
            let sentence = sentence(event);
            let sentence = sentence.trim_end_matches('.');
            if name.is_empty() { sentence.to_owned() } else { format!("{name}: {sentence}") }
        }
    }
}
