//! What the fleet agrees on.
pub mod health;
