//! Liars who say again what was said, and who send what nobody can use.

use groundswell_protocol::bounds::{FRAME_MAX, SUMMARY_ENTRIES_MAX};
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Ballot, RolloutId, Say, Statement};
use groundswell_protocol::wire::frame::Frame;

use super::super::World;
use crate::machine::message::Message;

/// Frames that a liar says again each time.
const AGAIN: usize = 4;

impl World {
    fn some_machine(&mut self) -> u32 {
        u32::try_from(self.lying.luck.below(u64::from(self.scenario.nodes))).unwrap_or(0)
    }

    /// Says some of what it heard again: as it came, and to machines that it was not meant for.
    pub(super) fn say_again(&mut self, node: u32) {
        for _ in 0..AGAIN {
            let to = self.some_machine();
            let count = self.lying.heard.get(&node).map_or(0, std::collections::VecDeque::len);
            let place = self.lying.luck.place(count);
            let Some((gossip, frame)) =
                self.lying.heard.get(&node).and_then(|heard| heard.get(place)).cloned()
            else {
                return;
            };
            if !gossip {
                self.slip(node, to, &frame);
                continue;
            }
            self.broadcast(node, &frame);
            if let Ok(Frame::Gossip(fact)) = Frame::decode(frame.bytes()) {
                self.hand(node, std::iter::once(to), vec![fact]);
            }
        }
    }

    /// Sends rubbish: bytes that are no frame, questions for everything, ballots of no rollout, frames that
    /// are too large.
    pub(super) fn spam(&mut self, node: u32) {
        let to = self.some_machine();
        let luck = &mut self.lying.luck;
        let length = luck.place(2_000);
        let mut rubbish: Vec<u8> = (0..length).map(|_| luck.draw().to_le_bytes()[0]).collect();
        if luck.chance(500) && !rubbish.is_empty() {
            // So that it passes for a frame at first sight.
            rubbish[0] = 1;
        }
        let mut keys: Vec<u64> = (0..SUMMARY_ENTRIES_MAX).map(|_| luck.draw()).collect();
        keys.sort_unstable();
        keys.dedup();
        let unknown = RolloutId(Digest(luck.bytes32()));
        let digest = Digest(luck.bytes32());
        let all = Frame::Summary { first: 0, last: u64::MAX, entries: Vec::new(), beacon: None, yours: None };
        let frames = [
            rubbish,
            Frame::Want { keys }.encode(),
            Frame::Digest { digest, beacon: None, yours: None, equal: false }.encode(),
            all.encode(),
        ];
        for frame in frames {
            self.slip(node, to, &Message::new(frame));
        }
        let juror = self.fleet.nodes[node as usize];
        let ballot = Ballot { rollout: unknown, juror, say: Say::Open(1) };
        let fact = self.signed_by(node, Statement::Ballot(ballot));
        self.spread(node, fact);
        if self.beat().is_multiple_of(10) {
            let too_large = vec![1; FRAME_MAX + 1];
            self.broadcast(node, &Message::new(too_large));
        }
    }
}
