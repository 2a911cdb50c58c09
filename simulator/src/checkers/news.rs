//! What a machine heard between learning that it may switch and switching: fresh news from enough other
//! jurors (hole H28), and their word that they know it is about to (hole H22).

use std::collections::BTreeSet;

use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::reader::Heard;
use groundswell_protocol::wire::frame::Frame;

/// The tag of a beacon's body: see the table of `facts::fact`.
const BEACON_TAG: u8 = 8;

/// What a machine heard since it learnt that its rank is open.
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// Whose beacons came.
    pub(super) beacons: BTreeSet<NodeId>,
    /// Who said that it has seen this machine's word.
    pub(super) seen: BTreeSet<NodeId>,
}

impl News {
    pub(super) fn heard(&mut self, from: NodeId, heard: &Heard) {
        let mut take = |fact: &SignedFact| {
            if let ([one], Some(&BEACON_TAG)) = (fact.signatures.as_slice(), fact.body.first()) {
                self.beacons.insert(one.key);
            }
        };
        let frame = match heard {
            Heard::Gossip(Ok(fact)) => return take(&fact.signed),
            Heard::Gossip(Err(_)) => return,
            Heard::Direct(frame) => &**frame,
        };
        match frame {
            Frame::Gossip(fact) => take(fact),
            Frame::Digest { beacon, yours, .. } | Frame::Summary { beacon, yours, .. } => {
                beacon.iter().chain(yours).for_each(take);
            }
            Frame::Seen { .. } => {
                self.seen.insert(from);
            }
            // Where the jury was drawn from many, jurors send each other their beacons so.
            Frame::Facts { facts, .. } => facts.iter().for_each(take),
            Frame::Want { .. } | Frame::Missed { .. } => {}
        }
    }
}
