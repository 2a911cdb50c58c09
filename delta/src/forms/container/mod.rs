//! Containers.

mod deflate;
