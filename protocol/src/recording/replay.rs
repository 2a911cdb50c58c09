//! Plays a recording again: the same inputs at the same times, and whatever the node decides compared with what
//! was recorded.

use super::effects::{Effect, Effects};
use super::format::{Block, Closing, Recording, Unreadable};
use super::words::{effect_words, input_words};
use crate::node::{Entropy, Input, Node};
use crate::time::Time;
use crate::wire::codec;

/// The first input after which the node decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which input, counted from 1.
    pub input: u64,
    /// When it came, on the node's clock.
    pub now: Time,
    /// What it was, in words.
    pub words: String,
    /// Which effect differs, counted from 1; effects before it are equal.
    pub effect: usize,
    /// What was recorded there, in words.
    pub recorded: String,
    /// What was decided now, in words.
    pub replayed: String,
}

/// What came of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs that were handed in.
    pub inputs: u64,
    /// Effects that were compared and equal.
    pub effects: u64,
    /// Signatures that the node would have made, and that hold.
    pub signatures: u64,
    /// When the last input came, on the node's clock.
    pub last: Time,
    /// Where it went another way; nothing was played after that.
    pub difference: Option<Difference>,
    /// How the recording ended; `None`: it was torn, or the agent was killed.
    pub closing: Option<Closing>,
    /// The recording ends with an input whose effects were not written any more.
    pub cut_short: bool,
    /// Bytes after the last whole block.
    pub unread_bytes: usize,
}

/// Plays a recording. `tell` hears each input and what the node decided now, also where that differs.
///
/// # Errors
/// Why the bytes cannot be played.
pub fn replay(
    bytes: &[u8],
    mut tell: impl FnMut(Time, &Input<'_>, &Effects),
) -> Result<Replayed, Unreadable> {
    let mut recording = Recording::open(bytes)?;
    let mut node = node_of(&recording);
    let mut replayed = Replayed {
        inputs: 0,
        effects: 0,
        signatures: 0,
        last: Time(0),
        difference: None,
        closing: None,
        cut_short: false,
        unread_bytes: 0,
    };
    while let Some(block) = recording.next_block()? {
        let at = bytes.len() - recording.unread_bytes();
        let (now, input) = match block {
            Block::Input { now, input } => (now, input),
            Block::Closing(closing) => {
                replayed.closing = Some(closing);
                break;
            }
            Block::Head(_) | Block::Effects(_) => return Err(Unreadable::Strange { at }),
        };
        let recorded = match recording.next_block()? {
            Some(Block::Effects(effects)) => Some(effects),
            None => None,
            Some(_) => return Err(Unreadable::Strange { at }),
        };
        let made = recorded.as_ref().map_or(&[][..], |effects| &effects.signatures);
        node.recall(made);
        let mut effects = Effects::default();
        node.handle(now, input.clone(), &mut effects);
        replayed.inputs += 1;
        replayed.last = now;
        tell(now, &input, &effects);
        let Some(recorded) = recorded else {
            replayed.cut_short = true;
            break;
        };
        if codec::encode(&effects) != codec::encode(&recorded) {
            replayed.difference = Some(difference(replayed.inputs, now, &input, &recorded, &effects));
            break;
        }
        replayed.effects += effects.list.len() as u64;
        replayed.signatures += effects.signatures.len() as u64;
    }
    replayed.unread_bytes = recording.unread_bytes();
    Ok(replayed)
}

fn node_of(recording: &Recording<'_>) -> Node {
    let head = recording.head();
    let components = head.components.iter().cloned().collect();
    Node::recalling(head.fleet, head.node, &components, head.restored.clone(), Entropy(head.entropy))
}

fn difference(
    number: u64,
    now: Time,
    input: &Input<'_>,
    recorded: &Effects,
    replayed: &Effects,
) -> Difference {
    let longer = recorded.list.len().max(replayed.list.len());
    let place = (0..longer).find(|place| recorded.list.get(*place) != replayed.list.get(*place));
    let (effect, recorded, replayed) = match place {
        Some(place) => {
            let words = |effect: Option<&Effect>| effect.map_or("nothing more".to_owned(), effect_words);
            (place, words(recorded.list.get(place)), words(replayed.list.get(place)))
        }
        None => {
            let words = |effects: &Effects| {
                let others =
                    effects.signatures.iter().filter(|one| !recorded.signatures.contains(one)).count();
                let signatures = effects.signatures.len();
                format!("the verdict {:?} and {signatures} signatures, {others} unknown", effects.verdict)
            };
            (longer, words(recorded), words(replayed))
        }
    };
    Difference { input: number, now, words: input_words(input), effect: effect + 1, recorded, replayed }
}
