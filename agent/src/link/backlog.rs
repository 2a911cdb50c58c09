//! Events on their way to the driver, bounded however slow it is.
//!
//! The swarm's task must never wait for the driver, so events wait here. Frames beyond the bounds are
//! refused, and the caller says so to whom it concerns; the state of a link is never lost, because it is
//! merged instead: an `Up` that nobody has seen and its `Down` cancel each other.

use std::collections::VecDeque;

use super::{LinkEvent, Via};

/// Gossiped frames that wait; each has at most [`GOSSIP_FRAME_BYTES_MAX`](super::GOSSIP_FRAME_BYTES_MAX).
const GOSSIP_MAX: usize = 1024;
/// Bytes of direct frames that wait, beyond which no further one is taken from its stream.
const DIRECT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// News of listeners and refusals that wait.
const NEWS_MAX: usize = 64;

/// The queue.
#[derive(Default)]
pub(super) struct Backlog {
    events: VecDeque<LinkEvent>,
    gossip: usize,
    direct_bytes: usize,
    news: usize,
}

impl Backlog {
    /// Adds an event. False: there is no room for it, and it is dropped.
    pub(super) fn push(&mut self, event: LinkEvent) -> bool {
        let room = match &event {
            LinkEvent::Down { node } => {
                let unseen = self.events.iter().rposition(|event| is_state_of(event, *node));
                if let Some(position) = unseen
                    && matches!(self.events[position], LinkEvent::Up { .. })
                {
                    self.events.remove(position);
                    return true;
                }
                true
            }
            LinkEvent::Up { .. } => true,
            LinkEvent::Frame { via: Via::Gossip(_), .. } => self.gossip < GOSSIP_MAX,
            LinkEvent::Frame { via: Via::Direct, .. } => self.takes_direct(),
            LinkEvent::Listening { .. } | LinkEvent::Refused { .. } => self.news < NEWS_MAX,
        };
        if room {
            self.count(&event, 1);
            self.events.push_back(event);
        }
        room
    }

    /// Whether there is room for a direct frame.
    pub(super) fn takes_direct(&self) -> bool {
        self.direct_bytes < DIRECT_BYTES_MAX
    }

    /// The oldest event.
    pub(super) fn pop(&mut self) -> Option<LinkEvent> {
        let event = self.events.pop_front()?;
        self.count(&event, -1);
        Some(event)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn count(&mut self, event: &LinkEvent, sign: isize) {
        let (counter, size) = match event {
            LinkEvent::Up { .. } | LinkEvent::Down { .. } => return,
            LinkEvent::Frame { via: Via::Gossip(_), .. } => (&mut self.gossip, 1),
            LinkEvent::Frame { via: Via::Direct, bytes, .. } => (&mut self.direct_bytes, bytes.len()),
            LinkEvent::Listening { .. } | LinkEvent::Refused { .. } => (&mut self.news, 1),
        };
        *counter = if sign > 0 { *counter + size } else { *counter - size };
    }
}

fn is_state_of(event: &LinkEvent, wanted: super::NodeId) -> bool {
    matches!(event, LinkEvent::Up { node } | LinkEvent::Down { node } if *node == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::identity::PublicKey;

    const NODE: PublicKey = PublicKey([1; 32]);

    fn direct(size: usize) -> LinkEvent {
        LinkEvent::Frame { from: NODE, via: Via::Direct, bytes: vec![0; size] }
    }

    #[test]
    fn direct_frames_are_bounded_by_bytes_and_room_returns() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(direct(DIRECT_BYTES_MAX - 1)) && backlog.push(direct(10)));
        assert!(!backlog.takes_direct() && !backlog.push(direct(1)));
        backlog.pop();
        assert!(backlog.push(direct(1)));
    }

    #[test]
    fn news_is_bounded_but_the_state_of_links_is_not_lost() {
        let mut backlog = Backlog::default();
        let refused = || LinkEvent::Refused { peer: None, why: "test".into() };
        assert_eq!((0..1000).filter(|_| backlog.push(refused())).count(), NEWS_MAX);
        assert!(backlog.push(LinkEvent::Up { node: NODE }));
    }

    #[test]
    fn a_flapping_link_leaves_at_most_two_events() {
        let mut backlog = Backlog::default();
        backlog.push(LinkEvent::Down { node: NODE });
        for _ in 0..100 {
            backlog.push(LinkEvent::Up { node: NODE });
            backlog.push(LinkEvent::Down { node: NODE });
        }
        backlog.push(LinkEvent::Up { node: NODE });
        assert!(matches!(backlog.pop(), Some(LinkEvent::Down { .. })));
        assert!(matches!(backlog.pop(), Some(LinkEvent::Up { .. })));
        assert!(backlog.is_empty());
    }
}
