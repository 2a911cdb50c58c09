//! Plain forms.

mod container;
