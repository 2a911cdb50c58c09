//! A set of machines, by place: one bit each.

/// A set of machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    words: Vec<u64>,
}

impl Places {
    /// The set of these, among `nodes` machines; others are left out.
    pub fn of(nodes: usize, places: impl IntoIterator<Item = u32>) -> Self {
        let mut set = Self { words: vec![0; nodes.div_ceil(64)] };
        for place in places {
            if let Some(word) = set.words.get_mut(place as usize / 64) {
                *word |= 1 << (place % 64);
            }
        }
        set
    }

    /// The set of all others.
    pub fn others(&self) -> Self {
        Self { words: self.words.iter().map(|word| !word).collect() }
    }

    /// Whether a machine is in it.
    pub fn contains(&self, place: u32) -> bool {
        self.words.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_in_a_set_or_among_the_others() {
        let set = Places::of(130, [0, 64, 129, 1000]);
        let others = set.others();
        for place in 0..130 {
            assert_eq!(set.contains(place), [0, 64, 129].contains(&place));
            assert_ne!(set.contains(place), others.contains(place));
        }
        assert!(!set.contains(1000));
    }
}
