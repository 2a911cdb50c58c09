//! Puts frames on the way, and hands in what the way damaged.

use groundswell_protocol::node::{Input, Verdict, Via};

use super::{Happening, World};
use crate::checkers::Property;
use crate::generator::fold;
use crate::machine::effects::Payload;

impl World {
    /// Puts a frame on the way from one machine to another; `message` names it if it is gossip.
    pub(super) fn carry(&mut self, from: u32, to: u32, frame: &Payload, message: Option<u64>) {
        for arrival in self.links.carry(self.now, from, to, frame.len()).into_iter().flatten() {
            let what = match (arrival.damage, message) {
                (Some((byte, bit)), _) => {
                    let mut bytes = frame.to_vec();
                    bytes[byte] ^= bit;
                    Happening::Damaged { to, from, frame: bytes.into(), gossip: message.is_some() }
                }
                (None, Some(message)) => Happening::Gossip { to, from, frame: frame.clone(), message },
                (None, None) => Happening::Direct { to, from, frame: frame.clone() },
            };
            self.push(arrival.at, from, what);
        }
    }

    /// A damaged frame arrives. The core must not take anything from it that is signed.
    pub(super) fn arrive_damaged(&mut self, to: u32, from: u32, frame: &Payload, gossip: bool) {
        if !self.links.passes(from, to) || !self.machines[to as usize].is_on() {
            return;
        }
        self.mix(fold(u64::from(from), frame));
        let peer = self.fleet.nodes[from as usize];
        let via = if gossip { Via::Gossip } else { Via::Direct };
        let verdict = self.deliver(to, Input::Received { from: peer, via, frame });
        if verdict == Some(Verdict::Accepted) {
            let what = format!("accepts a damaged fact that machine {from} sent");
            self.referees.breach(self.now, Property::S1, Some(to), what);
        }
    }
}
