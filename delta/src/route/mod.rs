//! Routes: which deltas lead from what is here to what is wanted, and following several in one go.
//!
//! Two doors: [`cheapest`] chooses, [`apply_chain`] follows.

mod chain;
mod cheapest;
mod held;

pub use chain::{CHAIN_STEPS_MAX, ChainStep, apply_chain};
pub use cheapest::{Offer, Route, RouteLimits, Way, cheapest};
pub use held::CHAIN_MEMORY_BYTES;

#[cfg(test)]
mod tests;
