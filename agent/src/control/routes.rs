//! What the control API answers to which request.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use futures::{Stream, StreamExt, stream};
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::SignedFact;
use groundswell_protocol::node::Verdict;
use groundswell_protocol::wire::codec;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::api::{
    BLOB_MAX, DIGESTS_MAX, DigestList, EgressRequest, ErrorAnswer, ErrorView, EventsQuery, FACT_BODY_MAX,
    JSON_BODY_MAX, MissingAnswer, Submission, Submitted,
};
use super::backend::{Backend, ImportError};
use crate::release::bundle::encode_facts;

/// How long the rest of a refused document is read and dropped.
const DOCUMENT_DRAIN: Duration = Duration::from_secs(2);
/// How long the rest of a refused blob is read and dropped.
const BLOB_DRAIN: Duration = Duration::from_secs(30);
/// How long a sender may pause inside a body.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Shared<B> {
    backend: B,
    stop: CancellationToken,
}

/// The whole API, for the Unix socket. Live streams end at `stop`.
pub(super) fn control<B: Backend>(backend: B, stop: CancellationToken) -> Router {
    Router::new()
        .route("/v1/status", get(status::<B>))
        .route("/v1/events", get(events::<B>))
        .route("/v1/facts", post(submit::<B>))
        .route("/v1/trust", get(trust::<B>))
        .route("/v1/blobs/missing", post(missing::<B>))
        .route("/v1/blobs/{digest}", put(import::<B>))
        .route("/v1/egress", put(egress::<B>))
        .route("/metrics", get(metrics_text::<B>))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Shared { backend, stop })
}

/// `GET /metrics` and nothing else, for a TCP address.
pub(super) fn metrics<B: Backend>(backend: B) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text::<B>))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Shared { backend, stop: CancellationToken::new() })
}

/// An answer that is no success.
struct Problem {
    status: StatusCode,
    error: ErrorView,
}

impl Problem {
    fn new(status: StatusCode, what: &str, why: impl Into<String>, todo: &str) -> Self {
        let error = ErrorView { what: what.to_owned(), why: why.into(), todo: todo.to_owned() };
        Self { status, error }
    }

    fn bad_request(what: &str, why: impl Into<String>, todo: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what, why, todo)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorAnswer { error: self.error })).into_response()
    }
}

async fn status<B: Backend>(State(shared): State<Shared<B>>) -> Response {
    Json(shared.backend.status().await).into_response()
}

async fn events<B: Backend>(
    State(shared): State<Shared<B>>,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| {
        Problem::bad_request("cannot tell which events are meant", error.body_text(), "use ?after=NUMBER")
    })?;
    let events = shared.backend.events(query.after);
    let lines = stream::unfold(events, |mut events| async move {
        let mut text = Vec::new();
        for line in events.next().await {
            if let Err(error) = serde_json::to_writer(&mut text, &line) {
                return Some((Err(std::io::Error::other(error)), events));
            }
            text.push(b'\n');
        }
        Some((Ok(Bytes::from(text)), events))
    });
    let body = Body::from_stream(lines.take_until(shared.stop.cancelled_owned()));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

async fn submit<B: Backend>(
    State(shared): State<Shared<B>>,
    request: Request,
) -> Result<Json<Submission>, Problem> {
    let body = read_body(request, FACT_BODY_MAX, "fact").await?;
    let fact: SignedFact = codec::decode(&body).map_err(|error| {
        let todo = "send the file that `swell release sign` or `swell fleet` wrote, unchanged";
        Problem::bad_request("the body is no signed fact", error.to_string(), todo)
    })?;
    match shared.backend.submit(fact).await {
        Verdict::Accepted => Ok(Json(Submission { verdict: Submitted::Accepted })),
        Verdict::Known => Ok(Json(Submission { verdict: Submitted::Known })),
        Verdict::Refused(why) => Err(Problem::new(
            StatusCode::CONFLICT,
            "the fleet's rules refuse it",
            why.words(),
            "nothing has changed; `swell status` shows the policy and census that this node goes by",
        )),
    }
}

async fn trust<B: Backend>(State(shared): State<Shared<B>>) -> Response {
    let bundle = encode_facts(&shared.backend.trust().await);
    ([(CONTENT_TYPE, "application/octet-stream")], bundle).into_response()
}

async fn missing<B: Backend>(
    State(shared): State<Shared<B>>,
    request: Request,
) -> Result<Json<MissingAnswer>, Problem> {
    let todo = "send {\"digests\": [...]} with at most 100,000 digests of 64 hexadecimal digits";
    let body = read_body(request, JSON_BODY_MAX, "list of digests").await?;
    let DigestList { digests } = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request("the list of digests cannot be read", error.to_string(), todo)
    })?;
    if digests.len() > DIGESTS_MAX {
        let why = format!("it names {} digests", digests.len());
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the list of digests is too long",
            why,
            todo,
        ));
    }
    Ok(Json(MissingAnswer { missing: shared.backend.missing(digests).await }))
}

