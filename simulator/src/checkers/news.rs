//! What a machine heard between learning that it may switch and switching: fresh news from enough other
//! jurors (hole H28), and their word that they know it is about to (hole H22).

use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::identity::NodeId;
use groundswell_protocol::node::reader::Heard;
use groundswell_protocol::wire::frame::Frame;

/// The tag of a beacon's body: see the table of `facts::fact`.
const BEACON_TAG: u8 = 8;

/// Jurors by seat, a bit each: half of a fleet may listen at once, and no jury has more seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seats(u64);

impl Seats {
    fn put(&mut self, seat: Option<usize>) {
        self.0 |= seat.and_then(|seat| u32::try_from(seat).ok()).map_or(0, bit);
    }

    /// How many they are, without the one of this seat.
    pub(super) fn others(self, seat: Option<usize>) -> usize {
        let mut mine = Self::default();
        mine.put(seat);
        (self.0 & !mine.0).count_ones() as usize
    }
}

fn bit(seat: u32) -> u64 {
    1_u64.checked_shl(seat).expect("BUG: no jury has more seats than there are bits")
}

/// What a machine heard since it learnt that its rank is open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// Jurors whose beacons came.
    pub(super) beacons: Seats,
    /// Jurors that said that they have seen this machine's word.
    pub(super) seen: Seats,
}

impl News {
    /// A frame came. `seat` is where in the release's jury a node sits.
    pub(super) fn heard(&mut self, from: NodeId, heard: &Heard, seat: impl Fn(&NodeId) -> Option<usize>) {
        let mut take = |fact: &SignedFact| {
            if let ([one], Some(&BEACON_TAG)) = (fact.signatures.as_slice(), fact.body.first()) {
                self.beacons.put(seat(&one.key));
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
            Frame::Seen { .. } => self.seen.put(seat(&from)),
            // Where the jury was drawn from many, jurors send each other their beacons so.
            Frame::Facts { facts, .. } => facts.iter().for_each(take),
            Frame::Want { .. } | Frame::Missed { .. } => {}
        }
    }
}
