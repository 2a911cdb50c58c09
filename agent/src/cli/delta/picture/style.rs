//! Colours and letters. Each class has a colour for light ground, and one for dark ground under the media query.

use groundswell_delta::inspect::Origin;

/// Colours for streams: apart from each other on light and dark ground, also for most who see few colours.
const STREAMS: [&str; 12] = [
    "#4e79a7", "#e69f00", "#3a9d7c", "#d1605e", "#59a9d4", "#b07aa1", "#8f7f3a", "#c46f9b", "#6b8e23",
    "#8c6d5a", "#5f6fb5", "#8d99a6",
];

/// How many colours there are for streams.
pub(super) const STREAM_COLOURS: usize = STREAMS.len();

/// The class of an origin of bytes.
pub(in crate::cli::delta) fn class_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Copied => "copied",
        Origin::Moved => "moved",
        Origin::Predicted => "predicted",
        Origin::Corrected => "corrected",
        Origin::Literal => "literal",
    }
}

/// The name of an origin, for people.
pub(in crate::cli::delta) fn words_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Copied => "copied in order",
        Origin::Moved => "copied from elsewhere",
        Origin::Predicted => "references, predicted",
        Origin::Corrected => "corrected",
        Origin::Literal => "new bytes",
    }
}

/// The class of the stream with this number.
pub(super) fn stream_class(number: usize) -> String {
    format!("stream{}", number.min(STREAM_COLOURS - 1))
}

/// The style sheet.
pub(super) fn sheet() -> String {
    let mut sheet = String::from(
        "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;font-size:13px;fill:#1d2329}\
         .title{font-size:22px;font-weight:600}.section{font-size:15px;font-weight:600}\
         .faint{fill:#5b6670}.end{text-anchor:end}\
         .ground{fill:#fff}.line{stroke:#d5dbe1;stroke-width:1}.track{fill:#eef1f4}\
         .copied{fill:#c9d3dd}.moved{fill:#7fa8d9}.predicted{fill:#3a9d7c}.corrected{fill:#e69f00}\
         .literal{fill:#cf4a4a}.opened{fill:#8a5fc7}",
    );
    for (number, colour) in STREAMS.iter().enumerate() {
        sheet.push_str(&format!(".stream{number}{{fill:{colour}}}"));
    }
    sheet.push_str(
        "@media (prefers-color-scheme: dark){text{fill:#e6eaee}.faint{fill:#9aa6b2}.ground{fill:#12161b}\
         .line{stroke:#2d353e}.track{fill:#1e252c}.copied{fill:#4a5866}.moved{fill:#5b8fcf}\
         .predicted{fill:#46b892}.corrected{fill:#f2b134}.literal{fill:#e46363}.opened{fill:#a783e0}}",
    );
    sheet
}
