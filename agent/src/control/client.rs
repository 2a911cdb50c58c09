//! The client of the control API: one connection per request, everything that is read is bounded, and
//! everything that is waited for has an end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::TryStreamExt;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{RolloutId, SignedFact};
use groundswell_protocol::wire::codec;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use super::api::{
    ANSWER_MAX, AgentStatus, DIGESTS_MAX, DigestList, ERROR_MAX, EgressRequest, ErrorAnswer, LINE_MAX,
    MissingAnswer, StreamLine, Submission, Submitted,
};
use crate::release::bundle::{BUNDLE_MAX, decode_facts};

/// How long the agent may take to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the agent may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the agent may take to end its answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one blob may take in all: sending, verifying and flushing it.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Bytes of a blob that are read at once.
const UPLOAD_CHUNK: usize = 256 * 1024;

/// A client of the agent behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// What sort of thing went wrong: tells tools which exit code to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientErrorKind {
    /// No agent answers on the socket.
    NotRunning,
    /// The socket belongs to another user.
    NotPermitted,
    /// The fleet's rules refuse the fact.
    Refused,
    /// What was sent is no good: not a fact, another digest, too large.
    BadInput,
    /// The agent does not know such a thing.
    NotFound,
    /// The agent's disk is full, or failed.
    Disk,
    /// The agent answered too late, or with something else than the API says.
    Trouble,
}

/// A request failed. Unless said otherwise the agent's state did not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct ClientError {
    /// What sort of thing went wrong.
    pub kind: ClientErrorKind,
    /// What happened.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub todo: String,
}

impl ClientError {
    fn new(kind: ClientErrorKind, what: &str, why: impl Into<String>, todo: &str) -> Self {
        Self { kind, what: what.to_owned(), why: why.into(), todo: todo.to_owned() }
    }

    fn broken(why: impl Into<String>) -> Self {
        Self::new(
            ClientErrorKind::Trouble,
            "the agent's answer broke off",
            why,
            "look at the agent's log; if it was stopped meanwhile, start it and try again",
        )
    }

    fn unclear(why: impl Into<String>) -> Self {
        Self::new(
            ClientErrorKind::Trouble,
            "the agent's answer is not what the control API says",
            why,
            "use the `swell` of the agent's own version; `swell status` names it",
        )
    }

    fn late(seconds: Duration) -> Self {
        Self::new(
            ClientErrorKind::Trouble,
            "the agent does not answer",
            format!("it took the connection and said nothing for {} seconds", seconds.as_secs()),
            "look at the agent's log: its disk may be stuck, or the machine overloaded",
        )
    }
}

impl Client {
    /// A client of the agent that listens on `socket`. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The agent and its node as they are now.
    ///
    /// # Errors
    /// See [`ClientErrorKind`].
    pub async fn status(&self) -> Result<AgentStatus, ClientError> {
        self.json(request(Method::GET, "/v1/status", Body::empty())).await
    }

    /// The events after the number `after` that are still kept (0: all of them), then the live ones,
    /// for as long as the agent runs.
    ///
    /// # Errors
    /// See [`ClientErrorKind`].
    pub async fn events(&self, after: u64) -> Result<EventReader, ClientError> {
        let path = format!("/v1/events?after={after}");
        let response = self.send(request(Method::GET, &path, Body::empty()), ANSWER_TIMEOUT).await?;
        Ok(EventReader { body: response.into_body(), buffer: Vec::new() })
    }

    /// Hands a signed fact to the agent.
    ///
    /// # Errors
    /// `Refused` with the rule that it breaks; see [`ClientErrorKind`].
    pub async fn submit(&self, fact: &SignedFact) -> Result<Submitted, ClientError> {
        let body = Body::from(codec::encode(fact));
        let answer: Submission = self.json(request(Method::POST, "/v1/facts", body)).await?;
        Ok(answer.verdict)
    }

    /// The policy chain and the newest census as the agent knows them. Read, not verified.
    ///
    /// # Errors
    /// See [`ClientErrorKind`].
    pub async fn trust(&self) -> Result<Vec<SignedFact>, ClientError> {
        let bytes = self.bytes(request(Method::GET, "/v1/trust", Body::empty()), BUNDLE_MAX).await?;
        decode_facts(&bytes).map_err(|why| ClientError::unclear(format!("the fleet bundle: {why}")))
    }

