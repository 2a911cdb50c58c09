//! The codes that zlib would choose for a block, given how often it uses each symbol.
//!
//! Most writers build codes the way zlib does, ties included: what they chose then need not be told.

use super::token::{Codes, SYMBOL_ORDER, Token, distance_code, length_code};

/// How often a block uses each symbol.
#[derive(Clone)]
pub(super) struct Counts {
    literals: [u32; 286],
    distances: [u32; 30],
}

impl Counts {
    pub(super) fn of(tokens: &[Token]) -> Self {
        let mut counts = Self { literals: [0; 286], distances: [0; 30] };
        for token in tokens {
            if let Some(distance) = token.distance() {
                counts.literals[257 + length_code(token.length())] += 1;
                counts.distances[distance_code(distance)] += 1;
            } else {
                counts.literals[token.byte()] += 1;
            }
        }
        counts.literals[256] = 1;
        counts
    }

    /// Bits of the tokens, without those that follow a code and are the same whatever the codes.
    fn cost(&self, literals: &[u8], distances: &[u8]) -> u64 {
        let sum = |counts: &[u32], lengths: &[u8]| -> u64 {
            counts.iter().zip(lengths).map(|(count, length)| u64::from(*count) * u64::from(*length)).sum()
        };
        sum(&self.literals, literals) + sum(&self.distances, distances)
    }

    /// The code lengths of literals and of distances.
    pub(super) fn code_lengths(&self) -> (Vec<u8>, Vec<u8>) {
        (build(&self.literals, 15), build(&self.distances, 15))
    }
}

/// The codes for a block; none when the standard's fixed codes are as short.
pub(super) fn choose(counts: &Counts) -> Option<Codes> {
    let (literals, distances) = counts.code_lengths();
    let codes = complete(literals, distances);
    let (fixed_literals, fixed_distances) = super::token::fixed_codes();
    let fixed = (counts.cost(&fixed_literals, &fixed_distances) + 3 + 7) >> 3;
    let own = (counts.cost(&codes.literals, &codes.distances) + head_bits(&codes) + 3 + 7) >> 3;
    (fixed > own).then_some(codes)
}

/// Tells code lengths as zlib would.
pub(super) fn complete(literals: Vec<u8>, distances: Vec<u8>) -> Codes {
    let mut runs = Vec::new();
    tell_lengths(&literals, &mut runs);
    tell_lengths(&distances, &mut runs);
    let symbols = tell_symbols(&runs);
    Codes { literals, distances, runs, symbols }
}

/// The code lengths of run symbols, as zlib would tell them.
pub(super) fn tell_symbols(runs: &[(u8, u8)]) -> Vec<u8> {
    let mut counts = [0; 19];
    for (symbol, _) in runs {
        counts[usize::from(*symbol)] += 1;
    }
    let mut lengths = build(&counts, 7);
    lengths.resize(19, 0);
    let mut symbols: Vec<u8> = SYMBOL_ORDER.iter().map(|place| lengths[*place]).collect();
    while symbols.len() > 4 && symbols.last() == Some(&0) {
        symbols.pop();
    }
    symbols
}

fn head_bits(codes: &Codes) -> u64 {
    let mut lengths = [0; 19];
    for (place, length) in SYMBOL_ORDER.iter().zip(&codes.symbols) {
        lengths[*place] = *length;
    }
    let runs = codes.runs.iter().map(|(symbol, _)| lengths[usize::from(*symbol)] + run_bits(*symbol));
    5 + 5 + 4 + 3 * codes.symbols.len() as u64 + runs.map(u64::from).sum::<u64>()
}

/// Extra bits of a run symbol.
pub(super) fn run_bits(symbol: u8) -> u8 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

fn tell_lengths(lengths: &[u8], runs: &mut Vec<(u8, u8)>) {
    let mut previous = None;
    let mut at = 0;
    while at < lengths.len() {
        let value = lengths[at];
        let most = match value {
            0 => 138,
            _ if Some(value) == previous => 6,
            _ => 7,
        };
        let count = lengths[at..].iter().take(most).take_while(|length| **length == value).count();
        let least = if value != 0 && Some(value) != previous { 4 } else { 3 };
        if count < least {
            runs.extend((0..count).map(|_| (value, 0)));
        } else if value != 0 {
            let fresh = Some(value) != previous;
            if fresh {
                runs.push((value, 0));
            }
            runs.push((16, (count - usize::from(fresh) - 3) as u8));
        } else if count <= 10 {
            runs.push((17, (count - 3) as u8));
        } else {
            runs.push((18, (count - 11) as u8));
        }
        previous = Some(value);
        at += count;
    }
}

