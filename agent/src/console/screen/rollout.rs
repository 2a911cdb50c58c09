//! The list of rollouts, and the one that is chosen.

use groundswell_protocol::node::event::Hold;
use groundswell_protocol::node::record::Ending;
use groundswell_protocol::node::status::RolloutStatus;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::palette::Palette;
use super::text::{bytes, cut, fit_name, span};
use super::{heading, panel, waves};
use crate::console::model::Model;
use crate::telemetry::words::{hold_words, stage_words};

/// Lists of at least so many columns have room for the wave.
const WIDE_COLUMNS: usize = 50;

/// Draws the list.
pub(super) fn draw_list(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let inside = panel(frame, area, heading("Rollouts", palette), palette);
    let rollouts = model.rollouts();
    if rollouts.is_empty() {
        let words = "none yet";
        frame.render_widget(Line::from(Span::styled(words, palette.dim())), inside);
        return;
    }
    let selected = model.selected().map(|rollout| rollout.rollout);
    let place = rollouts.iter().position(|rollout| Some(rollout.rollout) == selected).unwrap_or(0);
    let rows = usize::from(inside.height);
    let first = (place + 1).saturating_sub(rows);
    let lines = rollouts.iter().skip(first).take(rows).map(|rollout| {
        list_line(rollout, Some(rollout.rollout) == selected, usize::from(inside.width), palette)
    });
    frame.render_widget(Paragraph::new(Vec::from_iter(lines)), inside);
}

/// A rollout's state as a symbol, a word and a style.
fn state_of(rollout: &RolloutStatus, palette: Palette) -> (&'static str, &'static str, Style) {
    match (rollout.ending, rollout.paused, rollout.hold) {
        (Some(Ending::Done), ..) => ("✓", "done", palette.good()),
        (Some(Ending::Stopped), ..) => ("■", "stopped", palette.bad()),
        (Some(Ending::Superseded), ..) => ("−", "replaced", palette.dim()),
        (None, true, _) => ("‖", "paused", palette.busy()),
        (None, false, Hold::None | Hold::WaitingForHealth | Hold::WaitingForLeader) => {
            ("►", "going on", palette.busy())
        }
        (None, false, _) => ("‖", "held", palette.bad()),
    }
}

fn list_line(rollout: &RolloutStatus, chosen: bool, columns: usize, palette: Palette) -> Line<'static> {
    let (symbol, word, style) = state_of(rollout, palette);
    let name = format!("{} {}", rollout.component, rollout.version);
    // Narrow lists leave the wave to the details.
    let wave_columns = if columns < WIDE_COLUMNS { 0 } else { 14 };
    let name_columns = columns.saturating_sub(20 + wave_columns).max(8);
    let name_style = if chosen { palette.chosen() } else { Style::new() };
    let open = rollout.open.min(rollout.members);
    let waves = rollout.targets.len();
    let wave = match rollout.ending {
        None if open > 0 => format!("wave {} of {waves}", waves::reached(rollout)),
        _ => String::new(),
    };
    let mut spans = vec![
        Span::styled(if chosen { "▸ " } else { "  " }, name_style),
        Span::styled(fit_name(&name, name_columns), name_style),
        Span::styled(format!("{symbol} {word:<9}"), style),
        Span::raw(format!("{:>7}", format!("{open}/{}", rollout.members))),
    ];
    if wave_columns > 0 {
        spans.push(Span::styled(format!("  {wave}"), palette.dim()));
    }
    Line::from(spans)
}

/// Draws the chosen rollout.
pub(super) fn draw_details(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let Some(rollout) = model.selected() else {
        let inside = panel(frame, area, heading("Rollout", palette), palette);
        let words = "Nothing is being released: `swell release publish` begins a rollout.";
        frame.render_widget(Line::from(Span::styled(words, palette.dim())), inside);
        return;
    };
    let inside = panel(frame, area, title(rollout, palette), palette);
    let columns = usize::from(inside.width);
    let rows = usize::from(inside.height);
    let mut lines = vec![leader_line(rollout, palette), reason_line(rollout, columns, palette)];
    lines.extend(waves::lines(rollout, columns, rows.saturating_sub(3), palette));
    lines.resize(rows.saturating_sub(1), Line::default());
    lines.push(own_line(rollout, model, columns, palette));
    frame.render_widget(Paragraph::new(lines), inside);
}

