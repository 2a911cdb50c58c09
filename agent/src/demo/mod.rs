//! A whole fleet on one command.
