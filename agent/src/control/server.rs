//! The control API's server: connections, their number and their end. What is answered: `routes`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::routes;
use super::socket::{self, SocketFile};

pub use super::socket::BindError;

/// Connections at a time, on each listener; more wait to be taken.
pub const CONNECTIONS_MAX: usize = 64;
/// How long a peer may take to send a request's head, and stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long answers under way may take to end once the agent stops.
const GRACE: Duration = Duration::from_secs(2);
/// Pause after a failure to take a connection, which is for want of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens and does not answer yet.
pub struct Server {
    control: UnixListener,
    metrics: Option<TcpListener>,
    file: SocketFile,
}

impl Server {
    /// Listens on `socket`, and on `metrics` for `GET /metrics` alone. A socket file that nobody
    /// answers on is replaced; the new one has mode 0600 before anybody can reach it.
    ///
    /// # Errors
    /// What is in the way; nothing was changed then.
    pub async fn bind(socket: impl Into<PathBuf>, metrics: Option<SocketAddr>) -> Result<Self, BindError> {
        let socket = socket.into();
        // Before the socket, so that an error there leaves no file behind.
        let metrics = match metrics {
            Some(at) => Some(TcpListener::bind(at).await.map_err(|error| BindError::Metrics(at, error))?),
            None => None,
        };
        let (control, file) = socket::bind(&socket)?;
        Ok(Self { control, metrics, file })
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Answers from `backend` until `stop`, then ends the live streams, lets other answers end for a
    /// short while, and removes the socket file.
    pub async fn serve(self, backend: impl Backend, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        if let Some(listener) = self.metrics {
            tasks.spawn(accept(listener, routes::metrics(backend.clone()), stop.clone(), tasks.clone()));
        }
        accept(self.control, routes::control(backend, stop.clone()), stop, tasks.clone()).await;
        // No new agent is kept waiting for answers under way.
        drop(self.file);
        tasks.close();
        let _ = tokio::time::timeout(GRACE, tasks.wait()).await;
    }
}

/// What connections are taken from.
trait Listener {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// Takes the next one.
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;
    async fn accept(&self) -> std::io::Result<Self::Stream> {
        UnixListener::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;
    async fn accept(&self) -> std::io::Result<Self::Stream> {
        TcpListener::accept(self).await.map(|(stream, _)| stream)
    }
}

async fn accept(listener: impl Listener, router: Router, stop: CancellationToken, tasks: TaskTracker) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let taken = async {
            let seat = Arc::clone(&seats).acquire_owned().await.expect("BUG: the semaphore is never closed");
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            taken = taken => taken,
        };
        match accepted {
            Ok(stream) => {
                let serving = converse(stream, router.clone(), stop.clone());
                tasks.spawn(async move {
                    serving.await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "The control API cannot take a connection.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end. How it ends is the peer's affair.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    stop: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(GRACE, connection).await;
}
