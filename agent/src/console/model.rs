//! What the screen shows, folded from statuses, events and keys. Pure: no clock, no terminal, no socket.

use std::collections::VecDeque;

use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::node::Event;
use groundswell_protocol::node::Status;
use groundswell_protocol::node::status::RolloutStatus;

use crate::control::api::{AgentStatus, EventLine, StreamLine};

/// Says in sentences why a rollout is where it is.
pub type Explain = fn(&Status, &RolloutStatus) -> String;

/// Lines that each tail keeps.
pub const TAIL_MAX: usize = 512;

/// How it stands with the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentLink {
    /// Not reached yet.
    Connecting,
    /// It answers.
    Live,
    /// It does not answer; what is shown is old.
    Gone {
        /// What happened and why.
        why: String,
        /// What to do.
        todo: String,
    },
}

/// What lies over the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The keys and symbols.
    Help,
    /// Why the chosen rollout is where it is, from this line on.
    Explain {
        /// Lines scrolled away.
        scroll: u16,
    },
    /// Asks whether this rollout shall really be aborted.
    ConfirmAbort {
        /// The rollout that was chosen when it was asked.
        rollout: RolloutId,
    },
}

/// How long a word to the operator stands while the agent's clock runs on, in milliseconds.
const NOTICE_MS: u64 = 8_000;

/// A word to the operator, shown until the next key, or for `NOTICE_MS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
    /// When it was said, on the agent's clock.
    since_unix_ms: u64,
}

/// A line of the tail of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailLine {
    /// An event.
    Event(Box<EventLine>),
    /// So many events went by unseen.
    Missed(u64),
}

/// A key that the console knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter or sign.
    Letter(char),
    /// The rollout before, or a line up.
    Up,
    /// The next rollout, or a line down.
    Down,
    /// Away with what lies over the screen.
    Escape,
    /// At once.
    Interrupt,
}

/// What an operator orders from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hold the rollout.
    Pause,
    /// Let it go on.
    Resume,
    /// End it.
    Abort,
}

/// What a key asks of the driver of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Leave.
    Quit,
    /// Sign and hand in a command.
    Command {
        /// For this rollout, which is in the model's status.
        rollout: RolloutId,
        /// This one.
        order: Order,
    },
}

/// All that is shown.
#[derive(Clone, Debug)]
pub struct Model {
    /// The agent.
    pub link: AgentLink,
    /// Its newest status.
    pub status: Option<AgentStatus>,
    /// Votes as they arrived.
    pub votes: VecDeque<EventLine>,
    /// All other events as they arrived.
    pub gossip: VecDeque<TailLine>,
    /// What the operator chose; `None` follows the newest live rollout.
    pub chosen: Option<RolloutId>,
    /// What lies over the screen.
    pub overlay: Overlay,
    /// A word to the operator.
    pub notice: Option<Notice>,
    /// Whether colours may be used.
    pub colour: bool,
    explain: Explain,
}

impl Model {
    /// A screen that knows nothing yet.
    pub fn new(colour: bool, explain: Explain) -> Self {
        Self {
            link: AgentLink::Connecting,
            status: None,
            votes: VecDeque::new(),
            gossip: VecDeque::new(),
            chosen: None,
            overlay: Overlay::None,
            notice: None,
            colour,
            explain,
        }
    }

    /// Takes a newer status.
    pub fn take_status(&mut self, status: AgentStatus) {
        self.link = AgentLink::Live;
        let now = status.now_unix_ms;
        self.notice.take_if(|notice| now.saturating_sub(notice.since_unix_ms) > NOTICE_MS);
        self.status = Some(status);
    }

    /// Takes lines of the event stream.
    pub fn take_lines(&mut self, lines: Vec<StreamLine>) {
        for line in lines {
            match line {
                StreamLine::Event(line) if matches!(line.event, Event::Vote { .. }) => {
                    push_bounded(&mut self.votes, *line);
                }
                StreamLine::Event(line) => push_bounded(&mut self.gossip, TailLine::Event(line)),
                StreamLine::Missed { missed } => {
                    push_bounded(&mut self.gossip, TailLine::Missed(missed));
                }
            }
        }
    }

    /// The agent does not answer.
    pub fn lose_agent(&mut self, why: String, todo: String) {
        self.link = AgentLink::Gone { why, todo };
    }

    /// The rollouts in the order in which they are listed: live ones first, then by falling order.
    pub fn rollouts(&self) -> Vec<&RolloutStatus> {
        let mut rollouts: Vec<_> = self.status.iter().flat_map(|status| &status.node.rollouts).collect();
        rollouts.sort_by(|a, b| {
            (a.ending.is_some(), b.order, &a.component).cmp(&(b.ending.is_some(), a.order, &b.component))
        });
        rollouts
    }

    /// The rollout that details are shown of.
    pub fn selected(&self) -> Option<&RolloutStatus> {
        let rollouts = self.rollouts();
        let chosen = rollouts.iter().find(|rollout| Some(rollout.rollout) == self.chosen);
        chosen.or(rollouts.first()).copied()
    }

