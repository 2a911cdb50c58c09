//! The suffixes of a file in order, and the longest match in them.
//!
//! Sorted by induced sorting (SA-IS: Nong, Zhang and Chan, "Linear Suffix Array Construction by Almost Pure
//! Induced-Sorting", 2009): time linear in the size on every input, where the comparison sorts usual in binary
//! diffs may take hours on long runs of one byte. Takes some 12 times the file's size in memory, half of it given back
//! before the search.

/// No suffix yet.
const NONE: u32 = u32::MAX;
/// Buckets of the search: one for each pair of bytes.
const PAIRS: usize = 1 << 16;

/// A file's suffixes, searchable.
pub(super) struct Suffixes<'a> {
    text: &'a [u8],
    sorted: Vec<u32>,
    /// Where the suffixes that begin with each pair of bytes start.
    starts: Vec<u32>,
}

/// A place in the text and how many bytes agree there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: usize,
    pub(super) bytes: usize,
}

impl<'a> Suffixes<'a> {
    /// Sorts the suffixes of a text of less than 4 GiB.
    pub(super) fn new(text: &'a [u8]) -> Self {
        let mut starts = vec![0; PAIRS + 1];
        for at in 0..text.len() {
            starts[pair(&text[at..]) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { text, sorted: sort(text, usize::from(u8::MAX)), starts }
    }

    /// The longest beginning of `wanted` that is in the text; nothing if not even two bytes are.
    pub(super) fn longest(&self, wanted: &[u8]) -> Found {
        if wanted.len() < 2 {
            return Found::default();
        }
        let pair = pair(wanted);
        let bucket = &self.sorted[self.starts[pair] as usize..self.starts[pair + 1] as usize];
        // All before `low` are smaller than what is wanted, all from `high` on are not; each with the
        // bytes that the nearest of them shares.
        let (mut low, mut high) = (0, bucket.len());
        let (mut below, mut above) = (Found::default(), Found::default());
        while low < high {
            let middle = low + (high - low) / 2;
            let at = bucket[middle] as usize;
            let shared = below.bytes.min(above.bytes);
            let suffix = &self.text[at..];
            let bytes = shared + common(&suffix[shared..], &wanted[shared..]);
            let found = Found { at, bytes };
            if suffix.get(bytes) < wanted.get(bytes) {
                (low, below) = (middle + 1, found);
            } else {
                (high, above) = (middle, found);
            }
        }
        if above.bytes > below.bytes { above } else { below }
    }
}

/// The first two bytes as a number; a missing one counts as 0, as such a suffix is sorted first.
fn pair(text: &[u8]) -> usize {
    let byte = |at: usize| text.get(at).copied().map_or(0, usize::from);
    byte(0) << 8 | byte(1)
}

/// How many leading bytes are equal.
fn common(one: &[u8], other: &[u8]) -> usize {
    const STEP: usize = 16;
    let steps =
        one.chunks_exact(STEP).zip(other.chunks_exact(STEP)).take_while(|(one, other)| one == other).count();
    let done = steps * STEP;
    let equal = one[done..].iter().zip(&other[done..]).take_while(|(one, other)| one == other).count();
    done + equal
}

/// A letter of a text to sort: a byte, or in the recursion the name of a part.
trait Letter: Copy + Ord {
    fn number(self) -> usize;
}

impl Letter for u8 {
    fn number(self) -> usize {
        usize::from(self)
    }
}

impl Letter for u32 {
    fn number(self) -> usize {
        self as usize
    }
}

fn short(at: usize) -> u32 {
    u32::try_from(at).expect("BUG: a text of 4 GiB or more to sort")
}

/// The suffixes of a text in order. No letter is greater than `largest`.
fn sort<T: Letter>(text: &[T], largest: usize) -> Vec<u32> {
    if text.len() < 2 {
        return (0..short(text.len())).collect();
    }
    let types = Types::of(text);
    let buckets = Buckets::of(text, largest);
    let anchors: Vec<u32> = (1..text.len()).filter(|at| types.is_anchor(*at)).map(short).collect();
    let mut sorted = vec![NONE; text.len()];
    induce(text, &types, &buckets, &anchors, &mut sorted);
    if anchors.len() > 1 {
        let order = sort_anchors(text, &types, &anchors, &mut sorted);
        induce(text, &types, &buckets, &order, &mut sorted);
    }
    sorted
}

/// Whether each suffix is smaller than the one after it ("S" in the paper); the last is not.
struct Types(Vec<bool>);

impl Types {
    fn of<T: Letter>(text: &[T]) -> Self {
        let mut rises = vec![false; text.len()];
        for at in (0..text.len() - 1).rev() {
            rises[at] = match text[at].cmp(&text[at + 1]) {
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Equal => rises[at + 1],
                std::cmp::Ordering::Greater => false,
            };
        }
        Self(rises)
    }

    fn rises(&self, at: usize) -> bool {
        self.0[at]
    }

    /// A rising suffix after a falling one ("LMS"): the order of these gives the order of all. No two are neighbours.
    fn is_anchor(&self, at: usize) -> bool {
        at > 0 && self.0[at] && !self.0[at - 1]
    }
}

/// Where the suffixes with each first letter begin and end in the order.
struct Buckets {
    ends: Vec<u32>,
}

impl Buckets {
    fn of<T: Letter>(text: &[T], largest: usize) -> Self {
        let mut ends = vec![0; largest + 1];
        for letter in text {
            ends[letter.number()] += 1;
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        Self { ends }
    }

    fn starts(&self) -> Vec<u32> {
        let mut starts = vec![0];
        starts.extend_from_slice(&self.ends[..self.ends.len() - 1]);
        starts
    }
}

/// Puts the anchors at the ends of their buckets in the order given, then derives all others from them: falling ones
/// from left to right, rising ones from right to left.
fn induce<T: Letter>(text: &[T], types: &Types, buckets: &Buckets, anchors: &[u32], sorted: &mut [u32]) {
    sorted.fill(NONE);
    let mut ends = buckets.ends.clone();
    for anchor in anchors.iter().rev() {
        let end = &mut ends[text[*anchor as usize].number()];
        *end -= 1;
        sorted[*end as usize] = *anchor;
    }
    let mut starts = buckets.starts();
    let mut fall = |sorted: &mut [u32], at: usize| {
        let start = &mut starts[text[at].number()];
        sorted[*start as usize] = short(at);
        *start += 1;
    };
    fall(sorted, text.len() - 1);
    for place in 0..sorted.len() {
        let at = sorted[place];
        if at != NONE && at > 0 && !types.rises(at as usize - 1) {
            fall(sorted, at as usize - 1);
        }
    }
    let mut ends = buckets.ends.clone();
    for place in (0..sorted.len()).rev() {
        let at = sorted[place];
        if at != NONE && at > 0 && types.rises(at as usize - 1) {
            let before = at as usize - 1;
            let end = &mut ends[text[before].number()];
            *end -= 1;
            sorted[*end as usize] = short(before);
        }
    }
}

/// The anchors in the order of their suffixes. The parts from anchor to anchor have been sorted; equal ones get one
/// name, and the text of names is sorted in turn.
fn sort_anchors<T: Letter>(text: &[T], types: &Types, anchors: &[u32], sorted: &mut [u32]) -> Vec<u32> {
    let mut kept = 0;
    for place in 0..sorted.len() {
        let at = sorted[place];
        if types.is_anchor(at as usize) {
            sorted[kept] = at;
            kept += 1;
        }
    }
    let (by_part, names) = sorted.split_at_mut(kept);
    let largest = name_parts(text, types, by_part, names);
    let named: Vec<u32> = anchors.iter().map(|anchor| names[*anchor as usize / 2]).collect();
    if largest + 1 == anchors.len() {
        return by_part.to_vec();
    }
    let mut order = sort(&named, largest);
    for place in &mut order {
        *place = anchors[*place as usize];
    }
    order
}

/// Writes the name of each part at half its place, and returns the largest. Anchors are at least two apart and at most
/// half as many as letters, so that there is room.
fn name_parts<T: Letter>(text: &[T], types: &Types, by_part: &[u32], names: &mut [u32]) -> usize {
    let mut name = 0;
    let mut before = None;
    for anchor in by_part {
        let at = *anchor as usize;
        if before.is_some_and(|before| !same_part(text, types, before, at)) {
            name += 1;
        }
        names[at / 2] = short(name);
        before = Some(at);
    }
    name
}

/// Whether the parts that begin at two anchors are equal, up to and with the next anchor.
fn same_part<T: Letter>(text: &[T], types: &Types, one: usize, other: usize) -> bool {
    for step in 0..text.len() - one.max(other) {
        if text[one + step] != text[other + step] || types.rises(one + step) != types.rises(other + step) {
            return false;
        }
        if step > 0 && types.is_anchor(one + step) {
            return types.is_anchor(other + step);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(text: &[u8]) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..short(text.len())).collect();
        sorted.sort_by_key(|at| &text[*at as usize..]);
        sorted
    }

    /// Few letters make deep recursion.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        (1_u8..=255, 0_usize..300)
            .prop_flat_map(|(letters, length)| proptest::collection::vec(0..letters, length))
    }

    #[test]
    fn small_and_even_texts_are_sorted() {
        for text in [&b""[..], b"a", b"aa", b"ab", b"ba", b"mississippi", &[0; 100], &[255; 3]] {
            assert_eq!(sort(text, 255), naive(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn suffixes_are_sorted(text in texts()) {
            prop_assert_eq!(sort(&text, 255), naive(&text));
        }

        #[test]
        fn the_longest_match_is_found(text in texts(), wanted in texts()) {
            let found = Suffixes::new(&text).longest(&wanted);
            let best = (0..text.len())
                .map(|at| common(&text[at..], &wanted))
                .max()
                .unwrap_or(0);
            prop_assert_eq!(found.bytes, if best < 2 { found.bytes } else { best });
            prop_assert_eq!(&text[found.at..found.at + found.bytes], &wanted[..found.bytes]);
        }
    }
}
