//! Which piece to ask of whom, and whom to serve: the choices of a swarm, without its bytes' ways.
//!
//! The tour: a blob is cut into pieces whose hashes form its [`Outline`]; a [`PieceSet`] says who has
//! which.

mod outline;
mod pieces;

pub use outline::{
    BLOB_BYTES_MAX, Outline, OutlineBuilder, OutlineError, PIECE_BYTES, piece_count, piece_range,
};
pub use pieces::PieceSet;
