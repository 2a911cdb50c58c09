//! Probes against real sockets and processes.

use super::{Monitor, Subject};
use crate::service::{ServiceState, ServiceStatus};
use groundswell_protocol::facts::health::{Health, HealthReport, NOTE_MAX};
use groundswell_protocol::trust::probe::{Probe, ProbeAction, ProbeFault};
use rustix::process::{Pid, test_kill_process};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(20);

struct Watched {
    reports: mpsc::Receiver<HealthReport>,
    monitor: Monitor,
}

impl Watched {
    fn start(probes: Vec<Probe>, subject: Subject) -> Self {
        let (sender, reports) = mpsc::channel(4);
        let monitor = Monitor::start(probes, subject, sender).expect("valid probes");
        Self { reports, monitor }
    }

    /// The first report with this verdict.
    async fn until(&mut self, health: Health) -> HealthReport {
        timeout(DEADLINE, async {
            loop {
                let report = self.reports.recv().await.expect("the monitor runs");
                assert!(report.note.len() <= NOTE_MAX);
                if report.health == health {
                    return report;
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("no report said {health:?}"))
    }
}

fn quick(action: ProbeAction) -> Probe {
    Probe { period_ms: 100, timeout_ms: 5_000, failure_threshold: 2, ..Probe::new(action) }
}

fn get(port: u16) -> Probe {
    quick(ProbeAction::Http { port, path: "/health".to_owned() })
}

fn shell(script: &str) -> Probe {
    quick(ProbeAction::Exec { command: ["sh", "-c", script].map(str::to_owned).to_vec() })
}

fn bare(slot: &Path) -> Subject {
    Subject { slot: slot.to_owned(), first_port: None, service: None }
}

fn slot() -> TempDir {
    tempfile::tempdir().expect("directory")
}

/// Answers every connection with these bytes, `repeat` times the last part, and then waits for its end.
async fn answering(head: &'static str, filler: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1_024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(head.as_bytes()).await;
                let chunk = vec![b'x'; 64 * 1024];
                for _ in 0..filler {
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                let _ = stream.read(&mut request).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn an_http_probe_passes_on_200_and_on_a_redirect_it_does_not_follow() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        // Gigabytes are promised, and sent for as long as somebody reads.
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    ] {
        let port = answering(head, if head.contains("999") { 1_000_000 } else { 0 }).await;
        let slot = slot();
        let subject = Subject { first_port: Some(port), ..bare(slot.path()) };
        let report = Watched::start(vec![get(0)], subject).until(Health::Healthy).await;
        assert!(report.numbers.passed >= 1 && report.numbers.slowest_micros > 0, "{report:?}");
        assert_eq!(report.note, "the probe passes");
    }
}

#[tokio::test]
async fn an_http_probe_fails_at_its_threshold_and_says_why() {
    let port =
        answering("HTTP/1.1 500 Oops\r\nContent-Length: 99999999\r\n\r\ndatabase is away\n", 1_000).await;
    let slot = slot();
    let report = Watched::start(vec![get(port)], bare(slot.path())).until(Health::Unhealthy).await;
    assert_eq!(report.note, "GET /health answered 500 \"database is away\", 2 times in a row");
    assert_eq!((report.numbers.failed, report.numbers.failed_in_a_row), (2, 2));
}

#[tokio::test]
async fn an_answer_that_never_comes_or_is_garbage_is_a_failure() {
    let silent = answering("", 0).await;
    let garbage = answering("SSH-2.0-OpenSSH_9.9\r\n", 0).await;
    let endless_head = answering("HTTP/1.1 200 OK\r\nX-Filler: ", 100_000).await;
    let slot = slot();
    let hasty = Probe { timeout_ms: 50, failure_threshold: 1, ..get(silent) };
    let report = Watched::start(vec![hasty], bare(slot.path())).until(Health::Unhealthy).await;
    assert_eq!(report.note, "GET /health did not answer within 50ms");
    for port in [garbage, endless_head] {
        let report = Watched::start(vec![get(port)], bare(slot.path())).until(Health::Unhealthy).await;
        assert!(report.note.contains("broke off"), "{}", report.note);
    }
}

#[tokio::test]
async fn a_tcp_probe_follows_the_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let slot = slot();
    let mut watched = Watched::start(vec![quick(ProbeAction::Tcp { port })], bare(slot.path()));
    watched.until(Health::Healthy).await;
    drop(listener);
    let report = watched.until(Health::Unhealthy).await;
    assert!(report.note.contains(&format!("port {port}")), "{}", report.note);
    let _listener = TcpListener::bind(("127.0.0.1", port)).await.expect("bind again");
    watched.until(Health::Healthy).await;
}

#[tokio::test]
async fn port_0_without_a_socket_is_explained() {
    let slot = slot();
    let report = Watched::start(vec![get(0)], bare(slot.path())).until(Health::Unhealthy).await;
    assert!(report.note.contains("listens on none"), "{}", report.note);
}

#[tokio::test]
async fn an_exec_probe_runs_in_the_slot_and_its_last_line_is_the_reason() {
    let slot = slot();
    std::fs::write(slot.path().join("data"), "x").expect("write");
    let mut watched = Watched::start(
        vec![shell("test -e data || { echo first; echo no data >&2; exit 3; }")],
        bare(slot.path()),
    );
    watched.until(Health::Healthy).await;
    std::fs::remove_file(slot.path().join("data")).expect("remove");
    let report = watched.until(Health::Unhealthy).await;
    assert!(report.note.contains("exit status: 3: no data, 2 times in a row"), "{}", report.note);
    let missing = quick(ProbeAction::Exec { command: vec!["bin/missing".to_owned()] });
    let report = Watched::start(vec![missing], bare(slot.path())).until(Health::Unhealthy).await;
    assert!(report.note.contains("`bin/missing` cannot be run"), "{}", report.note);
}

#[tokio::test]
async fn a_flood_of_output_is_bounded() {
    let slot = slot();
    let flood = shell("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo done; exit 1");
    let probe = Probe { timeout_ms: 15_000, failure_threshold: 1, ..flood };
    let report = Watched::start(vec![probe], bare(slot.path())).until(Health::Unhealthy).await;
    assert!(report.note.ends_with("exit status: 1: done"), "{}", report.note);
}

async fn pid_in(path: &Path) -> Pid {
    timeout(DEADLINE, async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if let Some(pid) =
                text.strip_suffix('\n').and_then(|text| text.parse().ok()).and_then(Pid::from_raw)
            {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the command wrote its grandchild's number")
}

async fn gone(pid: Pid) {
    let deadline = Instant::now() + DEADLINE;
    while test_kill_process(pid).is_ok() {
        // Ended but unreaped counts as gone: reaping an orphan is up to the machine's first process.
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if stat.contains(") Z ") {
            return;
        }
        assert!(Instant::now() < deadline, "the grandchild lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_hanging_command_is_killed_with_its_grandchildren() {
    let slot = slot();
    let hang = "trap '' TERM; sleep 600 & echo $! > pid.new; mv pid.new pid; echo waiting; wait";
    let probe = Probe { timeout_ms: 800, failure_threshold: 1, period_ms: 60_000, ..shell(hang) };
    let mut watched = Watched::start(vec![probe], bare(slot.path()));
    let report = watched.until(Health::Unhealthy).await;
    assert!(report.note.contains("did not end within 800ms"), "{}", report.note);
    gone(pid_in(&slot.path().join("pid")).await).await;
}

#[tokio::test]
async fn a_dropped_monitor_kills_what_it_was_running() {
    let slot = slot();
    let hang = "sleep 600 & echo $! > pid.new; mv pid.new pid; wait";
    let probe = Probe { timeout_ms: 600_000, ..shell(hang) };
    let mut watched = Watched::start(vec![probe], bare(slot.path()));
    let grandchild = pid_in(&slot.path().join("pid")).await;
    drop(watched.monitor);
    gone(grandchild).await;
    let end = timeout(DEADLINE, async { while watched.reports.recv().await.is_some() {} });
    end.await.expect("the reports end");
}

#[tokio::test]
async fn a_service_without_probes_is_judged_by_its_process() {
    let running = ServiceStatus { state: ServiceState::Running, pid: Some(1), ..ServiceStatus::default() };
    let (status, service) = watch::channel(running);
    let slot = slot();
    let mut watched = Watched::start(Vec::new(), Subject { service: Some(service), ..bare(slot.path()) });
    assert!(watched.until(Health::Healthy).await.numbers.passed >= 2);
    status.send_modify(|status| {
        status.restarts = 1;
        status.last_exit = Some("signal: 11 (SIGSEGV)".to_owned());
        status.last_lines = vec!["about to crash".to_owned()];
    });
    let report = watched.until(Health::Unhealthy).await;
    assert_eq!(report.note, "the process ended (signal: 11 (SIGSEGV)), restart 1: about to crash");
    assert_eq!(report.numbers.restarts, 1);
    watched.until(Health::Healthy).await;
    status.send_modify(|status| status.state = ServiceState::Stopped);
    assert_eq!(watched.until(Health::Unhealthy).await.note, "the process is stopped");
}

#[tokio::test]
async fn a_component_without_process_and_probes_is_healthy_when_asked() {
    let slot = slot();
    let report = Watched::start(Vec::new(), bare(slot.path())).until(Health::Healthy).await;
    assert_eq!(report.note, "there is nothing to probe");
}

#[tokio::test]
async fn numbers_are_refreshed_and_the_initial_delay_is_kept() {
    let slot = slot();
    let late = Probe { initial_delay_ms: 1_500, ..shell("true") };
    let mut watched = Watched::start(vec![late], bare(slot.path()));
    let early = watched.until(Health::Unknown).await;
    assert_eq!(early.numbers.passed, 0, "the report of the first second knows of no try");
    let first = watched.until(Health::Healthy).await;
    assert!(first.numbers.after_ms >= 1_500, "{first:?}");
    let second = watched.until(Health::Healthy).await;
    assert!(second.numbers.passed > first.numbers.passed && second.numbers.after_ms > first.numbers.after_ms);
}

#[tokio::test]
async fn a_probe_out_of_bounds_is_refused() {
    let (reports, _receiver) = mpsc::channel(1);
    let probe = Probe { period_ms: 0, ..shell("true") };
    let refused = Monitor::start(vec![probe], bare(Path::new("/")), reports);
    assert!(matches!(refused, Err(ProbeFault::OutOfBounds { field: "period_ms", .. })));
}
