//! A body's bytes, shared by all who hold them: a fact lies in a register, in a record and in frames at
//! once, and a census has megabytes.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use wincode::{SchemaRead, SchemaWrite};

/// Bytes that are copied only when somebody changes them. Encoded like a plain list of bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct Body(Arc<Vec<u8>>);

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl Deref for Body {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Body {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
