//! What people hand to the fleet: releases, words about them, machines that join.
//!
//! A person gives it to one machine and waits for its answer. If that machine loses its power first, the person hands
//! the same to another: what one machine forgot is not what the operator never said.

use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::node::Input;
use groundswell_protocol::trust::command::Instruction;

use super::World;
use super::queue::Moment;
use crate::report::trace::PEOPLE;
use crate::scenario::{Count, Order};

/// So long a machine may take to answer whoever handed it something.
const ANSWER_MILLISECONDS: u64 = 1_000;

/// What was handed to a machine that has not answered yet.
pub(super) struct Handed {
    at: Moment,
    node: u32,
    /// The life of the machine at that time: one that began another has forgotten.
    life: u32,
    fact: SignedFact,
    /// The release whose bytes go with it.
    bytes_of: Option<RolloutId>,
}

impl World {
    pub(super) fn command(&mut self, release: usize, order: Order) {
        let rollout = self.releases[release].rollout;
        let instruction = match order {
            Order::Pause | Order::Resume => {
                self.flows += 1;
                if order == Order::Pause {
                    self.paused.insert(rollout);
                } else {
                    self.paused.remove(&rollout);
                }
                Instruction::Flow { counter: self.flows, pause: order == Order::Pause }
            }
            Order::Stop => Instruction::Stop,
            // One more than there are members is done.
            Order::Promote(Count::Number(ranks)) => Instruction::Promote(ranks.min(self.scenario.nodes + 1)),
            Order::Promote(ranks) => Instruction::Promote(ranks.of(self.scenario.nodes)),
        };
        self.referees.commanded(self.now, rollout, instruction);
        self.recorder.marked(self.now, PEOPLE, None, format_args!("an operator signs: {instruction:?}"));
        let fact = self.fleet.command(rollout, instruction);
        self.hand_over(0, fact, None);
    }

    pub(super) fn publish(&mut self, release: usize, on: Option<u32>) {
        let Some(node) = self.somebody_on(on.unwrap_or(0)) else { return };
        let (rollout, fact) = (self.releases[release].rollout, self.releases[release].fact.clone());
        self.story.published(self.now, node, &self.releases[release]);
        let version = &self.releases[release].law.version;
        let words = format_args!("{version} is published on machine {node}");
        self.recorder.marked(self.now, PEOPLE, Some(node), words);
        self.hand_over(node, fact, Some(rollout));
    }

    /// Hands a fact to the first machine that is on, beginning with `first`. Nothing happens if none is.
    pub(super) fn hand_over(&mut self, first: u32, fact: SignedFact, bytes_of: Option<RolloutId>) {
        let Some(node) = self.somebody_on(first) else { return };
        if let Some(rollout) = bytes_of {
            self.machines[node as usize].slots_of(&self.fleet.component).blobs.insert(rollout);
        }
        let life = self.machines[node as usize].life;
        self.handed.push(Handed { at: self.now, node, life, fact: fact.clone(), bytes_of });
        self.deliver(node, Input::Submitted(fact));
    }

    /// Hands over again what machines lost with their power before they can have answered.
    pub(super) fn hand_over_again(&mut self) {
        for handed in std::mem::take(&mut self.handed) {
            if self.machines[handed.node as usize].life != handed.life {
                if self.somebody_on(handed.node).is_some() {
                    self.hand_over(handed.node, handed.fact, handed.bytes_of);
                } else {
                    self.handed.push(handed);
                }
            } else if self.now.milliseconds_since(handed.at) < ANSWER_MILLISECONDS {
                self.handed.push(handed);
            }
        }
    }

    fn somebody_on(&self, first: u32) -> Option<u32> {
        let count = self.scenario.nodes;
        (0..count).map(|n| (n + first) % count).find(|n| self.machines[*n as usize].is_on())
    }
}
