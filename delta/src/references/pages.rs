//! Spans by page: code names constants, variables and other code in turn, and to ask one span after another costs more.

use super::layout::Span;

const PAGE_SHIFT: u32 = 12;
/// Most pages that have a number. What lies beyond is looked up otherwise.
const PAGES_MAX: u64 = 1 << 17;
/// The number of a page that has no span, or several.
const NONE: u8 = u8::MAX;

/// Finds the span that may hold a place or an address.
pub(super) struct Pages {
    spans: Vec<Span>,
    first: u64,
    numbers: Vec<u8>,
}

impl Pages {
    /// Spans by the number that each begins at.
    pub(super) fn new(spans: &[Span], start: impl Fn(&Span) -> u64) -> Self {
        let spans: Vec<_> = spans.iter().take(NONE.into()).copied().collect();
        let first = spans.iter().map(|span| start(span) >> PAGE_SHIFT).min().unwrap_or(0);
        let mut pages = Self { spans: Vec::new(), first, numbers: Vec::new() };
        for (number, span) in (0..NONE).zip(&spans) {
            let end = start(span).saturating_add(u64::from(span.bytes).max(1) - 1);
            let end = (end >> PAGE_SHIFT).saturating_sub(first).min(PAGES_MAX - 1);
            for page in (start(span) >> PAGE_SHIFT) - first..=end {
                let page = usize::try_from(page).unwrap_or(usize::MAX);
                if pages.numbers.len() <= page {
                    pages.numbers.resize(page + 1, NONE);
                }
                if let Some(known) = pages.numbers.get_mut(page) {
                    *known = number;
                }
            }
        }
        pages.spans = spans;
        pages
    }

    /// The span of the page that a place or an address is in; it need not reach to there.
    #[inline]
    pub(super) fn get(&self, at: u64) -> Option<&Span> {
        let page = (at >> PAGE_SHIFT).wrapping_sub(self.first);
        let number = *self.numbers.get(usize::try_from(page).ok()?)?;
        self.spans.get(usize::from(number))
    }
}
