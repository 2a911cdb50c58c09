//! The console: a terminal screen on the control API's live stream.
//!
//! [`run`] is the one door. A [`model::Model`] is folded from statuses, events and keys; [`screen::draw`]
//! makes a picture of it; the feed finds the agent again when it goes away; the terminal is given back
//! at every end. Deliberately absent: any access to the agent beside the control API, and the reading
//! of key files and the wording of explanations, which the caller hands in.

mod feed;
pub mod model;
#[cfg(test)]
pub(crate) mod sample;
pub mod screen;
mod terminal;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use groundswell_protocol::facts::RolloutId;
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::trust::command::Instruction;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::control::Client;
use crate::control::api::Submitted;
use crate::control::command;
use feed::News;
use model::{Action, Explain, Model, Order};
use terminal::{Hand, Screen};

/// Reads an operator's key file; the error is said to the operator as it is.
pub type ReadKey = fn(&Path) -> Result<KeyPair, String>;

/// What the console is told.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// The agent's socket.
    pub socket: PathBuf,
    /// The operator's key file. Read when an order is given, and not kept.
    pub key: Option<PathBuf>,
    /// Use weight and symbols alone.
    pub no_color: bool,
    /// Reads key files.
    pub read_key: ReadKey,
    /// Explains rollouts.
    pub explain: Explain,
}

/// Why the console ended.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// There is no terminal to draw on, or it is gone.
    #[error("the console cannot use this terminal: {0}; use `swell status` and `swell rollout` in scripts")]
    Terminal(#[from] io::Error),
}

/// Runs the console until the operator leaves or a signal ends it. An agent that is not running is said
/// on the screen and looked for.
///
/// # Errors
/// When the terminal cannot be used; it is given back in any case.
pub async fn run(options: ConsoleOptions) -> Result<(), ConsoleError> {
    let mut signals = Signals::new()?;
    let client = Client::new(options.socket.clone());
    let mut screen = Screen::take()?;
    let mut news = feed::follow(client.clone());
    let (outcomes, mut outcome) = mpsc::channel(1);
    let mut model = Model::new(!options.no_color, options.explain);
    loop {
        screen.terminal.draw(|frame| screen::draw(frame, &model))?;
        tokio::select! {
            () = signals.any() => return Ok(()),
            Some(item) = news.recv() => {
                take_news(&mut model, item);
                // A burst is drawn once.
                while let Ok(item) = news.try_recv() {
                    take_news(&mut model, item);
                }
            }
            Some(said) = outcome.recv() => take_outcome(&mut model, said),
            hand = screen.hands.recv() => match hand {
                Some(Hand::Key(key)) => match model.take_key(key) {
                    Action::None => {}
                    Action::Quit => return Ok(()),
                    Action::Command { rollout, order } => {
                        give_order(&mut model, &options, &client, &outcomes, rollout, order);
                    }
                },
                Some(Hand::Resized) => {}
                Some(Hand::Gone) | None => return Ok(()),
            },
        }
    }
}

fn take_news(model: &mut Model, news: News) {
    match news {
        News::Status(status) => model.take_status(*status),
        News::Lines(lines) => model.take_lines(lines),
        News::Gone { why, todo } => model.lose_agent(why, todo),
    }
}

fn take_outcome(model: &mut Model, said: Result<String, String>) {
    match said {
        Ok(words) => model.say(&words, false),
        Err(words) => model.say(&words, true),
    }
}

/// Signs an order and hands it in; what became of it is said through `outcomes`.
fn give_order(
    model: &mut Model,
    options: &ConsoleOptions,
    client: &Client,
    outcomes: &mpsc::Sender<Result<String, String>>,
    rollout: RolloutId,
    order: Order,
) {
    let Some(path) = &options.key else {
        return model.say("Orders need the operator's key: start the console with --key FILE.", true);
    };
    let key = match (options.read_key)(path) {
        Ok(key) => key,
        Err(error) => return model.say(&error, true),
    };
    let known = model.status.as_ref().and_then(|status| {
        let rollout = status.node.rollouts.iter().find(|it| it.rollout == rollout)?;
        Some((&status.node, rollout))
    });
    let Some((node, rollout)) = known else {
        return model.say("That rollout is no longer known here.", true);
    };
    let instruction = match order {
        Order::Pause => command::pause(rollout),
        Order::Resume => command::resume(rollout),
        Order::Abort => Instruction::Stop,
    };
    let name = format!("{} {}", rollout.component, rollout.version);
    let fact = command::signed(node, rollout, instruction, "from the console", &key);
    let (client, outcomes) = (client.clone(), outcomes.clone());
    tokio::spawn(async move {
        let said = match client.submit(&fact).await {
            Ok(Submitted::Accepted) => Ok(format!("{} {name}: signed and on its way.", order_words(order))),
            Ok(Submitted::Known) => {
                Ok(format!("{} {name}: the fleet knows that already.", order_words(order)))
            }
            Err(error) => Err(format!("{} {name}: {}.", order_words(order), error.why)),
        };
        let _ = outcomes.send(said).await;
    });
}

fn order_words(order: Order) -> &'static str {
    match order {
        Order::Pause => "Pause",
        Order::Resume => "Resume",
        Order::Abort => "Abort",
    }
}

/// The signals that end the console.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
