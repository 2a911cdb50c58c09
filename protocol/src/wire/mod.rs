//! What travels: the codec and the frames.

pub mod codec;
pub mod frame;
