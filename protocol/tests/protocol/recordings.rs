//! A node that is recorded and played again decides the same, without its key; and what a damaged recording does.

use std::collections::BTreeSet;

use groundswell_protocol::facts::health::{Health, HealthNumbers, HealthReport};
use groundswell_protocol::node::{Config, Entropy, Event, Input, Node, Record, Via};
use groundswell_protocol::recording::format::{append, opening};
use groundswell_protocol::recording::{
    Block, Closing, Difference, Effect, Effects, Head, Recording, Replayed, Unreadable, replay,
};
use groundswell_protocol::time::{Span, Time};

use crate::fleet::papers::{Papers, web};

/// A fleet of one node with a driver that does everything at once and writes down what the node is told and decides.
struct Recorded {
    node: Node,
    now: Time,
    bytes: Vec<u8>,
    done: bool,
}

impl Recorded {
    fn new(papers: &Papers) -> Self {
        let (key, components) = (papers.nodes[0].clone(), BTreeSet::from([web()]));
        let restored: Vec<Record> =
            [&papers.policy_fact, &papers.census].map(|fact| Record::Fact(fact.signed.clone())).into();
        let head = Head {
            fleet: papers.fleet,
            node: key.public(),
            components: components.iter().cloned().collect(),
            program: "test".to_owned(),
            origin_unix_ms: 1,
            entropy: [5; 32],
            restored: restored.clone(),
        };
        let config = Config { fleet: papers.fleet, key, components };
        let node = Node::new(config, restored, Entropy([5; 32]));
        Self { node, now: Time(1), bytes: opening(head), done: false }
    }

    fn take(&mut self, input: Input<'_>) {
        let mut effects = Effects::default();
        append(&mut self.bytes, &Block::Input { now: self.now, input: input.clone() });
        self.node.handle(self.now, input, &mut effects);
        append(&mut self.bytes, &Block::Effects(effects.clone()));
        self.now = self.now + Span::milliseconds(1);
        for effect in effects.list {
            match effect {
                Effect::Persist { id, .. } => self.take(Input::Persisted(id)),
                Effect::Fetch { work, .. } => {
                    self.take(Input::Stored { rollout: work.rollout, outcome: Ok(()) });
                }
                Effect::Stage(work) => self.take(Input::Staged { rollout: work.rollout, outcome: Ok(()) }),
                Effect::Activate { component, tree } => {
                    self.take(Input::Activated { component, tree: Some(tree), outcome: Ok(()) });
                }
                Effect::Probe { component, tree, .. } => {
                    let numbers = HealthNumbers::default();
                    let report = HealthReport { health: Health::Healthy, numbers, note: String::new() };
                    self.take(Input::Probed { component, tree, report });
                }
                Effect::Report(Event::Done { .. }) => self.done = true,
                _ => {}
            }
        }
    }

    /// One release from its publication to its end.
    fn release(papers: &Papers) -> Vec<u8> {
        let mut recorded = Self::new(papers);
        recorded.take(Input::WallClock(1_000_000));
        recorded.take(Input::Received { from: papers.nodes[0].public(), via: Via::Gossip, frame: &[7; 40] });
        recorded.take(Input::Submitted(papers.release(1, "1.0").1.signed));
        for _ in 0..1_000 {
            if recorded.done {
                break;
            }
            recorded.now = recorded.node.next_deadline().unwrap_or(recorded.now).max(recorded.now);
            recorded.take(Input::Wake);
        }
        assert!(recorded.done, "the release is done");
        append(&mut recorded.bytes, &Block::Closing(Closing::Ended));
        recorded.bytes
    }
}

fn played(bytes: &[u8]) -> Replayed {
    replay(bytes, |_, _, _| {}).expect("a recording")
}

