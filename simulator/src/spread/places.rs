//! Who is where, and who is linked with whom from the start.

use groundswell_protocol::identity::{NodeId, PublicKey};

use super::Plan;
use crate::generator::{Generator, mix};

/// Links that the agent's link keeps up; smaller fleets are fully meshed.
const LINKS: usize = 24;

/// The publisher's place.
pub(super) const PUBLISHER: u32 = 0;

/// The places of a run: 0 is the publisher's, the others fetch.
pub(super) struct Places {
    names: Vec<NodeId>,
    links: Vec<Vec<u32>>,
    sites: u32,
    latency: u64,
    inside: u64,
    salt: u64,
}

impl Places {
    pub(super) fn new(plan: &Plan) -> Self {
        let root = Generator::new(plan.seed);
        let all = plan.nodes as usize + 1;
        let mut luck = root.split("links", 0);
        let mut links: Vec<Vec<u32>> = vec![Vec::new(); all];
        if all <= LINKS + 1 {
            for (place, links) in (0..).zip(&mut links) {
                links.extend((0..=plan.nodes).filter(|other| *other != place));
            }
        } else {
            for place in 0..=plan.nodes {
                // Those who were dialled by others dial so many fewer, and nobody is linked much more than that.
                let mut tries = 8 * LINKS;
                while links[place as usize].len() < LINKS && tries > 0 {
                    tries -= 1;
                    let other = u32::try_from(luck.below(all as u64)).unwrap_or(0);
                    let full = links[other as usize].len() >= LINKS + LINKS / 2;
                    if other != place && !full && !links[place as usize].contains(&other) {
                        links[place as usize].push(other);
                        links[other as usize].push(place);
                    }
                }
            }
        }
        let mut keys = root.split("names", 0);
        let names = (0..=plan.nodes).map(|place| name(place, keys.draw())).collect();
        let (latency, inside) = (plan.latency_micros, plan.inside_micros);
        let salt = root.split("latency", 0).draw();
        Self { names, links, sites: plan.sites, latency, inside, salt }
    }

    pub(super) fn name(&self, place: u32) -> NodeId {
        self.names[place as usize]
    }

    pub(super) fn links(&self, place: u32) -> &[u32] {
        &self.links[place as usize]
    }

    pub(super) fn are_linked(&self, one: u32, other: u32) -> bool {
        self.links(one).contains(&other)
    }

    /// The number of a machine's site; none for the publisher, and without sites.
    pub(super) fn site(&self, place: u32) -> Option<u32> {
        place.checked_sub(1).and_then(|place| place.checked_rem(self.sites))
    }

    /// Everybody of a machine's site.
    pub(super) fn site_of(&self, place: u32) -> Vec<NodeId> {
        let Some(site) = self.site(place) else { return Vec::new() };
        let members = self.names.iter().skip(1 + site as usize).step_by(self.sites.max(1) as usize);
        members.copied().collect()
    }

    pub(super) fn is_inside(&self, one: u32, other: u32) -> bool {
        self.site(one).is_some() && self.site(one) == self.site(other)
    }

    /// One way, in microseconds: half to one and a half times the mean, always the same for a pair.
    pub(super) fn latency(&self, one: u32, other: u32) -> u64 {
        let pair = u64::from(one.min(other)) << 32 | u64::from(one.max(other));
        let mean = if self.is_inside(one, other) { self.inside } else { self.latency };
        mean / 2 + mix(self.salt ^ pair) % (mean + 1)
    }
}

/// A key that sorts by chance and tells its place.
fn name(place: u32, draw: u64) -> NodeId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&draw.to_be_bytes());
    key[8..12].copy_from_slice(&place.to_be_bytes());
    PublicKey(key)
}

/// Whose key it is.
pub(super) fn place(name: &NodeId) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|at| name.0[8 + at]))
}
