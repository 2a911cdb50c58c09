//! What a field says about an address, and how.

/// How a field names an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    kind: Kind,
    base: u32,
}

/// A field that names an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Its place: where it is in the window.
    pub(crate) at: u32,
    /// How it names its target.
    pub(super) kind: Kind,
    /// What the target is counted from, if the kind says so; else nothing.
    pub(super) base: u32,
}

impl Reference {
    /// Its size: at most eight bytes.
    pub(crate) fn bytes(&self) -> u8 {
        self.kind.bytes()
    }

    /// All about it but its place.
    pub(crate) fn name(&self) -> Name {
        Name { kind: self.kind, base: self.base }
    }

    /// The reference at a place, by its name.
    pub(crate) fn named(at: u32, name: Name) -> Self {
        Self { at, kind: name.kind, base: name.base }
    }
}

/// What tells what fields of a kind will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Where a place went.
    Place,
    /// The stack's other slots.
    Frame,
    /// Other numbers of lines.
    Line,
    /// Other members of structures.
    Member,
    /// Other numbers of what it stands for.
    Number,
    /// What other tokens became.
    Token,
}

/// How a field names its target. Signed numbers of four bytes, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The distance from the end of the field.
    Ahead,
    /// The distance from the end of the instruction, which is one byte after the field.
    Ahead1,
    /// Two bytes after it.
    Ahead2,
    /// Four bytes after it.
    Ahead4,
    /// The distance from the beginning of the field.
    Here,
    /// The distance back from the beginning of the field.
    Back,
    /// The address, in eight bytes.
    Pointer,
    /// The address, in four bytes.
    ShortPointer,
    /// The address, in four bytes with a sign.
    SignedPointer,
    /// The distance from the base.
    Based,
    /// The distance from the base, in eight bytes.
    LongBased,
    /// The number of entries of 24 bytes from the base.
    Symbol,
    /// The number of words from the base.
    Word,
    /// The number of bytes from the target of the field before.
    Length,
    /// The same in eight bytes.
    LongLength,
    /// AArch64: the distance in a jump or call, of 26 bits.
    Branch26,
    /// AArch64: the distance in a conditional jump or a load, of 19 bits.
    Branch19,
    /// AArch64: the distance of 14 bits in a jump on a bit.
    Branch14,
    /// AArch64: a distance of 21 bits.
    Near,
    /// AArch64: the distance of the target's page, of 21 bits. The base is where in its page the target is.
    Page,
    /// AArch64: where in its page the target is. The base is the page's number.
    InPage,
    /// The distance in the file from the base, in eight bytes.
    Offset,
    /// The distance from the end of the field, in one byte.
    Short,
    /// A displacement from the stack pointer, in one byte.
    Slot,
    /// The same in four bytes.
    LongSlot,
    /// A displacement from the frame pointer, in one byte.
    FrameSlot,
    /// The same in four bytes.
    LongFrameSlot,
    /// How much of the stack a function takes, in one byte.
    Enter,
    /// The same in four bytes.
    LongEnter,
    /// How much of the stack a function gives back, in one byte.
    Leave,
    /// The same in four bytes.
    LongLeave,
    /// A number that is passed on, such as that of a line.
    Number,
    /// The number of entries of eight bytes from the base.
    Function,
    /// A displacement from any other register: where in a structure something is.
    Member,
    /// The number of a type. The base is where the type is described.
    Type,
    /// The number of a type of another file.
    ForeignType,
    /// The distance to a name from the base, which may be before all places.
    Name,
    /// The number of a name of another file.
    ForeignName,
    /// The checksum of what a symbol is.
    Checksum,
    /// One less than the distance down from the base.
    Down,
    /// The number of words from the base, in three bytes, highest first.
    Rank,
    /// A number of a token of packed names, in one byte. The base is where the tokens are.
    Token,
    /// Four of them.
    Tokens4,
    /// Eight of them.
    Tokens8,
}

impl Kind {
    pub(super) const COUNT: usize = 44;

