//! Making censuses: enrolling nodes and retiring them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use groundswell_protocol::bounds::{CENSUS_MAX, LABELS_MAX, MEMBERS_MAX};
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Statement};
use groundswell_protocol::identity::{KeyPair, NodeId};
use groundswell_protocol::trust::census::{Census, Enrolment};
use groundswell_protocol::trust::names::is_label;
use groundswell_protocol::trust::policy::RoleName;

use super::bundle::Bundle;
use super::problem::Problem;
use super::signers::choose_signers;

/// What a new census changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CensusChange {
    /// Nodes that were not in the census before.
    pub added: usize,
    /// Nodes that have other labels now.
    pub changed: usize,
    /// Nodes that are in the census no more.
    pub removed: usize,
}

impl CensusChange {
    /// Whether anything differs.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// What leads from one census to another.
    pub fn between(before: Option<&Census>, after: &Census) -> Self {
        let list = |census: &Census| -> BTreeMap<NodeId, Enrolment> {
            census.enrolments().into_iter().map(|node| (node.node, node)).collect()
        };
        let (before, after) = (before.map(list).unwrap_or_default(), list(after));
        let mut change = Self::default();
        for (node, enrolment) in &after {
            match before.get(node) {
                None => change.added += 1,
                Some(old) if old != enrolment => change.changed += 1,
                Some(_) => {}
            }
        }
        change.removed = before.keys().filter(|node| !after.contains_key(node)).count();
        change
    }
}

/// Enrols `nodes`, giving those that are enrolled already their new labels, and keeps everybody else as
/// they are. Without a change the bundle stays as it is.
///
/// # Errors
/// When a label is out of bounds or too few enrol keys are among `signers`; the bundle is unchanged then.
pub fn enrol(bundle: &mut Bundle, nodes: &[Enrolment], signers: &[KeyPair]) -> Result<CensusChange, Problem> {
    for label in nodes.iter().flat_map(|node| [&node.zone, &node.ring, &node.class]) {
        if !is_label(label) {
            return Err(Problem::usage(
                format!("cannot use the label {label:?}"),
                "a label is 1 to 64 bytes without spaces and control characters",
                "choose another label, such as `rack-7`",
            ));
        }
    }
    let mut enrolments = bundle.census().map(|census| census.enrolments()).unwrap_or_default();
    enrolments.extend_from_slice(nodes);
    replace(bundle, &enrolments, signers)
}

/// Retires `nodes`: they leave with the new census, and links to them are refused from then on.
///
/// # Errors
/// When one is not enrolled, nobody would be left, or too few enrol keys are among `signers`; the bundle is
/// unchanged then.
pub fn retire(bundle: &mut Bundle, nodes: &[NodeId], signers: &[KeyPair]) -> Result<CensusChange, Problem> {
    let what = "cannot retire";
    let Some(census) = bundle.census() else {
        return Err(Problem::not_found(
            what,
            "no node is enrolled yet",
            "enrol nodes with `swell fleet enrol`",
        ));
    };
    let leaving: BTreeSet<NodeId> = nodes.iter().copied().collect();
    if let Some(stranger) = leaving.iter().find(|node| census.member(node).is_none()) {
        return Err(Problem::not_found(
            format!("{what} {}", stranger.short()),
            format!("it is not among the {} nodes of census {}", census.members.len(), census.version),
            "see who is enrolled with `swell fleet show`",
        ));
    }
    let staying: Vec<Enrolment> =
        census.enrolments().into_iter().filter(|node| !leaving.contains(&node.node)).collect();
    if staying.is_empty() {
        return Err(Problem::refused(what, "nobody would be left in the fleet", "enrol another node first"));
    }
    replace(bundle, &staying, signers)
}

