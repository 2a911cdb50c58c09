//! The picture of a [`Model`]: pure, so that it is tested without a terminal.
//!
//! From top to bottom: a title line, an alarm if there is one, fleet beside rollouts, the chosen
//! rollout with its waves, votes beside other events, and a line of keys. Colours only repeat what
//! symbols and words say.

mod fleet;
mod overlay;
mod palette;
mod rollout;
mod tails;
mod text;
mod waves;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Padding, Paragraph, Wrap};

use groundswell_protocol::node::status::Signing;

use super::model::{AgentLink, Model};
use palette::Palette;
use text::{clock, cut, wrap};

/// The smallest terminal that the console can be read on.
pub const SMALLEST: (u16, u16) = (72, 20);
/// Terminals of at least so many rows get roomier panels.
const ROOMY_ROWS: u16 = 32;
/// Rows that an alarm may take.
const ALARM_ROWS: usize = 2;

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let palette = Palette::new(model.colour);
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        let words = format!(
            "The console needs {width} columns and {height} rows; here are {} and {}. q quits.",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), area);
        return;
    }
    let alarm =
        alarm(model).map_or(Vec::new(), |words| wrap(&words, usize::from(area.width) - 4, ALARM_ROWS));
    let alarm_rows = u16::try_from(alarm.len()).unwrap_or(0);
    let top = if area.height >= ROOMY_ROWS { 9 } else { 6 };
    let waves = model.selected().map_or(1, |rollout| rollout.targets.len());
    let detail = u16::try_from(waves + 5).unwrap_or(u16::MAX);
    let fixed = 2 + alarm_rows + top;
    let detail = detail.clamp(6, area.height.saturating_sub(fixed + 6).max(6));
    let [title_row, alarm_row, top_rows, detail_rows, tail_rows, key_row] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(alarm_rows),
        Constraint::Length(top),
        Constraint::Length(detail),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    let [fleet_area, rollouts_area] =
        Layout::horizontal([Constraint::Percentage(42), Constraint::Fill(1)]).areas(top_rows);
    let [votes_area, gossip_area] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Fill(1)]).areas(tail_rows);

    draw_title(frame, title_row, model, palette);
    let alarm = alarm.iter().enumerate().map(|(row, words)| {
        let mark = if row == 0 { "!" } else { " " };
        Line::from(format!(" {mark} {words}"))
    });
    frame.render_widget(Paragraph::new(Vec::from_iter(alarm)).style(palette.alarm()), alarm_row);
    fleet::draw(frame, fleet_area, model, palette);
    rollout::draw_list(frame, rollouts_area, model, palette);
    rollout::draw_details(frame, detail_rows, model, palette);
    tails::draw_votes(frame, votes_area, model, palette);
    tails::draw_gossip(frame, gossip_area, model, palette);
    draw_keys(frame, key_row, model, palette);
    overlay::draw(frame, area, model, palette);
}

/// A panel's frame; its inside is returned.
fn panel(frame: &mut Frame<'_>, area: Rect, title: Line<'_>, palette: Palette) -> Rect {
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(palette.dim());
    let block = block.padding(Padding::horizontal(1)).title(title);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    inside
}

fn heading(text: &str, palette: Palette) -> Line<'static> {
    Line::from(Span::styled(format!(" {text} "), palette.heading()))
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let time = model.status.as_ref().map_or(String::new(), |status| clock(status.now_unix_ms));
    let (words, style) = match model.link {
        AgentLink::Connecting => ("○ connecting ".to_owned(), palette.dim()),
        AgentLink::Live => (format!("● live {time} UTC "), palette.good()),
        AgentLink::Gone { .. } if time.is_empty() => ("✗ no agent ".to_owned(), palette.bad()),
        AgentLink::Gone { .. } => (format!("✗ agent gone, as of {time} UTC "), palette.bad()),
    };
    let right = Line::from(Span::styled(words, style));
    let right_columns = u16::try_from(right.width()).unwrap_or(u16::MAX);
    let [left_area, right_area] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(right_columns)]).areas(area);
    let mut left = vec![Span::styled(" groundswell ", palette.heading())];
    if let Some(status) = &model.status {
        let node = &status.node;
        left.push(Span::styled(node.fleet_name.clone(), palette.accent()));
        let about = format!("  node {}  policy {}  census {}", node.node.short(), node.policy, node.census);
        let room = usize::from(left_area.width).saturating_sub(Line::from(left.clone()).width() + 1);
        left.push(Span::styled(cut(&about, room), palette.dim()));
    }
    frame.render_widget(Line::from(left), left_area);
    frame.render_widget(right, right_area);
}

/// What a person must know before all else.
fn alarm(model: &Model) -> Option<String> {
    if let AgentLink::Gone { why, todo } = &model.link {
        return Some(format!("No agent: {why}; {todo}. It is looked for each second."));
    }
    let node = &model.status.as_ref()?.node;
    if node.conflict {
        return Some(
            "Two policies or censuses of one version are signed: ask whoever holds the keys.".into(),
        );
    }
    match node.signing {
        Signing::Cloned => Some("Another machine uses this node's key: give one of them a new one.".into()),
        Signing::NotEnrolled => Some("This node is in no census: `swell fleet enrol` adds it.".into()),
        Signing::Recovering { heard, needed } => {
            Some(format!("This node may not sign yet: it has heard from {heard} of {needed} electors."))
        }
        Signing::Yes => None,
    }
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    if let Some(notice) = &model.notice {
        let (mark, style) = if notice.bad { ("✗", palette.bad()) } else { ("›", palette.accent()) };
        frame.render_widget(Line::from(Span::styled(format!(" {mark} {}", notice.text), style)), area);
        return;
    }
    let keys = [
        ("↑↓", "rollout"),
        ("p", "pause"),
        ("r", "resume"),
        ("a", "abort"),
        ("e", "explain"),
        ("?", "help"),
        ("q", "quit"),
    ];
    let spans = keys.into_iter().flat_map(|(key, what)| {
        [Span::styled(format!(" {key}"), palette.heading()), Span::styled(format!(" {what} "), palette.dim())]
    });
    frame.render_widget(Line::from_iter(spans), area);
}
