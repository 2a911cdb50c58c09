//! The supervisor of a component's process.
