//! Catches a panic of the core, so that it ends its own run alone.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// What the last panic of this thread said, if somebody listens.
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

static LISTENING: Once = Once::new();

/// Runs something. A panic inside is no more than its words, and is not printed.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    LISTENING.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            let listens = HEARD.with_borrow_mut(|heard| match heard {
                Some(words) => {
                    *words = info.to_string().replace('\n', " ");
                    true
                }
                None => false,
            });
            if !listens {
                usual(info);
            }
        }));
    });
    HEARD.set(Some(String::new()));
    // The world of a run that panicked is dropped whole: nobody sees it half changed.
    let end = catch_unwind(AssertUnwindSafe(run));
    let words = HEARD.take().unwrap_or_default();
    end.map_err(|_| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_words_and_where_it_was() {
        let words = caught(|| panic!("the planted one")).expect_err("it panicked");
        assert!(words.contains("the planted one") && words.contains("crash.rs"), "{words}");
        assert_eq!(caught(|| 7), Ok(7));
    }
}
