//! Real agent processes, released to, killed, cut off and fed bad input. One test binary: the fleets take turns.

mod bases;
mod crashes;
mod demo;
mod halves;
mod lies;
mod releases;
mod trust;
