//! The fleet: who is here and what runs where.

use std::collections::BTreeMap;

use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::status::MemberStatus;
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::palette::Palette;
use super::text::{bytes, fit, fit_name};
use super::{heading, panel};
use crate::console::model::Model;
use crate::control::api::{AgentStatus, ServiceView};

/// A member that was silent for longer counts as silent: three of the slowest beacons.
const SILENT_AFTER_MS: u64 = 180_000;
/// Columns of a version's name.
const NAME_COLUMNS: usize = 15;

/// How many nodes run a release.
#[derive(Default)]
struct Running {
    nodes: usize,
    unhealthy: usize,
}

/// Draws the panel.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let inside = panel(frame, area, heading("Fleet", palette), palette);
    let Some(status) = &model.status else {
        frame.render_widget(Line::from(Span::styled("not known yet", palette.dim())), inside);
        return;
    };
    let rows = usize::from(inside.height);
    let mut lines = vec![members_line(status, palette)];
    lines.extend(version_lines(status, model, usize::from(inside.width), rows.saturating_sub(1), palette));
    let left = rows.saturating_sub(lines.len() + 1);
    if left > 0 && !status.services.is_empty() {
        lines.push(Line::default());
        lines.extend(status.services.iter().take(left).map(|service| service_line(service, palette)));
    }
    frame.render_widget(Paragraph::new(lines), inside);
    let foot = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
    frame.render_widget(usage_line(status, palette).right_aligned(), foot.inner(Margin::new(2, 0)));
}

fn is_silent(member: &MemberStatus) -> bool {
    !member.linked && member.silent_ms.is_none_or(|silent| silent > SILENT_AFTER_MS)
}

fn members_line(status: &AgentStatus, palette: Palette) -> Line<'static> {
    let node = &status.node;
    let members = node.members.len();
    let silent = node.members.iter().filter(|m| m.enrolment.node != node.node && is_silent(m)).count();
    let alive = format!("● {} of {members} alive", members - silent);
    let mut spans = vec![Span::styled(alive, palette.good())];
    if silent > 0 {
        spans.push(Span::styled(format!("  ✗ {silent} silent"), palette.bad()));
    }
    spans.push(Span::styled(format!("  quorum {}", node.quorum.quorum), palette.dim()));
    Line::from(spans)
}

/// The processes on this node.
fn service_line(service: &ServiceView, palette: Palette) -> Line<'static> {
    let (symbol, style) = if service.running { ("●", palette.good()) } else { ("✗", palette.bad()) };
    let pid = service.pid.map_or("no process".to_owned(), |pid| format!("process {pid}"));
    let restarts = match service.restarts {
        0 => String::new(),
        restarts => format!(", restarted {restarts} times"),
    };
    Line::from(vec![
        Span::styled(format!("{symbol} "), style),
        Span::raw(fit(service.component.as_str(), NAME_COLUMNS - 2)),
        Span::styled(format!("{pid}{restarts}"), palette.dim()),
    ])
}

/// What this agent has sent, received, and holds in memory.
fn usage_line(status: &AgentStatus, palette: Palette) -> Line<'static> {
    let counters = &status.counters;
    let (up, down) = (bytes(counters.uploaded_bytes), bytes(counters.downloaded_bytes));
    let words = format!(" ↑ {up}  ↓ {down}  {} ", bytes(counters.resident_bytes));
    Line::from(Span::styled(words, palette.dim()))
}

/// The releases that most nodes run, each with a bar; what has no room is summed up.
fn version_lines(
    status: &AgentStatus,
    model: &Model,
    columns: usize,
    rows: usize,
    palette: Palette,
) -> Vec<Line<'static>> {
    let mut running: BTreeMap<RolloutId, Running> = BTreeMap::new();
    for installed in status.node.members.iter().flat_map(|member| &member.installed) {
        let entry = running.entry(installed.rollout).or_default();
        entry.nodes += 1;
        entry.unhealthy += usize::from(!installed.healthy);
    }
    let mut named: Vec<(String, Running)> = running
        .into_iter()
        .map(|(id, running)| (model.name_of(id).unwrap_or_else(|| id.0.short()), running))
        .collect();
    named.sort_by(|(a_name, a), (b_name, b)| (b.nodes, b_name).cmp(&(a.nodes, a_name)));
    let hidden = named.len().saturating_sub(rows);
    let shown = if hidden > 0 { rows.saturating_sub(1) } else { rows };
    let rest = named.len().saturating_sub(shown);
    let members = status.node.members.len();
    let mut lines: Vec<_> = named
        .iter()
        .take(shown)
        .map(|(name, running)| version_line(name, running, members, columns, palette))
        .collect();
    if hidden > 0 {
        lines.push(Line::from(Span::styled(format!("… and {rest} more versions"), palette.dim())));
    }
    lines
}

fn version_line(
    name: &str,
    running: &Running,
    members: usize,
    columns: usize,
    palette: Palette,
) -> Line<'static> {
    let bar_columns = columns.saturating_sub(NAME_COLUMNS + 8);
    let filled = (running.nodes * bar_columns).div_ceil(members.max(1)).min(bar_columns);
    let mut spans = vec![
        Span::raw(fit_name(name, NAME_COLUMNS)),
        Span::styled("█".repeat(filled), palette.good()),
        Span::styled("·".repeat(bar_columns - filled), palette.dim()),
        Span::raw(format!(" {}", running.nodes)),
    ];
    if running.unhealthy > 0 {
        spans.push(Span::styled(format!(" ✗{}", running.unhealthy), palette.bad()));
    }
    Line::from(spans)
}
