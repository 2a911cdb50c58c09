//! Weights of a model in a safetensors file, trained a little further.

use super::{Choices, Pair};

/// Two versions of two tensors, of 16 or 32 bits.
pub(crate) fn pair(choices: &mut Choices<'_>) -> Pair {
    let wide = choices.below(2) == 1;
    let values = 200 + choices.below(400);
    let noise = choices.noise(2 * values);
    let trained = choices.noise(2 * values);
    let every = 1 + choices.below(5);
    let value = |at: usize, step: u32| {
        let exponent = 0x3c + u32::from(noise[2 * at] & 3);
        let bits = (exponent << 24) | (u32::from(noise[2 * at + 1]) << 16);
        let moved = if at.is_multiple_of(every) { u32::from(trained[at] % 8) << 14 } else { 0 };
        (bits + step * moved).to_le_bytes()
    };
    let file = |step: u32| {
        let all = (0..values).flat_map(|at| {
            let bytes = value(at, step);
            bytes.into_iter().skip(if wide { 0 } else { 2 })
        });
        let all: Vec<u8> = all.collect();
        let (kind, width) = if wide { ("F32", 4) } else { ("BF16", 2) };
        let (middle, end) = (100 * width, all.len());
        let rest = values - 100;
        let about = format!(
            "{{\"a\":{{\"dtype\":\"{kind}\",\"shape\":[10,10],\"data_offsets\":[0,{middle}]}},\
             \"b\":{{\"dtype\":\"{kind}\",\"shape\":[{rest}],\"data_offsets\":[{middle},{end}]}}}}"
        );
        [&(about.len() as u64).to_le_bytes()[..], about.as_bytes(), &all].concat()
    };
    Pair { old: file(0), new: file(1) }
}
