//! What the operator sees and may do. Pictures are compared with `snapshots/`;
//! `UPDATE_SNAPSHOTS=1 cargo test console` rewrites them, to be read before they are kept.

use std::path::Path;

use groundswell_protocol::node::Status;
use groundswell_protocol::node::event::Event;
use groundswell_protocol::node::status::RolloutStatus;
use groundswell_protocol::trust::names::ComponentName;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::model::{Action, Key, Model, Order, Overlay, TAIL_MAX};
use super::sample::Story;
use super::screen;
use crate::control::api::{AgentStatus, Counters, EventLine, ServiceView, StreamLine, SwarmView};

const NOON: u64 = 1_800_000_000_000;

fn explain(_: &Status, rollout: &RolloutStatus) -> String {
    format!("{} {} is at {} of {} nodes.", rollout.component, rollout.version, rollout.open, rollout.members)
}

/// A model and the story that it follows.
struct Watch {
    story: Story,
    model: Model,
    number: u64,
}

impl Watch {
    fn new(nodes: u32) -> Self {
        let mut watch = Self { story: Story::idle(nodes), model: Model::new(false, explain), number: 0 };
        watch.see(vec![Event::Recovered { boot: 2 }, Event::Census { version: 3, members: nodes }]);
        watch
    }

    fn see(&mut self, events: Vec<Event>) {
        let lines = events.into_iter().map(|event| {
            self.number += 1;
            let unix_ms = NOON + self.number * 700;
            StreamLine::Event(Box::new(EventLine { number: self.number, unix_ms, event }))
        });
        let lines = lines.collect();
        self.model.take_lines(lines);
        self.model.take_status(agent_status(&self.story.status, NOON + self.number * 700));
    }

    fn publish(&mut self, version: &str, sequence: u64, bad: bool) {
        let events = self.story.publish(version, sequence, bad);
        self.see(events);
    }

    fn step(&mut self, steps: usize) {
        for _ in 0..steps {
            let events = self.story.step();
            self.see(events);
        }
    }

    /// Compares both sizes with their files.
    fn assert_looks_like(&self, name: &str) {
        for (width, height) in [(80, 24), (120, 40)] {
            assert_picture(&format!("{name}-{width}x{height}"), &picture(&self.model, width, height));
        }
    }
}

fn agent_status(node: &Status, now_unix_ms: u64) -> AgentStatus {
    AgentStatus {
        version: "0.1.0".into(),
        pid: 4_242,
        started_unix_ms: NOON,
        now_unix_ms,
        node: node.clone(),
        services: vec![ServiceView {
            component: ComponentName::new("web").unwrap(),
            pid: Some(5_151),
            running: true,
            restarts: 0,
        }],
        transfers: vec![],
        swarm: SwarmView::default(),
        counters: Counters {
            uploaded_bytes: 3_100_000,
            downloaded_bytes: 1_250_000,
            resident_bytes: 28_400_000,
            ..Counters::default()
        },
    }
}

