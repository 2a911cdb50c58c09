//! Who counts: the signed list of the fleet's nodes.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::names::is_label;
use crate::bounds::{LABELS_MAX, MEMBERS_MAX};
use crate::digest::Digest;
use crate::identity::NodeId;
use crate::places::place_of;

/// One enrolled node. Labels are places in the census' lists, so that 100,000 members stay small.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Member {
    /// The node's key.
    pub node: NodeId,
    /// Place of its zone in `zones`.
    pub zone: u16,
    /// Place of its ring in `rings`.
    pub ring: u16,
    /// Place of its class in `classes`.
    pub class: u16,
    /// Whether it may sit on juries: an always-on machine.
    pub elector: bool,
}

/// One version of the census.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Census {
    /// Rises by one; the first is 1.
    pub version: u32,
    /// The policy whose enrol role signs it.
    pub policy: u32,
    /// Id of the census before; zeros in the first.
    pub previous: Digest,
    /// The zones that members name.
    pub zones: Vec<String>,
    /// The rings that members name.
    pub rings: Vec<String>,
    /// The classes that members name.
    pub classes: Vec<String>,
    /// The members, by rising key.
    pub members: Vec<Member>,
}

/// Who is on a census, as plain lists by rising key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// All.
    pub nodes: Vec<NodeId>,
    /// Those that may sit on juries.
    pub electors: Vec<NodeId>,
}

/// A node with its labels spelled out, as people write and read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Enrolment {
    /// The node's key.
    pub node: NodeId,
    /// Failure domain: a rack, a site, a region.
    pub zone: String,
    /// Environment: test, staging, production.
    pub ring: String,
    /// What sort of machine it is.
    pub class: String,
    /// Whether it may sit on juries.
    pub elector: bool,
}

impl Census {
    /// A census of `nodes`; a node that is named twice keeps its last enrolment.
    pub fn new(version: u32, policy: u32, previous: Digest, nodes: &[Enrolment]) -> Self {
        let list = |of: fn(&Enrolment) -> &String| -> Vec<String> {
            let mut labels: Vec<String> = nodes.iter().map(|n| of(n).clone()).collect();
            labels.sort_unstable();
            labels.dedup();
            labels
        };
        let (zones, rings, classes) = (list(|n| &n.zone), list(|n| &n.ring), list(|n| &n.class));
        let place = |labels: &[String], label: &String| {
            u16::try_from(labels.binary_search(label).expect("BUG: label was listed")).unwrap_or(u16::MAX)
        };
        let by_node: std::collections::BTreeMap<_, _> = nodes.iter().map(|n| (n.node, n)).collect();
        let members = by_node
            .into_values()
            .map(|n| Member {
                node: n.node,
                zone: place(&zones, &n.zone),
                ring: place(&rings, &n.ring),
                class: place(&classes, &n.class),
                elector: n.elector,
            })
            .collect();
        Self { version, policy, previous, zones, rings, classes, members }
    }

    /// Whether the census is sound by itself: order, bounds, labels that exist.
    pub fn is_valid(&self) -> bool {
        let labels = [&self.zones, &self.rings, &self.classes];
        self.version >= 1
            && (self.version == 1) == (self.previous == Digest([0; 32]))
            && (1..=MEMBERS_MAX).contains(&self.members.len())
            && labels.iter().all(|l| l.len() <= LABELS_MAX && l.is_sorted_by(|a, b| a < b))
            && labels.iter().all(|l| l.iter().all(|label| is_label(label)))
            && self.members.is_sorted_by(|a, b| a.node < b.node)
            && self.members.iter().all(|m| {
                usize::from(m.zone) < self.zones.len()
                    && usize::from(m.ring) < self.rings.len()
                    && usize::from(m.class) < self.classes.len()
            })
    }

    /// The member with this key.
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        place_of(self.members.len(), node, |place| &self.members[place].node)
            .map(|place| &self.members[place])
    }

    /// The members as plain lists.
    pub fn listed(&self) -> Members {
        Members {
            nodes: self.members.iter().map(|member| member.node).collect(),
            electors: self.electors().collect(),
        }
    }

    /// Whether the node is a member that may sit on juries.
    pub fn is_elector(&self, node: &NodeId) -> bool {
        self.member(node).is_some_and(|member| member.elector)
    }

    /// The members that may sit on juries, by rising key.
    pub fn electors(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().filter(|m| m.elector).map(|m| m.node)
    }

    /// The member with its labels spelled out. `None` if a place is out of range.
    pub fn enrolment(&self, member: &Member) -> Option<Enrolment> {
        Some(Enrolment {
            node: member.node,
            zone: self.zones.get(usize::from(member.zone))?.clone(),
            ring: self.rings.get(usize::from(member.ring))?.clone(),
            class: self.classes.get(usize::from(member.class))?.clone(),
            elector: member.elector,
        })
    }

    /// All members with their labels spelled out.
    pub fn enrolments(&self) -> Vec<Enrolment> {
        self.members.iter().filter_map(|m| self.enrolment(m)).collect()
    }
}
