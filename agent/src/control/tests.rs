//! Server and client against each other over a real socket.

use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;

use groundswell_protocol::bounds::NOTE_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, RolloutId, Statement};
use groundswell_protocol::node::event::{Event, Refusal};
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::policy::FleetId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Backend;
use super::api::{BLOB_MAX, DIGESTS_MAX, FACT_BODY_MAX, StreamLine, Submitted};
use super::client::{Client, ClientErrorKind};
use super::command;
use super::events::RING_MAX;
use super::server::{BindError, Server};
use super::testing::{House, PATIENCE, fleet, key, rollout, status};

/// Sends raw bytes and returns the whole answer.
async fn raw(house: &House, request: &[u8]) -> String {
    converse(UnixStream::connect(house.socket()).await.unwrap(), request).await
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    // A server that has refused already may have closed its end.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn status_and_metrics_are_served() {
    let house = House::new().await;
    assert_eq!(house.client.status().await.unwrap(), house.fake.status().await);
    assert_eq!(house.client.metrics().await.unwrap(), "# EOF\n");
    house.stop().await;
}

#[tokio::test]
async fn only_the_owner_may_open_the_socket_and_it_goes_with_the_agent() {
    let house = House::new().await;
    let mode = std::fs::symlink_metadata(house.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        std::fs::read_dir(house.directory.path()).unwrap().count(),
        1,
        "nothing else is left beside it"
    );
    let (client, socket) = (house.client.clone(), house.socket());
    house.stop().await;
    assert!(!socket.exists());
    let error = client.status().await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::NotRunning);
}

#[tokio::test]
async fn a_second_agent_is_refused_and_the_first_goes_on() {
    let house = House::new().await;
    let second = Server::bind(house.socket(), None).await;
    assert!(matches!(second, Err(BindError::InUse(_))));
    house.client.status().await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "the file stays, as after a kill");
    let error = Client::new(&socket).status().await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::NotRunning);
    let server = Server::bind(&socket, None).await.unwrap();
    drop(server);
    assert!(!socket.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    std::fs::write(&socket, "precious").unwrap();
    assert!(matches!(Server::bind(&socket, None).await, Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "precious");
    let long = directory.path().join("x".repeat(120));
    assert!(matches!(Server::bind(&long, None).await, Err(BindError::TooLong(_))));
    let nowhere = directory.path().join("missing/agent.sock");
    assert!(matches!(Server::bind(&nowhere, None).await, Err(BindError::Local { .. })));
}

#[tokio::test]
async fn a_successor_s_socket_is_not_removed() {
    let house = House::new().await;
    let socket = house.socket();
    std::fs::remove_file(&socket).unwrap();
    let successor = Server::bind(&socket, None).await.unwrap();
    house.stop.cancel();
    timeout(PATIENCE, house.serving).await.unwrap().unwrap();
    assert!(socket.exists());
    drop(successor);
}

fn next_number(line: Option<StreamLine>) -> u64 {
    match line {
        Some(StreamLine::Event(line)) => line.number,
        other => panic!("expected an event, got {other:?}"),
    }
}

#[tokio::test]
async fn events_come_from_the_ring_and_then_live_until_the_agent_stops() {
    let house = House::new().await;
    for version in 1..=3 {
        house.fake.log.push(Event::Policy { version });
    }
    let mut events = house.client.events(1).await.unwrap();
    assert_eq!(next_number(events.next().await.unwrap()), 2);
    assert_eq!(next_number(events.next().await.unwrap()), 3);
    let vote = Event::Conflict { what: "two policies of version 3".into() };
    house.fake.log.push(vote.clone());
    match timeout(PATIENCE, events.next()).await.unwrap().unwrap() {
        Some(StreamLine::Event(line)) => assert_eq!((line.number, line.event), (4, vote)),
        other => panic!("expected an event, got {other:?}"),
    }
    house.stop().await;
    assert_eq!(timeout(PATIENCE, events.next()).await.unwrap().ok().flatten(), None);
}

#[tokio::test]
async fn a_reader_that_lags_is_told_and_holds_nobody_up() {
    let house = House::new().await;
    house.fake.log.push(Event::Policy { version: 1 });
    let mut events = house.client.events(0).await.unwrap();
    assert_eq!(next_number(events.next().await.unwrap()), 1);
    // Far more than the ring and all buffers between here and there can hold.
    let total = RING_MAX as u64 * 40;
    for _ in 1..total {
        house.fake.log.push(Event::Conflict { what: "x".repeat(NOTE_MAX) });
        tokio::task::yield_now().await;
    }
    let (mut last, mut missed_in_all) = (1, 0);
    while last < total {
        match timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap() {
            StreamLine::Missed { missed } => {
                missed_in_all += missed;
                last += missed;
            }
            StreamLine::Event(line) => {
                assert_eq!(line.number, last + 1, "every gap is announced");
                last = line.number;
            }
        }
    }
    assert!(missed_in_all > 0);
    house.stop().await;
}

#[tokio::test]
async fn facts_get_the_node_s_verdict() {
    let house = House::new().await;
    let rollout = rollout();
    let fact = command::signed(&status(), &rollout, command::pause(&rollout), "line one\nline two", &key());
    assert_eq!(house.client.submit(&fact).await.unwrap(), Submitted::Accepted);
    assert_eq!(house.client.submit(&fact).await.unwrap(), Submitted::Known);
    let statement = Fact::read(fleet(), fact.clone()).unwrap().statement;
    let Statement::Command(command) = statement else { panic!("not a command") };
    assert_eq!(command.instruction, Instruction::Flow { counter: 5, pause: true });
    assert_eq!((command.policy, command.note.as_str()), (3, "line one line two"));
    assert_eq!(house.client.trust().await.unwrap(), std::slice::from_ref(&fact));

    let mut elsewhere = status();
    elsewhere.fleet = FleetId(Digest::of(b"another fleet"));
    let fact = command::signed(&elsewhere, &rollout, Instruction::Stop, "", &key());
    let error = house.client.submit(&fact).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Refused);
    assert_eq!(error.why, Refusal::OtherFleet.words());
    house.stop().await;
}

