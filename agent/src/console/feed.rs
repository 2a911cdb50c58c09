//! The link to the agent: polls its status, follows its events, and finds it again when it was gone.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::control::Client;
use crate::control::api::{AgentStatus, StreamLine};
use crate::control::client::{ClientError, EventReader};

/// Pause between two statuses while nothing happens.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Pause between two statuses while events arrive.
const STATUS_AFTER_EVENT: Duration = Duration::from_millis(200);
/// How long a status may take before the agent counts as gone.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// A status that takes long is asked for less often: at most a tenth of the time goes into it.
const STATUS_SHARE: u32 = 10;
/// Pause before the next try to find an agent that is gone.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Lines that are handed on at once.
const BURST_MAX: usize = 256;
/// Messages that wait for the screen.
const MESSAGES_MAX: usize = 64;

/// News from the agent.
#[derive(Debug)]
pub(super) enum News {
    /// A newer status.
    Status(Box<AgentStatus>),
    /// Lines of its event stream.
    Lines(Vec<StreamLine>),
    /// It does not answer.
    Gone {
        /// What happened and why.
        why: String,
        /// What to do.
        todo: String,
    },
}

/// The screen has closed.
struct Closed;

/// Follows the agent until the receiver is dropped.
pub(super) fn follow(client: Client) -> mpsc::Receiver<News> {
    let (news, receiver) = mpsc::channel(MESSAGES_MAX);
    tokio::spawn(async move {
        let mut feed = Feed { client, news, after: 0, started_unix_ms: 0 };
        while feed.follow_once().await.is_ok() {
            sleep(RETRY_EVERY).await;
        }
    });
    receiver
}

struct Feed {
    client: Client,
    news: mpsc::Sender<News>,
    /// The last event that was handed on, of the agent's life that began then.
    after: u64,
    started_unix_ms: u64,
}

impl Feed {
    /// Follows the agent until it goes away, and says so.
    async fn follow_once(&mut self) -> Result<(), Closed> {
        let lost = match self.poll().await? {
            Err(lost) => lost,
            Ok(_) => match self.client.events(self.after).await {
                Err(error) => error.into(),
                Ok(events) => self.follow_events(events).await?,
            },
        };
        self.hand_on(News::Gone { why: lost.why, todo: lost.todo }).await
    }

    async fn follow_events(&mut self, mut events: EventReader) -> Result<Lost, Closed> {
        let mut status_at = Instant::now() + STATUS_EVERY;
        let mut status_took = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.news.closed() => return Err(Closed),
                line = events.next() => {
                    let (lines, end) = burst(line, &mut events);
                    self.hand_on_lines(lines).await?;
                    if let Some(lost) = end {
                        return Ok(lost);
                    }
                    let soon = Instant::now() + STATUS_AFTER_EVENT.max(status_took * STATUS_SHARE);
                    status_at = status_at.min(soon);
                }
                () = sleep_until(status_at) => {
                    match self.poll().await? {
                        Ok(took) => status_took = took,
                        Err(lost) => return Ok(lost),
                    }
                    status_at = Instant::now() + STATUS_EVERY.max(status_took * STATUS_SHARE);
                }
            }
        }
    }

    /// Asks for a status and hands it on. Says how long that took.
    async fn poll(&mut self) -> Result<Result<Duration, Lost>, Closed> {
        let began = Instant::now();
        let status = match timeout(STATUS_TIMEOUT, self.client.status()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Ok(Err(error.into())),
            Err(_) => return Ok(Err(Lost::silent())),
        };
        if status.started_unix_ms != self.started_unix_ms {
            (self.started_unix_ms, self.after) = (status.started_unix_ms, 0);
        }
        self.hand_on(News::Status(Box::new(status))).await?;
        Ok(Ok(began.elapsed()))
    }

    async fn hand_on_lines(&mut self, lines: Vec<StreamLine>) -> Result<(), Closed> {
        for line in &lines {
            match line {
                StreamLine::Event(line) => self.after = line.number,
                StreamLine::Missed { missed } => self.after += missed,
            }
        }
        if lines.is_empty() { Ok(()) } else { self.hand_on(News::Lines(lines)).await }
    }

    async fn hand_on(&self, news: News) -> Result<(), Closed> {
        self.news.send(news).await.map_err(|_| Closed)
    }
}

/// Why the agent is gone.
struct Lost {
    why: String,
    todo: String,
}

impl Lost {
    fn silent() -> Self {
        let seconds = STATUS_TIMEOUT.as_secs();
        Self {
            why: format!("it took the connection and said nothing for {seconds} s"),
            todo: "look at its log and its disk".to_owned(),
        }
    }

    fn ended() -> Self {
        Self { why: "it has stopped".to_owned(), todo: "start it with `swell agent`".to_owned() }
    }
}

impl From<ClientError> for Lost {
    fn from(error: ClientError) -> Self {
        Self { why: error.why, todo: error.todo }
    }
}

/// The first line and those that are here already behind it, and whether the stream ended there.
fn burst(
    first: Result<Option<StreamLine>, ClientError>,
    events: &mut EventReader,
) -> (Vec<StreamLine>, Option<Lost>) {
    let mut lines = Vec::new();
    match first {
        Ok(Some(line)) => lines.push(line),
        Ok(None) => return (lines, Some(Lost::ended())),
        Err(error) => return (lines, Some(error.into())),
    }
    while lines.len() < BURST_MAX {
        match events.ready() {
            Some(Ok(line)) => lines.push(line),
            // The stream's end is seen again by whoever asks for the next line.
            Some(Err(error)) => return (lines, Some(error.into())),
            None => break,
        }
    }
    (lines, None)
}

#[cfg(test)]
mod tests {
    use groundswell_protocol::node::Event;

    use super::*;
    use crate::control::testing::{House, PATIENCE};

    async fn next(news: &mut mpsc::Receiver<News>) -> News {
        timeout(PATIENCE, news.recv()).await.unwrap().unwrap()
    }

    /// Waits for the event with this number and returns all numbers up to it.
    async fn numbers_up_to(news: &mut mpsc::Receiver<News>, last: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            if let News::Lines(lines) = next(news).await {
                numbers.extend(lines.iter().filter_map(|line| match line {
                    StreamLine::Event(line) => Some(line.number),
                    StreamLine::Missed { .. } => None,
                }));
            }
        }
        numbers
    }

    #[tokio::test]
    async fn an_agent_that_comes_back_is_found_and_told_from_its_former_life() {
        let house = House::new().await;
        for version in 1..=3 {
            house.fake.log.push(Event::Policy { version });
        }
        let mut news = follow(house.client.clone());
        assert!(matches!(next(&mut news).await, News::Status(_)));
        assert_eq!(numbers_up_to(&mut news, 3).await, [1, 2, 3]);
        house.fake.log.push(Event::PersistFailed);
        assert_eq!(numbers_up_to(&mut news, 4).await, [4]);

        let directory = house.stop().await;
        while !matches!(next(&mut news).await, News::Gone { .. }) {}

        let house = House::in_directory(directory).await;
        for version in 1..=6 {
            house.fake.log.push(Event::Policy { version });
        }
        while !matches!(next(&mut news).await, News::Status(_)) {}
        assert_eq!(
            numbers_up_to(&mut news, 6).await,
            [1, 2, 3, 4, 5, 6],
            "nothing of the new life is skipped"
        );
        house.stop().await;
    }
}
