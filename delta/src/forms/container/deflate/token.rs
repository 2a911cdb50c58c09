//! What a deflate stream is made of: literals and copies, and the blocks that hold them.

/// A literal byte, or a copy of up to 258 bytes from up to 32 KiB before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(u32);

impl Token {
    pub(super) fn literal(byte: u8) -> Self {
        Self(u32::from(byte))
    }

    /// The length is 3 to 258, the distance 1 to 32,768.
    pub(super) fn copy(length: u32, distance: u32) -> Self {
        debug_assert!((3..=258).contains(&length) && (1..=32768).contains(&distance));
        Self(length << 16 | distance)
    }

    /// How many bytes it stands for.
    #[inline]
    pub(super) fn length(self) -> u32 {
        (self.0 >> 16).max(1)
    }

    /// How far back it copies from; none for a literal.
    #[inline]
    pub(super) fn distance(self) -> Option<u32> {
        (self.0 >> 16 != 0).then_some(self.0 & 0xffff)
    }

    #[inline]
    pub(super) fn byte(self) -> usize {
        (self.0 & 0xff) as usize
    }
}

/// How a block is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// So many bytes as they are.
    Stored(u16),
    /// With the codes that the standard gives.
    Fixed,
    /// With codes of its own.
    Dynamic(Box<Codes>),
}

/// The codes of a block, as its head tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Codes {
    /// Code lengths of literals and copy lengths, 257 to 286.
    pub(super) literals: Vec<u8>,
    /// Code lengths of distances, 1 to 30.
    pub(super) distances: Vec<u8>,
    /// How the lengths are told: symbols 0 to 18, and what their extra bits say.
    pub(super) runs: Vec<(u8, u8)>,
    /// Code lengths of those symbols, in the standard's order, 4 to 19.
    pub(super) symbols: Vec<u8>,
}

/// The end of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) coding: Coding,
    /// How many tokens it holds; none when stored.
    pub(super) tokens: usize,
    pub(super) last: bool,
}

/// The order in which the code lengths of run symbols are told.
pub(super) const SYMBOL_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The first length of each of the 29 length codes, and its extra bits.
pub(super) const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The first distance of each of the 30 distance codes, and its extra bits.
pub(super) const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// The code of a copy's length, counted from zero.
#[inline]
pub(super) fn length_code(length: u32) -> usize {
    usize::from(LENGTH_CODES[(length - 3) as usize & 0xff])
}

/// The code of a copy's distance.
#[inline]
pub(super) fn distance_code(distance: u32) -> usize {
    let before = distance - 1;
    if before < 4 {
        return before as usize;
    }
    let top = 31 - before.leading_zeros();
    (2 * top + (before >> (top - 1) & 1)) as usize
}

const LENGTH_CODES: [u8; 256] = length_codes();

const fn length_codes() -> [u8; 256] {
    let mut table = [28; 256];
    let mut code = 0;
    while code < 28 {
        let mut length = LENGTHS[code].0;
        while length < LENGTHS[code + 1].0 && length < 258 {
            table[(length - 3) as usize] = code as u8;
            length += 1;
        }
        code += 1;
    }
    table
}

/// Code lengths of the standard's fixed codes.
pub(super) fn fixed_codes() -> ([u8; 288], [u8; 30]) {
    let mut literals = [8; 288];
    literals[144..256].fill(9);
    literals[256..280].fill(7);
    (literals, [5; 30])
}
