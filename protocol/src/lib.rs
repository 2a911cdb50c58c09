//! Groundswell protocol.
pub mod digest;
pub mod facts;
pub mod identity;
pub mod time;
pub mod transfer;
pub mod trust;
