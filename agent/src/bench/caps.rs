//! How exactly a cap on what is sent holds: bytes over any second, counted where they arrive.

use std::io;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::transfer::{Caps, Clock, Pacing};

/// Streams that share the cap.
const STREAMS: usize = 4;
/// Each stream sends one piece that alone lasts as long as is measured, and longer.
const SECONDS: u64 = 6;
/// Milliseconds that are looked at: what starts and ends is not.
const FIRST_MILLISECOND: u64 = 200;
const LAST_MILLISECOND: u64 = SECONDS * 1_000 - 1_200;
/// A stream's buffer, in bytes: never what holds bytes back.
const BUFFER_BYTES: usize = 1 << 20;

/// What a cap came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CapHeld {
    /// The cap, in bytes a second.
    pub bytes_per_second: u64,
    /// Bytes that arrived in the second in which the fewest did.
    pub least_bytes: u64,
    /// Bytes that arrived in the second in which the most did.
    pub most_bytes: u64,
}

impl CapHeld {
    /// Whether no second was further from the cap than so many thousandths of it.
    #[must_use]
    pub fn is_within(&self, permille: u64) -> bool {
        let (cap, off) = (self.bytes_per_second, self.bytes_per_second / 1_000 * permille);
        self.least_bytes >= cap.saturating_sub(off) && self.most_bytes <= cap.saturating_add(off)
    }
}

/// Sends on four streams at once under a cap, for six seconds, through memory alone, and says what any second brought.
///
/// # Errors
/// When a stream breaks.
pub async fn caps_held(bytes_per_second: u64) -> io::Result<CapHeld> {
    let clock = Clock::start();
    let caps = Caps {
        upload_bytes_per_second: Some(bytes_per_second),
        download_bytes_per_second: None,
        link_upload_bytes_per_second: None,
    };
    let pacing = Pacing::new(&caps, clock);
    let piece = usize::try_from(bytes_per_second.saturating_mul(SECONDS)).unwrap_or(usize::MAX) / STREAMS;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let (mut near, mut far) = tokio::io::duplex(BUFFER_BYTES);
        let mut link = pacing.link();
        tokio::spawn(async move {
            let sent = link.write(&mut near, &vec![0; piece]).await;
            sent.and(near.shutdown().await)
        });
        readers.spawn(async move {
            let (mut came, mut buffer) = (Vec::new(), vec![0; BUFFER_BYTES]);
            loop {
                match far.read(&mut buffer).await? {
                    0 => return Ok::<_, io::Error>(came),
                    read => came.push((clock.now().0, read as u64)),
                }
            }
        });
    }
    let mut came = Vec::new();
    while let Some(read) = readers.join_next().await {
        came.extend(read.map_err(io::Error::other)??);
    }
    let any_second = |from: u64| -> u64 {
        came.iter().filter(|(at, _)| (from..from + 1_000).contains(at)).map(|(_, bytes)| bytes).sum()
    };
    let seconds: Vec<u64> = (FIRST_MILLISECOND..LAST_MILLISECOND).map(any_second).collect();
    let (least, most) = (seconds.iter().min().copied(), seconds.iter().max().copied());
    Ok(CapHeld {
        bytes_per_second,
        least_bytes: least.unwrap_or_default(),
        most_bytes: most.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_held_if_no_second_is_further_off() {
        let held = |least_bytes, most_bytes| {
            CapHeld { bytes_per_second: 100_000, least_bytes, most_bytes }.is_within(20)
        };
        assert!(held(98_000, 102_000) && held(100_000, 100_000));
        assert!(!held(97_999, 100_000) && !held(100_000, 102_001));
    }
}
