//! Anti-entropy: how two nodes find out which facts the other lacks.
//!
//! One sends a `Digest` of all its registers but beacons. If the other's is equal, it says so and that is all.
//! Otherwise the other sends a [`summary`], in pages; for each page the first sends the facts that
//! are greater on its side and asks for those that are greater on the other. Facts come in the order of
//! their keys, which is the order in which they depend on each other.

pub mod summary;
