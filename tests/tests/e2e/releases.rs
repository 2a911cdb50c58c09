//! Releases that go well, one that does not, and a node that joins later.

use std::ffi::OsStr;
use std::process::Command;

use groundswell_agent::demo::publisher::Draft;
use groundswell_protocol::node::status::RolloutStatus;
use groundswell_tests::binary::swell;
use groundswell_tests::field::Field;
use groundswell_tests::trees::{self, BAD_FILE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_reach_every_node_and_any_agent_takes_them() {
    let field = Field::start(4).await;
    let first = field.release("1.0", 1, &[], trees::plan()).await;
    field.confirmed("1.0", &field.everybody()).await;

    let draft = Draft { from: vec![first.path().to_owned()], ..field.draft("2.0", 2) };
    let second = field.build(draft).await;
    let delta = second.manifest().deltas.first().expect("a delta").bytes;
    assert!(delta < second.manifest().bytes / 2, "{delta} of {}", second.manifest().bytes);
    let before = sent(&field).await;
    field.publish(&second, 3).await;
    field.confirmed("2.0", &field.everybody()).await;
    let moved: u64 = sent(&field).await - before;
    assert!(moved <= 4 * delta, "each of the others fetched the delta of {delta} once, {moved} bytes moved");
    a_twin_is_not_handed_in(&field).await;
}

/// Two releases of one sequence stop each other. Who forgot to count on is told before that.
async fn a_twin_is_not_handed_in(field: &Field) {
    let twin = field.build(field.draft("2.0.1", 2)).await;
    let socket = field.fleet.machines()[1].socket();
    let publish = [OsStr::new("release"), "publish".as_ref(), twin.path().as_ref(), "--socket".as_ref()];
    let output = Command::new(swell()).args(publish).arg(socket).output().expect("swell runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("another release of files with sequence 2") && said.contains("--from"), "{said}");
    assert!(field.rollout(1, twin.rollout()).await.is_none());
}

async fn sent(field: &Field) -> u64 {
    let mut sent = 0;
    for place in field.everybody() {
        sent += field.status(place).await.expect("an agent").counters.uploaded_bytes;
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_goes_back_and_a_fixed_one_follows_at_once() {
    let field = Field::start(4).await;
    let first = field.release("1.0", 1, &[], trees::plan()).await;
    field.confirmed("1.0", &field.everybody()).await;

    let draft = Draft { from: vec![first.path().to_owned()], ..field.draft("2.0", 2) };
    std::fs::write(draft.tree.join(BAD_FILE), "").expect("a bad tree");
    let bad = field.build(draft).await;
    field.publish(&bad, 1).await;
    field
        .until("everybody knows that 2.0 is stopped, and runs 1.0", async || {
            for place in field.everybody() {
                let rollout = field.rollout(place, bad.rollout()).await;
                if rollout.is_none_or(|rollout| rollout.stopped_why.is_none())
                    || field.active(place).as_deref() != Some("1.0")
                {
                    return false;
                }
            }
            true
        })
        .await;
    let rollout = field.rollout(0, bad.rollout()).await.expect("kept");
    assert!(rollout.open <= 2, "one canary and one in its place, not {}", rollout.open);
    assert!(failures(&rollout) >= 1 && failures(&rollout) <= 2, "{:?}", rollout.votes);

    field.release("3.0", 3, &[&first], trees::plan()).await;
    field.confirmed("3.0", &field.everybody()).await;
}

fn failures(rollout: &RolloutStatus) -> usize {
    use groundswell_protocol::facts::VoteState;
    rollout.votes.iter().filter(|vote| matches!(vote.state, Some(VoteState::Failed(_)))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_enrolled_later_gets_what_is_done() {
    let mut field = Field::start(3).await;
    field.release("1.0", 1, &[], trees::plan()).await;
    field.confirmed("1.0", &[0, 1, 2]).await;
    let late = field.join("n04").await;
    field.confirmed("1.0", &[late]).await;
    field.release("2.0", 2, &[], trees::plan()).await;
    field.confirmed("2.0", &field.everybody()).await;
    let rollout = field.status(0).await.expect("an agent").node.rollouts;
    let members = rollout.iter().find(|rollout| rollout.version == "2.0").map(|rollout| rollout.members);
    assert_eq!(members, Some(4), "the next release counts it");
}
