//! Links and meshes: who is linked with whom, grafted and pruned as libp2p's gossipsub 0.50 does it.
//!
//! A machine with too few neighbours takes each that it hears of on a new link; at heartbeats it asks as many as it
//! lacks, lets go of what is too much, and sees to it that it has set up the link to one of them at least. Who is
//! asked and is full refuses. What is simplified: who was let go may be asked again at the next heartbeat.

use std::collections::{BTreeMap, BTreeSet};

use super::{LINKS_TARGET, Links, MESH, Overlay, reaches};
use crate::generator::mix;

/// Whose links must be looked at.
pub(super) enum Needy {
    /// Everybody's: links changed.
    All,
    /// Those of machines that came or went, and of their neighbours.
    Some(BTreeSet<u32>),
}

/// What a mending changed, as (machine, its neighbour).
#[derive(Default)]
pub struct MeshChange {
    /// Links that are gone.
    pub down: Vec<(u32, u32)>,
    /// Links that are new.
    pub up: Vec<(u32, u32)>,
}

fn add(list: &mut Vec<u32>, one: u32) -> bool {
    match list.binary_search(&one) {
        Ok(_) => false,
        Err(place) => {
            list.insert(place, one);
            true
        }
    }
}

fn remove(list: &mut Vec<u32>, one: u32) -> bool {
    list.binary_search(&one).map(|place| list.remove(place)).is_ok()
}

impl Overlay {
    /// A machine came or went: its links are looked at when the overlay is next mended.
    pub fn touch(&mut self, node: u32) {
        if let Needy::Some(needy) = &mut self.needy {
            needy.insert(node);
        }
    }

    /// Links changed: everybody's are looked at when the overlay is next mended.
    pub fn touch_all(&mut self) {
        self.needy = Needy::All;
    }

    /// Whether nothing has changed since it was last mended.
    pub fn is_mended(&self) -> bool {
        matches!(&self.needy, Needy::Some(needy) if needy.is_empty())
    }

    /// Makes links and meshes fit who is alive and who can reach whom.
    pub fn mend(&mut self, alive: &[bool], links: &Links) -> MeshChange {
        let mut change = MeshChange::default();
        let all = || (0..u32::try_from(alive.len()).unwrap_or(u32::MAX)).collect();
        let needy: BTreeSet<u32> = match std::mem::replace(&mut self.needy, Needy::Some(BTreeSet::new())) {
            Needy::All => all(),
            Needy::Some(needy) => needy,
        };
        if needy.is_empty() {
            return change;
        }
        let mut sides: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
        for node in (0..).zip(alive).filter(|(_, alive)| **alive).map(|(node, _)| node) {
            sides.entry(links.side(node)).or_default().push(node);
        }
        let mut poor = needy.clone();
        for node in &needy {
            self.drop_unreachable(*node, alive, links, &mut poor, &mut change);
        }
        for node in &needy {
            let Some(side) = sides.get(&links.side(*node)) else { continue };
            self.close_ring(*node, side, links, &mut change);
        }
        for node in poor.iter().filter(|node| alive[**node as usize]) {
            if let Some(side) = sides.get(&links.side(*node)) {
                self.find_links(*node, side, links, &mut change);
            }
        }
        poor.extend(change.up.iter().map(|(node, _)| *node));
        self.greet(&change.up);
        let mut order: Vec<u32> = poor.into_iter().collect();
        self.generator.shuffle(&mut order);
        for node in order {
            self.graft(node);
            self.prune(node);
            self.reach_out(node);
        }
        change
    }

    fn drop_unreachable(
        &mut self,
        node: u32,
        alive: &[bool],
        links: &Links,
        poor: &mut BTreeSet<u32>,
        change: &mut MeshChange,
    ) {
        let gone = |other: &&u32| !reaches(alive, links, node, **other);
        let gone: Vec<u32> = self.linked[node as usize].iter().filter(gone).copied().collect();
        for other in gone {
            for (one, other) in [(node, other), (other, node)] {
                if remove(&mut self.linked[one as usize], other) {
                    remove(&mut self.mesh[one as usize], other);
                    change.down.push((one, other));
                }
            }
            poor.insert(other);
        }
    }

    /// A ring in a fixed order keeps a side in one piece, as kept bootstrap links would.
    fn close_ring(&mut self, node: u32, side: &[u32], links: &Links, change: &mut MeshChange) {
        let place = side.partition_point(|other| *other < node);
        let here = side.get(place) == Some(&node);
        let before = side[(place + side.len() - 1) % side.len()];
        let after = side[(place + usize::from(here)) % side.len()];
        if here {
            self.join(before, node, links, change);
            self.join(node, after, links, change);
        } else {
            self.join(before, after, links, change);
        }
    }

