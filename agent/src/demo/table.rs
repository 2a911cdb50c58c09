//! The demo's answer, as people read it.

use std::fmt::Write;

use super::json::{Outcome, ReleaseReport, Report};
use super::narrator::bytes;

/// Whether and how to mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// With colour.
    pub(super) colour: bool,
}

/// The tables of a report.
pub(super) fn render(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let mut rows = vec![
        [
            "release",
            "outcome",
            "waves: nodes in seconds",
            "total",
            "full",
            "delta",
            "publisher",
            "peers",
            "ran on",
        ]
        .map(str::to_owned),
    ];
    rows.extend(report.installed.iter().chain(&report.releases).map(row));
    text.push_str(&columns(&rows));
    text.push('\n');
    if report.requests_total > 0 {
        let _ = writeln!(
            text,
            "requests       {} served or failed, {} failed",
            report.requests_total, report.requests_failed
        );
    }
    let _ = writeln!(text, "agent memory   {} at most", bytes(report.agent_rss_bytes_max));
    text.push('\n');
    let mut rows = vec![["", "promise", "promised", "measured"].map(str::to_owned)];
    for promise in &report.promises {
        let mark = if promise.kept { "✓" } else { "✗" };
        rows.push([
            mark.to_owned(),
            promise.what.clone(),
            promise.promised.clone(),
            promise.measured.clone(),
        ]);
    }
    text.push_str(&columns(&rows));
    if let Some(trouble) = &report.trouble {
        let _ = writeln!(text, "\nit ended early: {trouble}");
    }
    let verdict = if report.ok { "All went as promised." } else { "Not all went as promised." };
    let _ = writeln!(text, "\n{verdict} ({:.0} s)", report.seconds);
    if style.colour {
        text = text.replace('✓', "\u{1b}[32m✓\u{1b}[0m").replace('✗', "\u{1b}[31m✗\u{1b}[0m");
    }
    text
}

fn row(release: &ReleaseReport) -> [String; 9] {
    let outcome = match release.outcome {
        Outcome::Completed => "completed",
        Outcome::RolledBack => "rolled back",
        Outcome::Unfinished => "unfinished",
    };
    let waves: Vec<String> =
        release.waves.iter().map(|wave| format!("{} in {:.1}", wave.nodes, wave.seconds)).collect();
    [
        release.version.clone(),
        outcome.to_owned(),
        waves.join(", "),
        release.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s")),
        bytes(release.full_bytes),
        release.delta_bytes.map_or("-".to_owned(), bytes),
        bytes(release.publisher_bytes),
        bytes(release.peer_bytes),
        release.nodes_exposed.to_string(),
    ]
}

/// Rows in columns as wide as their content.
fn columns<const COUNT: usize>(rows: &[[String; COUNT]]) -> String {
    let widths: [usize; COUNT] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content_and_marks_are_signs_too() {
        let rows = [["a".to_owned(), "bb".to_owned()], ["✓ccc".to_owned(), "d".to_owned()]];
        assert_eq!(columns(&rows), "a     bb\n✓ccc  d\n");
        let plain = render(&Report::default(), Style { colour: false });
        assert!(!plain.contains('\u{1b}') && plain.contains("Not all went as promised."));
    }
}
