//! The gossip overlay: a model of gossipsub 1.1 and 1.2 as the agent sets it up.
//!
//! A machine keeps links to some [`LINKS_TARGET`] others and, among them, a mesh of [`MESH`] neighbours.
//! A message goes from its author to all its links (flood publishing), and from everybody else who
//! accepts it to its mesh. At each heartbeat meshes are grafted and pruned, and whoever holds a message
//! of the last heartbeats announces it to a few links beyond its mesh; who lacks it asks for it (IHAVE,
//! IWANT). Who got a large message tells its mesh at once not to send it (IDONTWANT). A message is passed on when it
//! has been judged, and not to those whose own copies came before that: on a machine that thirty agents share this
//! keeps back a quarter of all copies, measured; over links that are slower than the judging it keeps back nothing.
//!
//! What is simplified: all heartbeats come at one moment; announcements are drawn only where somebody
//! lacks a message, since others change nothing, and are counted as bytes; a message is forgotten by
//! everybody at once, a minute after it was last new to somebody; there is no scoring of peers.

pub mod flight;
mod mesh;
#[cfg(test)]
mod tests;

use super::links::Links;
use super::queue::Moment;
use crate::generator::{Generator, mix};
use crate::machine::message::Payload;
use flight::{Flight, Flights};

pub use mesh::MeshChange;

/// Links that a machine aims at; smaller fleets are fully linked.
pub const LINKS_TARGET: usize = 24;

/// How many mesh neighbours a machine wants: with fewer than the lowest it grafts, with as many as the
/// highest it prunes, in both cases to the number in the middle.
pub const MESH: (usize, usize, usize) = (2, 3, 5);
/// Announcements of what a machine holds go to so many links beyond the mesh at each heartbeat, or to a
/// quarter of them if that is more.
pub const LAZY: usize = 4;
/// Messages are announced for so many heartbeats.
pub const ANNOUNCED_HEARTBEATS: u64 = 3;
/// And can be asked for so many heartbeats long.
pub const HISTORY_HEARTBEATS: u64 = 8;
/// How often meshes are looked after.
pub const HEARTBEAT_MILLISECONDS: u64 = 1_000;
/// Messages of at least so many bytes are announced to the mesh as not wanted any more.
pub const IDONTWANT_BYTES: u64 = 512;
/// Bytes of a message's name in an announcement, with its frame.
pub const NAME_BYTES: u64 = 34;

/// The overlay of a run.
pub struct Overlay {
    on: bool,
    /// What a message waits at a machine before it is passed on.
    judging_micros: u64,
    /// Every machine's links, by rising place.
    linked: Vec<Vec<u32>>,
    /// Those among them that make its mesh, by rising place.
    mesh: Vec<Vec<u32>>,
    flights: Flights,
    /// Decides who set up a link.
    dials: u64,
    generator: Generator,
    lazy: Generator,
    needy: mesh::Needy,
}

/// A message that somebody lacks and has heard of.
pub struct Announced {
    /// Who holds it.
    pub from: u32,
    /// Who asks for it.
    pub to: u32,
    /// The message.
    pub flight: Flight,
}

impl Overlay {
    /// An overlay over `nodes` machines without any links yet. When `on` is false it carries nothing.
    pub fn new(on: bool, nodes: usize, root: &Generator) -> Self {
        Self {
            on,
            judging_micros: 0,
            linked: vec![Vec::new(); nodes],
            mesh: vec![Vec::new(); nodes],
            flights: Flights::new(nodes),
            dials: root.split("overlay", 2).draw(),
            generator: root.split("overlay", 0),
            lazy: root.split("overlay", 1),
            needy: mesh::Needy::All,
        }
    }

    /// The same with machines that pass a message on only so many microseconds after they got it, on average.
    pub fn judging(mut self, micros: u64) -> Self {
        self.judging_micros = micros;
        self.flights.note_times(micros > 0);
        self
    }

    /// What this message waits at this machine before it is passed on, in microseconds: up to twice the average.
    pub fn wait_micros(&self, node: u32, flight: &Flight) -> u64 {
        match self.judging_micros {
            0 => 0,
            // No draw of anybody's generator: whether machines wait moves no other chance.
            average => mix(flight.message().id() ^ u64::from(node)) % (2 * average),
        }
    }

    /// Whether it carries anything.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// A machine's links: also there when gossip is off, for sync.
    pub fn linked(&self, node: u32) -> &[u32] {
        &self.linked[node as usize]
    }

    /// A machine's mesh.
    pub fn mesh(&self, node: u32) -> &[u32] {
        &self.mesh[node as usize]
    }

    /// A message begins its way, or is sent once more while others still remember it.
    pub fn publish(&mut self, now: Moment, node: u32, message: &Payload) -> Flight {
        let flight = self.flights.of(now, message);
        flight.first_time(now, node);
        flight
    }

    /// Whether a machine gets this message for the first time in a while; remembers it.
    pub fn first_time(&mut self, now: Moment, node: u32, flight: &Flight) -> bool {
        flight.first_time(now, node)
    }

    /// A machine forgets all: it restarted.
    pub fn forget(&mut self, node: u32) {
        self.flights.forget(node);
    }

    /// Who lacks a message that one of its links announces to it at this heartbeat.
    pub fn announce(&mut self, now: Moment, alive: impl Fn(u32) -> bool) -> Vec<Announced> {
        let mut announced = Vec::new();
        if !self.on {
            return announced;
        }
        for flight in self.flights.announced(now) {
            for to in flight.lacking() {
                if !alive(to) {
                    continue;
                }
                for from in &self.linked[to as usize] {
                    let beyond = self.linked[*from as usize].len() - self.mesh[*from as usize].len();
                    let told = LAZY.max(beyond / 4);
                    let holds = flight.has(*from) && self.mesh[*from as usize].binary_search(&to).is_err();
                    if holds && alive(*from) && self.lazy.place(beyond.max(1)) < told {
                        announced.push(Announced { from: *from, to, flight: flight.clone() });
                        break;
                    }
                }
            }
        }
        announced
    }

    /// Bytes of announcements at this heartbeat, of all machines together.
    pub fn announcing_bytes(&self, now: Moment, alive: u64) -> u64 {
        let messages = if self.on { self.flights.young(now) } else { 0 };
        messages * NAME_BYTES * alive * LAZY as u64
    }

    /// Forgets messages that are new to nobody any more.
    pub fn expire(&mut self, now: Moment) {
        self.flights.expire(now);
    }
}

/// Whether frames can pass at all between two machines of which both are on.
fn reaches(alive: &[bool], links: &Links, one: u32, other: u32) -> bool {
    alive[one as usize] && alive[other as usize] && links.connected(one, other)
}
