//! Which event was caused by which input, and from whom: enough to tell a failure's story backwards.
//!
//! Of each input that changed something one entry is kept, in one ring for the whole fleet, so that
//! memory does not grow with the run. An entry leads back to the entry in which the fact that it
//! received was first sent, or else to the entry before it on the same machine: the core decides by
//! what it knows, and it learnt that before.

use std::collections::{BTreeMap, VecDeque};

use super::traffic::Kind;
use crate::world::queue::Moment;

/// Entries that are kept, over all machines: the last few rounds of a fleet of 100,000.
const ENTRIES_MAX: usize = 131_072;
/// Facts whose origin is remembered.
const ORIGINS_MAX: usize = 65_536;
/// Links of a chain at most.
pub const LINKS_MAX: usize = 40;
/// What one link did is told in so many lines.
const DEEDS_MAX: usize = 6;

/// What came in.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// Something of the machine's own.
    Own(String),
    /// A fact that was gossiped or synced, by name, and who handed it on.
    Fact { name: u64, from: u32, by_sync: bool },
    /// A frame without any fact whose origin is known.
    Frame(Kind, u32),
}

/// Where a fact was first sent.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) node: u32,
    pub(super) at: Moment,
    pub(super) kind: Kind,
    /// Higher is more telling, where several facts come in one frame.
    pub(super) weight: u8,
    words: String,
    entry: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    at: Moment,
    node: Option<u32>,
    heard: String,
    deeds: Vec<String>,
    message: Option<(u64, Moment)>,
    before: Option<u64>,
    /// It came from outside: what was before has nothing to do with it.
    root: bool,
}

/// How a link follows from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is where the chain begins.
    Beginning,
    /// A fact came from another machine, so many microseconds after it was first sent.
    Message(u64),
    /// The same machine knew or did the one before, so many microseconds ago.
    Memory(u64),
}

/// One link.
#[derive(Clone, Debug)]
pub struct Link {
    /// When.
    pub at: Moment,
    /// On which machine; `None` for the world.
    pub node: Option<u32>,
    /// What came in.
    pub heard: String,
    /// What the machine made of it.
    pub deeds: Vec<String>,
    /// How it follows from the link before.
    pub way: Way,
}

/// What led to something, oldest first.
#[derive(Clone, Debug)]
pub struct Chain {
    /// To what.
    pub title: String,
    /// Whether it led to a breach or a stop; else to a good end.
    pub failure: bool,
    /// The links.
    pub links: Vec<Link>,
    /// Whether there was more before the first link.
    pub cut: bool,
}

#[derive(Debug)]
struct Current {
    at: Moment,
    node: u32,
    heard: Heard,
    deeds: Vec<String>,
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Causes {
    first: u64,
    entries: VecDeque<Entry>,
    last: BTreeMap<u32, u64>,
    origins: BTreeMap<u64, Origin>,
    order: VecDeque<u64>,
    current: Option<Current>,
}

impl Causes {
    /// A machine gets an input.
    pub(super) fn hears(&mut self, at: Moment, node: u32, heard: Heard) {
        self.current = Some(Current { at, node, heard, deeds: Vec::new() });
    }

    /// It made something of it.
    pub(super) fn does(&mut self, words: String) {
        if let Some(current) = &mut self.current
            && current.deeds.len() < DEEDS_MAX
        {
            current.deeds.push(words);
        }
    }

    /// It sends a fact, for the first time of all if the fact is not known.
    pub(super) fn says(&mut self, name: u64, kind: Kind, weight: u8, words: String) {
        let Some(current) = &self.current else { return };
        let (node, at) = (current.node, current.at);
        if self.origins.len() >= ORIGINS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.origins.remove(&oldest);
        }
        self.does(match kind {
            Kind::Trust | Kind::Manifest | Kind::Command => format!("gossips the {words}"),
            _ => format!("sends its {words}"),
        });
        // The entry that is being written will get this number.
        let entry = self.next();
        self.origins.insert(name, Origin { node, at, kind, weight, words, entry });
        self.order.push_back(name);
    }

    /// Where a fact was first sent.
    pub(super) fn origin(&self, name: u64) -> Option<&Origin> {
        self.origins.get(&name)
    }

