//! Modules made up of chance: right in form, senseless in content.

use super::super::leb;

/// Throws dice from bytes of entropy, and only ones after their end.
pub(in super::super) struct Dice<'a> {
    entropy: &'a [u8],
}

impl<'a> Dice<'a> {
    pub(in super::super) fn new(entropy: &'a [u8]) -> Self {
        Self { entropy }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.entropy.split_first() else { return 0 };
        self.entropy = rest;
        *first
    }

    fn below(&mut self, sides: u8) -> u8 {
        self.byte() % sides
    }

    fn number(&mut self) -> u32 {
        let bytes = self.below(5);
        (0..bytes).fold(0, |number, _| number << 8 | u32::from(self.byte()))
    }

    /// A number, now and then in an encoding that could be shorter.
    fn leb(&mut self, value: u32) -> Vec<u8> {
        let shortest = leb::unsigned_size(value);
        let size = match self.below(8) {
            0 => leb::SHORT_BYTES_MAX,
            1 => leb::SHORT_BYTES_MAX.min(shortest + 1),
            _ => shortest,
        };
        encoded(i64::from(value), size)
    }

    fn signed(&mut self, value: i64, most: usize) -> Vec<u8> {
        let shortest = leb::signed_size(value);
        let size = match self.below(8) {
            0 => most,
            1 => most.min(shortest + 1),
            _ => shortest,
        };
        encoded(value, size)
    }

    fn index(&mut self) -> Vec<u8> {
        let value = self.number() >> 4;
        self.leb(value)
    }

    fn name(&mut self) -> Vec<u8> {
        let size = self.below(20);
        let name: Vec<u8> = (0..size).map(|_| self.byte()).collect();
        [self.leb(u32::from(size)), name].concat()
    }

    fn list(&mut self, most: u8, mut thing: impl FnMut(&mut Self) -> Vec<u8>) -> Vec<u8> {
        let count = self.below(most);
        let mut list = self.leb(u32::from(count));
        for _ in 0..count {
            list.extend(thing(self));
        }
        list
    }
}

fn encoded(value: i64, size: usize) -> Vec<u8> {
    let (bytes, size) = leb::encode(value, size);
    bytes[..size].to_vec()
}

