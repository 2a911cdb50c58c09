//! Two halves of a fleet that cannot hear each other, and then can.
//!
//! Without root nothing can cut a network on one machine; but halves whose configurations name only peers of
//! their own half do not know of each other. They are one as soon as one of them is told of one of the others.

use std::time::Duration;

use groundswell_agent::demo::machine::Machine;
use groundswell_protocol::node::event::Hold;
use groundswell_protocol::node::status::Signing;
use groundswell_tests::field::{Field, component};
use groundswell_tests::trees;

const HALVES: [[usize; 3]; 2] = [[0, 1, 2], [3, 4, 5]];
/// How long what must not happen is given to happen.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_wait_for_each_other_and_finish_together() {
    let mut field = halved().await;
    let release = field.release("1.0", 1, &[], trees::plan()).await;
    field
        .until("the first half knows that it is too small", async || {
            for place in HALVES[0] {
                let known = field.rollout(place, release.rollout()).await;
                if known.is_none_or(|known| known.hold != Hold::TooFewJurors) {
                    return false;
                }
            }
            true
        })
        .await;
    field
        .throughout(LONG_ENOUGH, "half a fleet opens nothing", async || {
            for place in HALVES[0] {
                if field.rollout(place, release.rollout()).await.is_none_or(|known| known.open > 0) {
                    return false;
                }
            }
            true
        })
        .await;
    heal(&mut field);
    field.confirmed("1.0", &field.everybody()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_releases_of_one_number_stop_each_other_when_the_halves_meet() {
    let mut field = halved().await;
    let one = field.build(field.draft("1.0", 1)).await;
    let other = field.build(field.draft("1.0-again", 1)).await;
    field.publish(&one, 0).await;
    field.publish(&other, 3).await;
    heal(&mut field);
    field
        .until("everybody knows both, and both are stopped", async || {
            for place in field.everybody() {
                for rollout in [one.rollout(), other.rollout()] {
                    let known = field.rollout(place, rollout).await;
                    if known.is_none_or(|known| known.stopped_why.is_none()) {
                        return false;
                    }
                }
            }
            true
        })
        .await;
    for place in field.everybody() {
        assert_eq!(field.active(place), None);
    }
    field.release("2.0", 2, &[], trees::plan()).await;
    field.confirmed("2.0", &field.everybody()).await;
}

/// A fleet of six, each half of which knows only of itself.
async fn halved() -> Field {
    let mut field = Field::found(6);
    for half in HALVES {
        let known: Vec<String> =
            half.iter().map(|place| field.fleet.machines()[*place].peer_address()).collect();
        for place in half {
            configure(&field, place, known.clone());
        }
    }
    field.fleet.start_all().expect("agents");
    field
        .until("each half knows itself, and only itself", async || {
            for place in field.everybody() {
                let status = field.status(place).await;
                if status
                    .is_none_or(|status| status.node.signing != Signing::Yes || status.counters.links != 2)
                {
                    return false;
                }
            }
            true
        })
        .await;
    field
}

/// Tells one node of the second half of one of the first.
fn heal(field: &mut Field) {
    let known: Vec<String> = [0, 4, 5].map(|place: usize| address(&field.fleet.machines()[place])).to_vec();
    configure(field, 3, known);
    field.fleet.machine(3).kill();
    field.fleet.start(3).expect("started again");
}

fn address(machine: &Machine) -> String {
    machine.peer_address()
}

fn configure(field: &Field, place: usize, bootstrap: Vec<String>) {
    let machine = &field.fleet.machines()[place];
    let bundle = field.fleet.directory().bundle_path();
    machine.configure(&machine.agent_file(&bundle, bootstrap, vec![component()])).expect("a configuration");
}
