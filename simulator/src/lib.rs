//! Fleets in virtual time, on the very code that runs in production.
//!
//! [`world::World::play`] is the one door: a [`scenario::Scenario`] and a seed in, a
//! [`report::Outcome`] out. The same seed gives the same run, to the last event.
//!
//! Rooms: `fleet` makes keys and signed documents; `machine` is one node with disk, slots and service
//! around the protocol's own core; `world` has the queue, the links and the gossip overlay; `scenario`
//! says what happens; `checkers` judge; `report` tells, and draws a page; `swarm` plays many; `twice` plays
//! one again and finds where two runs part; `shrink` makes failing ones small; `whatif` tries a plan on a
//! fleet; `spread` lets a blob spread through one, with the transfer of production; `bench` measures all of it.
//!
//! Deliberately absent inside a run: threads, clocks, sockets, files, hashed maps, and any copy of a rule of the
//! protocol other than the referees' own arithmetic. `report::page` alone writes a file, when a run is over.

pub mod bench;
pub mod checkers;
#[cfg(feature = "exam")]
pub mod exam;
pub mod fleet;
pub mod generator;
pub mod machine;
pub mod report;
pub mod scenario;
pub mod shrink;
pub mod spread;
pub mod swarm;
pub mod twice;
pub mod whatif;
pub mod world;
