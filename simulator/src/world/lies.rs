//! Speaks for liars: signs with a member's key what its core never would.

use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    Ballot, Fact, RolloutId, Say, SignedFact, Statement, StopReason, Vote, VoteState,
};
use groundswell_protocol::wire::frame::Frame;

use super::{Happening, World};
use crate::machine::message::Message;
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
            Lie::Withholds | Lie::Forges => Vec::new(),
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
        let open = release.roster.done();
        for juror in release.roster.jury.clone() {
            let statement = Statement::Ballot(Ballot { rollout, juror, say: Say::Open(open) });
            let mut fact = Fact::sign(self.fleet.id, statement, &[&self.fleet.keys[node as usize]]).signed;
            fact.signatures[0].key = juror;
            self.spread(node, fact);
        }
    }

    fn spread(&mut self, node: u32, fact: SignedFact) {
        let frame = Message::new(Frame::Gossip(fact).encode());
        if self.machines[node as usize].is_on() {
            self.broadcast(node, &frame);
        }
    }

    /// Whether a machine keeps to itself what others need.
    pub(super) fn withholds(&self, node: u32) -> bool {
        self.liars.contains(&(node, Lie::Withholds))
    }
}
