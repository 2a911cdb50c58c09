//! The story: a first version, a good release, a bad one, and one whose leader dies.

use std::time::Duration;

use groundswell_protocol::identity::NodeId;
use groundswell_protocol::rollout::quorum::Quorum;
use groundswell_protocol::rollout::roster::Roster;
use tokio::time::Instant;

use super::course::{Course, News, seconds};
use super::json::{Outcome, ReleaseReport, Report};
use super::narrator::{Narrator, bytes};
use super::publisher::{hand_over, problem};
use super::stage::{Reading, Stage};
use crate::control::events::unix_ms;
use crate::release::directory::ReleaseDirectory;
use crate::release::problem::Problem;

/// How long a release may take before the demo gives up on it.
const RELEASE_PATIENCE: Duration = Duration::from_secs(120);
/// The same for each megabyte that every node must get.
const PATIENCE_PER_MEGABYTE: Duration = Duration::from_millis(1_500);
/// How often the live line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// The story, as it is played.
pub(super) struct Story<'a> {
    /// What it plays on.
    pub(super) stage: &'a mut Stage,
    /// Who tells it.
    pub(super) narrator: &'a mut Narrator,
    /// What comes of it.
    pub(super) report: &'a mut Report,
}

/// A release under way.
struct Played<'a> {
    release: &'a ReleaseDirectory,
    course: Course,
    publisher: usize,
    before: Reading,
    deadline: Instant,
}

