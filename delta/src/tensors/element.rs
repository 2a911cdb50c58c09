//! The types of a tensor's elements, and their integer order.

/// What a tensor's elements are. Any bytes can be taken as any type: a wrong guess costs size, never truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bf16,
    F16,
    F32,
    F64,
    /// Integers of eight bits: weights that were quantised.
    I8,
}

/// All of them, as they are numbered in a delta.
pub(crate) const ELEMENTS: [Element; 5] =
    [Element::Bf16, Element::F16, Element::F32, Element::F64, Element::I8];

impl Element {
    pub(crate) const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }

    pub(super) const fn bits(self) -> u32 {
        match self {
            Self::I8 => 8,
            Self::Bf16 | Self::F16 => 16,
            Self::F32 => 32,
            Self::F64 => 64,
        }
    }

    /// Bits of the fraction.
    pub(super) const fn fraction(self) -> u32 {
        match self {
            Self::I8 => 0,
            Self::Bf16 => 7,
            Self::F16 => 10,
            Self::F32 => 23,
            Self::F64 => 52,
        }
    }

    /// Its place among [`ELEMENTS`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Bf16 => 0,
            Self::F16 => 1,
            Self::F32 => 2,
            Self::F64 => 3,
            Self::I8 => 4,
        }
    }

    /// The exponent below which all count as one: 2^-27, where weights no longer matter.
    const fn least_exponent(self) -> u64 {
        match self {
            Self::I8 | Self::F16 => 0,
            Self::Bf16 | Self::F32 => 100,
            Self::F64 => 1023 - 27,
        }
    }

    /// The magnitude's class by powers of two, below [`CLASSES`].
    #[inline(always)]
    pub(super) fn class(self, raw: u64) -> usize {
        let class = match self {
            Self::I8 => {
                u64::from(u8::BITS - raw.to_le_bytes()[0].cast_signed().unsigned_abs().leading_zeros())
            }
            _ => self.exponent(raw).saturating_sub(self.least_exponent()),
        };
        usize::try_from(class).unwrap_or(CLASSES).min(CLASSES - 1)
    }

    #[inline(always)]
    pub(super) fn exponent(self, raw: u64) -> u64 {
        (raw & (self.sign() - 1)) >> self.fraction()
    }

    #[inline(always)]
    pub(super) const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }

    #[inline(always)]
    pub(super) fn is_negative(self, raw: u64) -> bool {
        raw & self.sign() != 0
    }

    /// The integer that rises as the number does; -0 is just below 0, infinities and NaNs lie outside.
    #[inline(always)]
    pub(super) fn rank(self, raw: u64) -> i64 {
        let spare = 64 - self.bits();
        let rank = (raw << spare).cast_signed() >> spare;
        match self {
            Self::I8 => rank,
            _ => rank ^ ((rank >> 63) & (self.sign() - 1).cast_signed()),
        }
    }

    /// The element of a rank; of a rank out of range, the one that it wraps to.
    #[inline(always)]
    pub(super) fn of_rank(self, rank: i64) -> u64 {
        let spare = 64 - self.bits();
        let rank = (rank << spare) >> spare;
        let raw = match self {
            Self::I8 => rank,
            _ => rank ^ ((rank >> 63) & (self.sign() - 1).cast_signed()),
        };
        (raw.cast_unsigned() << spare) >> spare
    }
}

/// How many classes of magnitude there are.
pub(super) const CLASSES: usize = 32;
