//! Links and meshes: who is linked with whom, grafted and pruned at heartbeats.

use std::collections::{BTreeMap, BTreeSet};

use super::{LINKS_TARGET, Links, MESH, Overlay, reaches};

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
        for node in &poor {
            self.graft(*node);
        }
        for node in &poor {
            self.prune(*node);
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

    /// Too few neighbours: takes links into the mesh, of those first that have room.
    fn graft(&mut self, node: u32) {
        let (low, wanted, high) = MESH;
        if self.mesh[node as usize].len() >= low {
            return;
        }
        let mut others: Vec<u32> = self.linked[node as usize].clone();
        self.generator.shuffle(&mut others);
        let room = |overlay: &Self, other: u32| overlay.mesh[other as usize].len() < high;
        others.sort_by_key(|other| !room(self, *other));
        for other in others {
            if self.mesh[node as usize].len() >= wanted {
                break;
            }
            if add(&mut self.mesh[node as usize], other) {
                add(&mut self.mesh[other as usize], node);
            }
        }
    }

    /// Too many neighbours: lets go of some, of those first that can spare it.
    fn prune(&mut self, node: u32) {
        let (low, wanted, high) = MESH;
        if self.mesh[node as usize].len() <= high {
            return;
        }
        let mut others: Vec<u32> = self.mesh[node as usize].clone();
        self.generator.shuffle(&mut others);
        for other in others {
            if self.mesh[node as usize].len() <= wanted {
                break;
            }
            if self.mesh[other as usize].len() > low {
                remove(&mut self.mesh[node as usize], other);
                remove(&mut self.mesh[other as usize], node);
            }
        }
    }
}