impl Story<'_> {
    /// Everybody gets the first version.
    pub(super) async fn install(&mut self, release: &ReleaseDirectory) -> Result<(), Problem> {
        self.narrator.heading("Version 1.0 for everybody");
        let played = self.complete(release).await?;
        self.report.installed = Some(self.account(played).await);
        Ok(())
    }

    /// A good release, from hand-over to confirmation.
    pub(super) async fn good(&mut self, release: &ReleaseDirectory) -> Result<(), Problem> {
        self.narrator.heading("A good release: 2.0");
        let played = self.complete(release).await?;
        let report = self.account(played).await;
        self.report.releases.push(report);
        Ok(())
    }

    /// A bad release, from hand-over to the last node's return.
    pub(super) async fn bad(&mut self, release: &ReleaseDirectory) -> Result<(), Problem> {
        self.narrator.heading("A bad release: 3.0");
        let machines = self.stage.fleet.machines().len();
        let mut played = self.hand_over(release).await?;
        let undone = |course: &Course| course.is_undone(machines) || course.confirmed() == machines;
        let outcome = self.follow(&mut played, undone).await;
        self.keep(played, outcome).await
    }

    /// A good release whose leader is killed in the middle; without enough others to go on, nobody is.
    pub(super) async fn leader_lost(&mut self, release: &ReleaseDirectory) -> Result<(), Problem> {
        self.narrator.heading("A good release whose leader dies: 4.0");
        let mut played = self.hand_over(release).await?;
        let outcome = self.with_leader_lost(&mut played).await;
        self.keep(played, outcome).await
    }

    /// Whether the fleet goes on when one node dies.
    pub(super) fn can_lose_one(&self) -> bool {
        let quorum = self.quorum();
        quorum.quorum < quorum.jurors
    }

    /// The jury's arithmetic in this fleet.
    pub(super) fn quorum(&self) -> Quorum {
        Quorum::of(u32::try_from(self.stage.fleet.machines().len()).unwrap_or(u32::MAX))
    }

    async fn complete<'a>(&mut self, release: &'a ReleaseDirectory) -> Result<Played<'a>, Problem> {
        let machines = self.stage.fleet.machines().len();
        let mut played = self.hand_over(release).await?;
        self.follow(&mut played, |course| course.confirmed() == machines).await?;
        Ok(played)
    }

    /// What is known of a release is told, however it ended.
    async fn keep(&mut self, played: Played<'_>, outcome: Result<(), Problem>) -> Result<(), Problem> {
        let report = self.account(played).await;
        self.report.releases.push(report);
        outcome
    }

    async fn with_leader_lost(&mut self, played: &mut Played<'_>) -> Result<(), Problem> {
        let machines = self.stage.fleet.machines().len();
        if self.can_lose_one() {
            let (term, leader, place) = self.find_leader_to_lose(played).await?;
            // The last look at its figures, which end with it.
            self.stage.read().await;
            let killed_at = unix_ms();
            self.stage.fleet.machine(place).kill();
            self.narrator.line(&format!("the leader, {}, is killed (SIGKILL)", self.name(&leader)));
            self.follow(played, |course| course.next_leader(term).is_some()).await?;
            if let Some((at, next)) = played.course.next_leader(term) {
                self.report.leader_failover_seconds = Some(seconds(killed_at, at));
                let took = seconds(killed_at, at);
                self.narrator.line(&format!("{} has taken over, {took:.1} s after", self.name(&next)));
            }
            self.stage.fleet.start(place)?;
            self.narrator.line(&format!("{} is started again", self.name(&leader)));
        } else {
            self.narrator
                .line("with so few nodes all must agree: nobody could take over, so no leader is killed");
        }
        self.follow(played, |course| course.confirmed() == machines).await
    }

    /// Waits for a moment at which the rollout is under way and its leader's own trial is not.
    async fn find_leader_to_lose(
        &mut self,
        played: &mut Played<'_>,
    ) -> Result<(u32, NodeId, usize), Problem> {
        let members = u32::try_from(self.stage.fleet.machines().len()).unwrap_or(u32::MAX);
        let mut seen = 0;
        loop {
            self.follow(played, |course| course.open() > 0 && course.progress() > seen).await?;
            seen = played.course.progress();
            let status = self.stage.fleet.client(played.publisher).status().await.map_err(problem)?;
            let rollout = status.node.rollouts.into_iter().find(|r| r.rollout == played.course.rollout());
            let Some(rollout) = rollout else { continue };
            let rank = rollout.votes.iter().find(|vote| vote.node == rollout.leader).map(|vote| vote.rank);
            let waits = rank.is_none_or(|rank| rank >= played.course.open());
            let over = played.course.is_healthy(&rollout.leader) && played.course.open() < members;
            let Some(place) = self.stage.fleet.place_of(&rollout.leader) else { continue };
            if waits || over || played.course.has_ended() {
                return Ok((rollout.term, rollout.leader, place));
            }
        }
    }

    async fn hand_over<'a>(&mut self, release: &'a ReleaseDirectory) -> Result<Played<'a>, Problem> {
        let manifest = release.manifest();
        let publisher = self.publisher_for(release)?;
        let before = self.stage.read().await;
        let members = u32::try_from(self.stage.fleet.machines().len()).unwrap_or(u32::MAX);
        let published_at = unix_ms();
        let published = hand_over(release, &self.stage.fleet.client(publisher)).await?;
        let delta = manifest.deltas.first().map(|delta| bytes(delta.bytes));
        let delta = delta.map_or(String::new(), |delta| format!(", {delta} as a delta from what runs"));
        self.narrator.line(&format!(
            "handed to {}: {} of files{delta}, {} blobs",
            self.stage.fleet.machines()[publisher].name(),
            bytes(manifest.bytes),
            published.blobs
        ));
        let megabytes = u32::try_from(manifest.bytes / 1_000_000).unwrap_or(u32::MAX);
        let patience = RELEASE_PATIENCE + PATIENCE_PER_MEGABYTE * megabytes;
        Ok(Played {
            release,
            course: Course::new(release.rollout(), manifest, members, published_at),
            publisher,
            before,
            deadline: Instant::now() + patience,
        })
    }

    /// Any agent may be handed a release; here one that does not lead it first, because leaders get killed.
    fn publisher_for(&self, release: &ReleaseDirectory) -> Result<usize, Problem> {
        let bundle = self.stage.fleet.directory().read_bundle()?;
        let leader = bundle
            .census()
            .and_then(|census| Roster::draw(release.rollout(), release.manifest(), census).leader(0));
        let machines = self.stage.fleet.machines();
        Ok(machines.iter().position(|machine| Some(machine.node()) != leader).unwrap_or(0))
    }

    /// Follows a release until `reached`.
    async fn follow(
        &mut self,
        played: &mut Played<'_>,
        reached: impl Fn(&Course) -> bool,
    ) -> Result<(), Problem> {
        while !reached(&played.course) {
            let now = Instant::now();
            if now >= played.deadline {
                return Err(self.stands_still(played).await);
            }
            match self.stage.chronicle.next(now + DRAW_EVERY).await {
                Some(sighting) => {
                    if let Some(news) = played.course.see(&sighting) {
                        self.tell(played, &news);
                    }
                }
                None => {
                    self.draw(played);
                    self.stage.fleet.all_run()?;
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, played: &Played<'_>, news: &News) {
        let members = self.stage.fleet.machines().len();
        let line = match news {
            News::Opened(open) if *open as usize > members => return,
            News::Opened(open) => format!("open for {open} of {members}"),
            News::Healthy(node) => {
                format!("{} is healthy, {} of {members}", self.name(node), played.course.healthy())
            }
            News::Failed(node, why) => format!("{} has failed and goes back: {why}", self.name(node)),
            News::Leader(node) => format!("{} is elected leader", self.name(node)),
            // Once enough have said it, more of them say nothing new.
            News::StopVote(_, votes) if *votes > self.quorum().stoppers() as usize => return,
            News::StopVote(place, votes) => {
                let (name, needed) = (self.stage.fleet.machines()[*place].name(), self.quorum().stoppers());
                format!("{name} votes to stop, {votes} of {needed}")
            }
            News::Stopped(why) => format!("stopped: {why}"),
            News::WentBack(place) => {
                format!("{} is back on the version before", self.stage.fleet.machines()[*place].name())
            }
            News::Done => "done: it is the version to come back to from now on".to_owned(),
        };
        self.narrator.line(&line);
    }

    fn draw(&mut self, played: &Played<'_>) {
        let members = self.stage.fleet.machines().len();
        let requests = self.stage.load.requests();
        let served: u64 = requests.iter().map(|requests| requests.served).sum();
        let failed: u64 = requests.iter().map(|requests| requests.failed).sum();
        let course = &played.course;
        self.narrator.live(&format!(
            "open {} of {members} · healthy {} · confirmed {} · requests {served}, failed {failed}",
            course.open().min(u32::try_from(members).unwrap_or(u32::MAX)),
            course.healthy(),
            course.confirmed()
        ));
    }

    async fn stands_still(&mut self, played: &Played<'_>) -> Problem {
        let course = &played.course;
        let status = self.stage.fleet.client(played.publisher).status().await.ok();
        let hold = status.and_then(|status| {
            let rollout = status.node.rollouts.into_iter().find(|r| r.rollout == course.rollout())?;
            Some(format!("; {} waits because of {:?}", played.release.manifest().version, rollout.hold))
        });
        Problem::local(
            format!("release {} did not end in time", played.release.manifest().version),
            format!(
                "{} ranks are open, {} nodes healthy, {} confirmed{}",
                course.open(),
                course.healthy(),
                course.confirmed(),
                hold.unwrap_or_default()
            ),
            "run it again with --keep DIR and read the agents' logs there",
        )
    }

    /// The figures of a release.
    async fn account(&mut self, played: Played<'_>) -> ReleaseReport {
        let Played { release, course, publisher, before, .. } = played;
        let after = self.stage.read().await;
        let manifest = release.manifest();
        let exposed = course.exposed();
        let sent = |place: usize| after.sent[place].saturating_sub(before.sent[place]);
        let nodes = 0..after.sent.len();
        let failed = |place: usize| after.requests[place].failed - before.requests[place].failed;
        let outcome = match (course.confirmed() == nodes.len(), course.is_undone(nodes.len())) {
            (true, false) => Outcome::Completed,
            (_, true) => Outcome::RolledBack,
            (false, false) => Outcome::Unfinished,
        };
        let serious = nodes.clone().filter(|place| failed(*place) > 0);
        let worst = serious.min_by_key(|place| exposed.contains(place) && course.was_stopped());
        ReleaseReport {
            version: manifest.version.clone(),
            outcome,
            waves: course.waves(),
            seconds: course.seconds_to_last_confirmed().filter(|_| outcome == Outcome::Completed),
            full_bytes: manifest.bytes,
            delta_bytes: manifest.deltas.first().map(|delta| delta.bytes),
            publisher_bytes: sent(publisher),
            peer_bytes: nodes.clone().filter(|place| *place != publisher).map(sent).sum(),
            nodes_exposed: exposed.len(),
            revert_seconds: course.revert_seconds(),
            rollback_seconds: course.rollback_seconds(),
            requests_served: nodes
                .clone()
                .map(|place| after.requests[place].served - before.requests[place].served)
                .sum(),
            requests_failed: nodes.clone().map(failed).sum(),
            requests_failed_elsewhere: nodes.filter(|place| !exposed.contains(place)).map(failed).sum(),
            request_failure: worst.and_then(|place| self.stage.load.failure(place)),
        }
    }

    fn name(&self, node: &NodeId) -> String {
        match self.stage.fleet.place_of(node) {
            Some(place) => self.stage.fleet.machines()[place].name().to_owned(),
            None => node.short(),
        }
    }
}
