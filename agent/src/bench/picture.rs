//! How a blob fills each node over time, one curve a receiver and one panel a contender. One SVG file that needs nothing
//! else, readable on light and dark ground.

use std::fmt::Write;

use super::{Measured, Run};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const PANEL: f64 = 220.0;
const PLOT: f64 = 150.0;

const STYLE: &str = "text{font:13px sans-serif;fill:#333}.t{font-weight:bold}.f{fill:#777}.a{stroke:#999;stroke-width:1}\
.b{stroke:#c33;stroke-dasharray:5 4}.c{fill:none;stroke:#27c;stroke-width:1;opacity:.7}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.f{fill:#999}.c{stroke:#6af}}";

/// Draws the middle run of each contender that was measured; cases stand below each other.
#[must_use]
pub fn draw(all: &[Measured]) -> String {
    let drawn: Vec<(&Measured, &Run)> =
        all.iter().filter_map(|measured| Some((measured, middle(&measured.runs)?))).collect();
    let mut svg = String::new();
    let height = PANEL * drawn.len() as f64 + 20.0;
    let _ = writeln!(
        svg,
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img' \
         aria-label='How the blob fills each node'><style>{STYLE}</style>"
    );
    for (at, (measured, run)) in drawn.iter().enumerate() {
        let longest = drawn.iter().filter(|(other, _)| other.case == measured.case);
        let span = longest.map(|(_, run)| run.seconds).fold(0.1, f64::max) * 1.02;
        panel(&mut svg, at as f64 * PANEL + 30.0, measured, run, span);
    }
    svg.push_str("</svg>\n");
    svg
}

fn middle(runs: &[Run]) -> Option<&Run> {
    let mut sorted: Vec<&Run> = runs.iter().collect();
    sorted.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    sorted.get(sorted.len() / 2).copied()
}

fn panel(svg: &mut String, top: f64, measured: &Measured, run: &Run, span: f64) {
    let x = |seconds: f64| LEFT + seconds / span * (WIDTH - LEFT - RIGHT);
    let bottom = top + 12.0 + PLOT;
    let ratio = measured
        .bound_seconds
        .map_or_else(String::new, |bound| format!(", {:.2} of the bound", run.seconds / bound));
    let title = format!("{} · {}", measured.contender.name(), measured.case);
    let _ = writeln!(svg, "<text class='t' x='{LEFT}' y='{top}'>{title}</text>");
    let _ = writeln!(
        svg,
        "<text class='f' x='{}' y='{top}' text-anchor='end'>last node after {:.2} s{ratio}</text>",
        WIDTH - RIGHT,
        run.seconds
    );
    let _ =
        writeln!(svg, "<path class='a' fill='none' d='M{LEFT} {}V{bottom}H{}'/>", top + 12.0, WIDTH - RIGHT);
    for (share, words) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
        let _ = writeln!(
            svg,
            "<text class='f' x='{}' y='{:.0}' text-anchor='end'>{words}</text>",
            LEFT - 6.0,
            bottom - share * PLOT + 4.0
        );
    }
    let step = [0.1, 0.5, 1.0, 5.0, 10.0, 60.0].into_iter().find(|step| span / step <= 12.0).unwrap_or(600.0);
    let mut tick = step;
    while tick <= span {
        let _ = writeln!(
            svg,
            "<text class='f' x='{:.1}' y='{}' text-anchor='middle'>{tick:.1} s</text>",
            x(tick),
            bottom + 18.0
        );
        tick += step;
    }
    if let Some(bound) = measured.bound_seconds.filter(|bound| *bound <= span) {
        let _ = writeln!(
            svg,
            "<path class='b' d='M{:.1} {}V{bottom}'><title>the bound</title></path>",
            x(bound),
            top + 12.0
        );
    }
    for number in 0..measured.case.receivers {
        let points = run
            .samples
            .iter()
            .map(|sample| (sample.seconds, sample.held[number] as f64 / measured.bytes as f64));
        let end = run.node_seconds.get(number).map(|seconds| (*seconds, 1.0));
        let points = points.take_while(|(seconds, _)| end.is_none_or(|(end, _)| *seconds < end)).chain(end);
        let line: Vec<String> = points
            .map(|(seconds, share)| format!("{:.1},{:.1}", x(seconds), bottom - share * PLOT))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline class='c' points='{}'><title>node {}</title></polyline>",
            line.join(" "),
            number + 1
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Contender, Sample};

    #[test]
    fn each_receiver_has_a_curve_that_ends_full() {
        let run = Run {
            seconds: 2.0,
            node_seconds: vec![1.5, 2.0],
            publisher_payload_bytes: None,
            publisher_wire_bytes: 0,
            duplicate_bytes: None,
            cpu_seconds: 0.0,
            dropped_packets: 0,
            machine_busy: None,
            samples: [(0.5, vec![10, 20]), (1.7, vec![100, 90])]
                .into_iter()
                .map(|(seconds, held)| Sample { seconds, held, sent: vec![0; 3] })
                .collect(),
        };
        let case = "2x100B".parse().unwrap();
        let measured = Measured {
            case,
            contender: Contender::Swell,
            bound_seconds: Some(1.0),
            bytes: 100,
            runs: vec![run],
            failures: Vec::new(),
        };
        let svg = draw(&[measured]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("2.00 of the bound"), "{svg}");
    }
}