#[tokio::test]
async fn a_blob_is_taken_whole_and_true_or_not_at_all() {
    let house = House::new().await;
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).take(700_000).collect();
    let digest = Digest::of(&content);
    let other = Digest::of(b"other");
    let bytes = content.len() as u64;
    let put = async |digest, bytes, content: &[u8]| {
        house.client.put_blob(digest, bytes, Cursor::new(content.to_vec())).await.map_err(|error| error.kind)
    };

    assert_eq!(put(other, bytes, &content).await, Err(ClientErrorKind::BadInput), "another digest");
    assert_eq!(put(digest, bytes, &content[1..]).await, Err(ClientErrorKind::BadInput), "too short");
    assert_eq!(put(digest, bytes - 1, &content).await, Err(ClientErrorKind::BadInput), "too long");
    assert_eq!(house.client.missing(&[digest, other]).await.unwrap(), [digest, other], "nothing was kept");

    assert_eq!(put(digest, bytes, &content).await, Ok(()));
    assert_eq!(house.client.missing(&[digest, other]).await.unwrap(), [other]);
    assert_eq!(put(Digest::of(b""), 0, b"").await, Ok(()), "an empty blob");
    house.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_told_to_a_sender_that_is_still_sending() {
    let house = House::new().await;
    let content = vec![1; 8_000_000];
    let outcome = house.client.put_blob(Digest::of(&content), 8_000_000, Cursor::new(content)).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Disk);
    assert!(error.todo.contains("make room"), "{error:?}");
    house.stop().await;
}

#[tokio::test]
async fn a_sender_that_vanishes_leaves_nothing() {
    let house = House::new().await;
    let digest = Digest::of(b"hello");
    let mut stream = UnixStream::connect(house.socket()).await.unwrap();
    let head = format!("PUT /v1/blobs/{digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(house.client.missing(&[digest]).await.unwrap(), [digest]);
    house.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_refused_in_words() {
    let house = House::new().await;
    let digest = Digest::of(b"x");
    let blob = format!("PUT /v1/blobs/{digest}");
    let cases = [
        ("GET /v1/nothing", String::new(), 404),
        ("GET /v2/status", String::new(), 404),
        ("DELETE /v1/status", String::new(), 405),
        ("GET /v1/events?after=x", String::new(), 400),
        ("POST /v1/facts", "Content-Length: 3\r\n\r\nabc".into(), 400),
        ("POST /v1/facts", format!("Content-Length: {}\r\n\r\n", FACT_BODY_MAX + 1), 413),
        ("POST /v1/blobs/missing", "Content-Length: 2\r\n\r\n{}".into(), 400),
        ("PUT /v1/blobs/abc", "Content-Length: 0\r\n\r\n".into(), 400),
        (&blob, format!("Content-Length: {}\r\n\r\n", BLOB_MAX + 1), 413),
        (&blob, "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".into(), 411),
    ];
    for (ask, rest, code) in cases {
        let rest = if rest.is_empty() { "\r\n" } else { &rest };
        let request = format!("{ask} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{rest}");
        let answer = raw(&house, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request}\n{answer}");
        assert!(answer.contains("\"todo\":"), "{request}\n{answer}");
    }
    house.stop().await;
}

#[tokio::test]
async fn hostile_bytes_leave_the_server_answering() {
    let house = House::new().await;
    let long_head = [b"GET /".as_slice(), &[b'a'; 200_000], b" HTTP/1.1\r\n\r\n"].concat();
    for request in [&b"\0\x01\x02garbage\r\n\r\n"[..], &long_head, b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = raw(&house, request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    house.client.status().await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn the_tcp_address_serves_metrics_alone() {
    let house = House::new().await;
    let ask = async |path: &str| {
        let stream = TcpStream::connect(house.metrics).await.unwrap();
        converse(stream, format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
            .await
    };
    let metrics = ask("/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 ") && metrics.ends_with("# EOF\n"), "{metrics}");
    for path in ["/v1/status", "/v1/events", "/v1/trust", "/"] {
        let answer = ask(path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    let taken = Server::bind(house.directory.path().join("other.sock"), Some(house.metrics)).await;
    assert!(matches!(taken, Err(BindError::Metrics(..))));
    assert!(!house.directory.path().join("other.sock").exists());
    house.stop().await;
}

#[tokio::test]
async fn a_budget_arrives_whole_and_one_out_of_bounds_is_bad_input() {
    let house = House::new().await;
    let release = RolloutId(Digest::of(b"a release"));
    let digests: Vec<Digest> =
        (0..DIGESTS_MAX as u64 + 3).map(|n| Digest::of(&u64::to_le_bytes(n))).collect();
    house.client.set_egress(release, 1_050, &digests).await.unwrap();
    let parts: Vec<usize> =
        house.fake.budgets.lock().unwrap().iter().map(|budget| budget.digests.len()).collect();
    assert_eq!(parts, [DIGESTS_MAX, 3]);
    let refused = house.client.set_egress(release, 500, &digests[..1]).await.unwrap_err();
    assert_eq!((refused.kind, refused.why.as_str()), (ClientErrorKind::BadInput, "too little"));
    house.stop().await;
}
