//! Bytes that are made piece by piece, in room that is used again without being cleared: clearing costs as much as copying.

/// What was made.
#[derive(Default)]
pub(super) struct Made {
    /// Longer than what was made: the rest is room.
    bytes: Vec<u8>,
    filled: usize,
}

impl Made {
    /// Forgets what was made, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    /// What was made.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Room for so many more bytes. What is in it is whatever was there.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled + bytes;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes.get_mut(self.filled..end).unwrap_or_default()
    }

    /// The first so many bytes of the room given last were made.
    pub(super) fn fill(&mut self, bytes: usize) {
        self.filled = self.bytes.len().min(self.filled + bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_follows_what_was_made_and_room_is_used_again() {
        let mut made = Made::default();
        made.room(4).copy_from_slice(b"abcd");
        made.fill(2);
        assert_eq!(made.bytes(), b"ab");
        made.room(2).copy_from_slice(b"xy");
        made.fill(2);
        assert_eq!(made.bytes(), b"abxy");
        made.clear();
        assert_eq!(made.bytes(), b"");
        assert_eq!(made.room(5).len(), 5);
    }
}
