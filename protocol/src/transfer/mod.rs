//! Which piece to ask of whom, and whom to serve: the choices of a swarm, without its bytes' ways.
//!
//! The tour: a blob is cut into pieces whose hashes form its [`Outline`]; a [`PieceSet`] says who has
//! which; [`download::Download`] fetches one blob from many peers; [`serving::Serving`] answers those who
//! ask, and [`upload::Upload`] within it decides whom to serve and whom to refer, within the budgets of
//! [`egress::Egress`]; [`wire`] has the messages and their bytes; [`locality::Locality`] and the turns
//! beside it let a site fetch each piece once; [`news::News`] is what peers are told of pieces that came;
//! [`Allowance`] and [`Pace`] cap a rate; [`shortage::ShortageWatch`] says which pieces are nowhere.
//!
//! Deliberately absent: streams, files and clocks. The driver moves bytes and hands in time and entropy.

mod allowance;
pub mod download;
pub mod egress;
mod flight;
pub mod groups;
mod intake;
pub mod locality;
pub mod news;
mod outline;
mod pace;
mod pieces;
mod round_trip;
pub mod serving;
pub mod shortage;
mod spread;
mod turns;
pub mod upload;
pub mod wire;

pub use allowance::Allowance;
pub use outline::{
    BLOB_BYTES_MAX, Outline, OutlineBuilder, OutlineError, PIECE_BYTES, piece_count, piece_range,
};
pub use pace::Pace;
pub use pieces::PieceSet;
