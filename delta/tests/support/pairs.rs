//! Pairs of files as updates have them: an executable with a function more, a text with lines changed, blocks moved,
//! archives, weights.
//!
//! The one door is [`pair`]. It makes a pair from choices, bytes that a property test, a fuzzer or a plain test
//! gives: any bytes give a pair, equal bytes the same one, and none at all the smallest.

#[path = "pairs/executable.rs"]
mod executable;
#[path = "pairs/module.rs"]
mod module;
#[path = "pairs/packed.rs"]
mod packed;
#[path = "pairs/weights.rs"]
mod weights;

/// Two versions of a file.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
}

/// Makes a pair of one kind.
type Make = fn(&mut Choices<'_>) -> Pair;

/// What a pair may be, by name. The first choice is which.
pub(crate) const KINDS: [(&str, Make); 9] = [
    ("text", text),
    ("blocks", blocks),
    ("strangers", strangers),
    ("executable", executable::pair),
    ("archive", archive),
    ("gzip", |choices| packed::gzip(&any_plain(choices))),
    ("zip", |choices| packed::zip(&any_plain(choices), &text(choices))),
    ("webassembly", module::pair),
    ("weights", weights::pair),
];

/// Makes a pair.
pub(crate) fn pair(choices: &[u8]) -> Pair {
    let mut choices = Choices { bytes: choices };
    let (_, make) = KINDS[choices.below(KINDS.len())];
    make(&mut choices)
}

/// Decisions, taken one after another from bytes; zero when there are none left.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

impl Choices<'_> {
    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *byte
    }

    /// A number below another one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let number = if limit <= 256 {
            usize::from(self.byte())
        } else {
            usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
        };
        if limit == 0 { 0 } else { number % limit }
    }

    /// Bytes without pattern; which ones is one choice.
    pub(crate) fn noise(&mut self, bytes: usize) -> Vec<u8> {
        let mut state = u32::from(self.byte()).wrapping_mul(0x9e37_79b9) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }
}

/// A pair that no container holds.
fn any_plain(choices: &mut Choices<'_>) -> Pair {
    match choices.below(3) {
        0 => text(choices),
        1 => executable::pair(choices),
        _ => blocks(choices),
    }
}

/// Lines of source text, some of which change.
fn text(choices: &mut Choices<'_>) -> Pair {
    let mut lines: Vec<String> = (0..48).map(|at| line(at, choices)).collect();
    let old = lines.concat().into_bytes();
    for _ in 0..4 {
        let changed = line(lines.len(), choices);
        let at = choices.below(lines.len());
        match choices.below(4) {
            0 => lines[at] = changed,
            1 => lines.insert(at, changed),
            2 => drop(lines.remove(at)),
            _ => lines.rotate_left(at),
        }
    }
    Pair { old, new: lines.concat().into_bytes() }
}

fn line(at: usize, choices: &mut Choices<'_>) -> String {
    const WORDS: [&str; 8] = ["let", "return", "value", "index", "0x20", "(a, b)", "// why", "\"text\""];
    let words = [(); 3].map(|()| WORDS[choices.below(WORDS.len())]);
    format!("    {} {at};\n", words.join(" "))
}

/// Blocks of noise that move, vanish, double or differ in a byte.
fn blocks(choices: &mut Choices<'_>) -> Pair {
    let mut blocks: Vec<Vec<u8>> = (0..6)
        .map(|_| {
            let bytes = choices.below(700);
            choices.noise(bytes)
        })
        .collect();
    let old = blocks.concat();
    for _ in 0..6 {
        let (from, to) = (choices.below(blocks.len()), choices.below(blocks.len()));
        match choices.below(4) {
            0 => blocks.swap(from, to),
            1 => blocks[from].clear(),
            2 => blocks[to] = blocks[from].clone(),
            _ => {
                let at = choices.below(blocks[from].len());
                if let Some(byte) = blocks[from].get_mut(at) {
                    *byte ^= 1 | choices.byte();
                }
            }
        }
    }
    Pair { old, new: blocks.concat() }
}

/// Two files that have nothing to do with each other.
fn strangers(choices: &mut Choices<'_>) -> Pair {
    let mut some = || {
        let bytes = choices.below(3000);
        choices.noise(bytes)
    };
    Pair { old: some(), new: some() }
}

/// A tar of a text, an executable and blocks, packed at another time.
fn archive(choices: &mut Choices<'_>) -> Pair {
    let members = [
        ("src/lib.rs", text(choices)),
        ("bin/tool", executable::pair(choices)),
        ("data.bin", blocks(choices)),
    ];
    let time = 1_700_000_000 + choices.below(1 << 16);
    let make = |time: usize, content: fn(&Pair) -> &[u8]| {
        let mut tar = Vec::new();
        for (name, pair) in &members {
            tar.extend(packed::tar_member(name, time, content(pair)));
        }
        tar.extend([0; 1024]);
        tar
    };
    Pair { old: make(1_700_000_000, |pair| &pair.old), new: make(time, |pair| &pair.new) }
}