    /// Those of `digests` that the agent's store does not have.
    ///
    /// # Errors
    /// See [`ClientErrorKind`].
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, ClientError> {
        let mut missing = Vec::new();
        for digests in digests.chunks(DIGESTS_MAX) {
            let question = DigestList { digests: digests.to_vec() };
            let request = json_request(Method::POST, "/v1/blobs/missing", &question)?;
            let answer: MissingAnswer = self.json(request).await?;
            missing.extend(answer.missing);
        }
        Ok(missing)
    }

    /// Sets the budget of a release: how much the agent may send of it while others can serve it.
    ///
    /// # Errors
    /// `BadInput` if it is out of bounds; nothing changed then. See [`ClientErrorKind`].
    pub async fn set_egress(
        &self,
        release: RolloutId,
        permille: u32,
        digests: &[Digest],
    ) -> Result<(), ClientError> {
        for digests in digests.chunks(DIGESTS_MAX) {
            let question = EgressRequest { release, permille, digests: digests.to_vec() };
            self.send(json_request(Method::PUT, "/v1/egress", &question)?, ANSWER_TIMEOUT).await?;
        }
        Ok(())
    }

    /// Uploads the `bytes` bytes of `reader`, whose digest is `digest`, into the agent's store.
    ///
    /// # Errors
    /// `BadInput` if the reader holds fewer or more bytes, or others than the digest says; `Disk` if
    /// there is no room; the store kept nothing then. See [`ClientErrorKind`].
    pub async fn put_blob(
        &self,
        digest: Digest,
        bytes: u64,
        reader: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), ClientError> {
        let upload = ReaderStream::with_capacity(Exactly::new(reader, bytes), UPLOAD_CHUNK);
        let (failed, mut why_failed) = tokio::sync::oneshot::channel();
        let mut failed = Some(failed);
        let upload = upload.inspect_err(move |error| {
            if let Some(failed) = failed.take() {
                let _ = failed.send(error.to_string());
            }
        });
        let mut request = request(Method::PUT, &format!("/v1/blobs/{digest}"), Body::from_stream(upload));
        request.headers_mut().insert(CONTENT_LENGTH, bytes.into());
        let outcome = self.send(request, IMPORT_TIMEOUT).await;
        match (outcome, why_failed.try_recv()) {
            (Err(_), Ok(why)) => Err(ClientError::new(
                ClientErrorKind::BadInput,
                "the blob could not be read to its end",
                why,
                "build the release again; nothing of this blob was kept",
            )),
            (outcome, _) => outcome.map(|_| ()),
        }
    }

    /// The agent's metrics as OpenMetrics text.
    ///
    /// # Errors
    /// See [`ClientErrorKind`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let bytes = self.bytes(request(Method::GET, "/metrics", Body::empty()), ANSWER_MAX).await?;
        String::from_utf8(bytes.into()).map_err(|error| ClientError::unclear(error.to_string()))
    }

    async fn json<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, ClientError> {
        let bytes = self.bytes(request, ANSWER_MAX).await?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::unclear(error.to_string()))
    }

    async fn bytes(&self, request: Request<Body>, max: usize) -> Result<Bytes, ClientError> {
        let response = self.send(request, ANSWER_TIMEOUT).await?;
        read(response.into_body(), max).await
    }

    /// Sends a request and hands on its answer if it is a success.
    async fn send(
        &self,
        request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut sender = self.connect().await?;
        let answer = timeout(patience, sender.send_request(request));
        let response = answer
            .await
            .map_err(|_| ClientError::late(patience))?
            .map_err(|error| ClientError::broken(error.to_string()))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read(response.into_body(), ERROR_MAX).await?;
        Err(refusal(status, &body))
    }

    async fn connect(&self) -> Result<SendRequest<Body>, ClientError> {
        let stream = timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.socket))
            .await
            .map_err(|_| ClientError::late(CONNECT_TIMEOUT))?
            .map_err(|error| self.unreachable(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ClientError::broken(error.to_string()))?;
        // Its failure is seen by the request that it carries.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn unreachable(&self, error: &std::io::Error) -> ClientError {
        use std::io::ErrorKind;
        let socket = self.socket.display();
        match error.kind() {
            ErrorKind::NotFound => ClientError::new(
                ClientErrorKind::NotRunning,
                "no agent is running here",
                format!("there is no socket {socket}"),
                "start it with `swell agent --config agent.toml`, or name its socket with --socket",
            ),
            ErrorKind::ConnectionRefused => ClientError::new(
                ClientErrorKind::NotRunning,
                "the agent is not running",
                format!("nothing listens on {socket}"),
                "start it with `swell agent --config agent.toml`",
            ),
            ErrorKind::PermissionDenied => ClientError::new(
                ClientErrorKind::NotPermitted,
                "you may not talk to this agent",
                format!("{socket} can be opened only by the user that runs the agent"),
                "run this as that user, for instance with sudo",
            ),
            _ => ClientError::new(
                ClientErrorKind::NotRunning,
                "the agent cannot be reached",
                format!("{socket}: {error}"),
                "check the path given with --socket",
            ),
        }
    }
}

