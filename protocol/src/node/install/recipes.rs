//! The ways to build a tree: present, by deltas, or from chunks.
//!
//! A manifest offers deltas that lead to its tree. Manifests of earlier releases that are kept offer deltas to trees in
//! between: several in turn may lead from what is here in fewer bytes.

use std::collections::BTreeMap;

use crate::bounds::DELTAS_IN_TURN_MAX;
use crate::digest::Digest;
use crate::node::outbox::{DeltaStep, Recipe};
use crate::trust::manifest::{DeltaOffer, Manifest};

/// The ways to build a release's tree from the trees in `slots`, cheapest first. `earlier` are the manifests of the
/// component's earlier releases that are known.
pub(super) fn recipes(manifest: &Manifest, earlier: &[&Manifest], slots: &[Digest]) -> Vec<Recipe> {
    if slots.contains(&manifest.tree) {
        return vec![Recipe::Present];
    }
    let offers = manifest.deltas.iter().filter(|delta| slots.contains(&delta.from));
    let mut ways: Vec<Way> = offers.map(|delta| Way::begin(delta.from).with(manifest, delta)).collect();
    ways.sort_by_key(|way| way.bytes);
    // What chunks cost is not known before the index is here; never more than this.
    let whole = manifest.index_bytes.saturating_add(manifest.bytes);
    let least = ways.first().map_or(whole, |way| way.bytes);
    let in_turn = in_turn(manifest, earlier, slots).filter(|way| way.bytes < least);
    let deltas =
        in_turn.into_iter().chain(ways).map(|way| Recipe::Deltas { from: way.from, steps: way.steps });
    deltas.chain([Recipe::Chunks]).collect()
}

/// Deltas in turn.
#[derive(Clone)]
struct Way {
    from: Digest,
    bytes: u64,
    steps: Vec<DeltaStep>,
}

impl Way {
    fn begin(from: Digest) -> Self {
        Self { from, bytes: 0, steps: Vec::new() }
    }

    fn with(&self, to: &Manifest, delta: &DeltaOffer) -> Self {
        let mut steps = self.steps.clone();
        steps.push(DeltaStep { tree: to.tree, tree_bytes: to.bytes, blob: delta.blob, bytes: delta.bytes });
        Self { from: self.from, bytes: self.bytes.saturating_add(delta.bytes), steps }
    }
}

