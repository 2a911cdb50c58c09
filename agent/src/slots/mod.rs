//! A place on disk for each version.
