//! One machine: a download, a serving side and a line.

use std::collections::BTreeMap;

use groundswell_protocol::transfer::PieceSet;
use groundswell_protocol::transfer::download::Download;
use groundswell_protocol::transfer::news::News;
use groundswell_protocol::transfer::serving::Serving;
use groundswell_protocol::transfer::upload::Upload;

use super::line::Line;

/// A machine.
pub(super) struct Machine {
    /// None for the publisher, and when everything has come.
    pub(super) download: Option<Download>,
    pub(super) held: PieceSet,
    pub(super) serving: Serving,
    pub(super) line: Line,
    /// Who is answered, and when it asked last.
    pub(super) answered: BTreeMap<u32, u64>,
    pub(super) is_here: bool,
    /// How often it left or came back.
    pub(super) life: u32,
    /// When its download is to be woken; the end of time for never.
    pub(super) wakes_at: u64,
    /// When its download was last told of parts of what others send.
    pub(super) alive_at: BTreeMap<u32, u64>,
    /// What came and was not told of yet.
    pub(super) news: News,
    /// When it may be told.
    pub(super) news_at: u64,
    pub(super) left_at: u64,
    /// How long it was away, in all.
    pub(super) away: u64,
    /// For how long it had been there when everything had come.
    pub(super) took: Option<u64>,
    pub(super) payload_sent: u64,
}

impl Machine {
    pub(super) fn new(held: PieceSet) -> Self {
        Self {
            download: None,
            held,
            serving: Serving::new(Upload::new(None)),
            line: Line::default(),
            answered: BTreeMap::new(),
            is_here: true,
            life: 0,
            wakes_at: u64::MAX,
            alive_at: BTreeMap::new(),
            news: News::default(),
            news_at: 0,
            left_at: 0,
            away: 0,
            took: None,
            payload_sent: 0,
        }
    }
}