/// The live stream of events.
pub struct EventReader {
    body: Incoming,
    buffer: Vec<u8>,
}

impl EventReader {
    /// The next line. `None` when the agent has ended the stream because it stops. Waits for as long
    /// as nothing happens; giving up waiting loses nothing.
    ///
    /// # Errors
    /// `Trouble` if the agent went away or says something else than the API. Read no further then.
    pub async fn next(&mut self) -> Result<Option<StreamLine>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| ClientError::unclear(error.to_string()));
            }
            if self.buffer.len() > LINE_MAX {
                return Err(ClientError::unclear("a line of the event stream has no end"));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(bytes) = frame.map_err(|error| ClientError::broken(error.to_string()))?.into_data() {
                self.buffer.extend_from_slice(&bytes);
            }
        }
    }

    /// The line that is here already, if one is: lets a reader take a burst as one.
    pub fn ready(&mut self) -> Option<Result<StreamLine, ClientError>> {
        use futures::FutureExt;
        self.next().now_or_never()?.transpose()
    }
}

fn json_request(method: Method, path: &str, question: &impl Serialize) -> Result<Request<Body>, ClientError> {
    let body = serde_json::to_vec(question).map_err(|error| ClientError::unclear(error.to_string()))?;
    let mut request = request(method, path, Body::from(body));
    let json = hyper::header::HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    Ok(request)
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "agent")
        .body(body)
        .expect("BUG: paths are made here of plain characters")
}

async fn read(body: Incoming, max: usize) -> Result<Bytes, ClientError> {
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, max).collect())
        .await
        .map_err(|_| ClientError::late(BODY_TIMEOUT))?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            ClientError::unclear(format!("it is longer than {max} bytes"))
        } else {
            ClientError::broken(error.to_string())
        }
    })
}

fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    let kind = match status {
        StatusCode::CONFLICT => ClientErrorKind::Refused,
        StatusCode::NOT_FOUND => ClientErrorKind::NotFound,
        StatusCode::INSUFFICIENT_STORAGE => ClientErrorKind::Disk,
        status if status.is_client_error() => ClientErrorKind::BadInput,
        _ => ClientErrorKind::Trouble,
    };
    match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(ErrorAnswer { error }) => ClientError { kind, what: error.what, why: error.why, todo: error.todo },
        Err(_) => ClientError::unclear(format!("it answered {status} without saying why")),
    }
}

/// Passes on a reader's bytes and insists that there are exactly so many.
struct Exactly<R> {
    reader: tokio::io::Take<R>,
    left: u64,
}

impl<R: AsyncRead> Exactly<R> {
    fn new(reader: R, bytes: u64) -> Self {
        // One more is asked for, to see a reader that holds more.
        Self { reader: reader.take(bytes.saturating_add(1)), left: bytes }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Exactly<R> {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(std::pin::Pin::new(&mut this.reader).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        let error = if read == 0 && this.left > 0 {
            format!("it ended {} bytes too early", this.left)
        } else if read > this.left {
            "it holds more bytes than it should".to_owned()
        } else {
            this.left -= read;
            return std::task::Poll::Ready(Ok(()));
        };
        buffer.set_filled(before);
        std::task::Poll::Ready(Err(std::io::Error::other(error)))
    }
}