fn picture(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = (0..height).map(|y| {
        let row: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        row.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

fn assert_picture(name: &str, picture: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/console/snapshots/{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, picture).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(picture == expected, "{name} looks different now:\n{picture}\nbefore:\n{expected}");
}

#[test]
fn an_idle_fleet() {
    Watch::new(12).assert_looks_like("idle");
}

#[test]
fn a_rollout_to_its_end() {
    let mut watch = Watch::new(12);
    watch.publish("1.2.0", 3, false);
    for _ in 0..100 {
        watch.step(1);
    }
    assert!(watch.story.is_idle());
    watch.assert_looks_like("done");
}

#[test]
fn the_middle_of_a_rollout() {
    let mut watch = Watch::new(12);
    watch.publish("1.2.0", 3, false);
    while watch.story.status.rollouts[1].open < 12 {
        watch.step(1);
    }
    watch.step(2);
    watch.assert_looks_like("middle");
}

#[test]
fn a_bad_release_being_voted_down() {
    let mut watch = Watch::new(12);
    watch.publish("1.3.0", 4, true);
    while !watch.story.status.rollouts[1].ballots.iter().any(|ballot| ballot.stop.is_some()) {
        watch.step(1);
    }
    watch.assert_looks_like("voted-down");
}

#[test]
fn the_question_before_an_abort() {
    let mut watch = Watch::new(12);
    watch.publish("1.2.0", 3, false);
    watch.step(5);
    assert_eq!(watch.model.take_key(Key::Letter('a')), Action::None);
    watch.assert_looks_like("confirm");
}

#[test]
fn the_agent_is_gone() {
    let mut watch = Watch::new(12);
    watch.publish("1.2.0", 3, false);
    watch.step(4);
    watch
        .model
        .lose_agent("nothing listens on /run/swell/agent.sock".into(), "start it with `swell agent`".into());
    watch.assert_looks_like("gone");
}

#[test]
fn help_and_explanation() {
    let mut watch = Watch::new(12);
    watch.model.take_key(Key::Letter('?'));
    assert_picture("help-80x24", &picture(&watch.model, 80, 24));
    watch.model.take_key(Key::Escape);
    watch.model.take_key(Key::Letter('e'));
    assert_picture("explain-80x24", &picture(&watch.model, 80, 24));
}

#[test]
fn a_large_fleet_with_many_waves() {
    let mut watch = Watch::new(500);
    watch.publish("1.2.0", 3, false);
    watch.story.status.rollouts[1].targets = vec![1, 4, 16, 25, 125, 250, 500];
    watch.step(16);
    watch.assert_looks_like("large");
}

#[test]
fn nothing_is_drawn_outside_any_terminal() {
    let mut watch = Watch::new(12);
    watch.publish("1.2.0", 3, true);
    watch.step(4);
    for (width, height) in [(1, 1), (10, 3), (72, 20), (73, 21), (300, 100)] {
        for key in
            [Key::Escape, Key::Letter('?'), Key::Escape, Key::Letter('e'), Key::Escape, Key::Letter('a')]
        {
            watch.model.take_key(key);
            picture(&watch.model, width, height);
        }
        watch.model.overlay = Overlay::None;
    }
    picture(&Model::new(true, explain), 80, 24);
}

#[test]
fn an_abort_needs_a_y_and_nothing_else() {
    let mut watch = Watch::new(4);
    watch.publish("1.2.0", 3, false);
    let rollout = watch.model.selected().unwrap().rollout;
    for key in [Key::Letter('n'), Key::Letter('a'), Key::Escape, Key::Letter('\n'), Key::Down] {
        assert_eq!(watch.model.take_key(Key::Letter('a')), Action::None);
        assert_eq!(watch.model.take_key(key), Action::None, "{key:?}");
        assert_eq!(watch.model.overlay, Overlay::None);
    }
    watch.model.take_key(Key::Letter('a'));
    assert_eq!(watch.model.take_key(Key::Letter('y')), Action::Command { rollout, order: Order::Abort });
}

#[test]
fn an_abort_is_for_the_rollout_that_was_asked_about() {
    let mut watch = Watch::new(4);
    watch.publish("1.2.0", 3, false);
    let asked = watch.model.selected().unwrap().rollout;
    watch.model.take_key(Key::Letter('a'));
    watch.publish("1.3.0", 4, false);
    assert_ne!(watch.model.selected().unwrap().rollout, asked, "the newest is followed meanwhile");
    let action = watch.model.take_key(Key::Letter('y'));
    assert_eq!(action, Action::Command { rollout: asked, order: Order::Abort });
}

#[test]
fn orders_are_refused_where_they_make_no_sense() {
    let mut watch = Watch::new(4);
    for letter in ['p', 'r', 'a'] {
        assert_eq!(watch.model.take_key(Key::Letter(letter)), Action::None, "the rollout has ended");
        assert!(watch.model.notice.as_ref().unwrap().bad);
    }
    watch.publish("1.2.0", 3, false);
    let rollout = watch.model.selected().unwrap().rollout;
    assert_eq!(watch.model.take_key(Key::Letter('r')), Action::None, "it is not paused");
    let pause = Action::Command { rollout, order: Order::Pause };
    assert_eq!(watch.model.take_key(Key::Letter('p')), pause);
    watch.model.lose_agent("gone".into(), "start it".into());
    assert_eq!(watch.model.take_key(Key::Letter('p')), Action::None, "there is no agent");
}

#[test]
fn a_choice_stays_until_it_is_given_up() {
    let mut watch = Watch::new(4);
    watch.publish("1.2.0", 3, false);
    let first = watch.model.selected().unwrap().version.clone();
    watch.model.take_key(Key::Down);
    let chosen = watch.model.selected().unwrap().version.clone();
    assert_eq!((first.as_str(), chosen.as_str()), ("1.2.0", "1.1.0"));
    watch.model.take_key(Key::Down);
    assert_eq!(watch.model.selected().unwrap().version, "1.1.0", "the list has an end");
    watch.publish("1.3.0", 4, false);
    assert_eq!(watch.model.selected().unwrap().version, "1.1.0");
    watch.model.take_key(Key::Escape);
    assert_eq!(watch.model.selected().unwrap().version, "1.3.0");
}

#[test]
fn tails_are_bounded() {
    let mut watch = Watch::new(4);
    for _ in 0..TAIL_MAX {
        watch.see(vec![Event::PersistFailed, Event::Cloned]);
    }
    watch.model.take_lines(vec![StreamLine::Missed { missed: 7 }]);
    assert_eq!(watch.model.gossip.len(), TAIL_MAX);
    assert!(picture(&watch.model, 80, 24).contains("7 events went by unseen"));
}
