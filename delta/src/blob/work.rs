//! How much work the groups of a delta may cost.
//!
//! Every group reads its old files and may open containers, however little it makes of them. Sizes alone do not bound that:
//! there may be as many groups as files. So a delta has a budget, which follows from its two trees and which its maker keeps
//! to as well.

use crate::error::Reason;
use crate::limits::{WORK_BYTES, WORK_TIMES};
use crate::tree::Tree;

/// What is left of a delta's budget.
pub(super) struct Work {
    limit: u64,
    spent: u64,
}

impl Work {
    /// The budget of a delta between two trees.
    pub(super) fn new(old: &Tree, new: &Tree) -> Self {
        let bytes = old.bytes().saturating_add(new.bytes());
        Self { limit: bytes.saturating_mul(WORK_TIMES).saturating_add(WORK_BYTES), spent: 0 }
    }

    /// That of an index or a plan.
    pub(super) fn small() -> Self {
        Self { limit: WORK_BYTES, spent: 0 }
    }

    /// Spends some of it. What is more than there is, is not spent.
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Reason> {
        let found = self.spent.saturating_add(bytes);
        if found > self.limit {
            return Err(Reason::Limit { what: "bytes of work", found, limit: self.limit });
        }
        self.spent = found;
        Ok(())
    }
}
