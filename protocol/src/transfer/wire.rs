//! The piece protocol's messages and their bytes.
//!
//! A stream has one asker, who opened it, and one holder: [`Ask`] goes one way and [`Answer`] the other,
//! without numbering, since each answer names what it answers. A message is a version byte and the
//! fixed-integer encoding of the enum; how messages are told apart on a stream is the driver's.
//!
//! | asker | holder answers |
//! |---|---|
//! | `Ask` | `Have` or `NotHere`; afterwards `News` of further pieces, until `Forget` |
//! | `Outline` | `Outline`, or `NotHere` |
//! | `Request` | `Piece`, or a `Group` for each that was asked for; `Refer`, `Busy`, or `Have` if nothing of it is here |
//! | `Request`, where the piece is not here whole | a `Group` for each that is here, and `NoMore` |
//! | `Cancel`, `Forget`, `Came` | nothing |
//! | `MayBring` | nothing on this stream: `Brings` or `Wait` on one of the other's own, which no pieces hold up |
//!
//! Everything decoded is within its bounds and has one encoding only.

use wincode::config::Configuration;
use wincode::{SchemaRead, SchemaWrite};

use super::groups::{Begun, GROUP_BYTES, GROUPS_MAX, GroupSet};
use super::outline::{BLOB_BYTES_MAX, Outline, PIECE_BYTES, piece_count};
use super::pieces::PieceSet;
use crate::digest::Digest;
use crate::identity::NodeId;

/// The version that this file writes, and the only one it reads.
pub const VERSION: u8 = 1;

/// Bytes of a message that carries no piece, at most.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of any message, at most: a piece and its heading.
pub const FRAME_BYTES_MAX: usize = PIECE_BYTES as usize + 64;

/// Peers named in one message, at most.
pub const PEERS_NAMED_MAX: usize = 8;

/// Pieces named in one message, at most.
pub const PIECES_NAMED_MAX: usize = 256;

/// Values in one page of an outline.
pub const OUTLINE_PAGE_VALUES: usize = 480;

const _: () = assert!(OUTLINE_PAGE_VALUES * 32 + 64 <= MESSAGE_BYTES_MAX);
const _: () = assert!((BLOB_BYTES_MAX / PIECE_BYTES as u64).div_ceil(8) + 512 <= MESSAGE_BYTES_MAX as u64);

/// From the asker to the holder.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Ask {
    /// What do you have of this blob? And tell me what you gain.
    Ask {
        /// The blob.
        blob: Digest,
    },
    /// One page of the blob's outline.
    Outline {
        /// The blob.
        blob: Digest,
        /// Pages hold [`OUTLINE_PAGE_VALUES`] values each.
        page: u16,
    },
    /// One piece.
    Request {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
        /// What of it I have already.
        here: GroupSet,
        /// Peers to whom I was referred for it in vain, at most [`PEERS_NAMED_MAX`].
        tried: Vec<NodeId>,
        /// I have tried as many as can be named: refer me no further.
        insist: bool,
    },
    /// I no longer need this piece.
    Cancel {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
    },
    /// I no longer need anything of this blob.
    Forget {
        /// The blob.
        blob: Digest,
    },
    /// These pieces came to me, from you or from others: so you see what became of what you gave.
    Came {
        /// The blob.
        blob: Digest,
        /// The pieces, 1 to [`PIECES_NAMED_MAX`].
        pieces: Vec<u32>,
    },
    /// Somebody outside our site has this piece: may I bring it in?
    MayBring {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
    },
    /// Enough is on its way into our site: you may bring this piece in later, and will hear of it.
    Wait {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
    },
    /// That is who brings this piece into our site: you, perhaps. Gone with [`Ask::Cancel`].
    Brings {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
        /// Who.
        who: NodeId,
    },
}

