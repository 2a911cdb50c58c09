//! One component's probes at work: a task for each, and one that gathers their tries into reports.

use super::note::note;
use super::process::ProcessWatch;
use super::tally::{Tally, explanation, verdict};
use super::{exec, http};
use crate::service::ServiceStatus;
use groundswell_protocol::facts::health::{HealthNumbers, HealthReport};
use groundswell_protocol::trust::probe::{Probe, ProbeAction, ProbeFault, check_probes};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often numbers are reported while the verdict stays the same.
const REPORT_PERIOD: Duration = Duration::from_secs(1);
/// Tries that may wait to be gathered; a probe waits for a place, its next try comes later then.
const TRIES_MAX: usize = 32;
/// The probe of a service without probes: half a second apart, a second look before it passes, and no
/// second chance, since a process that ended was already seen to have ended.
const IMPLICIT_PERIOD_MS: u32 = 500;
const IMPLICIT_SUCCESSES: u32 = 2;
const IMPLICIT_FAILURES: u32 = 1;

/// What is probed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The tree of the version that runs; exec probes run inside it.
    pub slot: PathBuf,
    /// The port of the component's first socket: what port 0 in a probe stands for.
    pub first_port: Option<u16>,
    /// The component's process, `None` for a component that has none.
    pub service: Option<watch::Receiver<ServiceStatus>>,
}

/// Probes one version for as long as it lives; dropped, it stops and kills the commands it was running.
#[derive(Debug)]
pub struct Monitor {
    _stop: DropGuard,
}

/// One try's outcome: how long a success took, or why it failed.
struct Try {
    probe: usize,
    outcome: Result<Duration, String>,
}

impl Monitor {
    /// Starts to probe. Delays count from now, so call it when the version was switched to. Reports go to
    /// `reports` in order; when nobody receives them any more the probes stop. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// A probe is out of its bounds; nothing is started then.
    pub fn start(
        probes: Vec<Probe>,
        subject: Subject,
        reports: mpsc::Sender<HealthReport>,
    ) -> Result<Self, ProbeFault> {
        check_probes(&probes)?;
        let probes = if probes.is_empty() { implicit_probes(&subject) } else { probes };
        let stop = CancellationToken::new();
        let (tries, gathered) = mpsc::channel(TRIES_MAX);
        let gatherer = Gatherer::new(&probes, &subject, reports);
        tokio::spawn(gatherer.run(gathered, stop.clone()));
        let subject = Arc::new(subject);
        for (index, probe) in probes.into_iter().enumerate() {
            let prober = Prober::new(probe, Arc::clone(&subject), stop.clone());
            tokio::spawn(prober.run(index, tries.clone()));
        }
        Ok(Self { _stop: stop.drop_guard() })
    }
}

fn implicit_probes(subject: &Subject) -> Vec<Probe> {
    let process = Probe {
        period_ms: IMPLICIT_PERIOD_MS,
        success_threshold: IMPLICIT_SUCCESSES,
        failure_threshold: IMPLICIT_FAILURES,
        ..Probe::new(ProbeAction::Process)
    };
    subject.service.iter().map(|_| process.clone()).collect()
}

/// One probe's task.
struct Prober {
    probe: Probe,
    subject: Arc<Subject>,
    process: ProcessWatch,
    stop: CancellationToken,
}

impl Prober {
    fn new(probe: Probe, subject: Arc<Subject>, stop: CancellationToken) -> Self {
        let process = ProcessWatch::new(subject.service.clone());
        Self { probe, subject, process, stop }
    }

