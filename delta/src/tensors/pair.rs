//! Which old tensor became which new one.

use super::element::Element;

/// A new tensor and the old one that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) old_at: u64,
    pub(crate) new_at: u64,
    pub(crate) bytes: u64,
    pub(crate) element: Element,
}