impl Ask {
    /// Whether it is about who brings a piece into a site, and so for who fetches the blob too.
    pub fn is_of_turns(&self) -> bool {
        matches!(self, Self::MayBring { .. } | Self::Wait { .. } | Self::Brings { .. } | Self::Cancel { .. })
    }

    /// What `me`, who has the whole blob, says to a member of its site that asks for leave to bring some of it in: that it
    /// is here. Else each who asks would wait in vain once whoever minds the turns is done.
    pub fn when_it_is_here(&self, me: NodeId) -> Option<Self> {
        match self {
            Self::MayBring { blob, piece } => Some(Self::Brings { blob: *blob, piece: *piece, who: me }),
            _ => None,
        }
    }
}

/// From the holder to the asker.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Answer {
    /// What I have.
    Have(Have),
    /// I have nothing of it, or not what was asked for.
    NotHere {
        /// The blob.
        blob: Digest,
    },
    /// A page of the outline: full, or the last.
    Outline {
        /// The blob.
        blob: Digest,
        /// Its number.
        page: u16,
        /// Its values, at most [`OUTLINE_PAGE_VALUES`].
        values: Vec<[u8; 32]>,
    },
    /// One piece.
    Piece {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
        /// Its bytes, at most [`PIECE_BYTES`].
        data: Vec<u8>,
    },
    /// I gave this piece to these: ask them.
    Refer {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
        /// Whom to ask, 1 to [`PEERS_NAMED_MAX`].
        peers: Vec<NodeId>,
    },
    /// You have too many requests waiting here: later.
    Busy {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
    },
    /// What came to me: 1 to [`PIECES_NAMED_MAX`] pieces in all.
    News {
        /// The blob.
        blob: Digest,
        /// Pieces that I have.
        gained: Vec<u32>,
        /// Pieces of which I have some, or some more: ask me for them, if nobody has them whole for you.
        begun: Vec<Begun>,
    },
    /// One group of a piece.
    Group {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
        /// The group.
        group: u8,
        /// The values of all groups of the piece, at most [`GROUPS_MAX`]; none where they went ahead.
        values: Vec<[u8; 32]>,
        /// Its bytes, at most [`GROUP_BYTES`].
        data: Vec<u8>,
    },
    /// Of this piece I have nothing more for you now.
    NoMore {
        /// The blob.
        blob: Digest,
        /// The piece.
        piece: u32,
    },
}

impl Answer {
    /// The blob that it is about.
    pub fn blob(&self) -> Digest {
        match self {
            Self::Have(have) => have.blob,
            Self::NotHere { blob }
            | Self::Outline { blob, .. }
            | Self::Piece { blob, .. }
            | Self::Refer { blob, .. }
            | Self::Busy { blob, .. }
            | Self::News { blob, .. }
            | Self::Group { blob, .. }
            | Self::NoMore { blob, .. } => *blob,
        }
    }

    /// Bytes of the blob in it.
    pub fn payload_bytes(&self) -> u64 {
        match self {
            Self::Piece { data, .. } | Self::Group { data, .. } => data.len() as u64,
            _ => 0,
        }
    }
}

/// What a holder has of a blob.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Have {
    /// The blob.
    pub blob: Digest,
    /// Its size.
    pub bytes: u64,
    /// The pieces as in [`PieceSet::to_bytes`]; empty for all of them.
    bitmap: Vec<u8>,
    /// Others that asked for it lately, at most [`PEERS_NAMED_MAX`].
    pub peers: Vec<NodeId>,
}

impl Have {
    /// Of a blob of `bytes`, `pieces`; and at most [`PEERS_NAMED_MAX`] of `peers`.
    pub fn new(blob: Digest, bytes: u64, pieces: &PieceSet, mut peers: Vec<NodeId>) -> Self {
        peers.truncate(PEERS_NAMED_MAX);
        let bitmap = if pieces.is_full() { Vec::new() } else { pieces.to_bytes() };
        Self { blob, bytes, bitmap, peers }
    }

