//! swell-sim.
fn main() {}
