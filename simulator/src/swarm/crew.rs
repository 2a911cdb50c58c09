//! Several cores that share a list of work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// Does `count` pieces of work on `threads` cores. `hear` gets each result as it comes, with its number,
/// and says whether to go on; what has been begun is ended all the same.
pub(crate) fn share<T: Send>(
    threads: usize,
    count: u64,
    work: impl Fn(u64) -> T + Sync,
    mut hear: impl FnMut(u64, T) -> bool,
) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (send, next, stop, work) = (send.clone(), &next, &stop, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || send.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (number, result) in receive {
            if !hear(number, result) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_work_is_done_once_until_somebody_has_heard_enough() {
        let mut sum = 0;
        share(
            3,
            100,
            |number| number * 2,
            |number, double| {
                sum += double;
                double == number * 2
            },
        );
        assert_eq!(sum, 9_900);
        let mut heard = 0;
        share(
            2,
            1_000_000,
            |number| number,
            |_, _| {
                heard += 1;
                false
            },
        );
        assert!(heard < 1_000_000);
    }
}
