//! The demo.
pub mod service;
