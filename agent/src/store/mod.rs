//! Content-addressed bytes, and the journal.
