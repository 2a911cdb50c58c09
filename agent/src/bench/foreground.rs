//! Other programs on a publisher's line: requests that a client makes of a server beside it, and how long each takes.
//!
//! They are timed from when they should have been made: a late answer also delays those that wait behind it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::network::address_of;

const PORT: u16 = 7500;
/// Bytes of an answer.
pub(super) const ANSWER_BYTES: usize = 64 << 10;
/// A request begins so long after the one before.
pub(super) const EVERY: Duration = Duration::from_millis(100);

/// Answers requests at node 0 until it is ended. Says `ready`.
pub(super) async fn answer() -> io::Result<()> {
    let listener = TcpListener::bind((address_of(0), PORT)).await?;
    println!("ready");
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let content = vec![7; ANSWER_BYTES];
            let mut request = [0; 1];
            while stream.read_exact(&mut request).await.is_ok() && stream.write_all(&content).await.is_ok() {}
        });
    }
}

/// Makes `requests` requests of node 0. Says `took` with the microseconds of each, in order. What is not answered when the
/// last should have been made counts as having taken until then.
pub(super) async fn ask(requests: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect((address_of(0), PORT)).await?;
    stream.set_nodelay(true)?;
    let mut content = vec![0; ANSWER_BYTES];
    let mut took = Vec::new();
    let mut due = Instant::now();
    let end = due + EVERY * requests;
    for _ in 0..requests {
        let answered = async {
            tokio::time::sleep_until(due).await;
            stream.write_all(&[1]).await?;
            stream.read_exact(&mut content).await
        };
        // After the end no answer is waited for, and what is left to ask is not asked.
        if let Ok(answered) = tokio::time::timeout_at(end, answered).await {
            answered?;
        }
        took.push(due.elapsed().as_micros().to_string());
        due += EVERY;
    }
    println!("took {}", took.join(" "));
    Ok(())
}
