//! Speaks for liars: signs with a member's key what its core never would.

use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    Ballot, Fact, Propose, RolloutId, Say, SignedFact, Statement, StopReason, Vote, VoteState,
};
use groundswell_protocol::wire::frame::Frame;

use super::{Happening, World};
use crate::scenario::Lie;

/// A liar speaks this often.
const LIE_MILLISECONDS: u64 = 100;
/// And so many times: what a minute of it does not break, an hour will not.
const LIES_MAX: u32 = 600;

impl World {
    pub(super) fn lie(&mut self, node: u32) {
        let lies: Vec<Lie> =
            self.liars.iter().filter(|(liar, _)| *liar == node).map(|(_, lie)| *lie).collect();
        let published = |rollout: &RolloutId| self.story.publisher(*rollout).is_some();
        let rollouts: Vec<RolloutId> = self.releases.iter().map(|r| r.rollout).filter(published).collect();
        for lie in lies {
            for rollout in &rollouts {
                self.tell_lie(node, lie, *rollout);
            }
        }
        self.lies_told += u32::from(!rollouts.is_empty());
        if self.lies_told < LIES_MAX {
            self.push(self.now.after_milliseconds(LIE_MILLISECONDS), node, Happening::Lie { node });
        }
    }

    fn tell_lie(&mut self, node: u32, lie: Lie, rollout: RolloutId) {
        if lie == Lie::Forges {
            return self.forge(node, rollout);
        }
        let me = self.fleet.nodes[node as usize];
        let beat = u32::try_from(self.now.as_milliseconds() / LIE_MILLISECONDS).unwrap_or(u32::MAX);
        let ballot = |say| Statement::Ballot(Ballot { rollout, juror: me, say });
        let statements = match lie {
            Lie::Forges => Vec::new(),
            Lie::CriesStop => vec![ballot(Say::Stop(StopReason::Evidence))],
            Lie::Floods => vec![
                ballot(Say::Term(beat)),
                Statement::Vote(Vote {
                    rollout,
                    node: me,
                    state: VoteState::Staged,
                    attempt: 1,
                    beat,
                    numbers: HealthNumbers::default(),
                    note: String::new(),
                }),
            ],
        };
        for statement in statements {
            let fact = Fact::sign(self.fleet.id, statement, &[&self.fleet.keys[node as usize]]);
            self.spread(node, fact.signed);
        }
    }

    /// Signs, in the names of all jurors and with its own key, that everything is open.
    fn forge(&mut self, node: u32, rollout: RolloutId) {
        let Some(release) = self.releases.iter().find(|release| release.rollout == rollout) else { return };
        let (me, open) = (self.fleet.nodes[node as usize], release.roster.done());
        let jury = release.roster.jury.clone();
        let foreign = (0..2).find(|term| release.roster.leader(*term) != Some(me)).unwrap_or(0);
        for juror in jury {
            let statement = Statement::Ballot(Ballot { rollout, juror, say: Say::Open(open) });
            let mut fact = Fact::sign(self.fleet.id, statement, &[&self.fleet.keys[node as usize]]).signed;
            fact.signatures[0].key = juror;
            self.spread(node, fact);
        }
        // And, in its own name, it proposes in a term that another leads.
        let proposal = Statement::Propose(Propose { rollout, term: foreign, leader: me, open });
        let fact = Fact::sign(self.fleet.id, proposal, &[&self.fleet.keys[node as usize]]);
        self.spread(node, fact.signed);
    }

    fn spread(&mut self, node: u32, fact: SignedFact) {
        let frame = Frame::Gossip(fact).encode().into();
        if self.machines[node as usize].is_on() {
            self.broadcast(node, &frame);
        }
    }
}
