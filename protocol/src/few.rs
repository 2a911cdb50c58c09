//! Maps and sets of few entries: one list, as long as it must be. A tree's smallest node has room for eleven, and a
//! hundred thousand machines of one process each have one component and follow one rollout.

/// Values by rising key.
#[derive(Clone, Debug)]
pub struct Few<K, V>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|place| &mut self.0[place].1)
    }

    /// The value of a key, which is made if there is none.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let place = match self.place(key) {
            Ok(place) => place,
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (key.clone(), make()));
                place
            }
        };
        &mut self.0[place].1
    }

    /// Puts a value in the place of the one of this key.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (key, value));
            }
        }
    }

    /// Takes the value of a key out. What holds nothing takes no room.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (_, value) = self.0.remove(self.place(key).ok()?);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        Some(value)
    }

    /// Whether there is a value of this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first key after this one, or the first of all.
    pub fn key_after(&self, key: Option<&K>) -> Option<&K> {
        let place = key.map_or(0, |key| self.0.partition_point(|(held, _)| held <= key));
        self.0.get(place).map(|(key, _)| key)
    }

    /// The keys, rising.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values, by rising key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, by rising key.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Keys and values, by rising key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Keys and values, by rising key.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut few = Self::default();
        entries.into_iter().for_each(|(key, value)| few.insert(key, value));
        few
    }
}

/// A set of few.
#[derive(Clone, Debug)]
pub struct FewOf<T>(Few<T, ()>);

impl<T> Default for FewOf<T> {
    fn default() -> Self {
        Self(Few::default())
    }
}

impl<T: Ord> FewOf<T> {
    /// Puts one in.
    pub fn insert(&mut self, one: T) {
        self.0.insert(one, ());
    }

    /// Takes one out, if it is there.
    pub fn remove(&mut self, one: &T) {
        self.0.remove(one);
    }

    /// Whether this one is there.
    pub fn contains(&self, one: &T) -> bool {
        self.0.contains_key(one)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, rising.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    /// Forgets those for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.0.0.retain(|(one, ())| keep(one));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Ord> FromIterator<T> for FewOf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        Self(all.into_iter().map(|one| (one, ())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_holds_what_a_tree_would_hold_in_the_same_order() {
        let (mut few, mut tree) = (Few::default(), BTreeMap::new());
        for turn in 0..500_u64 {
            let key = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
            match turn % 3 {
                0 => assert_eq!(few.remove(&key), tree.remove(&key)),
                1 => {
                    few.insert(key, turn);
                    tree.insert(key, turn);
                }
                _ => assert_eq!(few.get_or_insert_with(&key, || turn), tree.entry(key).or_insert(turn)),
            }
            assert_eq!(few.get(&key), tree.get(&key));
            assert!(
                few.iter().eq(tree.iter()) && few.keys().eq(tree.keys()) && few.values().eq(tree.values())
            );
            assert_eq!((few.len(), few.contains_key(&3)), (tree.len(), tree.contains_key(&3)));
            assert_eq!(few.key_after(None), tree.keys().next());
            assert_eq!(few.key_after(Some(&7)), tree.range(8..).map(|(key, _)| key).next());
        }
    }
}
