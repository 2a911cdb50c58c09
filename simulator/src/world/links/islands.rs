//! Islands: machines that news can pass between, if need be over others.
//!
//! Machines that every cut and router treats alike are looked at together, so that a fleet of 100,000
//! costs hardly more than one of ten.

use std::collections::BTreeMap;

use super::{Links, Reach};

/// What decides whom a machine can have a link with.
type Kind = (u8, Reach, u16, Vec<(bool, bool)>);

struct Group {
    first: u32,
    second: Option<u32>,
    island: u32,
}

impl Links {
    /// The number of each machine's island; machines that are off are on islands that nobody else is on.
    pub fn islands(&self, on: &[bool]) -> Vec<u32> {
        let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut of: Vec<Option<usize>> = vec![None; on.len()];
        for (place, group) in (0..).zip(&mut of).filter(|(place, _)| on[*place as usize]) {
            let number = groups.len();
            let found = *kinds.entry(self.kind(place)).or_insert(number);
            match groups.get_mut(found) {
                Some(known) => known.second = known.second.or(Some(place)),
                None => groups.push(Group { first: place, second: None, island: place }),
            }
            *group = Some(found);
        }
        for one in 0..groups.len() {
            for other in one + 1..groups.len() {
                if groups[one].island != groups[other].island
                    && self.passes_somehow(groups[one].first, groups[other].first)
                {
                    let (to, from) = (groups[one].island, groups[other].island);
                    groups.iter_mut().filter(|g| g.island == from).for_each(|g| g.island = to);
                }
            }
        }
        let whole: Vec<bool> = (0..groups.len())
            .map(|group| {
                let Group { first, second, island } = groups[group];
                let alone = groups.iter().filter(|other| other.island == island).count() == 1;
                !alone || second.is_none_or(|second| self.passes_somehow(first, second))
            })
            .collect();
        (0..)
            .zip(of)
            .map(|(place, group)| {
                group.filter(|group| whole[*group]).map_or(place, |group| groups[group].island)
            })
            .collect()
    }

    /// Whether frames pass between two machines at least one way: who hears news knows it.
    fn passes_somehow(&self, one: u32, other: u32) -> bool {
        self.passes(one, other) || self.passes(other, one)
    }

    fn kind(&self, place: u32) -> Kind {
        let line = &self.lines[place as usize];
        let cuts = self.cuts.iter().map(|(_, way)| (way.from.contains(place), way.to.contains(place)));
        let zone = if self.all_open { 0 } else { line.zone };
        (self.sides[place as usize], line.reach, zone, cuts.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClassLaw, ClassName, LinkLaw, Places};
    use super::*;
    use crate::generator::Generator;

    /// Islands, found the long way.
    fn plainly(links: &Links, on: &[bool]) -> Vec<u32> {
        let count = u32::try_from(on.len()).expect("small");
        let mut island: Vec<u32> = (0..count).collect();
        loop {
            let before = island.clone();
            for one in (0..count).filter(|n| on[*n as usize]) {
                for other in
                    (0..count).filter(|n| on[*n as usize] && *n != one && links.passes_somehow(one, *n))
                {
                    let least = island[one as usize].min(island[other as usize]);
                    (island[one as usize], island[other as usize]) = (least, least);
                }
            }
            if before == island {
                return island;
            }
        }
    }

    #[test]
    fn islands_are_what_walking_every_link_finds() {
        for seed in 0..200 {
            let mut luck = Generator::new(seed);
            let zones: Vec<u16> = (0..14).map(|place| place % 3).collect();
            let mut links = Links::new(LinkLaw::default(), &zones, &luck);
            for node in 0..14 {
                let reach = [Reach::Open, Reach::Open, Reach::Zone, Reach::Nobody][luck.place(4)];
                let name = ClassName::new("some").expect("a good name");
                links.set_class(node, &ClassLaw { name, up_bytes: None, down_bytes: None, reach });
                links.set_side(node, u8::from(luck.chance(200)));
            }
            for fault in 0..luck.below(3) {
                let some = Places::of(14, (0..14).filter(|_| luck.chance(300)));
                let to = if luck.chance(500) {
                    some.others()
                } else {
                    Places::of(14, [u32::try_from(luck.below(14)).expect("small")])
                };
                links.cut(fault, some, to);
            }
            let on: Vec<bool> = (0..14).map(|_| luck.chance(850)).collect();
            let (found, plain) = (links.islands(&on), plainly(&links, &on));
            for one in 0..14 {
                for other in 0..14 {
                    assert_eq!(
                        found[one] == found[other],
                        plain[one] == plain[other],
                        "seed {seed}: {found:?} {plain:?}"
                    );
                }
            }
        }
    }
}
