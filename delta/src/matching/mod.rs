//! Which stretches of the new file resemble which stretches of the old one.

/// A stretch of the new file that resembles one of the old file, though not in every byte. Places count from the
/// beginnings of the two windows compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) old: u32,
    pub(crate) new: u32,
    pub(crate) bytes: u32,
}