    const ALL: [Self; Self::COUNT] = [
        Self::Ahead,
        Self::Ahead1,
        Self::Ahead2,
        Self::Ahead4,
        Self::Here,
        Self::Back,
        Self::Pointer,
        Self::ShortPointer,
        Self::SignedPointer,
        Self::Based,
        Self::LongBased,
        Self::Symbol,
        Self::Word,
        Self::Length,
        Self::LongLength,
        Self::Branch26,
        Self::Branch19,
        Self::Branch14,
        Self::Near,
        Self::Page,
        Self::InPage,
        Self::Offset,
        Self::Short,
        Self::Slot,
        Self::LongSlot,
        Self::FrameSlot,
        Self::LongFrameSlot,
        Self::Enter,
        Self::LongEnter,
        Self::Leave,
        Self::LongLeave,
        Self::Number,
        Self::Function,
        Self::Member,
        Self::Type,
        Self::ForeignType,
        Self::Name,
        Self::ForeignName,
        Self::Checksum,
        Self::Down,
        Self::Rank,
        Self::Token,
        Self::Tokens4,
        Self::Tokens8,
    ];

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn bytes(self) -> u8 {
        match self {
            Self::Pointer | Self::LongBased | Self::LongLength | Self::Offset | Self::Tokens8 => 8,
            Self::Rank => 3,
            Self::Token | Self::Short | Self::Slot | Self::FrameSlot | Self::Enter | Self::Leave => 1,
            _ => 4,
        }
    }

    /// Whether it needs a base.
    #[inline]
    pub(super) fn has_base(self) -> bool {
        matches!(
            self,
            Self::Based
                | Self::LongBased
                | Self::Symbol
                | Self::Word
                | Self::Page
                | Self::InPage
                | Self::Offset
                | Self::Function
                | Self::Type
                | Self::Name
                | Self::Down
                | Self::Rank
                | Self::Token
                | Self::Tokens4
                | Self::Tokens8
        )
    }

    /// How far from the field its target is, if it tells a distance.
    #[inline]
    pub(super) fn distance(self, value: u64) -> Option<u32> {
        let [a, b, c, d, ..] = value.to_le_bytes();
        match self {
            Self::Ahead => Some(u32::from_le_bytes([a, b, c, d]).wrapping_add(4)),
            Self::Branch26 => Some(bits(value, 0, 26)),
            Self::Branch19 => Some(bits(value, 5, 19)),
            Self::Branch14 => Some(bits(value, 5, 14)),
            Self::Short => Some(i32::from(a.cast_signed()).cast_unsigned().wrapping_add(1)),
            _ => None,
        }
    }

    /// Whether a field is what names some place, and so names no other.
    #[inline]
    pub(super) fn is_one_to_one(self, named: u64, is: u64) -> bool {
        match self {
            Self::Pointer => named == is,
            Self::Ahead | Self::Ahead1 | Self::Ahead2 | Self::Ahead4 | Self::Here | Self::Based => {
                named == signed(is)
            }
            _ => false,
        }
    }

    /// Whether it is a number of bytes from the target of the field before.
    pub(super) fn is_length(self) -> bool {
        matches!(self, Self::Length | Self::LongLength)
    }

    /// What tells what it will be.
    #[inline]
    pub(super) fn sort(self) -> Sort {
        match self {
            Self::Slot
            | Self::LongSlot
            | Self::FrameSlot
            | Self::LongFrameSlot
            | Self::Enter
            | Self::LongEnter
            | Self::Leave
            | Self::LongLeave => Sort::Frame,
            Self::Number => Sort::Line,
            Self::Member => Sort::Member,
            Self::Type | Self::ForeignType | Self::Name | Self::ForeignName | Self::Checksum => Sort::Number,
            Self::Token | Self::Tokens4 | Self::Tokens8 => Sort::Token,
            _ => Sort::Place,
        }
    }

    /// Whether it is tokens.
    pub(super) fn is_of_tokens(self) -> bool {
        self.sort() == Sort::Token
    }

    /// How far after the field its distance begins.
    pub(super) fn ahead(self) -> u64 {
        match self {
            Self::Short => 1,
            Self::Ahead => 4,
            Self::Ahead1 => 5,
            Self::Ahead2 => 6,
            Self::Ahead4 => 8,
            _ => 0,
        }
    }
}

/// A distance in words, with a sign, from some bits of an instruction.
#[inline]
pub(super) fn bits(word: u64, shift: u32, count: u32) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    let value = (u32::from_le_bytes([a, b, c, d]) >> shift) << (32 - count);
    (value.cast_signed() >> (32 - count - 2)).cast_unsigned() & !3
}

/// A number of four bytes with a sign, as one of eight.
#[inline]
pub(super) fn signed(value: u64) -> u64 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i64::from(i32::from_le_bytes([a, b, c, d])).cast_unsigned()
}

/// A number of one byte with a sign, as one of eight.
pub(super) fn signed_byte(value: u64) -> u64 {
    i64::from(value.to_le_bytes()[0].cast_signed()).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_kinds_lead_back_to_them() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), number);
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(Kind::from_number(u8::MAX), None);
    }
}
