//! The head of the page, which says it all in a few lines, and its foot with everything to look up.

use std::fmt::Write as _;

use super::html::{Text, bytes, count, duration, many};
use crate::checkers::Property;
use crate::report::trace::{Journey, Trace};
use crate::report::{EXIT_OK, EXIT_UNSAFE, Outcome};

fn span(milliseconds: u64) -> String {
    duration(milliseconds.saturating_mul(1000))
}

/// The verdict: how it looks, its mark, its words.
fn verdict(outcome: &Outcome) -> (&'static str, &'static str, String) {
    let mut breached: Vec<String> = Property::ALL
        .iter()
        .filter(|p| outcome.violations.iter().any(|violation| violation.property == **p))
        .map(|property| format!("{property:?}"))
        .collect();
    breached.dedup();
    match outcome.exit_code() {
        EXIT_OK if outcome.impossible.is_some() => {
            ("warn", "–", "Every property held, and the story could not end".to_owned())
        }
        EXIT_OK => ("good", "✓", "Every property held".to_owned()),
        EXIT_UNSAFE => ("bad", "✗", format!("Safety was breached: {}", breached.join(", "))),
        _ => ("warn", "!", format!("Liveness was breached: {}", breached.join(", "))),
    }
}

fn story(outcome: &Outcome, journey: Option<&Journey>) -> String {
    let Some(journey) = journey else { return "There is no release in this story.".to_owned() };
    let version = &journey.version;
    let since = journey.published.map(|(at, _)| at);
    let end = match &journey.end {
        Some(end) => {
            let after = duration(end.at.0.saturating_sub(since.unwrap_or_default().0));
            match &end.stopped {
                Some(why) => format!("{version} was stopped {after} after it was published: {why}."),
                None => format!("{version} was done {after} after it was published."),
            }
        }
        None if since.is_none() => format!("{version} was never published."),
        None => format!("{version} did not end."),
    };
    let behind = match outcome.left_behind {
        0 => String::new(),
        behind => format!(
            " {} found it bad alone and stayed behind.",
            many(u64::from(behind), "machine", "machines")
        ),
    };
    let impossible = match &outcome.impossible {
        Some(why) => format!(" It could not go on: {why}."),
        None => String::new(),
    };
    format!(
        "{end} {} of {} ran it; the plan had opened {}.{behind}{impossible}",
        count(u64::from(outcome.exposed)),
        many(u64::from(outcome.nodes), "machine", "machines"),
        count(journey.open.highest())
    )
}

pub(super) fn head(out: &mut String, outcome: &Outcome, trace: &Trace) {
    let journey = trace.journeys.get(trace.goal);
    let (class, mark, words) = verdict(outcome);
    let _ = writeln!(
        out,
        "<header><p class=\"brand\">Groundswell simulator</p><h1>{}</h1><p class=\"lead\">{}</p><div class=\"verdict {class}\"><span class=\"mark\">{mark}</span><div><strong>{}</strong><p>{}</p></div></div>",
        Text(&outcome.scenario),
        Text(&outcome.about),
        Text(&words),
        Text(&story(outcome, journey))
    );
    breaches(out, outcome);
    let nodes = u64::from(outcome.nodes.max(1));
    let counters = &outcome.counters;
    let settled = outcome.settled_ms.map_or("never".to_owned(), span);
    let cards = [
        ("ended", outcome.ending.clone().unwrap_or_else(|| "not".to_owned())),
        ("settled after", settled),
        ("ran it", format!("{} of {}", count(u64::from(outcome.exposed)), count(u64::from(outcome.nodes)))),
        ("waves", count(outcome.waves.len() as u64)),
        ("virtual time", span(outcome.virtual_ms)),
        ("events", count(counters.happenings)),
        ("frames a machine", bytes(counters.frame_bytes / nodes)),
        ("release a machine", bytes(counters.payload_bytes / nodes)),
        ("idle a machine", format!("{}/s", bytes(counters.idle_bytes_per_second))),
        ("commits a machine", count(counters.commits / nodes)),
        ("refusals", count(counters.refusals)),
        ("seed", outcome.seed.to_string()),
    ];
    out.push_str("<dl class=\"cards\">");
    for (name, value) in cards {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(&value));
    }
    let _ = writeln!(
        out,
        "</dl><div class=\"again\"><code id=\"again\">{}</code><button type=\"button\" data-copy=\"again\" hidden=\"hidden\">copy</button></div><p class=\"print\">fingerprint {}</p></header>",
        Text(&outcome.again),
        Text(&outcome.fingerprint)
    );
}

fn breaches(out: &mut String, outcome: &Outcome) {
    if outcome.violations.is_empty() {
        return;
    }
    out.push_str("<table class=\"breaches\"><thead><tr><th scope=\"col\">breach</th><th scope=\"col\">at</th><th scope=\"col\">machine</th><th scope=\"col\">what</th></tr></thead><tbody>");
    for violation in &outcome.violations {
        let machine = violation.machine.map_or("fleet".to_owned(), |node| node.to_string());
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{:?}</th><td>{}</td><td>{machine}</td><td>{}</td></tr>",
            violation.property,
            span(violation.at_ms),
            Text(&violation.what)
        );
    }
    out.push_str("</tbody></table>");
}

pub(super) fn foot(out: &mut String, outcome: &Outcome, trace: &Trace) {
    out.push_str("<section><h2>To look up</h2><p class=\"about\">The properties that were checked throughout, the plan, and the scenario.</p><ul class=\"properties\">");
    for property in Property::ALL {
        let breached = outcome.violations.iter().any(|violation| violation.property == property);
        let (class, mark) = if breached { ("bad", "✗") } else { ("good", "✓") };
        let _ = write!(out, "<li class=\"{class}\">{mark} {property:?}</li>");
    }
    out.push_str("</ul>");
    if let Some(journey) = trace.journeys.get(trace.goal) {
        let targets: Vec<String> = journey.targets.iter().map(|target| count(u64::from(*target))).collect();
        let jury = format!(
            "{}; {} open, {} stop",
            many(u64::from(journey.jurors), "juror", "jurors"),
            journey.quorum,
            journey.stoppers
        );
        out.push_str("<dl class=\"plan\">");
        let fixed = [("waves", targets.join(" → ")), ("jury", jury)];
        for (name, value) in trace.plan.iter().cloned().chain(fixed) {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(&value));
        }
        out.push_str("</dl>");
    }
    if trace.faults.left_out() > 0 {
        let _ = write!(
            out,
            "<p class=\"about\">{} faults more are not drawn.</p>",
            count(trace.faults.left_out())
        );
    }
    let _ = writeln!(
        out,
        "<details><summary>The scenario</summary><pre>{}</pre></details></section>",
        Text(&trace.scenario_text)
    );
}
