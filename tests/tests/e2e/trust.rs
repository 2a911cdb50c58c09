//! What the fleet must refuse, or hear and not act on.

use std::sync::Arc;
use std::time::Duration;

use groundswell_agent::control::client::ClientErrorKind;
use groundswell_agent::demo::publisher::{Draft, build_unsigned};
use groundswell_agent::release::keys;
use groundswell_protocol::facts::fact::sign_body;
use groundswell_protocol::facts::{Beacon, Fact, Heads, RolloutId, SignedFact, Statement};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::node::event::{Hold, Stage};
use groundswell_protocol::node::status::Signing;
use groundswell_protocol::trust::manifest::{Manifest, ReleaseOrder};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::policy::RoleName;
use groundswell_tests::field::Field;
use groundswell_tests::trees;

/// How long what must not happen is given to happen.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_that_must_not_act_do_not_act() {
    let field = Field::start(3).await;
    field.release("1.0", 1, &[], trees::plan()).await;
    let done = field.release("2.0", 2, &[], trees::plan()).await;
    field.confirmed("2.0", &field.everybody()).await;
    let fleet = done.fleet();

    // Signed by nobody, and by a key of another role.
    let directory = field.fleet.directory();
    let unsigned = build_unsigned(directory, &field.draft("3.0", 3)).expect("a release");
    let operator = keys::read(&directory.key_path(RoleName::Operator, 1)).expect("a key");
    let body = unsigned.signed().body.clone();
    for signatures in [Vec::new(), vec![sign_body(&body, &operator)]] {
        let error =
            field.client(0).submit(&SignedFact { body: body.clone(), signatures: signatures.into() }).await;
        assert_eq!(error.expect_err("too few keys").kind, ClientErrorKind::Refused);
    }

    let release_key = keys::read(&directory.key_path(RoleName::Release, 1)).expect("a key");
    let manifest = done.manifest().as_ref();
    let at = |sequence| ReleaseOrder { epoch: 0, sequence };
    let expired = Manifest { order: at(4), version: "4.0".to_owned(), expires: 1, ..manifest.clone() };
    let lower = Manifest { order: at(1), version: "0.9".to_owned(), ..manifest.clone() };
    let expired = submit(&field, fleet, expired, &release_key).await;
    let lower = submit(&field, fleet, lower, &release_key).await;

    field
        .until("everybody has heard of the expired one", async || {
            for place in field.everybody() {
                if field.rollout(place, expired).await.is_none_or(|known| known.hold != Hold::Expired) {
                    return false;
                }
            }
            true
        })
        .await;
    field
        .throughout(LONG_ENOUGH, "neither is opened and 2.0 runs", async || {
            for place in field.everybody() {
                for rollout in [expired, lower] {
                    if field.rollout(place, rollout).await.is_some_and(|known| known.open > 0) {
                        return false;
                    }
                }
                if field.active(place).as_deref() != Some("2.0") {
                    return false;
                }
            }
            true
        })
        .await;
}

/// Signs a manifest and hands it to the first agent, whose verdict does not matter: what follows does.
async fn submit(
    field: &Field,
    fleet: groundswell_protocol::trust::policy::FleetId,
    manifest: Manifest,
    key: &KeyPair,
) -> RolloutId {
    let fact = Fact::sign(fleet, Statement::Manifest(Arc::new(manifest)), &[key]);
    if let Err(error) = field.client(0).submit(&fact.signed).await {
        assert_eq!(error.kind, ClientErrorKind::Refused, "{error}");
    }
    RolloutId(fact.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_nobody_has_is_skipped() {
    let field = Field::start(3).await;
    let component = ComponentName::new("other").expect("a valid name");
    let out = field.path().join("release-other");
    let release = field.build(Draft { component, out, ..field.draft("1.0", 1) }).await;
    field.publish(&release, 1).await;
    field
        .until("everybody skips it", async || {
            for place in field.everybody() {
                let known = field.rollout(place, release.rollout()).await;
                if known.is_none_or(|known| known.my_stage != Stage::Skipped) {
                    return false;
                }
            }
            true
        })
        .await;
    for place in field.everybody() {
        let known = field.rollout(place, release.rollout()).await.expect("known");
        assert_eq!(known.ending, None, "nobody was healthy, so it is not done");
        assert!(!field.fleet.machines()[place].data().join("components/other/active").exists());
    }
    // The components that they do have are none the worse for it.
    field.release("1.0", 1, &[], trees::plan()).await;
    field.confirmed("1.0", &field.everybody()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_nobody_enrolled_gets_no_link_and_no_word() {
    let mut field = Field::start(3).await;
    let stranger = field.intrude("stranger");
    field.until("the stranger runs", async || field.status(stranger).await.is_some()).await;
    field
        .throughout(
            LONG_ENOUGH,
            "the members have only each other, and the stranger hears nothing",
            async || {
                let status = field.status(stranger).await;
                let outside = status.is_some_and(|status| {
                    status.node.signing == Signing::NotEnrolled
                        && status.node.members.iter().all(|member| member.silent_ms.is_none())
                });
                let mut inside = true;
                for place in 0..3 {
                    inside &= field.status(place).await.is_some_and(|status| status.counters.links == 2);
                }
                outside && inside
            },
        )
        .await;
    let key = field.fleet.machines()[stranger].key().clone();
    let beacon = Beacon {
        node: key.public(),
        boot: 1,
        incarnation: 1,
        count: 1,
        heads: Heads::default(),
        active: Vec::new(),
        installed: Vec::new(),
        addresses: Vec::new(),
    };
    let fleet = field.fleet.directory().read_bundle().expect("a bundle").fleet();
    let fact = Fact::sign(fleet, Statement::Beacon(beacon), &[&key]);
    let error = field.client(0).submit(&fact.signed).await.expect_err("not a member");
    assert_eq!(error.kind, ClientErrorKind::Refused);

    field.release("1.0", 1, &[], trees::plan()).await;
    field.confirmed("1.0", &[0, 1, 2]).await;
    assert_eq!(field.active(stranger), None);
    assert!(field.rollout(stranger, field_rollout(&field).await).await.is_none());
}

async fn field_rollout(field: &Field) -> RolloutId {
    let status = field.status(0).await.expect("an agent");
    status.node.rollouts.first().expect("a rollout").rollout
}
