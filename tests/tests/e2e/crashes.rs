//! Agents killed with SIGKILL at the worst moments: each node ends on a good slot each time.

use std::path::Path;

use groundswell_agent::demo::publisher::Draft;
use groundswell_agent::release::directory::ReleaseDirectory;
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::trust::plan::Plan;
use groundswell_tests::field::{Field, PAYLOAD_BYTES, component};
use groundswell_tests::trees;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_leader_completes_what_a_killed_one_began() {
    let mut field = Field::start(4).await;
    let release = field.release("1.0", 1, &[], trees::plan()).await;
    let mut opened = field.first_to_reach(release.rollout(), Stage::Trial);
    let canary = opened.recv().await.expect("a canary");
    let rollout = field.rollout(canary, release.rollout()).await.expect("known");
    let leader = field.fleet.place_of(&rollout.leader).expect("a member leads");
    field.fleet.machine(leader).kill();
    let others: Vec<usize> = field.everybody().into_iter().filter(|place| *place != leader).collect();
    if leader != canary {
        // Not tried yet, it is replaced in its wave; the release is done without it.
        field.confirmed("1.0", &others).await;
        let after = field.rollout(others[0], release.rollout()).await.expect("kept");
        assert!(after.term > rollout.term, "another term");
    }
    field.fleet.start(leader).expect("started again");
    field.confirmed("1.0", &field.everybody()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_may_die_after_the_first_copies() {
    let mut field = Field::found(4);
    let release = field.build(field.draft("1.0", 1)).await;
    // The publisher is last in the line: the fleet has no trial of its own to wait for.
    let line = field.line(&release);
    let (slow, first, publisher) = (&line[..2], line[2], line[3]);
    for place in slow {
        slow_download(&field, *place, 60_000);
    }
    field.fleet.start_all().expect("agents");
    field.ready().await;
    let mut staged = field.first_to_reach(release.rollout(), Stage::Staged);
    field.publish(&release, publisher).await;
    while staged.recv().await.expect("somebody") != first {}
    for place in slow {
        let rollout = field.rollout(*place, release.rollout()).await.expect("known");
        assert_eq!(rollout.my_stage, Stage::Fetching, "the slow ones are under way");
    }
    field.fleet.machine(publisher).kill();
    field.confirmed("1.0", &line[..3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_while_it_fetches_goes_on_where_it_was() {
    const BYTES: usize = 8 * PAYLOAD_BYTES;
    let mut field = Field::found(4);
    slow_download(&field, 2, 600_000);
    field.fleet.start_all().expect("agents");
    field.ready().await;
    let release = field.build(field.draft_of("1.0", 1, BYTES)).await;
    field.publish(&release, 0).await;
    field
        .until("half of the bytes are there", async || {
            let status = field.status(2).await;
            let bytes = u64::try_from(BYTES).expect("fits");
            status.is_some_and(|status| {
                // The index comes first; the chunks are most of it.
                let mut transfers = status.transfers.iter().filter(|transfer| transfer.bytes >= bytes);
                transfers.any(|transfer| transfer.done_bytes > bytes / 2)
            })
        })
        .await;
    field.fleet.machine(2).kill();
    assert_eq!(field.active(2), None, "half a version is no version");
    field.fleet.start(2).expect("started again");
    field.confirmed("1.0", &field.everybody()).await;
    let fetched = field.status(2).await.expect("an agent").counters.downloaded_bytes;
    let all = u64::try_from(BYTES).expect("fits");
    assert!(fetched < all * 3 / 4, "{fetched} of {all} bytes were fetched again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_while_it_stages_switches_or_tries_ends_on_a_good_slot() {
    let mut field = Field::start(4).await;
    let mut before = field.release("1.0", 1, &[], trees::plan()).await;
    field.confirmed("1.0", &field.everybody()).await;
    let moments = [Stage::Staging, Stage::Activating, Stage::Trial];
    for (sequence, moment) in (2..).zip(moments) {
        let version = format!("{sequence}.0");
        let release = field.build(from(&field, &version, sequence, before.path())).await;
        let killed = kill_at(&mut field, &release, moment).await;
        let held = field.active(killed).expect("a version");
        let good = [before.manifest().version.clone(), version.clone()];
        assert!(good.contains(&held), "killed at {moment:?}, it holds {held}");
        field.fleet.start(killed).expect("started again");
        field.confirmed(&version, &field.everybody()).await;
        before = release;
    }
}

fn from(field: &Field, version: &str, sequence: u64, earlier: &Path) -> Draft {
    let plan = Plan { trial_s: 2, ..trees::plan() };
    Draft { from: vec![earlier.to_owned()], plan, ..field.draft(version, sequence) }
}

/// Publishes a release and kills the first agent that reaches `moment` with it.
async fn kill_at(field: &mut Field, release: &ReleaseDirectory, moment: Stage) -> usize {
    let mut reached = field.first_to_reach(release.rollout(), moment);
    field.publish(release, 0).await;
    let first = reached.recv().await.expect("somebody gets there");
    field.fleet.machine(first).kill();
    first
}

/// Makes the agent at `place`, which must not run yet, fetch slowly.
fn slow_download(field: &Field, place: usize, bytes_per_second: u64) {
    let machine = &field.fleet.machines()[place];
    let bundle = field.fleet.directory().bundle_path();
    let mut file = machine.agent_file(&bundle, field.fleet.bootstrap(), vec![component()]);
    file.download_bytes_per_second = Some(bytes_per_second);
    machine.configure(&file).expect("a configuration");
}
