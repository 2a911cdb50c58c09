//! What liars sign: votes, ballots and proposals that nothing has given them the right to.

use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    Ballot, Failure, Propose, RolloutId, Say, Statement, StopReason, Vote, VoteState,
};
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::status::Standing;
use groundswell_protocol::trust::command::{Command, Instruction};

use super::super::World;
use crate::scenario::Lie;

/// What a lie is, for the story.
pub(super) fn of(lie: Lie) -> &'static str {
    match lie {
        Lie::CriesStop => "sign a stop of every release",
        Lie::Floods => "raise their registers ten times a second",
        Lie::Withholds => "take in everything and pass nothing on",
        Lie::Forges => "sign in others' names",
        Lie::Equivocates => "say one thing to some and another to others",
        Lie::Replays => "say again what was said long ago",
        Lie::DoubleVotes => "sign open and stop, healthy and failed, for every release",
        Lie::Spams => "send rubbish",
        Lie::Eclipses => "let no stop through to whom they surround",
        Lie::Colludes => "find every release healthy and open all of it, together",
        Lie::LeadsEarly => "propose the next wave at once when they lead",
        Lie::LeadsTooFar => "propose everything at once, also when they do not lead",
        Lie::LeadsNowhere => "propose nothing when they lead",
    }
}

/// A vote of a machine.
fn vote(rollout: RolloutId, node: NodeId, state: VoteState, beat: u32, note: &str) -> Statement {
    let numbers = HealthNumbers { passed: 1_000, ..HealthNumbers::default() };
    Statement::Vote(Vote { rollout, node, state, attempt: 1, beat, numbers, note: note.to_owned() })
}

impl World {
    pub(super) fn tell_lie(&mut self, node: u32, lie: Lie, rollout: RolloutId) {
        let Some(release) = self.releases.iter().find(|release| release.rollout == rollout) else { return };
        let (me, beat) = (self.fleet.nodes[node as usize], self.beat());
        let (members, done) = (release.roster.count(), release.roster.done());
        let ballot = |say| Statement::Ballot(Ballot { rollout, juror: me, say });
        let statements = match lie {
            Lie::CriesStop => vec![ballot(Say::Stop(StopReason::Evidence))],
            Lie::Floods => {
                vec![ballot(Say::Term(beat)), vote(rollout, me, VoteState::Staged, beat, "")]
            }
            Lie::Colludes => vec![
                vote(rollout, me, VoteState::Healthy, beat / 10, ""),
                ballot(Say::Open(if beat.is_multiple_of(2) { members } else { done })),
            ],
            Lie::DoubleVotes => vec![
                ballot(Say::Open(done)),
                ballot(Say::Stop(StopReason::Evidence)),
                ballot(Say::Stop(StopReason::Expired)),
                ballot(Say::Term(u32::MAX)),
                vote(rollout, me, VoteState::Healthy, beat, ""),
                vote(rollout, me, VoteState::Failed(Failure::Recovered), beat, ""),
            ],
            Lie::Equivocates => return self.equivocate(node, rollout),
            Lie::Forges => return self.forge(node, rollout),
            Lie::LeadsEarly | Lie::LeadsTooFar => return self.lead(node, lie, rollout),
            Lie::Withholds | Lie::Replays | Lie::Spams | Lie::Eclipses | Lie::LeadsNowhere => return,
        };
        for statement in statements {
            let fact = self.signed_by(node, statement);
            self.spread(node, fact);
        }
    }

    /// One vote for those at even places, another of the very same rank for the others.
    fn equivocate(&mut self, node: u32, rollout: RolloutId) {
        let (me, beat) = (self.fleet.nodes[node as usize], self.beat() / 10);
        let failed = VoteState::Failed(Failure::Unknown);
        let two = [
            [vote(rollout, me, VoteState::Healthy, beat, "well"), vote(rollout, me, failed, beat, "ill")],
            [vote(rollout, me, VoteState::Healthy, beat, "fine"), vote(rollout, me, failed, beat, "bad")],
        ];
        for (place, to) in [(0, 0), (1, 1)] {
            let facts = two[place].clone().map(|statement| self.signed_by(node, statement)).to_vec();
            self.hand(node, (to..self.scenario.nodes).step_by(2), facts);
        }
    }

    /// Signs with its own key what others would have to sign: all jurors' ballots, an operator's order.
    fn forge(&mut self, node: u32, rollout: RolloutId) {
        let Some(release) = self.releases.iter().find(|release| release.rollout == rollout) else { return };
        let (open, jury) = (release.roster.done(), release.roster.jury.clone());
        let me = self.fleet.nodes[node as usize];
        let term = (0..2).find(|term| release.roster.leader(*term) != Some(me)).unwrap_or(0);
        for juror in jury.into_iter().filter(|juror| *juror != me) {
            let say = Say::Open(open);
            let mut fact = self.signed_by(node, Statement::Ballot(Ballot { rollout, juror, say }));
            fact.signatures[0].key = juror;
            self.spread(node, fact);
        }
        let order = |instruction| {
            Statement::Command(Command { rollout, policy: 1, instruction, note: "forged".to_owned() })
        };
        for instruction in [Instruction::Stop, Instruction::Promote(open)] {
            let fact = self.signed_by(node, order(instruction));
            self.spread(node, fact);
        }
        // In its own name, it proposes in a term that another leads.
        let proposal = Propose { rollout, term, leader: me, open };
        let fact = self.signed_by(node, Statement::Propose(proposal));
        self.spread(node, fact);
        // Its own word, with a signature in which one bit is wrong.
        let own = Ballot { rollout, juror: me, say: Say::Stop(StopReason::Evidence) };
        let mut fact = self.signed_by(node, Statement::Ballot(own));
        fact.signatures[0].signature.0[7] ^= 1;
        self.spread(node, fact);
    }

    /// Proposes more than the gate would let it.
    fn lead(&mut self, node: u32, lie: Lie, rollout: RolloutId) {
        let me = self.fleet.nodes[node as usize];
        let Some(release) = self.releases.iter().find(|release| release.rollout == rollout) else { return };
        let Some(Standing { open, term, .. }) = self.machines[node as usize].standing(rollout) else {
            return;
        };
        let (roster, members) = (&release.roster, release.roster.count());
        let next = roster.targets.iter().copied().find(|target| *target > open);
        let early = next.unwrap_or(members);
        let leads = roster.leader(term).unwrap_or(me) == me;
        let proposals: Vec<(u32, u32)> = match lie {
            Lie::LeadsEarly if leads => vec![(term, early)],
            Lie::LeadsTooFar => {
                let all = members + 1;
                // Its own term, the present one, and some term to come.
                vec![(term, all), (term + 1, all), (u32::MAX, all)]
            }
            _ => Vec::new(),
        };
        for (term, open) in proposals {
            let fact = self.signed_by(node, Statement::Propose(Propose { rollout, term, leader: me, open }));
            self.spread(node, fact);
        }
    }
}