fn title(rollout: &RolloutStatus, palette: Palette) -> Line<'static> {
    let about = format!(
        "{}  sequence {}  {} ",
        rollout.rollout.0.short(),
        rollout.order.sequence,
        bytes(rollout.bytes)
    );
    Line::from(vec![
        Span::styled(format!(" {} {} ", rollout.component, rollout.version), palette.heading()),
        Span::styled(about, palette.dim()),
    ])
}

fn leader_line(rollout: &RolloutStatus, palette: Palette) -> Line<'static> {
    let tally = &rollout.tally;
    let count = |number: u32, word: &str, style: Style| {
        let style = if number == 0 { palette.dim() } else { style };
        Span::styled(format!("{number} {word}  "), style)
    };
    let mut spans = vec![
        Span::styled("leader ", palette.dim()),
        Span::styled(rollout.leader.short(), palette.accent()),
        Span::styled(format!(" in term {}", rollout.term), palette.dim()),
    ];
    if let Some(proposed) = rollout.proposed.filter(|_| rollout.ending.is_none()) {
        spans.push(Span::styled(format!(" proposes {proposed}"), palette.dim()));
    }
    spans.push(Span::raw("   "));
    spans.push(count(tally.good, "good", palette.good()));
    spans.push(count(tally.bad, "bad", palette.bad()));
    spans.push(count(tally.doubt, "doubt", palette.busy()));
    spans.push(count(tally.lost, "lost", palette.busy()));
    Line::from(spans)
}

fn reason_line(rollout: &RolloutStatus, columns: usize, palette: Palette) -> Line<'static> {
    let (symbol, word, style) = state_of(rollout, palette);
    let words = match rollout.ending {
        Some(Ending::Done) => "done: complete on the fleet".to_owned(),
        Some(Ending::Superseded) => "replaced by a later release".to_owned(),
        Some(Ending::Stopped) => {
            format!("stopped: {}", rollout.stopped_why.as_deref().unwrap_or("the reason is not known here"))
        }
        None if rollout.ballots.iter().any(|ballot| ballot.stop.is_some()) => stop_words(rollout),
        None if rollout.paused => format!("{word} by an operator"),
        None => {
            let clock = rollout.hold_left_ms.map_or(String::new(), |left| format!(" or in {}", span(left)));
            format!("{}; stops at {} bad{clock}", hold_words(rollout.hold), rollout.tally.stop_at)
        }
    };
    Line::from(Span::styled(cut(&format!("{symbol} {words}"), columns), style))
}

/// How far the jury is on its way to a stop.
fn stop_words(rollout: &RolloutStatus) -> String {
    let said = rollout.ballots.iter().filter(|ballot| ballot.stop.is_some()).count();
    let needed = rollout.quorum.stoppers();
    let jurors = if said == 1 { "juror says" } else { "jurors say" };
    format!("{said} {jurors} stop, {needed} end it")
}

fn own_line(rollout: &RolloutStatus, model: &Model, columns: usize, palette: Palette) -> Line<'static> {
    let mut words = match rollout.my_rank {
        Some(rank) => {
            format!("this node: rank {} of {}, {}", rank + 1, rollout.members, stage_words(rollout.my_stage))
        }
        None => "this node: takes no part".to_owned(),
    };
    if let Some(left) = rollout.trial_left_ms {
        words.push_str(&format!(", {} left", span(left)));
    }
    let transfers = model.status.iter().flat_map(|status| &status.transfers);
    if let Some(transfer) = transfers.into_iter().find(|transfer| transfer.rollout == rollout.rollout) {
        let (done, all) = (bytes(transfer.done_bytes), bytes(transfer.bytes));
        words.push_str(&format!(", {done} of {all} from {} peers", transfer.peers));
        if transfer.missing_blobs > 0 {
            words.push_str(", some pieces are with nobody: see `swell status`");
        }
    }
    Line::from(Span::styled(cut(&words, columns), palette.dim()))
}
