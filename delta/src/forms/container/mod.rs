//! Containers: shells around bytes that are packed.
//!
//! A wheel, a deb or a compressed kernel whose insides changed a little is packed to other bytes throughout, so that
//! old and new have nothing in common. Here both are opened: what is packed in them is unpacked, and what is packed in
//! that, and stands in the place of the packed bytes. That is the plain form; all other bytes stay as they are. The
//! new file is packed again bit by bit from its plain form.
//!
//! - [`open`] finds what can be opened in two files, when a delta is made. It knows no formats of archives: it looks
//!   for what begins like a packed stretch, and unpacks it. What stands in both files with the same packed bytes
//!   stays closed: there is nothing to gain.
//! - [`unpack`] writes the plain form of the old file, when a delta is followed.
//! - [`Closed`] reads the new file from its plain form.
//!
//! Both follow [`Chain`]s, which travel in the delta and may say anything: what they may cost in memory is known from
//! them beforehand ([`Chain::memory_bytes`]), and what they make is compared by whoever asks for it.

mod close;
mod deflate;
mod find;
mod headers;
mod held;
mod method;
mod open;
mod packer;
mod shells;
mod study;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use self::{
    close::Closed,
    method::Method,
    open::{Options, open},
    shells::Chain,
    unpack::unpack,
};

/// Containers in containers are opened this deep: a kernel module in a tar in a deb in an archive.
pub(crate) const DEPTH_MAX: usize = 4;
/// Most packed stretches that are opened in one file: a squashfs of 16 GiB has so many.
pub(crate) const SHELLS_MAX: usize = 1 << 17;
/// Most bytes of notes for one file: they are in memory while it is made.
pub(crate) const NOTES_BYTES_MAX: usize = 16 << 20;
