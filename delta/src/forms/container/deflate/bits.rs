//! Bits of a deflate stream: the lowest of each byte comes first.

/// Reads from a stretch of memory. Beyond its end there are zeros, which [`overrun`](Self::overrun) tells.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, held: 0, count: 0 }
    }

    /// Makes at least 48 bits ready.
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some(eight) = self.bytes.get(self.at..self.at + 8).and_then(|part| part.try_into().ok()) {
            self.held |= u64::from_le_bytes(eight) << self.count;
            let taken = (63 - self.count) >> 3;
            self.at += taken as usize;
            self.count += taken * 8;
        } else {
            self.refill_slowly();
        }
    }

    fn refill_slowly(&mut self) {
        while self.count <= 55 {
            let byte = self.bytes.get(self.at).copied().unwrap_or(0);
            self.held |= u64::from(byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
    }

    /// Bits that are ready, the next one lowest.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        self.held
    }

    /// Passes bits that are ready.
    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.held >>= bits;
        self.count -= bits;
    }

    /// Takes up to 16 bits.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.refill();
        }
        let value = (self.held & ((1 << bits) - 1)) as u32;
        self.skip(bits);
        value
    }

    /// Whether more was taken than there is.
    pub(super) fn overrun(&self) -> bool {
        self.at.saturating_sub(self.count as usize / 8) > self.bytes.len()
    }

    /// Passes the rest of a byte that was begun. None when it is not zero.
    pub(super) fn align(&mut self) -> Option<()> {
        let rest = self.count % 8;
        (self.take(rest) == 0).then_some(())
    }

    /// Takes whole bytes, at a byte's border.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let start = self.position();
        let part = self.bytes.get(start..start.checked_add(count)?)?;
        self.at = start + count;
        self.held = 0;
        self.count = 0;
        Some(part)
    }

    /// How many bytes were taken or begun.
    pub(super) fn position(&self) -> usize {
        self.at - self.count as usize / 8
    }
}

/// Writes bits; whole bytes are added to the end of a buffer.
#[derive(Default)]
pub(super) struct BitWriter {
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Writes up to 32 bits.
    #[inline]
    pub(super) fn put(&mut self, value: u32, bits: u32, out: &mut Vec<u8>) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        if self.count >= 32 {
            out.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self, out: &mut Vec<u8>) {
        while self.count > 0 {
            out.push(self.held as u8);
            self.held >>= 8;
            self.count = self.count.saturating_sub(8);
        }
        self.held = 0;
    }
}
