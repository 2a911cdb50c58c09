//! The hand that signs for a node: its key or, when a recording is played again, what the key signed then.
//!
//! A recording holds no secret. So a node that is played again is given the signatures that it made, in their
//! order, and takes each only if it holds over the very message that it wants to sign now.

use std::collections::VecDeque;

use super::outbox::Outbox;
use super::reader::Reader;
use crate::facts::{Fact, Statement};
use crate::identity::{KeyPair, NodeId, Signature};
use crate::trust::policy::FleetId;

/// No signature: it holds over nothing.
const NOTHING: Signature = Signature([0; 64]);

/// Who signs.
pub(super) enum Hand {
    /// The node's own key.
    Key(KeyPair),
    /// What was signed when it was recorded.
    Recalling {
        /// Whose signatures they are.
        node: NodeId,
        /// Those of the input that is being taken; bounded by what a recording's block holds.
        signatures: VecDeque<Signature>,
    },
}

impl Hand {
    pub(super) fn recalling(node: NodeId) -> Self {
        Self::Recalling { node, signatures: VecDeque::new() }
    }

    /// Hands in what was signed with the input that comes next. A hand with a key needs nothing.
    pub(super) fn recall(&mut self, made: &[Signature]) {
        if let Self::Recalling { signatures, .. } = self {
            signatures.clear();
            signatures.extend(made);
        }
    }

    /// The node that it signs for.
    pub(super) fn node(&self) -> NodeId {
        match self {
            Self::Key(key) => key.public(),
            Self::Recalling { node, .. } => *node,
        }
    }

    /// States something as this node.
    pub(super) fn sign(
        &mut self,
        fleet: FleetId,
        statement: Statement,
        reader: &dyn Reader,
        out: &mut impl Outbox,
    ) -> Fact {
        let node = self.node();
        Fact::sign_as(fleet, statement, node, |message| {
            let signature = match self {
                Self::Key(key) => reader.sign(key, message),
                Self::Recalling { signatures, .. } => {
                    let made = signatures.pop_front();
                    made.filter(|made| node.verify(message, made)).unwrap_or(NOTHING)
                }
            };
            out.signed(signature);
            signature
        })
    }
}