    fn find_links(&mut self, node: u32, side: &[u32], links: &Links, change: &mut MeshChange) {
        let enough = LINKS_TARGET.min(side.len().saturating_sub(1));
        if side.len() <= LINKS_TARGET + 1 {
            for other in side {
                self.join(node, *other, links, change);
            }
            return;
        }
        let mut tries = 0;
        while self.linked[node as usize].len() < enough && tries < 8 * LINKS_TARGET {
            let other = side[self.generator.place(side.len())];
            tries += 1;
            if self.linked[other as usize].len() < 2 * LINKS_TARGET {
                self.join(node, other, links, change);
            }
        }
    }

    fn join(&mut self, one: u32, other: u32, links: &Links, change: &mut MeshChange) {
        if one != other && links.connected(one, other) && add(&mut self.linked[one as usize], other) {
            add(&mut self.linked[other as usize], one);
            change.up.push((one, other));
            change.up.push((other, one));
        }
    }

    /// Of two machines that have a link, whether this one set it up. Both try at once: it is by lot.
    fn dialled(&self, node: u32, other: u32) -> bool {
        let (low, high) = (node.min(other), node.max(other));
        let lower = mix(self.dials ^ mix(u64::from(low) << 32 | u64::from(high))) & 1 == 0;
        lower == (node < other)
    }

    /// Whether a machine lets another into its mesh that asks for it: it has room, or set up the link itself.
    fn accepts(&self, node: u32, other: u32) -> bool {
        self.mesh[node as usize].len() < MESH.2 || self.dialled(node, other)
    }

    /// Takes a link into both meshes. The next heartbeat lets go of what is too much.
    fn mate(&mut self, node: u32, other: u32) {
        add(&mut self.mesh[node as usize], other);
        add(&mut self.mesh[other as usize], node);
        for one in [node, other] {
            if self.mesh[one as usize].len() >= MESH.2 {
                self.touch(one);
            }
        }
    }

    /// Machines hear of each other on new links, in any order: who has too few neighbours takes each as it comes.
    fn greet(&mut self, up: &[(u32, u32)]) {
        let mut links: Vec<(u32, u32)> = up.iter().copied().filter(|(one, other)| one < other).collect();
        self.generator.shuffle(&mut links);
        for (one, other) in links {
            let needs = |node: u32| self.mesh[node as usize].len() < MESH.0;
            if needs(one) && self.accepts(other, one) || needs(other) && self.accepts(one, other) {
                self.mate(one, other);
            }
        }
    }

    /// A machine's links that are not in its mesh, in any order.
    fn beyond(&mut self, node: u32) -> Vec<u32> {
        let mesh = &self.mesh[node as usize];
        let mut others: Vec<u32> = self.linked[node as usize].clone();
        others.retain(|other| mesh.binary_search(other).is_err());
        self.generator.shuffle(&mut others);
        others
    }

    /// Too few neighbours: asks as many as are lacking. Who refuses is not replaced before the next heartbeat.
    fn graft(&mut self, node: u32) {
        let (low, wanted, _) = MESH;
        let have = self.mesh[node as usize].len();
        if have >= low {
            return;
        }
        for other in self.beyond(node).into_iter().take(wanted - have) {
            if self.accepts(other, node) {
                self.mate(node, other);
            } else {
                self.touch(node);
            }
        }
    }

    /// Too many neighbours: lets go of some, but keeps one that it has set up the link with.
    fn prune(&mut self, node: u32) {
        let (low, wanted, high) = MESH;
        if self.mesh[node as usize].len() < high {
            return;
        }
        let mut others: Vec<u32> = self.mesh[node as usize].clone();
        self.generator.shuffle(&mut others);
        let mut own = others.iter().filter(|other| self.dialled(node, **other)).count();
        for other in others {
            if self.mesh[node as usize].len() <= wanted {
                break;
            }
            if self.dialled(node, other) {
                if own <= 1 {
                    continue;
                }
                own -= 1;
            }
            remove(&mut self.mesh[node as usize], other);
            remove(&mut self.mesh[other as usize], node);
            if self.mesh[other as usize].len() < low {
                self.touch(other);
            }
        }
    }

    /// Enough neighbours, and none that it has set up the link with: asks one such, lest others alone choose its mesh.
    fn reach_out(&mut self, node: u32) {
        let mesh = &self.mesh[node as usize];
        if mesh.len() < MESH.0 || mesh.iter().any(|other| self.dialled(node, *other)) {
            return;
        }
        let other = self.beyond(node).into_iter().find(|other| self.dialled(node, *other));
        if let Some(other) = other.filter(|other| self.accepts(*other, node)) {
            self.mate(node, other);
        }
    }
}
