//! The network probes: one connection a try, to this machine, nothing followed and little read.

use super::note::shorten;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest head of an answer; hyper refuses a longer one.
const HEAD_MAX: usize = 16 * 1024;
/// How much of a failing answer's body is read for its first line, and how long that may take.
const BODY_MAX: usize = 1_024;
const BODY_TIME: Duration = Duration::from_millis(100);
/// How much of that line goes into the note.
const LINE_MAX: usize = 120;

/// Whether a connection is accepted.
pub(super) async fn connect(port: u16) -> Result<TcpStream, String> {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    connected.map_err(|error| format!("no connection to port {port}: {error}"))
}

/// Whether `GET path` answers with a status from 200 to 399.
pub(super) async fn get(port: u16, path: &str) -> Result<(), String> {
    let stream = connect(port).await?;
    let broken = |error: hyper::Error| format!("GET {path} on port {port} broke off: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get(path)
        .header(HOST, format!("127.0.0.1:{port}"))
        .header(USER_AGENT, "groundswell-probe")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("GET {path} cannot be asked: {error}"))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        judge(path, response).await
    };
    let transport = async {
        // Its errors reach the exchange, which alone decides.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = exchange => outcome,
        () = transport => Err(format!("GET {path} on port {port} broke off")),
    }
}

async fn judge(path: &str, response: Response<Incoming>) -> Result<(), String> {
    let status = response.status().as_u16();
    if (200..400).contains(&status) {
        return Ok(());
    }
    let complaint = format!("GET {path} answered {status}");
    let line = tokio::time::timeout(BODY_TIME, first_line(response.into_body())).await.ok().flatten();
    Err(match line {
        Some(line) => format!("{complaint} \"{}\"", shorten(&line, LINE_MAX)),
        None => complaint,
    })
}

async fn first_line(mut body: Incoming) -> Option<String> {
    let mut start = Vec::new();
    while start.len() < BODY_MAX {
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Some(data) = frame.data_ref() {
            start.extend_from_slice(&data[..data.len().min(BODY_MAX - start.len())]);
        }
    }
    let text = String::from_utf8_lossy(&start);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
