//! What liars hold back of what their own core says, and of what they should pass on.

use groundswell_protocol::facts::{Fact, Say, SignedFact, Statement, VoteState};
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::wire::frame::Frame;

use super::super::World;
use crate::machine::message::Payload;
use crate::scenario::Lie;

/// The facts in a frame.
fn facts(frame: &Payload) -> Vec<SignedFact> {
    match Frame::decode(frame.bytes()) {
        Ok(Frame::Gossip(fact)) => vec![fact],
        Ok(Frame::Facts { facts, .. }) => facts,
        _ => Vec::new(),
    }
}

impl World {
    fn lies_so(&self, node: u32, lie: Lie) -> bool {
        self.liars.contains(&(node, lie))
    }

    /// Whether a machine keeps to itself what others need.
    pub(in crate::world) fn withholds(&self, node: u32) -> bool {
        !self.lying.quiet.is_empty() && self.lies_so(node, Lie::Withholds)
    }

    /// Whether a machine holds back a frame of its own core. `to`: whom it is for; gossip is for all.
    pub(in crate::world) fn hushes(&self, node: u32, to: Option<u32>, frame: &Payload) -> bool {
        if !self.lying.quiet.contains(&node) {
            return false;
        }
        (to.is_some() && self.lies_so(node, Lie::Withholds))
            || facts(frame).iter().any(|fact| self.is_unwelcome(node, fact))
    }

    /// Whether a fact says what a liar does not want to be known.
    fn is_unwelcome(&self, node: u32, fact: &SignedFact) -> bool {
        let Ok((_, statement)) = Fact::read_body(&fact.body, Some(self.fleet.id)) else { return false };
        let me = self.fleet.nodes[node as usize];
        match statement {
            Statement::Propose(propose) => propose.leader == me && self.lies_so(node, Lie::LeadsNowhere),
            Statement::Ballot(ballot) => {
                let stop = matches!(ballot.say, Say::Stop(_));
                stop && ballot.juror == me && self.lies_so(node, Lie::Colludes)
            }
            Statement::Vote(vote) => {
                let failed = matches!(vote.state, VoteState::Failed(_));
                failed && vote.node == me && self.lies_so(node, Lie::Colludes)
            }
            _ => false,
        }
    }

    /// Whether somebody who surrounds a machine lets a frame through to it: nothing that tells of a stop.
    pub(in crate::world) fn lets_through(&self, from: u32, to: u32, frame: &Payload) -> bool {
        if !self.lying.quiet.contains(&from) || !self.lies_so(from, Lie::Eclipses) || !self.is_eclipsed(to) {
            return true;
        }
        let stops = |fact: &SignedFact| match Fact::read_body(&fact.body, Some(self.fleet.id)) {
            Ok((_, Statement::Ballot(ballot))) => matches!(ballot.say, Say::Stop(_)),
            Ok((_, Statement::Command(command))) => command.instruction == Instruction::Stop,
            Ok((_, Statement::Beacon(beacon))) => beacon.active.iter().any(|active| active.stop),
            _ => false,
        };
        !facts(frame).iter().any(stops)
    }
}
