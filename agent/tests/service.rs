//! The supervisor against real processes: the `swell` binary is both its shim and the service.

use groundswell_agent::health::{Monitor, Subject};
use groundswell_agent::service::{
    Readiness, ServiceError, ServiceSettings, ServiceState, ServiceStatus, Succession, Supervisor,
};
use groundswell_protocol::facts::health::Health;
use groundswell_protocol::trust::probe::{Probe, ProbeAction};
use rustix::process::{Pid, test_kill_process};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const SWELL: &str = env!("CARGO_BIN_EXE_swell");
/// Everything waited for here comes in well under a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(30);

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("directory") }
    }

    /// A slot with a version of the demo's service.
    fn slot(&self, version: &str, more: &str) -> PathBuf {
        let slot = self.directory.path().join(version);
        std::fs::create_dir(&slot).expect("slot");
        let text = format!("version = \"{version}\"\n{more}\n");
        std::fs::write(slot.join("service.toml"), text).expect("settings");
        slot
    }

    fn settings(&self) -> ServiceSettings {
        ServiceSettings {
            name: "web".to_owned(),
            run: [SWELL, "demo-service", "."].map(str::to_owned).to_vec(),
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            environment: BTreeMap::new(),
            grace: Duration::from_secs(10),
            ready: Readiness::Notify { within: DEADLINE },
            succession: Succession::Overlap,
            state_directory: self.directory.path().join("state"),
            shim: PathBuf::from(SWELL),
        }
    }

    /// Settings that run a script instead of the demo's service.
    fn script(&self, shell: &str, script: &str) -> ServiceSettings {
        ServiceSettings {
            run: [shell, "-c", script].map(str::to_owned).to_vec(),
            ready: Readiness::Settle(Duration::from_millis(100)),
            ..self.settings()
        }
    }

    fn records(&self) -> usize {
        let records = std::fs::read_dir(self.directory.path().join("state/processes"));
        records.expect("records").count()
    }
}

/// One request on a connection of its own: the body of a 200, or what went wrong.
async fn request(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.strip_prefix("HTTP/1.1 200 OK\r\n").and_then(|rest| rest.split_once("\r\n\r\n"));
    let body = body.ok_or_else(|| io::Error::other(format!("answered {answer:?}")))?;
    Ok(body.1.trim().to_owned())
}

async fn served_version(address: SocketAddr) -> String {
    timeout(DEADLINE, request(address)).await.expect("an answer in time").expect("a good answer")
}

/// Clients that open a connection per request, never retry, and count.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU32>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let client = |_| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) && failures.len() < 10 {
                    match timeout(DEADLINE, request(address)).await {
                        Ok(Ok(_)) => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(Err(error)) => failures.push(error.to_string()),
                        Err(_) => failures.push("no answer".to_owned()),
                    }
                }
                failures
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, served, clients }
    }

    /// Waits until this many more requests were served.
    async fn more(&self, count: u32) {
        let goal = self.served.load(Ordering::Relaxed) + count;
        let deadline = Instant::now() + DEADLINE;
        while self.served.load(Ordering::Relaxed) < goal && self.clients.iter().any(|one| !one.is_finished())
        {
            assert!(Instant::now() < deadline, "the load stands still");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the load: requests served, and what failed.
    async fn end(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await.expect("client"));
        }
        (self.served.load(Ordering::Relaxed), failures)
    }
}

async fn until(
    supervisor: &Supervisor,
    what: &str,
    holds: impl FnMut(&ServiceStatus) -> bool,
) -> ServiceStatus {
    let mut status = supervisor.status();
    let found = timeout(DEADLINE, status.wait_for(holds)).await;
    found.unwrap_or_else(|_| panic!("not in time: {what}")).expect("the supervisor lives").clone()
}

fn runs(pid: u32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).expect("small")).expect("not 0");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z ")
}

