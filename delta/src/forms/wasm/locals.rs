//! The locals of the body in work: compilers number them anew when one comes or goes.

const LOCALS: usize = 1 << 10;
/// A local that was not yet seen moved like one of so many before it.
const NEAR: usize = 32;

/// What the locals of one body became.
pub(super) struct Locals {
    body: u32,
    /// How each moved, and the round in which that was seen.
    moved: Vec<(u32, u32)>,
    round: u32,
    /// Whether any moved in this round.
    any: bool,
}

impl Locals {
    pub(super) fn new() -> Self {
        Self { body: u32::MAX, moved: vec![(0, 0); LOCALS], round: 1, any: false }
    }

    /// What a local becomes, if it is not what it was.
    #[inline]
    pub(super) fn predict(&mut self, body: u32, was: u32) -> Option<u32> {
        if body != self.body {
            self.body = body;
            self.round = self.round.wrapping_add(1);
            self.any = false;
        }
        if !self.any {
            return Some(was);
        }
        let at = was as usize;
        let near = self.moved.get(at.saturating_sub(NEAR)..=at).unwrap_or_default();
        let seen = near.iter().rev().find(|(_, round)| *round == self.round);
        Some(was.wrapping_add(seen.map_or(0, |(shift, _)| *shift)))
    }

    /// A local of the body that was predicted last became another.
    #[inline]
    pub(super) fn learn(&mut self, was: u32, is: u32) {
        if let Some(slot) = self.moved.get_mut(was as usize) {
            *slot = (is.wrapping_sub(was), self.round);
            self.any |= is != was;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locals_move_like_the_one_before_them_until_the_body_ends() {
        let mut locals = Locals::new();
        assert_eq!(locals.predict(7, 4), Some(4));
        locals.learn(4, 5);
        assert_eq!(locals.predict(7, 9), Some(10));
        assert_eq!(locals.predict(7, 3), Some(3));
        locals.learn(9, 8);
        assert_eq!(locals.predict(7, 9), Some(8));
        assert_eq!(locals.predict(7, 4), Some(5));
        assert_eq!(locals.predict(6, 4), Some(4));
        locals.learn(u32::MAX, 0);
        assert_eq!(locals.predict(6, u32::MAX), Some(u32::MAX));
    }
}
