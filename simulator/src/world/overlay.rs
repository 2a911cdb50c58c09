//! The gossip overlay: a mesh of a few neighbours a machine that passes on what the core accepted.
//!
//! A model of gossipsub's eager push (mesh degree 6, message ids kept for a while). Its lazy half
//! (IHAVE, IWANT) is deliberately absent: what the mesh loses, only the core's sync brings back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::links::Links;
use super::queue::Moment;
use crate::generator::Generator;

/// Neighbours that a machine aims at: gossipsub's default D.
pub const MESH_DEGREE: usize = 6;
/// How long a message's id is remembered: gossipsub's default duplicate cache time is 60 s.
const SEEN_MILLISECONDS: u64 = 60_000;
/// Message ids that a machine remembers at most.
const SEEN_MAX: usize = 65_536;

/// Message ids that a machine has seen lately.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<u64>,
    order: VecDeque<(Moment, u64)>,
}

impl Seen {
    fn first_time(&mut self, now: Moment, id: u64) -> bool {
        while let Some(&(at, oldest)) = self.order.front()
            && (now.milliseconds_since(at) > SEEN_MILLISECONDS || self.order.len() >= SEEN_MAX)
        {
            self.order.pop_front();
            self.ids.remove(&oldest);
        }
        let first = self.ids.insert(id);
        if first {
            self.order.push_back((now, id));
        }
        first
    }
}

/// The overlay of a run.
pub struct Overlay {
    on: bool,
    neighbours: Vec<BTreeSet<u32>>,
    seen: Vec<Seen>,
    generator: Generator,
}

impl Overlay {
    /// An overlay over `nodes` machines without any neighbours yet. When `on` is false it carries nothing.
    pub fn new(on: bool, nodes: usize, root: &Generator) -> Self {
        Self {
            on,
            neighbours: vec![BTreeSet::new(); nodes],
            seen: (0..nodes).map(|_| Seen::default()).collect(),
            generator: root.split("overlay", 0),
        }
    }

    /// A machine's neighbours, if the overlay is on.
    pub fn neighbours(&self, node: u32) -> Vec<u32> {
        if self.on { self.neighbours[node as usize].iter().copied().collect() } else { Vec::new() }
    }

    /// Links that the mesh holds: also there when gossip is off, for sync.
    pub fn linked(&self, node: u32) -> &BTreeSet<u32> {
        &self.neighbours[node as usize]
    }

    /// Whether a machine sees this message for the first time in a while; remembers it.
    pub fn first_time(&mut self, now: Moment, node: u32, message: u64) -> bool {
        self.seen[node as usize].first_time(now, message)
    }

    /// A machine forgets all: it restarted.
    pub fn forget(&mut self, node: u32) {
        self.seen[node as usize] = Seen::default();
    }

    /// Makes the mesh fit who is alive and who can reach whom: drops dead neighbours, then gives
    /// machines with too few new ones. Returns the links that went and those that came.
    pub fn mend(&mut self, alive: &[bool], links: &Links) -> MeshChange {
        let mut change = MeshChange::default();
        self.drop_unreachable(alive, links, &mut change);
        let mut sides: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
        for node in (0..u32::try_from(alive.len()).unwrap_or(u32::MAX)).filter(|n| alive[*n as usize]) {
            sides.entry(links.side(node)).or_default().push(node);
        }
        for side in sides.values() {
            self.mend_side(side, links, &mut change);
        }
        change
    }

    fn drop_unreachable(&mut self, alive: &[bool], links: &Links, change: &mut MeshChange) {
        for node in 0..self.neighbours.len() {
            let Ok(one) = u32::try_from(node) else { continue };
            let gone: Vec<u32> = self.neighbours[node]
                .iter()
                .copied()
                .filter(|other| !alive[node] || !alive[*other as usize] || !links.connected(one, *other))
                .collect();
            for other in gone {
                self.neighbours[node].remove(&other);
                change.down.push((one, other));
            }
        }
    }

    fn mend_side(&mut self, side: &[u32], links: &Links, change: &mut MeshChange) {
        // A ring in a fixed order keeps the side in one piece, as kept bootstrap links would.
        for (place, node) in side.iter().enumerate() {
            let next = side[(place + 1) % side.len()];
            self.join(*node, next, links, change);
        }
        let enough = MESH_DEGREE.min(side.len().saturating_sub(1));
        for node in side {
            let mut tries = 0;
            while self.neighbours[*node as usize].len() < enough && tries < 16 * MESH_DEGREE {
                let other = side[self.generator.place(side.len())];
                tries += 1;
                if self.neighbours[other as usize].len() < 2 * MESH_DEGREE {
                    self.join(*node, other, links, change);
                }
            }
        }
    }

    fn join(&mut self, one: u32, other: u32, links: &Links, change: &mut MeshChange) {
        if one != other && links.connected(one, other) && self.neighbours[one as usize].insert(other) {
            self.neighbours[other as usize].insert(one);
            change.up.push((one, other));
            change.up.push((other, one));
        }
    }
}

/// What a mending changed, as (machine, its neighbour).
#[derive(Default)]
pub struct MeshChange {
    /// Links that are gone.
    pub down: Vec<(u32, u32)>,
    /// Links that are new.
    pub up: Vec<(u32, u32)>,
}

#[cfg(test)]
mod tests {
    use super::super::links::LinkLaw;
    use super::*;

    #[test]
    fn every_side_is_in_one_piece_and_no_link_crosses() {
        let root = Generator::new(3);
        let mut links = Links::new(LinkLaw::default(), &[0; 40], &root);
        let mut overlay = Overlay::new(true, 40, &root);
        let mut alive = vec![true; 40];
        overlay.mend(&alive, &links);
        (0..13).for_each(|node| links.set_side(node, 1));
        alive[20] = false;
        overlay.mend(&alive, &links);
        for start in [0, 39] {
            let mut reached = BTreeSet::from([start]);
            let mut todo = vec![start];
            while let Some(node) = todo.pop() {
                for next in overlay.neighbours(node) {
                    assert!(links.connected(node, next) && alive[next as usize]);
                    if reached.insert(next) {
                        todo.push(next);
                    }
                }
            }
            assert_eq!(reached.len(), if start == 0 { 13 } else { 26 });
        }
    }
}