    /// The input is dealt with: keeps it if anything came of it. True: it was kept.
    pub(super) fn dealt(&mut self) -> bool {
        let Some(current) = self.current.take() else { return false };
        if current.deeds.is_empty() {
            return false;
        }
        let origin = match &current.heard {
            Heard::Fact { name, .. } => self.origins.get(name).filter(|o| o.node != current.node),
            Heard::Own(_) | Heard::Frame(..) => None,
        };
        let message = origin.map(|origin| (origin.entry, origin.at));
        let heard = match &current.heard {
            Heard::Own(words) => words.clone(),
            Heard::Frame(kind, from) => format!("{} from machine {from}", kind.words()),
            Heard::Fact { name, from, by_sync } => match self.origins.get(name) {
                Some(origin) => {
                    let way = match (by_sync, origin.node == *from) {
                        (true, true) => "told directly".to_owned(),
                        (true, false) => format!("by sync with machine {from}"),
                        (false, true) => "by gossip from it".to_owned(),
                        (false, false) => format!("by gossip, last over machine {from}"),
                    };
                    format!("machine {}’s {} — {way}", origin.node, origin.words)
                }
                None => format!("a fact from machine {from}"),
            },
        };
        self.keep(current.at, Some(current.node), heard, current.deeds, message);
        true
    }

    /// Something befalls a machine, or with `None` the world. With `root` nothing before it matters: people
    /// did it.
    pub(super) fn befalls(&mut self, at: Moment, node: Option<u32>, words: String, root: bool) {
        self.keep(at, node, "from outside".to_owned(), vec![words], None);
        if let Some(entry) = self.entries.back_mut() {
            entry.root = root;
        }
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn keep(
        &mut self,
        at: Moment,
        node: Option<u32>,
        heard: String,
        deeds: Vec<String>,
        message: Option<(u64, Moment)>,
    ) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
            self.first += 1;
        }
        let number = self.next();
        let before = node.and_then(|node| self.last.insert(node, number));
        self.entries.push_back(Entry { at, node, heard, deeds, message, before, root: false });
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// What led to the last thing that a machine did, or with `None` anybody.
    pub(super) fn chain(&self, title: String, failure: bool, node: Option<u32>) -> Chain {
        let newest = self.next().checked_sub(1);
        let mut next = node.map_or(newest, |node| self.last.get(&node).copied());
        let mut links: Vec<Link> = Vec::new();
        let mut cut = false;
        while let Some(number) = next {
            let Some(entry) = self.entry(number).filter(|_| links.len() < LINKS_MAX) else {
                cut = true;
                break;
            };
            let memory = entry.before.and_then(|before| self.entry(before));
            let way = match (entry.message, memory) {
                (Some((_, sent)), _) => Way::Message(entry.at.0.saturating_sub(sent.0)),
                (None, Some(before)) => Way::Memory(entry.at.0.saturating_sub(before.at.0)),
                (None, None) => Way::Beginning,
            };
            links.push(Link {
                at: entry.at,
                node: entry.node,
                heard: entry.heard.clone(),
                deeds: entry.deeds.clone(),
                way,
            });
            next = entry.message.map(|(origin, _)| origin).or(entry.before).filter(|_| !entry.root);
        }
        links.reverse();
        if let Some(first) = links.first_mut() {
            first.way = Way::Beginning;
        }
        Chain { title, failure, links, cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(words: &str) -> Heard {
        Heard::Own(words.to_owned())
    }

    #[test]
    fn a_chain_leads_back_over_messages_and_memory() {
        let mut causes = Causes::default();
        causes.hears(Moment(1), 5, own("a document is handed in"));
        causes.says(77, Kind::Manifest, 1, "manifest".to_owned());
        assert!(causes.dealt());
        causes.hears(Moment(4), 9, own("nothing comes of it"));
        assert!(!causes.dealt());
        causes.hears(Moment(10), 2, Heard::Fact { name: 77, from: 9, by_sync: false });
        causes.does("accepts".to_owned());
        causes.dealt();
        causes.hears(Moment(30), 2, own("its deadline"));
        causes.does("stops".to_owned());
        causes.dealt();
        let chain = causes.chain("stop".to_owned(), true, Some(2));
        let ways: Vec<_> = chain.links.iter().map(|link| (link.node, link.way)).collect();
        let wanted = [(Some(5), Way::Beginning), (Some(2), Way::Message(9)), (Some(2), Way::Memory(20))];
        assert_eq!(ways, wanted);
        assert!(chain.links[1].heard.contains("last over machine 9"));
        assert!(!chain.cut);
    }

    #[test]
    fn the_ring_forgets_and_the_chain_says_so() {
        let mut causes = Causes::default();
        for number in 0..ENTRIES_MAX as u64 + 10 {
            causes.befalls(Moment(number), Some(1), "x".to_owned(), false);
        }
        assert_eq!(causes.entries.len(), ENTRIES_MAX);
        let chain = causes.chain("end".to_owned(), true, Some(1));
        assert_eq!(chain.links.len(), LINKS_MAX);
        assert!(chain.cut);
        assert!(causes.chain("of nobody".to_owned(), true, Some(2)).links.is_empty());
    }
}