async fn egress<B: Backend>(
    State(shared): State<Shared<B>>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let body = read_body(request, JSON_BODY_MAX, "budget").await?;
    let request: EgressRequest = serde_json::from_slice(&body).map_err(|error| {
        let todo = "send {\"release\": ..., \"permille\": 1050, \"digests\": [...]}";
        Problem::bad_request("the budget cannot be read", error.to_string(), todo)
    })?;
    if request.digests.len() > DIGESTS_MAX {
        let why = format!("{} digests are named, more than {DIGESTS_MAX}", request.digests.len());
        let todo = "name the rest in further requests";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the budget names too much", why, todo));
    }
    let set = shared.backend.set_egress(request).await;
    set.map(|()| StatusCode::NO_CONTENT).map_err(|why| {
        let todo = "give a multiple from 1x to 1000x, or publish without --egress";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the budget was not set", why, todo)
    })
}

async fn import<B: Backend>(
    State(shared): State<Shared<B>>,
    Path(digest): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let digest: Digest = digest.parse().map_err(|error: groundswell_protocol::digest::NotHex| {
        Problem::bad_request("the blob has no proper name", error.to_string(), "name it by its BLAKE3 digest")
    })?;
    let bytes = blob_length(request.headers())?;
    let mut body = StreamReader::new(paced(request.into_body())).take(bytes);
    let outcome = shared.backend.import(digest, bytes, &mut body).await;
    let Err(error) = outcome else { return Ok(StatusCode::NO_CONTENT) };
    drain(body, BLOB_DRAIN).await;
    Err(import_problem(digest, &error))
}

/// A body piece by piece; one that stands still ends with an error.
fn paced(body: Body) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin {
    let pieces = stream::unfold(body.into_data_stream(), |mut pieces| async move {
        let piece = match tokio::time::timeout(PAUSE_MAX, pieces.next()).await {
            Ok(piece) => piece?.map_err(std::io::Error::other),
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the sender stands still")),
        };
        Some((piece, pieces))
    });
    Box::pin(pieces)
}

/// Reads what is left of an upload that was refused, so that its sender, who writes before it reads,
/// gets to see why.
async fn drain(mut rest: impl AsyncRead + Unpin, patience: Duration) {
    let _ = tokio::time::timeout(patience, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// A whole body of at most `max` bytes. `name` says what it should be.
async fn read_body(request: Request, max: usize, name: &str) -> Result<Bytes, Problem> {
    let most = max as u64;
    let declared = declared_length(request.headers());
    let mut reader = StreamReader::new(paced(request.into_body()));
    let mut body = Vec::new();
    let mut too_large = declared.is_some_and(|bytes| bytes > most);
    if !too_large {
        (&mut reader).take(most + 1).read_to_end(&mut body).await.map_err(|error| {
            Problem::bad_request(&format!("the {name} cannot be read"), error.to_string(), "send it again")
        })?;
        too_large = body.len() > max;
    }
    if too_large {
        drain(reader, DOCUMENT_DRAIN).await;
        let (status, what) = (StatusCode::PAYLOAD_TOO_LARGE, format!("the {name} is too large"));
        let why = format!("{most} bytes are the most");
        return Err(Problem::new(status, &what, why, "check that this is the right file"));
    }
    Ok(body.into())
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

fn blob_length(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(bytes) = declared_length(headers) else {
        let status = StatusCode::LENGTH_REQUIRED;
        let why = "there is no Content-Length";
        return Err(Problem::new(status, "the blob's size is not known", why, "say it before the bytes"));
    };
    if bytes > BLOB_MAX {
        let why = format!("it has {bytes} bytes; {BLOB_MAX} is the most");
        let todo = "build the release again: its blobs are never that large";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the blob is too large", why, todo));
    }
    Ok(bytes)
}

fn import_problem(digest: Digest, error: &ImportError) -> Problem {
    let (status, todo) = match error {
        ImportError::Mismatch => {
            (StatusCode::UNPROCESSABLE_ENTITY, "the file was changed or damaged: build the release again")
        }
        ImportError::Incomplete(_) => (StatusCode::BAD_REQUEST, "send it again"),
        ImportError::NoSpace => {
            (StatusCode::INSUFFICIENT_STORAGE, "make room on the disk of the agent's `data`, then try again")
        }
        ImportError::Local(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "look at the agent's log and its disk, then try again")
        }
    };
    let what = format!("the blob {} was not stored", digest.short());
    Problem::new(status, &what, error.to_string(), todo)
}

async fn metrics_text<B: Backend>(State(shared): State<Shared<B>>) -> Response {
    ([(CONTENT_TYPE, OPENMETRICS)], shared.backend.metrics()).into_response()
}

async fn unknown_path(request: Request) -> Problem {
    let why = format!("there is nothing at {}", request.uri().path());
    let todo = "this agent speaks version 1 of the control API, at /v1; use the `swell` of its own version";
    Problem::new(StatusCode::NOT_FOUND, "no such request", why, todo)
}

async fn wrong_method(request: Request) -> Problem {
    let why = format!("{} cannot be asked with {}", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no such request", why, "see the control API's table")
}