type Contents = fn(&mut Dice<'_>) -> Vec<u8>;

/// A module with every kind of section, in the order of the specification.
pub(in super::super) fn module(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let sections: [(u8, Contents); 13] = [
        (1, |dice| dice.list(3, |dice| [&[0x60][..], &dice.list(3, |_| vec![0x7f]), &[0]].concat())),
        (2, |dice| dice.list(6, import)),
        (3, |dice| dice.list(40, Dice::index)),
        (4, |_| vec![1, 0x70, 0, 5]),
        (6, |dice| dice.list(9, |dice| [&[0x7f, 0][..], &expression(dice)].concat())),
        (7, |dice| dice.list(9, |dice| [dice.name(), vec![dice.below(5)], dice.index()].concat())),
        (8, |dice| dice.index()),
        (9, |dice| dice.list(5, elements)),
        (10, |dice| dice.list(9, some_body)),
        (11, |dice| dice.list(5, data)),
        (0, names),
        (0, |dice| [dice.name(), vec![1, 2, 3]].concat()),
        (77, |_| vec![1, 2, 3]),
    ];
    for (id, contents) in sections {
        if dice.below(16) < 14 {
            let contents = contents(dice);
            module.push(id);
            module.extend(dice.leb(u32::try_from(contents.len()).unwrap()));
            module.extend(contents);
        }
    }
    module
}

fn import(dice: &mut Dice<'_>) -> Vec<u8> {
    let what = match dice.below(5) {
        0 => [vec![0], dice.index()].concat(),
        1 => vec![1, 0x63, 0x70, 1, 3, 9],
        2 => vec![2, 7, 0x80, 0x80, 0x04, 9],
        3 => vec![3, 0x7f, 1],
        _ => [vec![4, 0], dice.index()].concat(),
    };
    [dice.name(), dice.name(), what].concat()
}

fn elements(dice: &mut Dice<'_>) -> Vec<u8> {
    let flags = dice.below(8);
    let mut segment = vec![flags];
    if flags & 1 == 0 {
        if flags & 2 != 0 {
            segment.push(0);
        }
        segment.extend(expression(dice));
    }
    if flags & 3 != 0 {
        segment.push(if flags & 4 != 0 { 0x70 } else { 0 });
    }
    segment.extend(match flags & 4 {
        0 => dice.list(20, Dice::index),
        _ => dice.list(5, |dice| [vec![0xd2], dice.index(), vec![0x0b]].concat()),
    });
    segment
}

fn data(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut segment = match dice.below(3) {
        0 => [vec![0], expression(dice)].concat(),
        1 => vec![1],
        _ => [vec![2, 1], expression(dice)].concat(),
    };
    let filler = dice.byte();
    let size = dice.number() % 5000;
    segment.extend(dice.leb(size));
    segment.extend((0..size).map(|at| (at.to_le_bytes()[0] / 4) ^ filler));
    segment
}

fn names(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut section = b"\x04name".to_vec();
    for id in 0..12 {
        let part = match id {
            0 => dice.name(),
            2 | 3 | 10 => dice.list(4, |dice| [dice.index(), dice.list(4, named)].concat()),
            _ => dice.list(6, named),
        };
        section.push(id);
        section.extend(dice.leb(u32::try_from(part.len()).unwrap()));
        section.extend(part);
    }
    section
}

fn named(dice: &mut Dice<'_>) -> Vec<u8> {
    [dice.index(), dice.name()].concat()
}

fn expression(dice: &mut Dice<'_>) -> Vec<u8> {
    let instruction = match dice.below(3) {
        0 => [vec![0x23], dice.index()].concat(),
        _ => constant(dice),
    };
    [instruction, vec![0x0b]].concat()
}

fn constant(dice: &mut Dice<'_>) -> Vec<u8> {
    let value = dice.number().cast_signed();
    [vec![0x41], dice.signed(i64::from(value), leb::SHORT_BYTES_MAX)].concat()
}

fn some_body(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut contents = dice.list(4, |dice| [dice.leb(7), vec![0x7f]].concat());
    for _ in 0..dice.byte() {
        contents.extend(match dice.below(12) {
            0 => constant(dice),
            1 => {
                let value = i64::from(dice.number()) << dice.below(32);
                [vec![0x42], dice.signed(value, leb::LONG_BYTES_MAX)].concat()
            }
            2 => [vec![0x10], dice.index()].concat(),
            3 => [vec![0x11], dice.index(), dice.leb(0)].concat(),
            4 => [vec![0x23 + dice.below(2)], dice.index()].concat(),
            5 | 6 => {
                let local = u32::from(dice.byte()) << dice.below(3);
                [vec![0x20 + dice.below(3)], dice.leb(local)].concat()
            }
            7 | 8 => {
                let offset = dice.number();
                [vec![0x28 + dice.below(20), dice.below(4)], dice.leb(offset)].concat()
            }
            9 => [vec![0x0e], dice.list(5, |dice| dice.leb(1)), dice.leb(0)].concat(),
            10 => super::INSTRUCTIONS[usize::from(dice.below(24))].to_vec(),
            _ => vec![0x1a],
        });
    }
    contents.push(0x0b);
    [dice.leb(u32::try_from(contents.len()).unwrap()), contents].concat()
}

/// A body without locals, with some instructions and an end.
pub(in super::super) fn body(instructions: &[u8]) -> Vec<u8> {
    let size = u32::try_from(instructions.len() + 2).unwrap();
    [&encoded(i64::from(size), leb::unsigned_size(size)), &[0][..], instructions, &[0x0b]].concat()
}

/// A module of nothing but bodies.
pub(in super::super) fn code(bodies: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(bodies.len()).unwrap();
    let contents = [encoded(i64::from(count), leb::unsigned_size(count)), bodies.concat()].concat();
    let size = u32::try_from(contents.len()).unwrap();
    let head = [&b"\0asm\x01\0\0\0\x0a"[..], &encoded(i64::from(size), leb::unsigned_size(size))].concat();
    [head, contents].concat()
}
