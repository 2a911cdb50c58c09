//! The network behind one narrow seam.
