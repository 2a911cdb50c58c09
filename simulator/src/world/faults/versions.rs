//! Machines whose frames have another version than the fleet's, as when agents are replaced one after the other.
//!
//! All cores of a run are the same. What a machine of the other version writes leaves it with another version
//! byte, and what reaches it has the two versions exchanged: so each core refuses what the other sort says by
//! its own check, and those of one sort understand each other.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_protocol::wire::frame::FRAME_VERSION;

use super::super::World;
use crate::machine::message::{Message, Payload};

/// The version byte of those who have another one.
const OTHER_VERSION: u8 = FRAME_VERSION + 1;

/// Who has another version.
#[derive(Default)]
pub(super) struct Versions {
    /// By the step that began it.
    by_step: BTreeMap<usize, BTreeSet<u32>>,
}

impl Versions {
    /// From now on these machines have another version.
    pub(super) fn differ(&mut self, step: usize, who: &[u32]) {
        self.by_step.insert(step, who.iter().copied().collect());
    }

    /// The machines of a step have the fleet's version again.
    pub(super) fn agree(&mut self, step: usize) {
        self.by_step.remove(&step);
    }

    /// Whether a machine has another version.
    pub(super) fn differs(&self, node: u32) -> bool {
        self.by_step.values().any(|who| who.contains(&node))
    }
}

/// The frame with the two versions exchanged; `None` if it has neither.
fn exchanged(frame: &Payload) -> Option<Payload> {
    let version = match *frame.bytes().first()? {
        FRAME_VERSION => OTHER_VERSION,
        OTHER_VERSION => FRAME_VERSION,
        _ => return None,
    };
    let mut bytes = frame.bytes().to_vec();
    bytes[0] = version;
    Some(Message::new(bytes))
}

impl World {
    /// A frame between a machine's core and the wire, if its agent changes it: the same both ways.
    pub(in crate::world) fn in_its_version(&self, node: u32, frame: &Payload) -> Option<Payload> {
        if self.faults.versions.differs(node) { exchanged(frame) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::wire::frame::{BadFrame, Frame};

    #[test]
    fn a_frame_of_the_other_version_is_refused_for_its_version_and_understood_by_its_like() {
        let plain = Message::new(Frame::Want { keys: Vec::new() }.encode());
        let other = exchanged(&plain).expect("it has the fleet's version");
        assert_eq!(Frame::decode(other.bytes()), Err(BadFrame::Version(OTHER_VERSION)));
        let back = exchanged(&other).expect("it has the other version");
        assert_eq!(back.bytes(), plain.bytes());
        assert!(exchanged(&Message::new(vec![9, 9])).is_none());
    }
}