    /// The pieces; `None` if they do not fit the size or could be said more shortly.
    pub fn pieces(&self) -> Option<PieceSet> {
        let count = piece_count(self.bytes);
        if self.bitmap.is_empty() {
            return Some(PieceSet::all(count));
        }
        PieceSet::from_bytes(count, &self.bitmap).filter(|pieces| !pieces.is_full())
    }
}

/// Why bytes from a peer are no message. Fault: the peer, or a version that we do not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Another version.
    #[error("piece protocol version {0} is not {VERSION}")]
    Version(u8),
    /// Too long for its kind, or empty.
    #[error("a piece message of {0} bytes is out of bounds")]
    Length(usize),
    /// Not the encoding of a message.
    #[error("not a piece message")]
    Malformed,
    /// A list, size or number is beyond its bound.
    #[error("a piece message exceeds the bound on its {0}")]
    Bound(&'static str),
}

/// A message of either direction.
pub trait Message: Sized {
    /// The message's bytes, version first.
    fn encode(&self) -> Vec<u8>;
    /// Reads bytes from a peer: bounded, canonical, nothing trailing.
    fn decode(bytes: &[u8]) -> Result<Self, WireError>;
}

/// Bounds what a hostile length can make us set aside.
const fn configuration() -> Configuration<true, FRAME_BYTES_MAX> {
    Configuration::default().with_preallocation_size_limit::<FRAME_BYTES_MAX>()
}