/// A recording's blocks, one by one, with where each begins.
fn blocks(bytes: &[u8]) -> Vec<usize> {
    let mut recording = Recording::open(bytes).expect("a recording");
    let mut begins = vec![bytes.len() - recording.unread_bytes()];
    while recording.next_block().expect("known blocks").is_some() {
        begins.push(bytes.len() - recording.unread_bytes());
    }
    begins
}

#[test]
fn a_recording_played_again_has_the_same_effects_and_no_secret() {
    let papers = Papers::new(1);
    let bytes = Recorded::release(&papers);
    let replayed = played(&bytes);
    assert_eq!(replayed.difference, None);
    assert_eq!(
        (replayed.closing, replayed.cut_short, replayed.unread_bytes),
        (Some(Closing::Ended), false, 0)
    );
    assert!(replayed.inputs > 20 && replayed.effects > 20 && replayed.signatures > 5, "{replayed:?}");
    let seed = papers.nodes[0].seed();
    assert!(!bytes.windows(seed.len()).any(|window| window == seed), "the secret key is in no recording");
}

#[test]
fn a_torn_recording_is_played_up_to_its_last_whole_block() {
    let bytes = Recorded::release(&Papers::new(1));
    let begins = blocks(&bytes);
    let whole = begins.len();
    for (place, begin) in
        begins.into_iter().enumerate().filter(|(place, _)| place % 7 == 0 || place + 9 > whole)
    {
        for torn in [0, 1, 11, 12, 20] {
            let Some(part) = bytes.get(..begin + torn) else { continue };
            let replayed = played(part);
            assert_eq!(replayed.difference, None, "{place}, {torn}");
        }
    }
    for length in 0..200 {
        assert!(replay(&bytes[..length], |_, _, _| {}).is_err(), "{length} bytes have no whole head");
    }
}

#[test]
fn a_changed_byte_ends_the_reading_and_is_never_played() {
    let bytes = Recorded::release(&Papers::new(1));
    for place in (10..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x20;
        match replay(&damaged, |_, _, _| {}) {
            Ok(replayed) => {
                assert!(replayed.unread_bytes > 0 && replayed.difference.is_none(), "{place}: {replayed:?}");
            }
            Err(error) => assert_eq!(error, Unreadable::NoHead, "{place}"),
        }
    }
}

#[test]
fn the_first_input_that_ends_otherwise_is_named_with_both_effects() {
    let papers = Papers::new(1);
    let bytes = Recorded::release(&papers);
    let mut recording = Recording::open(&bytes).expect("a recording");
    let mut changed = opening(recording.head().clone());
    let (mut inputs, mut expected) = (0, None);
    while let Some(block) = recording.next_block().expect("known blocks") {
        let block = match block {
            Block::Effects(mut effects)
                if expected.is_none() && inputs > 5 && !effects.signatures.is_empty() =>
            {
                effects.signatures[0].0[3] ^= 1;
                expected = Some(inputs);
                Block::Effects(effects)
            }
            Block::Input { now, input } => {
                inputs += 1;
                Block::Input { now, input }
            }
            block => block,
        };
        append(&mut changed, &block);
    }
    let Difference { input, recorded, replayed, .. } = played(&changed).difference.expect("it differs");
    assert_eq!(Some(input), expected, "a signature that does not hold is not taken");
    assert_ne!(recorded, replayed);
}

#[test]
fn what_is_no_recording_is_refused_in_words() {
    let error = |bytes: &[u8]| replay(bytes, |_, _, _| {}).expect_err("no recording");
    assert_eq!(error(b"title = \"a scenario\""), Unreadable::NoRecording);
    assert_eq!(error(b"swell-rec"), Unreadable::NoHead);
    assert_eq!(error(b"swell-rec\x02"), Unreadable::Version(2));
    let mut bytes =
        opening(Recording::open(&Recorded::release(&Papers::new(1))).expect("one").head().clone());
    let at = bytes.len();
    append(&mut bytes, &Block::Effects(Effects::default()));
    assert!(matches!(error(&bytes), Unreadable::Strange { at: found } if found >= at));
}
