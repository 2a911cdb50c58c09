//! A fetch under way on one machine; dies with the agent.

use std::collections::BTreeMap;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::Work;
use groundswell_protocol::transfer::locality::Locality;

use crate::world::flows::FlowId;
use crate::world::queue::Moment;

/// A fetch under way.
pub struct Fetch {
    /// What is fetched.
    pub work: Box<Work>,
    /// Members that say they hold the bytes.
    pub holders: Vec<NodeId>,
    /// With whom it shares a site, and whose turn each part is.
    pub locality: Locality,
    /// Flows to this machine, with the part that each brings.
    pub flows: BTreeMap<FlowId, u32>,
    /// When it looks again, if it waits.
    pub next: Option<Moment>,
    /// Looks in a row that found nobody.
    pub tries: u32,
    /// Looks in a row that found all holders busy.
    pub busy: u32,
}

impl Fetch {
    /// A fetch that has not begun.
    pub fn new(work: Box<Work>, holders: Vec<NodeId>, locality: Locality) -> Self {
        Self { work, holders, locality, flows: BTreeMap::new(), next: None, tries: 0, busy: 0 }
    }
}
