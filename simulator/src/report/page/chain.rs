//! The causal chain of a failure, as a list that reads from top to bottom.

use std::fmt::Write as _;

use super::html::{Text, duration};
use crate::report::trace::{Chain, Way};

pub(super) fn draw(out: &mut String, chain: &Chain) {
    let _ = write!(out, "<h3>{}</h3>", Text(&chain.title));
    if chain.links.is_empty() {
        out.push_str("<p class=\"empty\">Nothing is kept of what came before.</p>");
        return;
    }
    if chain.cut {
        out.push_str("<p class=\"empty\">What came before this is left out.</p>");
    }
    out.push_str("<ol class=\"chain\">");
    for (place, link) in chain.links.iter().enumerate() {
        let (class, way) = match link.way {
            Way::Beginning => ("start", String::new()),
            Way::Message(micros) => ("message", format!("↘ {} later", duration(micros))),
            Way::Memory(micros) => ("memory", format!("↓ {} later", duration(micros))),
        };
        let last = if place + 1 == chain.links.len() { " last" } else { "" };
        let who = link.node.map_or("the world".to_owned(), |node| format!("machine {node}"));
        let _ = write!(
            out,
            "<li class=\"{class}{last}\"><span class=\"way\">{way}</span><span class=\"at\">{} s</span><span class=\"who\">{who}</span><span class=\"what\"><span class=\"heard\">{}</span>",
            link.at.to_string().trim(),
            Text(&link.heard)
        );
        for deed in &link.deeds {
            let _ = write!(out, "<span class=\"deed\">{}</span>", Text(deed));
        }
        out.push_str("</span></li>");
    }
    out.push_str("</ol>");
}
