//! A body's bytes and their signatures, shared by all who hold them: a fact lies in a register, in a record and
//! in frames at once, and a census has megabytes.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use wincode::{SchemaRead, SchemaWrite};

use super::fact::KeySignature;

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

/// Signatures that are copied only when somebody changes them. Encoded like a plain list.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct Signatures(Arc<Vec<KeySignature>>);

impl From<Vec<KeySignature>> for Signatures {
    fn from(all: Vec<KeySignature>) -> Self {
        Self(Arc::new(all))
    }
}

impl Deref for Signatures {
    type Target = Vec<KeySignature>;
    fn deref(&self) -> &Vec<KeySignature> {
        &self.0
    }
}

impl DerefMut for Signatures {
    fn deref_mut(&mut self) -> &mut Vec<KeySignature> {
        Arc::make_mut(&mut self.0)
    }
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
