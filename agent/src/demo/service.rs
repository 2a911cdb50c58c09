//! The demo's service: a small HTTP server whose versions behave as their `service.toml` says.
//!
//! It does what a well-behaved service under the supervisor does: it takes its socket from `LISTEN_FDS`,
//! says `READY=1`, and at SIGTERM stops accepting, answers whoever is connected, and ends. One request a
//! connection, so that a switch never cuts a connection that is waiting for its next request.

use listenfd::ListenFd;
use serde::Deserialize;
use std::io::{self, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// The hidden subcommand of `swell` that must call [`run`].
pub const DEMO_SERVICE_COMMAND: &str = "demo-service";
/// The file in the version's directory that says how this version behaves.
const SETTINGS_FILE: &str = "service.toml";
const SETTINGS_BYTES_MAX: u64 = 64 * 1024;
/// Longest request head that is read.
const HEAD_MAX: usize = 8 * 1024;
/// Connections at the same time; further ones wait in the socket's queue.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may take for its request and for reading the answer.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(5);

/// Why the demo's service could not run; it served nothing then.
#[derive(Debug, thiserror::Error)]
pub enum DemoServiceError {
    /// The version's directory is not one of the demo's: the publisher's fault.
    #[error("{} cannot be used: {what}", path.display())]
    Settings {
        /// The settings file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It was started by hand.
    #[error("no listening socket was handed over (LISTEN_FDS); `swell demo-service` is started by the agent")]
    NoSocket,
    /// The system refused something.
    #[error("the demo's service cannot run: {0}")]
    System(#[from] io::Error),
}

/// How one version behaves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What `GET /` answers.
    version: String,
    /// From this age on every answer is a 500.
    fail_after_ms: Option<u64>,
    /// At this age the process ends by itself, with exit code 1.
    exit_after_ms: Option<u64>,
    /// How long it takes to start.
    start_delay_ms: Option<u64>,
}

/// Runs the version in `directory` until SIGTERM (or until its settings end it, with exit code 1).
///
/// # Errors
/// The directory, the socket or the system does not allow it to serve.
pub fn run(directory: &Path) -> Result<(), DemoServiceError> {
    let settings = read_settings(&directory.join(SETTINGS_FILE))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(settings))
}

fn read_settings(path: &Path) -> Result<Settings, DemoServiceError> {
    let refused = |what: String| DemoServiceError::Settings { path: path.to_owned(), what };
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(SETTINGS_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| refused(error.to_string()))?;
    toml::from_str(&text).map_err(|error| refused(error.message().to_owned()))
}

async fn serve(settings: Settings) -> Result<(), DemoServiceError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = inherited_listener()?;
    let delay = Duration::from_millis(settings.start_delay_ms.unwrap_or(0));
    if timeout(delay, terminate.recv()).await.is_ok() {
        return Ok(());
    }
    let service = Arc::new(Service { started: Instant::now(), settings });
    notify_ready()?;
    tokio::select! {
        () = service.own_end() => {
            eprintln!("version {} ends by itself, as its settings say", service.settings.version);
            std::process::exit(1);
        }
        outcome = accept_until(&mut terminate, listener, &service) => Ok(outcome?),
    }
}

fn inherited_listener() -> Result<TcpListener, DemoServiceError> {
    let listener = ListenFd::from_env().take_tcp_listener(0)?.ok_or(DemoServiceError::NoSocket)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

/// sd_notify(3), where somebody waits for it.
fn notify_ready() -> io::Result<()> {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", Path::new(&path))?;
    }
    Ok(())
}

async fn accept_until(
    terminate: &mut Signal,
    listener: TcpListener,
    service: &Arc<Service>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        let stream = tokio::select! {
            // The signal first: under load there is always one more connection to accept, and those not
            // accepted here are the next version's.
            biased;
            _ = terminate.recv() => break,
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
        };
        let Ok(stream) = stream else {
            // Out of descriptors, or a peer that left between its arrival and now.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let service = Arc::clone(service);
        tokio::spawn(async move {
            // A peer that leaves or dawdles is its own loss.
            let _ = timeout(CONNECTION_TIME_MAX, service.answer(stream)).await;
            drop(place);
        });
    }
    drop(listener);
    // All places free again: every connection was answered or ran out of its time.
    let every = u32::try_from(CONNECTIONS_MAX).map_err(io::Error::other)?;
    places.acquire_many(every).await.map(drop).map_err(io::Error::other)
}

struct Service {
    settings: Settings,
    started: Instant,
}

impl Service {
    async fn own_end(&self) {
        match self.settings.exit_after_ms {
            Some(age) => tokio::time::sleep_until(self.started + Duration::from_millis(age)).await,
            None => std::future::pending().await,
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let Some(head) = read_head(&mut stream).await? else { return Ok(()) };
        let (status, body) = self.response(&head);
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    }

    fn response(&self, head: &[u8]) -> (&'static str, String) {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match (method, path) {
            ("GET", "/" | "/health") if self.fails() => {
                ("500 Internal Server Error", format!("version {} has failed\n", self.settings.version))
            }
            ("GET", "/") => ("200 OK", format!("{}\n", self.settings.version)),
            ("GET", "/health") => ("200 OK", "ok\n".to_owned()),
            ("GET", _) => ("404 Not Found", "not found\n".to_owned()),
            _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
        }
    }

    fn fails(&self) -> bool {
        self.settings.fail_after_ms.is_some_and(|age| self.started.elapsed() >= Duration::from_millis(age))
    }
}

/// Reads to the empty line; `None` if the peer left before or sent too much.
async fn read_head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_stranger_are_refused_with_their_path() {
        let directory = tempfile::tempdir().expect("directory");
        assert!(run(directory.path()).unwrap_err().to_string().contains("service.toml"));
        for text in ["", "version = 1", "version = \"1\"\nfails = true"] {
            std::fs::write(directory.path().join(SETTINGS_FILE), text).expect("write");
            assert!(matches!(run(directory.path()), Err(DemoServiceError::Settings { .. })), "{text:?}");
        }
    }
}