impl Message for Ask {
    fn encode(&self) -> Vec<u8> {
        seal(wincode::config::serialize(self, configuration()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let body = unseal(bytes, MESSAGE_BYTES_MAX)?;
        let ask: Self =
            wincode::config::deserialize_exact(body, configuration()).map_err(|_| WireError::Malformed)?;
        match &ask {
            Self::Request { tried, .. } if tried.len() > PEERS_NAMED_MAX => Err(WireError::Bound("peers")),
            Self::Request { here, .. } if GroupSet::from_bits(here.bits()).is_none() => {
                Err(WireError::Bound("groups"))
            }
            Self::Came { pieces, .. } if pieces.is_empty() || pieces.len() > PIECES_NAMED_MAX => {
                Err(WireError::Bound("pieces"))
            }
            _ => Ok(ask),
        }
    }
}

impl Message for Answer {
    fn encode(&self) -> Vec<u8> {
        seal(wincode::config::serialize(self, configuration()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let body = unseal(bytes, FRAME_BYTES_MAX)?;
        let answer: Self =
            wincode::config::deserialize_exact(body, configuration()).map_err(|_| WireError::Malformed)?;
        answer.check(bytes.len())?;
        Ok(answer)
    }
}

impl Answer {
    fn check(&self, bytes: usize) -> Result<(), WireError> {
        match self {
            Self::Piece { data, .. } if data.len() > PIECE_BYTES as usize => Err(WireError::Bound("data")),
            Self::Group { data, .. } if data.len() > GROUP_BYTES as usize => Err(WireError::Bound("data")),
            Self::Group { group, values, .. }
                if *group >= GROUPS_MAX || values.len() > usize::from(GROUPS_MAX) =>
            {
                Err(WireError::Bound("groups"))
            }
            Self::Piece { .. } | Self::Group { .. } => Ok(()),
            _ if bytes > MESSAGE_BYTES_MAX => Err(WireError::Length(bytes)),
            Self::Have(have) if have.bytes > BLOB_BYTES_MAX => Err(WireError::Bound("size")),
            Self::Have(have) if have.peers.len() > PEERS_NAMED_MAX => Err(WireError::Bound("peers")),
            Self::Have(have) if have.pieces().is_none() => Err(WireError::Bound("pieces")),
            Self::Outline { values, .. } if values.is_empty() || values.len() > OUTLINE_PAGE_VALUES => {
                Err(WireError::Bound("values"))
            }
            Self::Refer { peers, .. } if peers.is_empty() || peers.len() > PEERS_NAMED_MAX => {
                Err(WireError::Bound("peers"))
            }
            Self::News { gained, begun, .. }
                if !(1..=PIECES_NAMED_MAX).contains(&(gained.len() + begun.len())) =>
            {
                Err(WireError::Bound("pieces"))
            }
            Self::News { begun, .. } if !begun.iter().all(|begun| begun.is_within_bounds()) => {
                Err(WireError::Bound("groups"))
            }
            _ => Ok(()),
        }
    }

    /// Page `page` of an outline; [`Answer::NotHere`] if it has none of that number.
    pub fn outline_page(outline: &Outline, page: u16) -> Self {
        let blob = outline.blob();
        match outline.values().chunks(OUTLINE_PAGE_VALUES).nth(usize::from(page)) {
            Some(values) => Self::Outline { blob, page, values: values.to_vec() },
            None => Self::NotHere { blob },
        }
    }
}

fn seal(body: Result<Vec<u8>, wincode::WriteError>) -> Vec<u8> {
    let mut bytes = body.expect("BUG: a message within its bounds always encodes");
    bytes.insert(0, VERSION);
    bytes
}

fn unseal(bytes: &[u8], max: usize) -> Result<&[u8], WireError> {
    match bytes {
        _ if bytes.len() > max => Err(WireError::Length(bytes.len())),
        [VERSION, body @ ..] => Ok(body),
        [other, ..] => Err(WireError::Version(*other)),
        [] => Err(WireError::Length(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PublicKey;
    use proptest::prelude::*;

    fn digest() -> impl Strategy<Value = Digest> {
        any::<[u8; 32]>().prop_map(Digest)
    }

    fn peers(most: usize) -> impl Strategy<Value = Vec<NodeId>> {
        prop::collection::vec(any::<[u8; 32]>().prop_map(PublicKey), 0..=most)
    }

    fn asks() -> impl Strategy<Value = Ask> {
        prop_oneof![
            digest().prop_map(|blob| Ask::Ask { blob }),
            (digest(), any::<u16>()).prop_map(|(blob, page)| Ask::Outline { blob, page }),
            (digest(), any::<u32>(), 0_u8..16, peers(PEERS_NAMED_MAX), any::<bool>()).prop_map(
                |(blob, piece, here, tried, insist)| Ask::Request {
                    blob,
                    piece,
                    here: GroupSet::from_bits(here).unwrap(),
                    tried,
                    insist
                }
            ),
            (digest(), any::<u32>()).prop_map(|(blob, piece)| Ask::Cancel { blob, piece }),
            digest().prop_map(|blob| Ask::Forget { blob }),
            (digest(), prop::collection::vec(any::<u32>(), 1..=PIECES_NAMED_MAX))
                .prop_map(|(blob, pieces)| Ask::Came { blob, pieces }),
            (digest(), any::<u32>()).prop_map(|(blob, piece)| Ask::MayBring { blob, piece }),
            (digest(), any::<u32>()).prop_map(|(blob, piece)| Ask::Wait { blob, piece }),
            (digest(), any::<u32>(), any::<[u8; 32]>()).prop_map(|(blob, piece, who)| Ask::Brings {
                blob,
                piece,
                who: PublicKey(who)
            }),
        ]
    }

    fn answers() -> impl Strategy<Value = Answer> {
        prop_oneof![
            (
                digest(),
                0..=BLOB_BYTES_MAX,
                prop::collection::vec(any::<u32>(), 0..50),
                peers(PEERS_NAMED_MAX)
            )
                .prop_map(|(blob, bytes, held, peers)| {
                    let mut pieces = PieceSet::none(piece_count(bytes));
                    held.iter().for_each(|piece| {
                        pieces.insert(piece % piece_count(bytes));
                    });
                    Answer::Have(Have::new(blob, bytes, &pieces, peers))
                }),
            digest().prop_map(|blob| Answer::NotHere { blob }),
            (digest(), any::<u16>(), prop::collection::vec(any::<[u8; 32]>(), 1..=OUTLINE_PAGE_VALUES))
                .prop_map(|(blob, page, values)| Answer::Outline { blob, page, values }),
            (digest(), any::<u32>(), 0..=PIECE_BYTES as usize)
                .prop_map(|(blob, piece, bytes)| Answer::Piece { blob, piece, data: vec![9; bytes] }),
            (digest(), any::<u32>(), peers(PEERS_NAMED_MAX - 1)).prop_map(|(blob, piece, mut peers)| {
                peers.push(PublicKey([1; 32]));
                Answer::Refer { blob, piece, peers }
            }),
            (digest(), any::<u32>()).prop_map(|(blob, piece)| Answer::Busy { blob, piece }),
            (
                digest(),
                prop::collection::vec(any::<u32>(), 1..=PIECES_NAMED_MAX),
                any::<prop::sample::Index>()
            )
                .prop_map(|(blob, mut gained, at)| {
                    let begun = gained.split_off(at.index(gained.len())).into_iter();
                    let here = GroupSet::NONE.with(2);
                    let begun = begun.map(|piece| Begun { piece, here }).collect();
                    Answer::News { blob, gained, begun }
                }),
            (digest(), any::<u32>()).prop_map(|(blob, piece)| Answer::NoMore { blob, piece }),
            (digest(), any::<u32>(), 0..GROUPS_MAX, any::<bool>(), 0..=GROUP_BYTES as usize).prop_map(
                |(blob, piece, group, first, bytes)| {
                    let values = if first { vec![[4; 32]; usize::from(GROUPS_MAX)] } else { Vec::new() };
                    Answer::Group { blob, piece, group, values, data: vec![9; bytes] }
                }
            ),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn messages_return_from_their_bytes(ask in asks(), answer in answers()) {
            prop_assert_eq!(Ask::decode(&ask.encode()), Ok(ask));
            let bytes = answer.encode();
            prop_assert!(bytes.len() <= FRAME_BYTES_MAX);
            prop_assert_eq!(Answer::decode(&bytes), Ok(answer));
        }

        #[test]
        fn trailing_and_missing_bytes_are_refused(ask in asks(), answer in answers(), cut in 1_usize..40) {
            let (asked, answered) = (ask.encode(), answer.encode());
            let longer = |bytes: &[u8]| [bytes, &[0]].concat();
            prop_assert!(Ask::decode(&longer(&asked)).is_err());
            prop_assert!(Answer::decode(&longer(&answered)).is_err());
            prop_assert!(Ask::decode(&asked[..asked.len().saturating_sub(cut)]).is_err());
            prop_assert!(Answer::decode(&answered[..answered.len().saturating_sub(cut)]).is_err());
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(
            mut bytes in prop::collection::vec(any::<u8>(), 0..300), tag in 0_u8..8, versioned in any::<bool>(),
        ) {
            if versioned && bytes.len() > 5 { bytes[..5].copy_from_slice(&[VERSION, tag, 0, 0, 0]); }
            if let Ok(ask) = Ask::decode(&bytes) { prop_assert_eq!(ask.encode(), bytes.clone()); }
            if let Ok(answer) = Answer::decode(&bytes) { prop_assert_eq!(answer.encode(), bytes); }
        }

        #[test]
        fn a_changed_byte_is_refused_or_another_message(answer in answers(), at: prop::sample::Index, to: u8) {
            let mut bytes = answer.encode();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            if let Ok(other) = Answer::decode(&bytes) {
                prop_assert_ne!(&other, &answer);
                prop_assert_eq!(other.encode(), bytes);
            }
        }
    }

    #[test]
    fn bytes_of_a_request_and_a_referral_stay_as_they_are() {
        let (blob, peer) = (Digest([0xab; 32]), PublicKey([0xcd; 32]));
        let here = GroupSet::NONE.with(1);
        let request = Ask::Request { blob, piece: 258, here, tried: vec![peer], insist: true };
        let expected =
            format!("0102000000{}02010000020100000000000000{}01", "ab".repeat(32), "cd".repeat(32));
        assert_eq!(hex::encode(request.encode()), expected);
        let refer = Answer::Refer { blob, piece: 1, peers: vec![peer] };
        let expected = format!("0104000000{}010000000100000000000000{}", "ab".repeat(32), "cd".repeat(32));
        assert_eq!(hex::encode(refer.encode()), expected);
    }

    #[test]
    fn who_has_all_says_that_what_may_be_brought_in_is_here() {
        let (blob, me) = (Digest([3; 32]), PublicKey([7; 32]));
        let brings = Ask::MayBring { blob, piece: 5 }.when_it_is_here(me);
        assert_eq!(brings, Some(Ask::Brings { blob, piece: 5, who: me }));
        assert_eq!(Ask::Cancel { blob, piece: 5 }.when_it_is_here(me), None);
    }

    #[test]
    fn bounds_are_held() {
        let blob = Digest([1; 32]);
        let many = vec![PublicKey([2; 32]); PEERS_NAMED_MAX + 1];
        let request =
            Ask::Request { blob, piece: 0, here: GroupSet::NONE, tried: many.clone(), insist: false };
        assert_eq!(Ask::decode(&request.encode()), Err(WireError::Bound("peers")));
        let came = Ask::Came { blob, pieces: vec![0; PIECES_NAMED_MAX + 1] };
        assert_eq!(Ask::decode(&came.encode()), Err(WireError::Bound("pieces")));
        let refer = Answer::Refer { blob, piece: 0, peers: many };
        assert_eq!(Answer::decode(&refer.encode()), Err(WireError::Bound("peers")));
        for named in [0, PIECES_NAMED_MAX + 1] {
            let some = Begun { piece: 0, here: GroupSet::NONE.with(3) };
            let (gained, begun) = (vec![0; named / 2], vec![some; named.div_ceil(2)]);
            let news = Answer::News { blob, gained, begun };
            assert_eq!(Answer::decode(&news.encode()), Err(WireError::Bound("pieces")));
        }
        for bits in [0, 16] {
            let some = Begun { piece: 7, here: GroupSet::NONE.with(1) };
            let mut hostile = Answer::News { blob, gained: Vec::new(), begun: vec![some] }.encode();
            *hostile.last_mut().unwrap() = bits;
            assert_eq!(Answer::decode(&hostile), Err(WireError::Bound("groups")));
        }
        let large = Answer::Piece { blob, piece: 0, data: vec![0; PIECE_BYTES as usize + 1] };
        assert_eq!(Answer::decode(&large.encode()), Err(WireError::Bound("data")));
        let group = |group, values, bytes| Answer::Group {
            blob,
            piece: 0,
            group,
            values: vec![[0; 32]; values],
            data: vec![0; bytes],
        };
        for (refused, why) in
            [(group(4, 4, 1), "groups"), (group(0, 5, 1), "groups"), (group(0, 4, 16_385), "data")]
        {
            assert_eq!(Answer::decode(&refused.encode()), Err(WireError::Bound(why)));
        }
        let request = Ask::Request { blob, piece: 0, here: GroupSet::NONE, tried: Vec::new(), insist: false };
        let mut hostile = request.encode();
        hostile[41] = 16;
        assert_eq!(Ask::decode(&hostile), Err(WireError::Bound("groups")));
        let mut hostile = Answer::Piece { blob, piece: 0, data: vec![0; 4] }.encode();
        hostile[41..49].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Answer::decode(&hostile), Err(WireError::Malformed));
        assert_eq!(Answer::decode(&[2, 0, 0, 0, 0]), Err(WireError::Version(2)));
    }
}
