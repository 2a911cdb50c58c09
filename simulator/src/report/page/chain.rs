//! The causal chain of a failure, as a list that reads from top to bottom.

use std::fmt::Write as _;

use super::html::{Text, duration};
use crate::report::trace::{Chain, Link, Way};

pub(super) fn draw(out: &mut String, chain: &Chain) {
    if chain.failure {
        let _ = write!(out, "<h3>{}</h3>", Text(&chain.title));
        return list(out, chain);
    }
    let _ = write!(out, "<details><summary>{}</summary>", Text(&chain.title));
    list(out, chain);
    out.push_str("</details>");
}

/// What a machine writes down before it says it, and what it says once that is durable, are one link.
fn folded(links: &[Link]) -> Vec<(Link, Option<String>)> {
    let mut folded: Vec<(Link, Option<String>)> = Vec::new();
    for link in links {
        let says = link.deeds.iter().all(|deed| deed.starts_with("sends its "));
        match (link.way, folded.last_mut()) {
            (Way::Memory(micros), Some((before, said @ None)))
                if says && before.deeds.iter().any(|deed| deed.starts_with("signs its ")) =>
            {
                *said = Some(format!("sends it {} later, once it is durable", duration(micros)));
            }
            _ => folded.push((link.clone(), None)),
        }
    }
    folded
}

fn list(out: &mut String, chain: &Chain) {
    if chain.links.is_empty() {
        out.push_str("<p class=\"empty\">Nothing is kept of what came before.</p>");
        return;
    }
    if chain.cut {
        out.push_str("<p class=\"empty\">What came before this is left out.</p>");
    }
    out.push_str("<ol class=\"chain\">");
    let links = folded(&chain.links);
    for (place, (link, said)) in links.iter().enumerate() {
        let (class, way) = match link.way {
            Way::Beginning => ("start", String::new()),
            Way::Message(micros) => ("message", format!("↘ {} later", duration(micros))),
            Way::Memory(micros) => ("memory", format!("↓ {} later", duration(micros))),
        };
        let last = if place + 1 == links.len() { " last" } else { "" };
        let who = link.node.map_or("the world".to_owned(), |node| format!("machine {node}"));
        let _ = write!(
            out,
            "<li class=\"{class}{last}\"><span class=\"way\">{way}</span><span class=\"at\">{} s</span><span class=\"who\">{who}</span><span class=\"what\"><span class=\"heard\">{}</span>",
            link.at.to_string().trim(),
            Text(&link.heard)
        );
        for deed in link.deeds.iter().chain(said) {
            let _ = write!(out, "<span class=\"deed\">{}</span>", Text(deed));
        }
        out.push_str("</span></li>");
    }
    out.push_str("</ol>");
}