fn replace(bundle: &mut Bundle, nodes: &[Enrolment], signers: &[KeyPair]) -> Result<CensusChange, Problem> {
    let what = "cannot sign the new census";
    let policy = bundle.newest_policy().clone();
    let (version, previous) = match (bundle.census(), bundle.census_fact()) {
        (Some(census), Some(fact)) => (census.version.saturating_add(1), fact.id),
        _ => (1, Digest([0; 32])),
    };
    let census = Census::new(version, policy.version, previous, nodes);
    let change = CensusChange::between(bundle.census().map(Arc::as_ref), &census);
    if change.is_empty() {
        return Ok(change);
    }
    if !census.is_valid() {
        return Err(Problem::refused(
            what,
            format!(
                "a census has 1 to {MEMBERS_MAX} nodes and at most {LABELS_MAX} different zones, rings and classes"
            ),
            "use fewer labels, or found a second fleet",
        ));
    }
    let chosen = choose_signers(&policy, RoleName::Enrol, signers, what)?;
    let fact = Fact::sign(bundle.fleet(), Statement::Census(Arc::new(census)), &chosen);
    if fact.signed.body.len() > CENSUS_MAX {
        return Err(Problem::refused(
            what,
            format!("it would need {} bytes, more than the {CENSUS_MAX} of a census", fact.signed.body.len()),
            "use fewer and shorter labels, or found a second fleet",
        ));
    }
    bundle
        .add(fact)
        .map_err(|why| Problem::refused(what, why, "get the newest fleet bundle and try again"))?;
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::problem::ProblemKind;
    use crate::release::testing::{enrolment, small_fleet};

    #[test]
    fn enrolling_keeps_the_labels_of_the_others() {
        let (keys, mut bundle) = small_fleet();
        let before = bundle.census().expect("census").enrolments();
        let mut moved = enrolment(2);
        moved.zone = "b".to_owned();
        let signers = [keys.enrol];
        let change = enrol(&mut bundle, &[enrolment(9), moved.clone()], &signers).expect("enrolled");
        assert_eq!(change, CensusChange { added: 1, changed: 1, removed: 0 });
        let census = bundle.census().expect("census");
        assert_eq!((census.version, census.members.len()), (2, 4));
        for node in census.enrolments() {
            let old = before.iter().find(|old| old.node == node.node);
            assert!(node == moved || node == enrolment(9) || Some(&node) == old);
        }
        let again = enrol(&mut bundle, &[moved], &signers).expect("no change");
        assert!(again.is_empty());
        assert_eq!(bundle.census().expect("census").version, 2, "nothing was signed");
    }

    #[test]
    fn the_first_enrolment_makes_the_first_census() {
        let (keys, bundle) = small_fleet();
        let policies = bundle.facts().into_iter().take(1).collect();
        let mut bundle = Bundle::from_facts(policies).expect("policy alone");
        enrol(&mut bundle, &[enrolment(1)], &[keys.enrol]).expect("enrolled");
        assert_eq!(bundle.census().expect("census").version, 1);
    }

    #[test]
    fn retiring_needs_an_enrolled_node_and_leaves_somebody() {
        let (keys, mut bundle) = small_fleet();
        let signers = [keys.enrol];
        let stranger = retire(&mut bundle, &[enrolment(9).node], &signers).expect_err("not enrolled");
        assert_eq!(stranger.kind, ProblemKind::NotFound);
        let all: Vec<_> = (1..=3).map(|number| enrolment(number).node).collect();
        assert_eq!(retire(&mut bundle, &all, &signers).expect_err("all").kind, ProblemKind::Refused);
        let change = retire(&mut bundle, &all[..1], &signers).expect("retired");
        assert_eq!(change, CensusChange { removed: 1, ..CensusChange::default() });
        assert!(bundle.census().expect("census").member(&all[0]).is_none());
    }

    #[test]
    fn the_wrong_key_is_told_which_role_it_has() {
        let (keys, mut bundle) = small_fleet();
        let wrong = keys.operator.public().short();
        let problem = enrol(&mut bundle, &[enrolment(9)], &[keys.operator]).expect_err("wrong role");
        assert!(problem.why.contains(&wrong) && problem.why.contains("operator"), "{problem}");
        assert_eq!(bundle.census().expect("census").version, 1, "unchanged");
    }
}