    async fn run(mut self, index: usize, tries: mpsc::Sender<Try>) {
        let first = Instant::now() + milliseconds(self.probe.initial_delay_ms);
        let mut ticks = interval_at(first, milliseconds(self.probe.period_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let begun = Instant::now();
            let outcome = self.try_once().await.map(|()| begun.elapsed());
            if stop.is_cancelled() || tries.send(Try { probe: index, outcome }).await.is_err() {
                break;
            }
        }
    }

    async fn try_once(&mut self) -> Result<(), String> {
        let time = milliseconds(self.probe.timeout_ms);
        match &self.probe.action {
            ProbeAction::Http { port, path } => {
                let port = self.port(*port)?;
                let answer = timeout(time, http::get(port, path)).await;
                answer.unwrap_or_else(|_| Err(format!("GET {path} did not answer within {time:?}")))
            }
            ProbeAction::Tcp { port } => {
                let port = self.port(*port)?;
                let connected = timeout(time, http::connect(port)).await;
                let late = |_| Err(format!("port {port} did not accept within {time:?}"));
                connected.unwrap_or_else(late).map(drop)
            }
            // It ends its processes itself, so it must not be dropped half way.
            ProbeAction::Exec { command } => exec::run(command, &self.subject, time, &self.stop).await,
            ProbeAction::Process => self.process.look(),
        }
    }

    fn port(&self, port: u16) -> Result<u16, String> {
        match (port, self.subject.first_port) {
            (0, Some(first)) => Ok(first),
            (0, None) => {
                Err("the probe asks for the component's own socket, but it listens on none".to_owned())
            }
            (port, _) => Ok(port),
        }
    }
}

/// The task that counts tries and reports.
struct Gatherer {
    tallies: Vec<Tally>,
    numbers: HealthNumbers,
    started: Instant,
    service: Option<watch::Receiver<ServiceStatus>>,
    restarts_before: u32,
    reports: mpsc::Sender<HealthReport>,
}

impl Gatherer {
    fn new(probes: &[Probe], subject: &Subject, reports: mpsc::Sender<HealthReport>) -> Self {
        Self {
            tallies: probes.iter().map(Tally::new).collect(),
            numbers: HealthNumbers::default(),
            started: Instant::now(),
            restarts_before: subject.service.as_ref().map_or(0, |service| service.borrow().restarts),
            service: subject.service.clone(),
            reports,
        }
    }

    async fn run(mut self, mut tries: mpsc::Receiver<Try>, stop: CancellationToken) {
        // A component without anything to probe is healthy from its first report on, which is now.
        let first = if self.tallies.is_empty() { self.started } else { self.started + REPORT_PERIOD };
        let mut refresh = interval_at(first, REPORT_PERIOD);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.reports.closed() => break,
                Some(tried) = tries.recv() => self.count(tried),
                _ = refresh.tick() => true,
            };
            if due && !self.report(&stop).await {
                break;
            }
        }
        stop.cancel();
    }

    /// Counts a try; true if it changed the verdict.
    fn count(&mut self, tried: Try) -> bool {
        let before = verdict(&self.tallies);
        let Some(tally) = self.tallies.get_mut(tried.probe) else { return false };
        match tried.outcome {
            Ok(took) => {
                tally.succeeded();
                self.numbers.passed = self.numbers.passed.saturating_add(1);
                let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                self.numbers.slowest_micros = self.numbers.slowest_micros.max(micros);
            }
            Err(why) => {
                tally.failed(why);
                self.numbers.failed = self.numbers.failed.saturating_add(1);
                self.numbers.failed_in_a_row = tally.failures_in_a_row();
            }
        }
        verdict(&self.tallies) != before
    }

    /// Sends a report; false if nobody wants one any more.
    async fn report(&mut self, stop: &CancellationToken) -> bool {
        if let Some(service) = &self.service {
            let restarts = service.borrow().restarts;
            self.numbers.restarts = restarts.saturating_sub(self.restarts_before);
        }
        self.numbers.after_ms = u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX);
        let report = HealthReport {
            health: verdict(&self.tallies),
            numbers: self.numbers,
            note: note(&explanation(&self.tallies)),
        };
        tokio::select! {
            sent = self.reports.send(report) => sent.is_ok(),
            () = stop.cancelled() => false,
        }
    }
}

fn milliseconds(number: u32) -> Duration {
    Duration::from_millis(u64::from(number))
}