    /// The rollout's name for people, if it is still known: component and version.
    pub fn name_of(&self, id: RolloutId) -> Option<String> {
        let node = &self.status.as_ref()?.node;
        if let Some(rollout) = node.rollouts.iter().find(|rollout| rollout.rollout == id) {
            return Some(format!("{} {}", rollout.component, rollout.version));
        }
        node.components.iter().find_map(|component| {
            let slots = &component.installed;
            let known = [&slots.active, &slots.previous, &slots.anchor, &slots.trial];
            let slot = known.into_iter().flatten().find(|slot| slot.rollout == id)?;
            Some(format!("{} {}", component.component, slot.version))
        })
    }

    /// Why the selected rollout is where it is.
    pub fn explanation(&self) -> String {
        match (&self.status, self.selected()) {
            (Some(status), Some(rollout)) => (self.explain)(&status.node, rollout),
            _ => "There is no rollout to explain.".to_owned(),
        }
    }

    /// Takes a key and says what follows from it.
    pub fn take_key(&mut self, key: Key) -> Action {
        self.notice = None;
        if key == Key::Interrupt {
            return Action::Quit;
        }
        match self.overlay {
            Overlay::ConfirmAbort { rollout } => self.take_answer(rollout, key),
            Overlay::Explain { scroll } => self.take_explain_key(scroll, key),
            Overlay::Help => {
                self.overlay = Overlay::None;
                Action::None
            }
            Overlay::None => self.take_plain_key(key),
        }
    }

    fn take_answer(&mut self, rollout: RolloutId, key: Key) -> Action {
        self.overlay = Overlay::None;
        if matches!(key, Key::Letter('y' | 'Y')) {
            return Action::Command { rollout, order: Order::Abort };
        }
        self.say("Nothing was aborted.", false);
        Action::None
    }

    fn take_explain_key(&mut self, scroll: u16, key: Key) -> Action {
        match key {
            Key::Up => self.overlay = Overlay::Explain { scroll: scroll.saturating_sub(1) },
            Key::Down => {
                let lines = u16::try_from(self.explanation().len() / 40).unwrap_or(u16::MAX);
                self.overlay = Overlay::Explain { scroll: scroll.saturating_add(1).min(lines) };
            }
            _ => self.overlay = Overlay::None,
        }
        Action::None
    }

    fn take_plain_key(&mut self, key: Key) -> Action {
        match key {
            Key::Up => self.choose(-1),
            Key::Down => self.choose(1),
            Key::Letter('q') => return Action::Quit,
            Key::Letter('?' | 'h') => self.overlay = Overlay::Help,
            Key::Letter('e') => self.overlay = Overlay::Explain { scroll: 0 },
            Key::Letter('p') => return self.order(Order::Pause),
            Key::Letter('r') => return self.order(Order::Resume),
            Key::Letter('a') => return self.order(Order::Abort),
            Key::Escape => self.chosen = None,
            Key::Letter(_) | Key::Interrupt => {}
        }
        Action::None
    }

    fn choose(&mut self, step: isize) {
        let rollouts = self.rollouts();
        let now = self.selected().map(|selected| selected.rollout);
        let place = rollouts.iter().position(|rollout| Some(rollout.rollout) == now).unwrap_or(0);
        let next = place.saturating_add_signed(step).min(rollouts.len().saturating_sub(1));
        self.chosen = rollouts.get(next).map(|rollout| rollout.rollout);
    }

    fn order(&mut self, order: Order) -> Action {
        if self.link != AgentLink::Live {
            self.say("There is no agent to give this order to.", true);
            return Action::None;
        }
        let Some(selected) = self.selected() else {
            self.say("There is no rollout to give orders for.", true);
            return Action::None;
        };
        let (rollout, paused) = (selected.rollout, selected.paused);
        let name = format!("{} {}", selected.component, selected.version);
        if selected.ending.is_some() {
            self.say(&format!("{name} has ended: there is nothing to order."), true);
            return Action::None;
        }
        match order {
            Order::Pause if paused => self.say(&format!("{name} is paused already."), false),
            Order::Resume if !paused => self.say(&format!("{name} is not paused."), false),
            Order::Abort => self.overlay = Overlay::ConfirmAbort { rollout },
            Order::Pause | Order::Resume => return Action::Command { rollout, order },
        }
        Action::None
    }

    /// Shows a word to the operator.
    pub fn say(&mut self, text: &str, bad: bool) {
        let since_unix_ms = self.status.as_ref().map_or(0, |status| status.now_unix_ms);
        self.notice = Some(Notice { text: text.to_owned(), bad, since_unix_ms });
    }
}

fn push_bounded<T>(tail: &mut VecDeque<T>, line: T) {
    if tail.len() == TAIL_MAX {
        tail.pop_front();
    }
    tail.push_back(line);
}