async fn until_gone(pid: u32) {
    let deadline = Instant::now() + DEADLINE;
    while runs(pid) {
        assert!(Instant::now() < deadline, "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn read_when_there(path: &Path) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        assert!(Instant::now() < deadline, "{} never came", path.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_switches_under_load_fail_no_request() {
    let place = Place::new();
    let supervisor = Supervisor::open(place.settings()).await.expect("open");
    let address = supervisor.addresses()[0];
    let first = supervisor.switch_to(&place.slot("1.0.0", "")).await.expect("first version");
    let load = Load::start(address, 8);
    let mut slowest = Duration::ZERO;
    for number in 1..=10 {
        load.more(50).await;
        let slot = place.slot(&format!("1.{number}.0"), "");
        let begun = Instant::now();
        supervisor.switch_to(&slot).await.expect("switch");
        slowest = slowest.max(begun.elapsed());
    }
    load.more(50).await;
    let (served, failures) = load.end().await;
    println!("{served} requests over 10 switches, slowest switch {slowest:?}");
    assert_eq!(failures, Vec::<String>::new());
    until_gone(first.pid).await;
    let last =
        until(&supervisor, "the last version runs", |status| status.state == ServiceState::Running).await;
    assert!(last.resident_bytes().expect("memory") > 0);
    supervisor.stop().await;
    until_gone(last.pid.expect("pid")).await;
    assert_eq!(place.records(), 0, "whoever was reaped has no record any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_does_not_come_up_is_reported_and_the_old_one_serves_on() {
    let place = Place::new();
    let ready = Readiness::Notify { within: Duration::from_millis(1_500) };
    let supervisor = Supervisor::open(ServiceSettings { ready, ..place.settings() }).await.expect("open");
    let address = supervisor.addresses()[0];

    let broken = place.slot("broken", "unknown_setting = true");
    let first = supervisor.switch_to(&broken).await.unwrap_err();
    assert!(first.to_string().contains("no version is serving"), "{first}");
    assert_eq!(supervisor.status().borrow().state, ServiceState::Stopped);

    let good = supervisor.switch_to(&place.slot("good", "")).await.expect("good version");
    let load = Load::start(address, 2);
    let error = supervisor.switch_to(&broken).await.unwrap_err();
    let ServiceError::EndedEarly { exit, last_lines, still_serving, .. } = &error else { panic!("{error}") };
    assert!(exit.starts_with("exit status: ") && *still_serving, "{exit}");
    assert!(last_lines.iter().any(|line| line.contains("unknown_setting")), "{last_lines:?}");

    let slow = supervisor.switch_to(&place.slot("slow", "start_delay_ms = 60000")).await.unwrap_err();
    assert!(matches!(slow, ServiceError::NotReady { still_serving: true, .. }), "{slow}");
    assert!(slow.to_string().contains("was not ready within 1.5s"), "{slow}");
    let (served, failures) = load.end().await;
    assert!(served > 0 && failures.is_empty(), "{failures:?}");
    let status = supervisor.status().borrow().clone();
    assert_eq!((status.pid, status.restarts), (Some(good.pid), 0));
    assert_eq!(served_version(address).await, "good");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_slot_without_the_program_is_the_releases_fault() {
    let place = Place::new();
    let settings = ServiceSettings { run: vec!["bin/web".to_owned()], ..place.settings() };
    let supervisor = Supervisor::open(settings).await.expect("open");
    let error = supervisor.switch_to(&place.slot("1", "")).await.unwrap_err();
    assert!(
        matches!(error, ServiceError::Program { .. }) && error.to_string().contains("bin/web"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_overtakes_a_switch_that_waits_and_is_quick() {
    let place = Place::new();
    let supervisor = Arc::new(Supervisor::open(place.settings()).await.expect("open"));
    let address = supervisor.addresses()[0];
    let good = place.slot("good", "");
    supervisor.switch_to(&good).await.expect("good version");
    let slow = place.slot("slow", "start_delay_ms = 600000");
    let waiting = tokio::spawn({
        let supervisor = Arc::clone(&supervisor);
        async move { supervisor.switch_to(&slow).await }
    });
    // Its record is the sign that the slow version was started.
    let deadline = Instant::now() + DEADLINE;
    while place.records() < 2 {
        assert!(Instant::now() < deadline, "the slow version was never started");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    supervisor.switch_to(&good).await.expect("revert");
    println!("reverted over a waiting switch in {:?}", begun.elapsed());
    assert!(matches!(waiting.await.expect("task"), Err(ServiceError::Superseded { .. })));
    assert_eq!(served_version(address).await, "good");
    supervisor.stop().await;
    assert_eq!(place.records(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_turns_bad_is_noticed_and_the_old_one_serves_again() {
    let place = Place::new();
    let supervisor = Supervisor::open(place.settings()).await.expect("open");
    let address = supervisor.addresses()[0];
    let good = place.slot("good", "");
    supervisor.switch_to(&good).await.expect("good version");
    let bad = place.slot("bad", "fail_after_ms = 500");
    supervisor.switch_to(&bad).await.expect("bad version");
    let (sender, mut reports) = mpsc::channel(4);
    let health = ProbeAction::Http { port: 0, path: "/health".to_owned() };
    let probe = Probe { period_ms: 100, ..Probe::new(health) };
    let subject = Subject { slot: bad, first_port: Some(address.port()), service: Some(supervisor.status()) };
    let monitor = Monitor::start(vec![probe], subject, sender).expect("monitor");
    let first = timeout(DEADLINE, reports.recv()).await.expect("in time").expect("a report");
    assert_eq!(first.health, Health::Healthy, "it starts well: {first:?}");
    let begun = loop {
        if request(address).await.is_err() {
            break Instant::now();
        }
    };
    let report = timeout(DEADLINE, async {
        loop {
            let report = reports.recv().await.expect("a report");
            if report.health == Health::Unhealthy {
                return report;
            }
        }
    });
    let report = report.await.expect("it turns unhealthy");
    assert_eq!(report.note, "GET /health answered 500 \"version bad has failed\", 3 times in a row");
    drop(monitor);
    supervisor.switch_to(&good).await.expect("revert");
    println!("from the first failed answer to the old version serving: {:?}", begun.elapsed());
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashing_service_is_started_again_and_its_callers_wait() {
    let place = Place::new();
    let supervisor = Supervisor::open(place.settings()).await.expect("open");
    let address = supervisor.addresses()[0];
    supervisor.switch_to(&place.slot("frail", "exit_after_ms = 300")).await.expect("start");
    let crashed = until(&supervisor, "an end", |status| status.restarts == 1).await;
    assert_eq!(crashed.last_exit.as_deref(), Some("exit status: 1"));
    assert!(crashed.last_lines.iter().any(|line| line.contains("ends by itself")), "{crashed:?}");
    assert_eq!(served_version(address).await, "frail", "a request in the pause waits for the restart");
    let begun = Instant::now();
    until(&supervisor, "more ends", |status| status.restarts >= 3).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "the pauses grow: {:?}", begun.elapsed());
    supervisor.switch_to(&place.slot("sound", "")).await.expect("switch");
    let status = supervisor.status().borrow().clone();
    assert_eq!((status.restarts, status.last_exit), (0, None), "a new version has a clean record");
    assert_eq!(served_version(address).await, "sound");
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stubborn_group_gets_its_grace_and_then_ends() {
    let place = Place::new();
    let script = "trap '' TERM; sh -c 'echo $$ > grandchild.new; mv grandchild.new grandchild; \
                  while :; do sleep 600; done' & while :; do sleep 600; done";
    let settings = ServiceSettings { grace: Duration::from_millis(400), ..place.script("sh", script) };
    let supervisor = Supervisor::open(settings).await.expect("open");
    let slot = place.slot("stubborn", "");
    let leader = supervisor.switch_to(&slot).await.expect("start").pid;
    let grandchild: u32 = read_when_there(&slot.join("grandchild")).await.trim().parse().expect("number");
    let begun = Instant::now();
    supervisor.stop().await;
    assert!(begun.elapsed() >= Duration::from_millis(400), "it had its grace");
    assert!(!runs(leader));
    until_gone(grandchild).await;
    assert_eq!(supervisor.status().borrow().state, ServiceState::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_outlives_its_agent_and_the_next_one_takes_its_socket() {
    let place = Place::new();
    let supervisor = Supervisor::open(place.settings()).await.expect("open");
    let address = supervisor.addresses()[0];
    let orphan = supervisor.switch_to(&place.slot("1", "")).await.expect("start").pid;
    let load = Load::start(address, 4);
    supervisor.leave().await;
    load.more(50).await;

    let settings = ServiceSettings { listen: vec![address], ..place.settings() };
    let next = Supervisor::open(settings).await.expect("the next agent");
    let status = next.status().borrow().clone();
    assert_eq!((status.state, status.pid), (ServiceState::Running, Some(orphan)));
    load.more(50).await;
    next.switch_to(&place.slot("2", "")).await.expect("switch");
    load.more(50).await;
    let (served, failures) = load.end().await;
    println!("{served} requests over the change of agents");
    assert_eq!(failures, Vec::<String>::new());
    until_gone(orphan).await;
    assert_eq!(served_version(address).await, "2");
    next.stop().await;
    assert_eq!(place.records(), 0);
}

#[test]
fn an_agent_killed_in_the_middle_of_a_switch_leaves_nothing_behind_for_long() {
    let place = Place::new();
    let runtime = || tokio::runtime::Runtime::new().expect("runtime");
    let agent = runtime();
    let (address, good, slow) = agent.block_on(async {
        let supervisor = Supervisor::open(place.settings()).await.expect("open");
        let address = supervisor.addresses()[0];
        let good = supervisor.switch_to(&place.slot("good", "")).await.expect("start").pid;
        let slow = place.slot("slow", "start_delay_ms = 600000");
        tokio::spawn(async move { supervisor.switch_to(&slow).await });
        let slow = timeout(DEADLINE, async {
            loop {
                let names =
                    std::fs::read_dir(place.directory.path().join("state/processes")).expect("records");
                let numbers = names.filter_map(|name| name.ok()?.file_name().to_str()?.parse::<u32>().ok());
                if let Some(slow) = numbers.into_iter().find(|pid| *pid != good) {
                    return slow;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        (address, good, slow.await.expect("the second version was started"))
    });
    // No task gets to say goodbye.
    agent.shutdown_background();
    runtime().block_on(async {
        assert_eq!(served_version(address).await, "good");
        let deadline = Instant::now() + DEADLINE;
        let next = loop {
            let settings = ServiceSettings { listen: vec![address], ..place.settings() };
            match Supervisor::open(settings).await {
                // The tasks of the dead agent are dropped in the background.
                Err(ServiceError::Supervised { .. }) if Instant::now() < deadline => {}
                other => break other.expect("the next agent"),
            }
        };
        assert!(runs(good) && runs(slow));
        assert_eq!(next.status().borrow().state, ServiceState::Running);
        next.switch_to(&place.slot("next", "")).await.expect("switch");
        until_gone(good).await;
        until_gone(slow).await;
        assert_eq!(served_version(address).await, "next");
        next.stop().await;
        assert_eq!(place.records(), 0);
        let state = std::fs::read_dir(place.directory.path().join("state")).expect("state");
        let names: Vec<_> = state.map(|entry| entry.expect("entry").file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("notify-")), "{names:?}");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_whose_socket_cannot_be_taken_is_ended_first() {
    let place = Place::new();
    // Descriptor 40 is out of the range that the next agent looks at.
    let script = "exec 40<&3 3<&-; echo hidden > hidden; exec sleep 600";
    let supervisor = Supervisor::open(place.script("bash", script)).await.expect("open");
    let address = supervisor.addresses()[0];
    let slot = place.slot("1", "");
    let orphan = supervisor.switch_to(&slot).await.expect("start").pid;
    read_when_there(&slot.join("hidden")).await;
    supervisor.leave().await;

    let settings = ServiceSettings { listen: vec![address], ..place.settings() };
    let next = Supervisor::open(settings).await.expect("the next agent");
    assert!(!runs(orphan));
    assert_eq!(next.status().borrow().state, ServiceState::Stopped);
    next.switch_to(&place.slot("2", "")).await.expect("switch");
    assert_eq!(served_version(address).await, "2");
    next.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_owner_and_harms_no_orphan() {
    let place = Place::new();
    let first = Supervisor::open(place.settings()).await.expect("open");
    let orphan = first.switch_to(&place.slot("1", "")).await.expect("start").pid;
    let address = first.addresses()[0];
    let twice = Supervisor::open(place.settings()).await.unwrap_err();
    assert!(matches!(twice, ServiceError::Supervised { .. }), "{twice}");
    first.leave().await;

    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let taken = stranger.local_addr().expect("address");
    let settings = ServiceSettings { listen: vec![address, taken], ..place.settings() };
    let error = Supervisor::open(settings).await.unwrap_err();
    let (address_text, owner) = (taken.to_string(), format!("process {}", std::process::id()));
    assert!(error.to_string().contains(&address_text) && error.to_string().contains(&owner), "{error}");
    assert!(runs(orphan), "the service of the other address was left alone");

    let settings = ServiceSettings { listen: vec![address], ..place.settings() };
    let last = Supervisor::open(settings).await.expect("open");
    last.stop().await;
    until_gone(orphan).await;
    last.leave().await;
    // 192.0.2.0/24 is reserved for documentation: no machine has it.
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 1));
    let settings = ServiceSettings { listen: vec![nowhere], ..place.settings() };
    let error = Supervisor::open(settings).await.unwrap_err();
    assert!(matches!(error, ServiceError::Bind { .. }), "{error}");
}

#[tokio::test]
async fn a_process_sees_its_sockets_and_little_else() {
    let place = Place::new();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServiceSettings {
        listen: vec![any, any],
        environment: BTreeMap::from([("COLOUR".to_owned(), "green".to_owned())]),
        ..place.script("sh", "ls /proc/$$/fd > descriptors; env > env.new; mv env.new env; exec sleep 600")
    };
    let supervisor = Supervisor::open(settings).await.expect("open");
    let slot = place.slot("1", "");
    let pid = supervisor.switch_to(&slot).await.expect("start").pid;
    let text = read_when_there(&slot.join("env")).await;
    let seen: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(seen["LISTEN_PID"], pid.to_string());
    assert_eq!((seen["LISTEN_FDS"], seen["LISTEN_FDNAMES"]), ("2", "web-0:web-1"));
    assert_eq!((seen["SWELL_COMPONENT"], seen["COLOUR"]), ("web", "green"));
    assert_eq!(Path::new(seen["SWELL_SLOT"]), slot);
    assert!(!seen.keys().any(|name| name.starts_with("CARGO") || *name == "SWELL_PROCESS_RECORDS"), "{text}");
    let descriptors = std::fs::read_to_string(slot.join("descriptors")).expect("descriptors");
    let descriptors: Vec<&str> = descriptors.lines().collect();
    for expected in ["0", "1", "2", "3", "4"] {
        assert!(descriptors.contains(&expected), "{descriptors:?}");
    }
    for leaked in ["5", "6", "7", "8", "9"] {
        assert!(!descriptors.contains(&leaked), "{descriptors:?}");
    }
    supervisor.stop().await;
    assert!(!runs(pid));
}
