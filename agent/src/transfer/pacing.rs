//! Pieces leave at the pace that the caps allow: all streams share one pace, and each has its own.
//!
//! A piece goes out in slices of a few milliseconds, so that a cap holds over any second down to a few
//! kilobytes, and another flow on the line never waits for a whole piece. Without a cap nothing is sliced.
//! Only pieces count: what asks and answers weigh is little, and delaying them would delay everything.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use groundswell_protocol::transfer::Pace;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::Caps;
use super::clock::Clock;
use super::stream::{flush, within_patience, write_message};

/// The pace of everything that is sent.
#[derive(Clone)]
pub(crate) struct Pacing {
    shared: Arc<Mutex<Shared>>,
    clock: Clock,
}

struct Shared {
    all: Pace,
    per_link: Option<u64>,
}

/// The pace of one stream within it.
pub(crate) struct LinkPacing {
    pacing: Pacing,
    link: Pace,
}

impl Pacing {
    pub(crate) fn new(caps: &Caps, clock: Clock) -> Self {
        let all = Pace::new(caps.upload_bytes_per_second, clock.now());
        let shared = Shared { all, per_link: caps.link_upload_bytes_per_second };
        Self { shared: Arc::new(Mutex::new(shared)), clock }
    }

    pub(super) fn set(&self, caps: &Caps) {
        let mut shared = self.shared();
        shared.all.set_rate(self.clock.now(), caps.upload_bytes_per_second);
        shared.per_link = caps.link_upload_bytes_per_second;
    }

    /// For one more stream.
    pub(crate) fn link(&self) -> LinkPacing {
        let per_link = self.shared().per_link;
        LinkPacing { pacing: self.clone(), link: Pace::new(per_link, self.clock.now()) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkPacing {
    /// Writes one message as [`write_message`] does, at the pace that is allowed. Patience is for the peer
    /// alone: waiting for our own caps does not count.
    pub(crate) async fn write(&mut self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        if !self.is_capped() {
            return write_message(to, bytes).await;
        }
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        within_patience(to.write_all(&length.to_le_bytes())).await?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.take(rest.len()) {
                Ok(granted) => {
                    let (slice, after) = rest.split_at(granted.min(rest.len()));
                    within_patience(to.write_all(slice)).await?;
                    flush(to).await?;
                    rest = after;
                }
                Err(later) => tokio::time::sleep_until(later).await,
            }
        }
        Ok(())
    }

    fn is_capped(&self) -> bool {
        let shared = self.pacing.shared();
        shared.all.bytes_per_second().is_some() || shared.per_link.is_some()
    }

    /// How many of `wanted` bytes may leave now, at least one; or when to ask again.
    fn take(&mut self, wanted: usize) -> Result<usize, Instant> {
        let (now, wanted) = (self.pacing.clock.now(), wanted as u64);
        let mut shared = self.pacing.shared();
        if self.link.bytes_per_second() != shared.per_link {
            self.link.set_rate(now, shared.per_link);
        }
        let by_link = self.link.take(now, wanted);
        if by_link == 0 {
            return Err(self.pacing.clock.instant(self.link.opens_at(wanted)));
        }
        let granted = shared.all.take(now, by_link);
        self.link.give_back(by_link - granted);
        if granted == 0 {
            return Err(self.pacing.clock.instant(shared.all.opens_at(by_link)));
        }
        Ok(usize::try_from(granted).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn caps(all: Option<u64>, link: Option<u64>) -> Caps {
        Caps {
            upload_bytes_per_second: all,
            download_bytes_per_second: None,
            link_upload_bytes_per_second: link,
        }
    }

    /// Sends `messages` on each of `links` streams at once; when bytes came, in milliseconds, and how many.
    async fn send(caps: Caps, links: usize, messages: usize, bytes: usize) -> Vec<Vec<(u64, usize)>> {
        let clock = Clock::start();
        let pacing = Pacing::new(&caps, clock);
        let mut readers = Vec::new();
        for _ in 0..links {
            let (mut near, mut far) = tokio::io::duplex(1 << 20);
            let mut pacing = pacing.link();
            tokio::spawn(async move {
                for _ in 0..messages {
                    pacing.write(&mut near, &vec![7; bytes]).await.unwrap();
                }
                flush(&mut near).await.unwrap();
            });
            readers.push(tokio::spawn(async move {
                let (mut came, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
                while let Ok(read @ 1..) = far.read(&mut buffer).await {
                    came.push((clock.now().0, read));
                }
                came
            }));
        }
        let mut all = Vec::new();
        for reader in readers {
            all.push(reader.await.unwrap());
        }
        all
    }

    fn total(came: &[(u64, usize)]) -> usize {
        came.iter().map(|(_, bytes)| bytes).sum()
    }

    #[tokio::test]
    async fn every_byte_arrives_in_order_whatever_the_caps() {
        for caps in [caps(None, None), caps(Some(4 << 20), None), caps(None, Some(2 << 20))] {
            let came = send(caps, 2, 3, 100_000).await;
            assert!(came.iter().all(|came| total(came) == 3 * 100_004));
        }
    }

    #[tokio::test]
    async fn no_slice_is_more_than_what_leaves_in_the_time_that_may_be_made_up_for() {
        let came = send(caps(Some(1 << 20), Some(256 << 10)), 2, 1, 40_000).await;
        for came in came {
            // The reader may sleep through a few slices, never through the piece.
            assert!(came.len() > 3, "{came:?}");
        }
    }
}
