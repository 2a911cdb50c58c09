//! Groundswell delta.
