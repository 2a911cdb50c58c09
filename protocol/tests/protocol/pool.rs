//! A pool of facts that are all valid: one of everything that may be said of one rollout, by every
//! node, several times over, with the documents that it all depends on.

use std::sync::Arc;

use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    Ballot, Fact, Failure, Propose, RolloutId, Say, SkipReason, Statement, StopReason, Vote, VoteState,
};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::trust::command::Instruction;

use crate::fleet::papers::Papers;

/// Nodes of the pool's fleet.
pub(crate) const NODES: usize = 7;

/// The pool; its facts in an order in which each can be accepted.
pub(crate) struct Pool {
    pub(crate) papers: Papers,
    pub(crate) rollout: RolloutId,
    pub(crate) roster: Roster,
    pub(crate) facts: Vec<Arc<Fact>>,
}

/// Makes the pool.
pub(crate) fn pool() -> Pool {
    let papers = Papers::new(NODES);
    let manifest = papers.manifest(1, "1.0");
    let Statement::Census(census) = papers.census.statement.clone() else { unreachable!() };
    let (rollout, fact) = papers.sign(manifest.clone());
    let roster = Roster::draw(rollout, &manifest, &census);
    let members: Vec<_> = papers.nodes.iter().map(KeyPair::public).collect();
    let (policy, _) = papers.next_policy((&papers.policy_fact, &papers.policy), &[&papers.root], |_| {});
    let (newer, _) = papers.next_census(2, 1, &members[..5], &papers.enrol);
    let mut facts = vec![papers.policy_fact.clone(), policy, papers.census.clone(), newer, fact];
    facts.push(papers.release(2, "2.0").1);
    for (node, id) in members.iter().copied().enumerate() {
        let says = [
            Say::Term(1),
            Say::Term(3),
            Say::Open(1),
            Say::Open(5),
            Say::Open(8),
            Say::Stop(StopReason::Expired),
            Say::Stop(StopReason::Evidence),
        ];
        for say in says {
            facts.push(papers.by(node, Statement::Ballot(Ballot { rollout, juror: id, say })));
        }
        let seat = u32::try_from(roster.jury.iter().position(|juror| *juror == id).unwrap()).unwrap();
        for (term, open) in [(seat, 1), (seat, 3), (seat + 7, 2)] {
            facts.push(papers.by(node, Statement::Propose(Propose { rollout, term, leader: id, open })));
        }
        let states = [
            VoteState::Staged,
            VoteState::Skip(SkipReason::NoSpace),
            VoteState::Skip(SkipReason::Newer),
            VoteState::Trying,
            VoteState::Healthy,
            VoteState::Failed(Failure::Unknown),
            VoteState::Failed(Failure::Recovered),
        ];
        for (state, attempt) in states.into_iter().zip([1, 1, 2, 2, 1, 3, 1]) {
            let numbers = HealthNumbers::default();
            let vote = Vote { rollout, node: id, state, attempt, beat: 0, numbers, note: String::new() };
            facts.push(papers.by(node, Statement::Vote(vote)));
        }
    }
    let flow = |counter, pause| Instruction::Flow { counter, pause };
    let orders = [flow(1, true), flow(1, false), flow(2, false), Instruction::Promote(4), Instruction::Stop];
    for order in orders {
        let signed = papers.command(rollout, order);
        facts.push(Fact::read(papers.fleet, signed).unwrap());
    }
    Pool { rollout, roster, facts: facts.into_iter().map(Arc::new).collect(), papers }
}
