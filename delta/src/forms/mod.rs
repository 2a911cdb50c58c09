//! Plain forms: what stands in a file's place while it is compared, because it compares better.
//!
//! A form is made of both files before they are compared, and the new file is made again from its form, exactly.
//!
//! - [`container`]: what is packed in the file is unpacked.
//! - [`wasm`]: the numbers of a WebAssembly module have fixed sizes.

pub(crate) mod container;
pub(crate) mod wasm;
