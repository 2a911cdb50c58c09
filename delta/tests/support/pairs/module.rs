//! WebAssembly modules: functions that call each other and load from memory, with data, before and after a change.

use super::{Choices, Pair};

/// Two versions of a module.
pub(crate) fn pair(choices: &mut Choices<'_>) -> Pair {
    let mut functions: Vec<Vec<u8>> = (0..8).map(|_| steps(choices)).collect();
    let mut data = choices.noise(60);
    let old = module(&functions, &data);
    for _ in 0..=choices.below(4) {
        let at = choices.below(functions.len());
        match choices.below(4) {
            0 => functions.insert(at, steps(choices)),
            1 if functions.len() > 2 => drop(functions.remove(at)),
            2 => data.insert(choices.below(data.len()), choices.byte()),
            _ => functions[at] = steps(choices),
        }
    }
    Pair { old, new: module(&functions, &data) }
}

/// The targets of a function's calls and loads.
fn steps(choices: &mut Choices<'_>) -> Vec<u8> {
    (0..6).map(|_| choices.byte()).collect()
}

fn module(functions: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let count = functions.len();
    section(&mut module, 1, b"\x01\x60\0\0");
    section(&mut module, 3, &[number(count), vec![0; count]].concat());
    section(&mut module, 5, b"\x01\0\x01");
    let bodies = functions.iter().flat_map(|steps| {
        let mut body = vec![0];
        for step in steps {
            let step = usize::from(*step);
            if step % 2 == 0 {
                body.push(0x10);
                body.extend(number(step % count));
            } else {
                body.extend([0x41, 0, 0x28, 2]);
                body.extend(number(step * 70));
                body.push(0x1a);
            }
        }
        body.push(0x0b);
        [number(body.len()), body].concat()
    });
    section(&mut module, 10, &number(count).into_iter().chain(bodies).collect::<Vec<u8>>());
    section(&mut module, 11, &[&b"\x01\0\x41\0\x0b"[..], &number(data.len()), data].concat());
    module
}

fn section(module: &mut Vec<u8>, kind: u8, content: &[u8]) {
    module.push(kind);
    module.extend(number(content.len()));
    module.extend(content);
}

/// LEB128.
fn number(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 127 {
        out.push(number.to_le_bytes()[0] | 128);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
    out
}
