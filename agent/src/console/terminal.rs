//! The terminal: taken for the screen, and given back whatever happens.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::model::Key;

/// Keys that wait for the screen; what is typed beyond is lost.
const KEYS_MAX: usize = 64;
/// How long the keyboard's thread may take to see that it should end.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

/// What the keyboard or the window did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    /// A key.
    Key(Key),
    /// Another size: draw again.
    Resized,
    /// The terminal is gone.
    Gone,
}

/// The terminal in our hands; dropping it gives it back. A panic gives it back first, through the hook
/// that `ratatui` sets.
pub(super) struct Screen {
    /// What to draw on.
    pub(super) terminal: DefaultTerminal,
    /// What the keyboard says.
    pub(super) hands: mpsc::Receiver<Hand>,
    closing: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::other("standard input and output are not a terminal"));
        }
        let terminal = ratatui::try_init().inspect_err(|_| {
            let _ = ratatui::try_restore();
        })?;
        let closing = Arc::new(AtomicBool::new(false));
        let (sender, hands) = mpsc::channel(KEYS_MAX);
        let stop = Arc::clone(&closing);
        // Reading a terminal blocks, and must not hold up the runtime's end: a thread of its own.
        std::thread::Builder::new().name("keyboard".into()).spawn(move || read_keys(&sender, &stop))?;
        Ok(Self { terminal, hands, closing })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        let _ = ratatui::try_restore();
    }
}

fn read_keys(hands: &mpsc::Sender<Hand>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let hand = match event::poll(KEY_PATIENCE) {
            Ok(false) => continue,
            Ok(true) => event::read().map(|event| hand_of(&event)),
            Err(error) => Err(error),
        };
        match hand {
            Ok(None) => {}
            Ok(Some(hand)) => {
                if let Err(mpsc::error::TrySendError::Closed(_)) = hands.try_send(hand) {
                    return;
                }
            }
            Err(_) => {
                let _ = hands.blocking_send(Hand::Gone);
                return;
            }
        }
    }
}

fn hand_of(event: &event::Event) -> Option<Hand> {
    match event {
        event::Event::Resize(..) => Some(Hand::Resized),
        event::Event::Key(key) if key.kind != KeyEventKind::Release => key_of(*key).map(Hand::Key),
        _ => None,
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        KeyCode::Char(_) if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Up | KeyCode::BackTab | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Tab | KeyCode::Char('j') => Some(Key::Down),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Enter => Some(Key::Letter('\n')),
        KeyCode::Char(letter) => Some(Key::Letter(letter)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_letters_are_not_orders() {
        let key = |code, modifiers| key_of(KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(key(KeyCode::Char('a'), KeyModifiers::CONTROL), None);
        assert_eq!(key(KeyCode::Char('p'), KeyModifiers::ALT), None);
        assert_eq!(key(KeyCode::Char('p'), KeyModifiers::NONE), Some(Key::Letter('p')));
        assert_eq!(key(KeyCode::Tab, KeyModifiers::NONE), Some(Key::Down));
    }
}