/// The lengths of a Huffman code, none beyond `longest` bits, cut after the last used symbol. At least two symbols
/// get a code.
fn build(counts: &[u32], longest: u8) -> Vec<u8> {
    let mut heap = Heap::new(counts);
    let symbols = heap.symbols;
    let mut parents = vec![0usize; heap.counts.len()];
    let mut order = Vec::with_capacity(2 * heap.nodes.len());
    while heap.nodes.len() >= 2 {
        let first = heap.pop();
        let second = heap.nodes[0];
        order.push(first);
        order.push(second);
        let joined = heap.join(first, second);
        parents.push(0);
        parents[first] = joined;
        parents[second] = joined;
    }
    order.extend(heap.nodes.first());
    limit_lengths(&parents, &order, symbols, counts.len(), longest)
}

/// Gives each symbol the depth of its leaf, and moves leaves up from below the limit as zlib does.
fn limit_lengths(parents: &[usize], order: &[usize], symbols: usize, leaves: usize, longest: u8) -> Vec<u8> {
    let mut depths = vec![0u8; parents.len()];
    let mut counts = [0usize; 17];
    let mut beyond = 0i32;
    for node in order.iter().rev().skip(1) {
        let mut depth = depths[parents[*node]] + 1;
        if depth > longest {
            depth = longest;
            beyond += 1;
        }
        depths[*node] = depth;
        if *node < leaves {
            counts[usize::from(depth)] += 1;
        }
    }
    if beyond > 0 {
        let last = usize::from(longest);
        while beyond > 0 {
            let Some(place) = (1..last).rev().find(|bits| counts[*bits] > 0) else { break };
            counts[place] -= 1;
            counts[place + 1] += 2;
            counts[last] -= 1;
            beyond -= 2;
        }
        let mut rising = order.iter().filter(|node| **node < leaves);
        for bits in (1..=longest).rev() {
            for node in rising.by_ref().take(counts[usize::from(bits)]) {
                depths[*node] = bits;
            }
        }
    }
    depths.truncate(symbols);
    depths
}

/// zlib's heap of tree nodes: the rarest on top, the shallower of equals first.
struct Heap {
    nodes: Vec<usize>,
    counts: Vec<u32>,
    depths: Vec<u8>,
    /// One more than the greatest symbol that is used.
    symbols: usize,
}

impl Heap {
    fn new(counts: &[u32]) -> Self {
        let mut counts = counts.to_vec();
        let mut nodes: Vec<usize> = (0..counts.len()).filter(|symbol| counts[*symbol] > 0).collect();
        let mut symbols = nodes.last().map_or(0, |symbol| symbol + 1);
        while nodes.len() < 2 {
            let symbol = if symbols < 3 { symbols } else { 0 };
            symbols = symbols.max(symbol + 1);
            counts[symbol] = 1;
            nodes.push(symbol);
        }
        let depths = vec![0; counts.len()];
        let mut heap = Self { nodes, counts, depths, symbols };
        for place in (0..heap.nodes.len() / 2).rev() {
            heap.sink(place);
        }
        heap
    }

    fn before(&self, left: usize, right: usize) -> bool {
        (self.counts[left], self.depths[left]) <= (self.counts[right], self.depths[right])
    }

    fn sink(&mut self, mut place: usize) {
        let node = self.nodes[place];
        loop {
            let mut child = 2 * place + 1;
            if child >= self.nodes.len() {
                break;
            }
            if child + 1 < self.nodes.len() && self.before(self.nodes[child + 1], self.nodes[child]) {
                child += 1;
            }
            if self.before(node, self.nodes[child]) {
                break;
            }
            self.nodes[place] = self.nodes[child];
            place = child;
        }
        self.nodes[place] = node;
    }

    fn pop(&mut self) -> usize {
        let top = self.nodes.swap_remove(0);
        self.sink(0);
        top
    }

    /// Puts a node above two in the place of the second, which is on top.
    fn join(&mut self, first: usize, second: usize) -> usize {
        let joined = self.counts.len();
        self.counts.push(self.counts[first] + self.counts[second]);
        self.depths.push(self.depths[first].max(self.depths[second]) + 1);
        self.nodes[0] = joined;
        self.sink(0);
        joined
    }
}
