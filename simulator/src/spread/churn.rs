//! Machines leave and come back with what they had.
//!
//! One in two says goodbye, as when its agent is stopped, and its peers know at once; the others fall silent, as when
//! power is lost, and a peer's streams with them end when the transport has waited for long enough.

use groundswell_protocol::transfer::PieceSet;
use groundswell_protocol::transfer::download::Event;

use super::machine::Machine;
use super::run::{Happening, Run};

/// How long a machine is away.
const AWAY_MICROS: u64 = 10_000_000;

/// How long the agent's transport waits for a sign of life.
const SILENCE_MICROS: u64 = 18_000_000;

impl Run<'_> {
    /// One of the machines that are there, by lot, leaves. The publisher stays: at first nobody else has the blob.
    pub(super) fn somebody_leaves(&mut self) {
        let lot = 1 + u32::try_from(self.luck.below(u64::from(self.plan.nodes))).unwrap_or(0);
        let says_goodbye = self.luck.chance(500);
        if self.is_here(lot) {
            self.leaves(lot, says_goodbye);
        }
        self.plan_departure();
    }

    fn leaves(&mut self, node: u32, says_goodbye: bool) {
        self.departures += 1;
        for peer in 0..=self.plan.nodes {
            let has_stream = [false, true]
                .iter()
                .any(|answers| self.machines[peer as usize].line.lives((node, *answers)).is_some());
            if has_stream {
                let lives = self.lives(node, peer);
                let latency = self.places.latency(node, peer);
                let noticed = self.now + if says_goodbye { latency } else { SILENCE_MICROS };
                self.push(noticed, node, Happening::Lost { at: peer, peer: node, lives });
            }
        }
        let nothing = Machine::new(PieceSet::none(1));
        let machine = &mut self.machines[node as usize];
        let before = std::mem::replace(machine, nothing);
        machine.held = before.held;
        machine.took = before.took;
        machine.payload_sent = before.payload_sent;
        machine.away = before.away;
        machine.life = before.life + 1;
        // A burst that was under way still frees the line.
        machine.line.is_busy = before.line.is_busy;
        machine.news_at = before.news_at;
        machine.is_here = false;
        machine.left_at = self.now;
        self.push(self.now + AWAY_MICROS, node, Happening::Returns(node));
    }

    pub(super) fn returns(&mut self, node: u32) {
        let machine = &mut self.machines[node as usize];
        machine.is_here = true;
        machine.away += self.now - machine.left_at;
        self.begin(node);
        // Those whom it is linked with see the link come up, and ask it.
        let me = self.places.name(node);
        for other in self.places.links(node).to_vec() {
            if self.is_here(other) {
                self.event(other, Event::Found { peer: me, hinted: true });
            }
        }
    }

    /// A machine sees that its streams with another have ended, if they are still those.
    pub(super) fn notice_lost(&mut self, at: u32, peer: u32, lives: u32) {
        let name = self.places.name(peer);
        let machine = &mut self.machines[at as usize];
        let mut lost = [false; 2];
        for answers in [false, true] {
            let stream = (peer, answers);
            if machine.line.lives(stream) == Some(lives) {
                machine.line.close(stream);
                lost[usize::from(answers)] = true;
            }
        }
        let [asked, answered] = lost;
        if answered {
            machine.answered.remove(&peer);
            machine.serving.lost(name);
            self.serve(at);
            self.send(at);
        }
        if asked {
            self.event(at, Event::Lost { peer: name });
        }
    }
}
