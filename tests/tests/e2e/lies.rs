//! A member that serves damaged bytes.

use groundswell_agent::demo::machine::Machine;
use groundswell_protocol::identity::NodeId;
use groundswell_tests::field::{Field, component};
use groundswell_tests::liar::Liar;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pieces_are_noticed_and_fetched_elsewhere() {
    let mut field = Field::found(4);
    // The only honest holder is slow, so that everybody turns to the liar first.
    let publisher = &field.fleet.machines()[0];
    let bundle = field.fleet.directory().bundle_path();
    let mut file = publisher.agent_file(&bundle, field.fleet.bootstrap(), vec![component()]);
    file.upload_bytes_per_second = Some(200_000);
    publisher.configure(&file).expect("a configuration");
    for place in 0..3 {
        field.fleet.start(place).expect("an agent");
    }
    let members: Vec<NodeId> = field.fleet.machines().iter().map(Machine::node).collect();
    field
        .until("the honest agents may sign", async || {
            for place in 0..3 {
                let status = field.status(place).await;
                if status.is_none_or(|status| {
                    status.node.signing != groundswell_protocol::node::status::Signing::Yes
                }) {
                    return false;
                }
            }
            true
        })
        .await;

    let release = field.build(field.draft("1.0", 1)).await;
    let bootstrap = field.fleet.bootstrap();
    let liar = Liar::pose(field.fleet.machine(3), &members, &bootstrap, &release).await;
    field
        .until("everybody is linked with the liar", async || {
            for place in 0..3 {
                if field.status(place).await.is_none_or(|status| status.counters.links < 3) {
                    return false;
                }
            }
            true
        })
        .await;
    field.publish(&release, 0).await;
    liar.claim(&field.fleet.machines()[3], &field.client(0), &release).await;
    field.confirmed("1.0", &[0, 1, 2]).await;

    assert!(liar.served() > 0, "nobody asked the liar");
    let mut noticed = 0;
    for place in 0..3 {
        noticed += field.status(place).await.expect("an agent").counters.corrupt_pieces;
    }
    assert!(noticed > 0, "the damage was noticed");
}
