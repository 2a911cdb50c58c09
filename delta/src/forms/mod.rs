//! Plain forms: what compares better than the bytes of a file themselves.

pub(crate) mod wasm;
