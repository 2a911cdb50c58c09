//! The fleet that a question is about: what `swell fleet show --json` prints.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::scenario::{Group, NODES_MAX};

/// What is wrong with a roster; nothing was played.
#[derive(Debug, thiserror::Error)]
pub enum BadRoster {
    /// It is no JSON, or lacks what is needed.
    #[error("it is not what `swell fleet show --json` prints: {0}")]
    Form(#[from] serde_json::Error),
    /// Nobody, or too many.
    #[error("it has {0} nodes; 1 to {NODES_MAX} can be simulated")]
    Size(usize),
    /// Nobody may judge.
    #[error("none of its nodes is an elector: no release could ever open")]
    NoElector,
}

/// The whole answer of `swell fleet show --json`, or only its list of nodes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Roster {
    Shown { nodes: Vec<Enrolled> },
    List(Vec<Enrolled>),
}

/// An enrolled node. Its key does not matter: simulated machines have their own.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Enrolled {
    zone: String,
    ring: String,
    class: String,
    elector: bool,
}

/// Reads a roster. Nodes with the same labels are one group.
///
/// # Errors
/// When it is no roster, or one that cannot be simulated.
pub fn read_roster(text: &str) -> Result<Vec<Group>, BadRoster> {
    let (Roster::Shown { nodes } | Roster::List(nodes)) = serde_json::from_str(text)?;
    if nodes.is_empty() || nodes.len() > NODES_MAX as usize {
        return Err(BadRoster::Size(nodes.len()));
    }
    if !nodes.iter().any(|node| node.elector) {
        return Err(BadRoster::NoElector);
    }
    let mut groups: BTreeMap<Enrolled, u32> = BTreeMap::new();
    for node in nodes {
        *groups.entry(node).or_default() += 1;
    }
    let group = |(node, nodes): (Enrolled, u32)| Group {
        nodes,
        zone: node.zone,
        ring: node.ring,
        class: node.class,
        elector: node.elector,
    };
    Ok(groups.into_iter().map(group).collect())
}
