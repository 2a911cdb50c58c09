//! Moving pieces between peers.
