//! What lies over the screen: help, an explanation, a question.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph, Wrap};

use super::palette::Palette;
use super::text::wrap;
use super::waves::Standing;
use crate::console::model::{Model, Overlay};

/// Draws it, if there is one.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    match model.overlay {
        Overlay::None => {}
        Overlay::Help => draw_box(frame, area, "Help", help(palette), (64, 19), 0, palette),
        Overlay::Explain { scroll } => {
            let width = area.width.saturating_sub(8).min(96);
            let text = model.explanation();
            let wrapped = text.lines().flat_map(|line| match line.trim() {
                "" => vec![String::new()],
                line => wrap(line, usize::from(width).saturating_sub(6), usize::MAX),
            });
            let lines: Vec<_> = wrapped.map(Line::from).collect();
            let needed = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(4);
            let height = needed.min(area.height.saturating_sub(4));
            let scroll = scroll.min(needed - height);
            draw_box(frame, area, "Why it is where it is", lines, (width, height), scroll, palette);
        }
        Overlay::ConfirmAbort { rollout } => {
            let name = model.name_of(rollout).unwrap_or_else(|| rollout.0.short());
            let lines = vec![
                Line::from(vec![
                    Span::raw("Abort "),
                    Span::styled(name, palette.heading()),
                    Span::styled(format!("  {}", rollout.0.short()), palette.dim()),
                    Span::raw("?"),
                ]),
                Line::default(),
                Line::from("Every node on it goes back to the version before, and"),
                Line::from("nothing unsays it: a fix needs a new release."),
                Line::default(),
                Line::from(vec![
                    Span::styled("y", palette.bad()),
                    Span::raw(" aborts, any other key does nothing"),
                ]),
            ];
            draw_box(frame, area, "Abort a rollout", lines, (60, 10), 0, palette);
        }
    }
}

fn draw_box(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: Vec<Line<'_>>,
    (width, height): (u16, u16),
    scroll: u16,
    palette: Palette,
) {
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    let block = Block::bordered()
        .border_type(BorderType::Thick)
        .border_style(palette.accent())
        .padding(Padding::symmetric(2, 1))
        .title(Line::from(Span::styled(format!(" {title} "), palette.heading())));
    frame.render_widget(Clear, area);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((scroll, 0)).block(block);
    frame.render_widget(text, area);
}

fn help(palette: Palette) -> Vec<Line<'static>> {
    let keys = [
        ("↑ ↓  Tab", "choose a rollout"),
        ("Esc", "follow the newest again"),
        ("p  r", "pause the rollout, resume it"),
        ("a", "abort it: every node goes back"),
        ("e", "explain why it is where it is"),
        ("q", "quit"),
    ];
    let mut lines: Vec<_> = keys
        .into_iter()
        .map(|(key, what)| {
            Line::from(vec![Span::styled(format!("{key:<10}"), palette.heading()), Span::raw(what)])
        })
        .collect();
    lines.push(Line::default());
    lines.push(Line::from(Span::styled(
        "A wave's bar shows its nodes in the order of their turn:",
        palette.dim(),
    )));
    let standings = Standing::ALL.map(|standing| {
        let (symbol, style) = (standing.symbol(), standing.style(palette));
        [Span::styled(format!("{symbol} "), style), Span::raw(format!("{:<13}", standing.word()))]
    });
    for row in standings.chunks(3) {
        lines.push(Line::from_iter(row.iter().flatten().cloned()));
    }
    lines.push(Line::default());
    lines.push(Line::from(Span::styled(
        "Orders are signed here with the operator's key (--key);",
        palette.dim(),
    )));
    lines.push(Line::from(Span::styled("the agent never sees it. Any key closes this.", palette.dim())));
    lines
}
