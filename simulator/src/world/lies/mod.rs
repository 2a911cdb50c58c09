//! Speaks for liars: signs with a member's own key what its core never would.
//!
//! A liar runs an honest core beside. What it says more is made here from the protocol's own types
//! (`words`, `noise`); what it keeps to itself is held back where frames leave it (`hush`). After a minute
//! of lies about a release it falls silent; who holds back goes on with that.

mod hush;
mod noise;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use groundswell_protocol::facts::{Body, Fact, RolloutId, SignedFact, Statement};
use groundswell_protocol::node::reader::Reader as _;
use groundswell_protocol::wire::frame::Frame;

use super::{Happening, World};
use crate::generator::Generator;
use crate::machine::message::{Message, Payload};
use crate::scenario::Lie;

/// A liar speaks this often.
const LIE_MILLISECONDS: u64 = 100;
/// And so many times: what a minute of it does not break, an hour will not.
const LIES_MAX: u32 = 600;
/// Signed lies that are remembered, of all liars together.
const SIGNED_MAX: usize = 4_096;
/// Frames that a liar remembers, to say them again.
const REMEMBERED_MAX: usize = 64;

/// What liars need for their trade.
pub(super) struct Lying {
    luck: Generator,
    told: BTreeMap<u32, u32>,
    /// Frames that came to liars who say them again later, with whether they were gossip.
    heard: BTreeMap<u32, VecDeque<(bool, Payload)>>,
    /// Liars who hold something back.
    quiet: BTreeSet<u32>,
    /// What they signed lately: most of it they sign again and again.
    signed: BTreeMap<(u32, Body), SignedFact>,
}

impl Lying {
    pub(super) fn new(liars: &[(u32, Lie)], root: &Generator) -> Self {
        let holds_back =
            |lie: &Lie| matches!(lie, Lie::Withholds | Lie::Colludes | Lie::LeadsNowhere | Lie::Eclipses);
        let of = |which: &dyn Fn(&Lie) -> bool| {
            liars.iter().filter(|(_, lie)| which(lie)).map(|(node, _)| *node).collect::<BTreeSet<u32>>()
        };
        let repeats = of(&|lie| *lie == Lie::Replays);
        Self {
            luck: root.split("lies", 0),
            told: BTreeMap::new(),
            heard: repeats.into_iter().map(|node| (node, VecDeque::new())).collect(),
            quiet: of(&holds_back),
            signed: BTreeMap::new(),
        }
    }

    /// A frame came to a machine.
    pub(super) fn heard(&mut self, node: u32, gossip: bool, frame: &Payload) {
        if let Some(heard) = self.heard.get_mut(&node) {
            if heard.len() >= REMEMBERED_MAX {
                heard.pop_front();
            }
            heard.push_back((gossip, frame.clone()));
        }
    }
}

impl World {
    /// Lets the liars begin, and the story say who they are.
    pub(super) fn begin_lies(&mut self) {
        let mut by_lie: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (node, lie) in &self.liars {
            by_lie.entry(words::of(*lie).to_owned()).or_default().push(*node);
        }
        for (lie, nodes) in by_lie {
            let names: Vec<String> = nodes.iter().map(u32::to_string).collect();
            let who = if nodes.len() > 6 { format!("{} machines", nodes.len()) } else { names.join(", ") };
            self.story.tell(self.now, &format!("liars ({who}): {lie}"));
        }
        let liars: BTreeSet<u32> = self.liars.iter().map(|(node, _)| *node).collect();
        for node in liars {
            self.push(super::Moment::seconds(2), node, Happening::Lie { node });
        }
    }

    pub(super) fn lie(&mut self, node: u32) {
        let lies: Vec<Lie> =
            self.liars.iter().filter(|(liar, _)| *liar == node).map(|(_, lie)| *lie).collect();
        let published = |rollout: &RolloutId| self.story.publisher(*rollout).is_some();
        let rollouts: Vec<RolloutId> = self.releases.iter().map(|r| r.rollout).filter(published).collect();
        if self.machines[node as usize].is_on() {
            for lie in lies {
                match lie {
                    Lie::Replays => self.say_again(node),
                    Lie::Spams => self.spam(node),
                    _ => rollouts.iter().for_each(|rollout| self.tell_lie(node, lie, *rollout)),
                }
            }
        }
        let told = self.lying.told.entry(node).or_default();
        *told += u32::from(!rollouts.is_empty());
        if *told < LIES_MAX {
            self.push(self.now.after_milliseconds(LIE_MILLISECONDS), node, Happening::Lie { node });
        } else {
            self.story.tell(self.now, &format!("liar {node} falls silent"));
        }
    }

    /// Which of the times that it speaks this is, for numbers that rise.
    fn beat(&self) -> u32 {
        u32::try_from(self.now.as_milliseconds() / LIE_MILLISECONDS).unwrap_or(u32::MAX)
    }

    fn signed_by(&mut self, node: u32, statement: Statement) -> SignedFact {
        if self.lying.signed.len() >= SIGNED_MAX {
            self.lying.signed.clear();
        }
        let (fleet, key) = (self.fleet.id, &self.fleet.keys[node as usize]);
        let signed = self.lying.signed.entry((node, statement.body(fleet)));
        let sign = || {
            let fact = Arc::new(Fact::sign_as(fleet, statement, key.public(), |message| {
                self.reader.sign(key, message)
            }));
            // A liar's key signs as any other does: what is spoiled afterwards has other bytes, and is verified.
            self.reader.made(&fact);
            fact.signed.clone()
        };
        signed.or_insert_with(sign).clone()
    }

    /// Gossips a fact.
    fn spread(&mut self, node: u32, fact: SignedFact) {
        self.referees.lied(self.now, node, &fact);
        let frame = Message::new(Frame::Gossip(fact).encode());
        if self.machines[node as usize].is_on() {
            self.broadcast(node, &frame);
        }
    }

    /// Hands facts to machines, unasked.
    fn hand(&mut self, node: u32, to: impl Iterator<Item = u32>, facts: Vec<SignedFact>) {
        facts.iter().for_each(|fact| self.referees.lied(self.now, node, fact));
        let frame = Message::new(Frame::Facts { facts, confirm: false, last: true }.encode());
        to.for_each(|to| self.slip(node, to, &frame));
    }

    /// Sends a frame that no core has made.
    fn slip(&mut self, node: u32, to: u32, frame: &Payload) {
        if node != to && self.machines[node as usize].is_on() {
            self.carry(node, to, frame, None, 0);
        }
    }
}