/// The cheapest way by several deltas. Each round adds one to the ways that the round before found or made cheaper.
fn in_turn(manifest: &Manifest, earlier: &[&Manifest], slots: &[Digest]) -> Option<Way> {
    let mut best: BTreeMap<Digest, Way> = slots.iter().map(|tree| (*tree, Way::begin(*tree))).collect();
    for _ in 1..DELTAS_IN_TURN_MAX {
        let before = best.clone();
        for (to, delta) in earlier.iter().flat_map(|to| to.deltas.iter().map(move |delta| (*to, delta))) {
            let Some(way) = before.get(&delta.from).map(|way| way.with(to, delta)) else { continue };
            if best.get(&to.tree).is_none_or(|known| way.bytes < known.bytes) {
                best.insert(to.tree, way);
            }
        }
    }
    let last = manifest.deltas.iter().filter_map(|delta| Some(best.get(&delta.from)?.with(manifest, delta)));
    last.filter(|way| way.steps.len() > 1).min_by_key(|way| way.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::manifest::{Kind, ReleaseOrder, Select};
    use crate::trust::names::ComponentName;
    use crate::trust::plan::Plan;

    fn tree(number: u8) -> Digest {
        Digest([number; 32])
    }

    fn blob(from: u8, to: u8) -> Digest {
        Digest([from * 16 + to; 32])
    }

    /// A release of 1,000 bytes, and deltas to it from these trees, of so many bytes.
    fn release(number: u8, deltas: &[(u8, u64)]) -> Manifest {
        let offer = |(from, bytes): &(u8, u64)| DeltaOffer {
            from: tree(*from),
            blob: blob(*from, number),
            bytes: *bytes,
        };
        Manifest {
            component: ComponentName::new("web").unwrap(),
            kind: Kind::Service,
            version: number.to_string(),
            order: ReleaseOrder { epoch: 1, sequence: number.into() },
            policy: 1,
            census: tree(0),
            tree: tree(number),
            index_bytes: 100,
            bytes: 1000,
            deltas: deltas.iter().map(offer).collect(),
            requires: Vec::new(),
            select: Select::default(),
            plan: Plan::default(),
            expires: 0,
            note: String::new(),
        }
    }

    /// Each recipe as the trees that it leads over; chunks as none.
    fn ways(manifest: &Manifest, earlier: &[&Manifest], slots: &[u8]) -> Vec<Vec<u8>> {
        let slots: Vec<Digest> = slots.iter().copied().map(tree).collect();
        let over = |recipe: Recipe| match recipe {
            Recipe::Present => vec![0],
            Recipe::Chunks => Vec::new(),
            Recipe::Deltas { from, steps } => {
                let trees = std::iter::once(from).chain(steps.iter().map(|step| step.tree));
                trees.map(|tree| tree.0[0]).collect()
            }
        };
        recipes(manifest, earlier, &slots).into_iter().map(over).collect()
    }

    #[test]
    fn the_cheapest_delta_comes_first_and_chunks_last() {
        let third = release(3, &[(1, 90), (2, 50)]);
        assert_eq!(ways(&third, &[], &[1, 2]), [vec![2, 3], vec![1, 3], vec![]]);
        assert_eq!(ways(&third, &[], &[4]), [vec![]]);
        assert_eq!(ways(&third, &[], &[3, 1]), [[0]]);
    }

    #[test]
    fn deltas_of_earlier_releases_lead_on_where_that_is_cheaper() {
        let second = release(2, &[(1, 30)]);
        let third = release(3, &[(2, 50)]);
        assert_eq!(ways(&third, &[&second], &[1]), [vec![1, 2, 3], vec![]]);
        let with_direct = release(3, &[(2, 50), (1, 90)]);
        assert_eq!(ways(&with_direct, &[&second], &[1]), [vec![1, 2, 3], vec![1, 3], vec![]]);
        let cheap_direct = release(3, &[(2, 50), (1, 80)]);
        assert_eq!(ways(&cheap_direct, &[&second], &[1]), [vec![1, 3], vec![]]);
        let dear = release(2, &[(1, 1050)]);
        assert_eq!(
            ways(&third, &[&dear], &[1]),
            [vec![]],
            "chunks are never more than the files and their index"
        );
    }

    #[test]
    fn a_way_names_its_blobs_and_sizes() {
        let (second, third) = (release(2, &[(1, 30)]), release(3, &[(2, 50)]));
        let step = |from: u8, to: u8, bytes| DeltaStep {
            tree: tree(to),
            tree_bytes: 1000,
            blob: blob(from, to),
            bytes,
        };
        let steps = vec![step(1, 2, 30), step(2, 3, 50)];
        let found = recipes(&third, &[&second], &[tree(1)]);
        assert_eq!(found.first(), Some(&Recipe::Deltas { from: tree(1), steps }));
    }

    #[test]
    fn a_way_has_an_end_whatever_the_manifests_say() {
        let rings = [release(2, &[(1, 0), (3, 0)]), release(3, &[(2, 0)]), release(1, &[(3, 0)])];
        let rings: Vec<&Manifest> = rings.iter().collect();
        assert_eq!(ways(&release(9, &[(3, 1)]), &rings, &[1]), [vec![1, 2, 3, 9], vec![]]);
        let line: Vec<Manifest> = (2..9).map(|number| release(number, &[(number - 1, 1)])).collect();
        let line: Vec<&Manifest> = line.iter().collect();
        assert_eq!(ways(&release(9, &[(8, 1)]), &line, &[1]), [vec![]], "too many in turn");
        assert_eq!(ways(&release(9, &[(8, 1)]), &line, &[5]), [vec![5, 6, 7, 8, 9], vec![]]);
    }
}
