//! What the fleet trusts.
pub mod probe;
