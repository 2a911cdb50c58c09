//! Puts frames on the way, and hands in what the way damaged.

use groundswell_protocol::facts::Fact;
use groundswell_protocol::node::{Input, Verdict, Via};
use groundswell_protocol::wire::frame::Frame;

use super::overlay::flight::Flight;
use super::{Happening, World};
use crate::checkers::Property;
use crate::machine::message::{Message, Payload};

impl World {
    /// Puts a frame on the way from one machine to another, so many microseconds from now. Gossip says
    /// after how many hops it arrives, and as which message.
    pub(super) fn carry(
        &mut self,
        from: u32,
        to: u32,
        frame: &Payload,
        gossip: Option<(u8, &Flight)>,
        later: u64,
    ) {
        if !self.lets_through(from, to, frame) {
            return;
        }
        for arrival in self.links.carry(self.now, from, to, frame.length()).into_iter().flatten() {
            let what = match (arrival.damage, gossip) {
                (Some((byte, bit)), _) => {
                    let mut bytes = frame.bytes().to_vec();
                    bytes[byte] ^= bit;
                    Happening::Damaged { to, from, frame: Message::new(bytes), gossip: gossip.is_some() }
                }
                (None, Some((_, flight))) if flight.has(to) => {
                    // It would change nothing when it comes: it need not wait in the queue for that.
                    self.counters.duplicates += 1;
                    continue;
                }
                (None, Some((hops, flight))) => Happening::Gossip { to, from, hops, flight: flight.clone() },
                (None, None) => Happening::Direct { to, from, frame: frame.clone() },
            };
            self.push(arrival.at.after_micros(later), from, what);
        }
    }

    /// Whether every signature in a gossiped frame holds: a forger spoils one bit of its own, and damage may put that right.
    fn is_signed(&self, frame: &Payload) -> bool {
        let Ok(Frame::Gossip(signed)) = Frame::decode(frame.bytes()) else { return false };
        let fact = Fact::read(self.fleet.id, signed);
        fact.is_ok_and(|fact| fact.signed.signatures.iter().all(|one| fact.is_signed(one)))
    }

    /// A damaged frame arrives. The core must not take anything from it that is signed.
    pub(super) fn arrive_damaged(&mut self, to: u32, from: u32, frame: &Payload, gossip: bool) {
        if !self.links.passes(from, to) || !self.machines[to as usize].is_on() {
            return;
        }
        self.fingerprint.mix(frame.id() ^ u64::from(from));
        let peer = self.fleet.nodes[from as usize];
        let via = if gossip { Via::Gossip } else { Via::Direct };
        let read = self.in_its_version(to, frame);
        let frame = read.as_ref().unwrap_or(frame);
        self.referees.received(to, peer, frame);
        self.reader.hand(frame);
        let verdict = self.deliver(to, Input::Received { from: peer, via, frame: frame.bytes() });
        if verdict == Some(Verdict::Accepted) && !self.is_signed(frame) {
            let what = format!("accepts a damaged fact that machine {from} sent");
            self.referees.breach(self.now, Property::S1, Some(to), what);
        }
    }
}
