//! swell.
fn main() {}
