//! The load: for every node a client that opens a connection for each request and never tries again.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Pause of a client between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 4 * 1024;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n";
const GOOD: &str = "HTTP/1.1 200 ";

/// What one client has counted.
#[derive(Debug, Default)]
struct Counts {
    served: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Clone, Debug, Default)]
struct Last {
    /// What the last good answer said.
    said: String,
    /// Why the last failed request failed.
    failure: Option<String>,
}

/// Requests to one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    /// Answered with 200.
    pub(super) served: u64,
    /// Everything else.
    pub(super) failed: u64,
}

/// The clients. Dropped, they end.
#[derive(Debug)]
pub(super) struct Load {
    counts: Vec<Arc<Counts>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts a client for each of these services.
    pub(super) fn start(services: &[SocketAddr]) -> Self {
        let counts: Vec<Arc<Counts>> = services.iter().map(|_| Arc::default()).collect();
        let clients =
            services.iter().zip(&counts).map(|(at, counts)| tokio::spawn(ask(*at, Arc::clone(counts))));
        Self { clients: clients.collect(), counts }
    }

    /// No clients: for versions that serve nothing.
    pub(super) fn none(nodes: usize) -> Self {
        Self { counts: (0..nodes).map(|_| Arc::default()).collect(), clients: Vec::new() }
    }

    /// The requests to each node so far, by place.
    pub(super) fn requests(&self) -> Vec<Requests> {
        let read = |counts: &Arc<Counts>| Requests {
            served: counts.served.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
        };
        self.counts.iter().map(read).collect()
    }

    /// What each node's service said last, by place.
    pub(super) fn said(&self) -> Vec<String> {
        self.counts.iter().map(|counts| last(counts).said).collect()
    }

    /// Why the last failed request to the node at `place` failed.
    pub(super) fn failure(&self, place: usize) -> Option<String> {
        last(&self.counts[place]).failure
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

fn last(counts: &Counts) -> Last {
    counts.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn ask(service: SocketAddr, counts: Arc<Counts>) {
    loop {
        let outcome = match timeout(REQUEST_TIME_MAX, request(service)).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        let outcome = outcome.and_then(|answer| match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with(GOOD) => Ok(body.trim_end().to_owned()),
            _ => Err(answer.lines().next().unwrap_or("an empty answer").to_owned()),
        });
        note(&counts, outcome);
        sleep(PAUSE).await;
    }
}

fn note(counts: &Counts, outcome: Result<String, String>) {
    let mut last = counts.last.lock().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Ok(said) => {
            counts.served.fetch_add(1, Ordering::Relaxed);
            last.said = said;
        }
        Err(failure) => {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            last.failure = Some(failure);
        }
    }
}

async fn request(service: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(service).await?;
    stream.write_all(REQUEST).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn until(load: &Load, reached: impl Fn(Requests) -> bool) -> Requests {
        let wait = async {
            loop {
                let requests = load.requests()[0];
                if reached(requests) {
                    return requests;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), wait).await.expect("in time")
    }

    #[tokio::test]
    async fn good_answers_are_told_from_bad_ones_and_from_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let load = Load::start(&[address]);
        let answer = async |text: &str| {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let mut head = [0; REQUEST.len()];
            stream.read_exact(&mut head).await.expect("request");
            stream.write_all(text.as_bytes()).await.expect("answer");
        };
        answer("HTTP/1.1 200 OK\r\n\r\n2.0\n").await;
        assert_eq!(until(&load, |requests| requests.served == 1).await.failed, 0);
        assert_eq!(load.said(), ["2.0"]);
        answer("HTTP/1.1 500 Internal Server Error\r\n\r\nno\n").await;
        until(&load, |requests| requests.failed == 1).await;
        assert!(load.failure(0).expect("failed").contains("500"));
        answer("").await;
        until(&load, |requests| requests.failed == 2).await;
        drop(listener);
        until(&load, |requests| requests.failed > 2).await;
    }
}
