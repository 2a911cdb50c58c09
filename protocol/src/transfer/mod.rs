//! Which piece to ask of whom, and whom to serve: the choices of a swarm, without its bytes' ways.
//!
//! The tour: a blob is cut into pieces whose hashes form its [`Outline`]; a [`PieceSet`] says who has
//! which; [`upload::Upload`] decides what a holder answers and in which order it serves; [`wire`] has the
//! messages and their bytes; [`Allowance`] caps a rate.
//!
//! Deliberately absent: streams, files and clocks. The driver moves bytes and hands in time and entropy.

mod allowance;
mod outline;
mod pieces;
pub mod upload;
pub mod wire;

pub use allowance::Allowance;
pub use outline::{
    BLOB_BYTES_MAX, Outline, OutlineBuilder, OutlineError, PIECE_BYTES, piece_count, piece_range,
};
pub use pieces::PieceSet;
