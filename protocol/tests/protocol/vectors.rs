//! The bytes on the wire, checked in: one of each statement and of each frame. What they are is a
//! promise to every node that runs an older version. `GROUNDSWELL_REWRITE=1` writes them anew.

use std::path::PathBuf;
use std::sync::Arc;

use bincode::Encode;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    Ballot, Beacon, BeaconActive, BeaconInstalled, Fact, Failure, Heads, Propose, RolloutId, Say, SkipReason,
    Statement, Vote, VoteState,
};
use groundswell_protocol::trust::command::{Command, Instruction};
use groundswell_protocol::trust::manifest::{DeltaOffer, Requirement, Select};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::probe::ProbeAction;
use groundswell_protocol::wire::codec;
use groundswell_protocol::wire::frame::{Entry, Frame};

use crate::fleet::papers::{Papers, plan};

/// One fact of each sort, with something in every field.
pub(crate) fn statements(papers: &Papers) -> Vec<(&'static str, Fact)> {
    let mut manifest = papers.manifest(7, "2.4.1");
    let digest = |text: &str| Digest::of(text.as_bytes());
    manifest.deltas = vec![DeltaOffer { from: digest("from"), blob: digest("blob"), bytes: 99 }];
    manifest.requires = vec![Requirement { component: ComponentName::new("base").unwrap(), min_sequence: 3 }];
    manifest.select = Select { zones: vec!["z".into()], rings: vec![], classes: vec!["c".into()] };
    manifest.note = "Smaller, faster — naïve no more".into();
    let mut probes = plan().probes;
    probes.push(probes[0].clone());
    probes[1].action = ProbeAction::Http { port: 8080, path: "/health".into() };
    manifest.plan.probes = probes;
    let (rollout, manifest) = papers.sign(manifest);
    let node = papers.nodes[0].public();
    let vote = Vote {
        rollout,
        node,
        state: VoteState::Failed(Failure::Recovered),
        attempt: 2,
        beat: 3,
        numbers: HealthNumbers {
            passed: 1,
            failed: 2,
            failed_in_a_row: 3,
            restarts: 4,
            slowest_micros: 5,
            after_ms: 6,
        },
        note: "GET /health answered 500".into(),
    };
    let beacon = Beacon {
        node,
        boot: 4,
        incarnation: 0x0102_0304_0506_0708,
        count: 9,
        heads: Heads { policy: 1, census: 2, facts: 3 },
        active: vec![BeaconActive { rollout, open: 3, stop: true }],
        installed: vec![BeaconInstalled { rollout, healthy: true }],
        addresses: vec!["/ip4/127.0.0.1/udp/7946/quic-v1".into()],
    };
    let command = Command {
        rollout,
        policy: 1,
        instruction: Instruction::Flow { counter: 2, pause: true },
        note: "lunch".into(),
    };
    let command = Fact::sign(papers.fleet, Statement::Command(command), &[&papers.operator]);
    let skip = Vote { state: VoteState::Skip(SkipReason::NoSpace), ..vote.clone() };
    let propose = Propose { rollout, term: 3, leader: node, open: 4 };
    vec![
        ("policy", papers.policy_fact.clone()),
        ("census", papers.census.clone()),
        ("manifest", manifest),
        ("vote", papers.by(0, Statement::Vote(vote))),
        ("vote-skip", papers.by(0, Statement::Vote(skip))),
        ("ballot", papers.by(0, Statement::Ballot(Ballot { rollout, juror: node, say: Say::Open(5) }))),
        ("propose", papers.by(0, Statement::Propose(propose))),
        ("command", command),
        ("beacon", papers.by(0, Statement::Beacon(beacon))),
    ]
}

/// One frame of each sort.
pub(crate) fn frames(papers: &Papers) -> Vec<(&'static str, Frame)> {
    let facts = statements(papers);
    let signed = |name: &str| {
        let found = facts.iter().find(|(of, _)| *of == name);
        found.map(|(_, fact)| fact.signed.clone()).unwrap()
    };
    let entry = Entry { key: 1 << 62 | 5, rank: 6, id: 7 };
    let (beacon, digest) = (Some(signed("beacon")), Digest::of(b"state"));
    vec![
        ("gossip", Frame::Gossip(signed("ballot"))),
        ("digest", Frame::Digest { digest, beacon: beacon.clone(), yours: None, equal: false }),
        ("digest-equal", Frame::Digest { digest, beacon: None, yours: beacon.clone(), equal: true }),
        ("summary", Frame::Summary { first: 0, last: u64::MAX, entries: vec![entry], beacon, yours: None }),
        ("want", Frame::Want { keys: vec![1, 2] }),
        ("facts", Frame::Facts { facts: vec![signed("vote")], confirm: true, last: true }),
        ("seen", Frame::Seen { entries: vec![entry] }),
        ("missed", Frame::Missed { rollout: RolloutId(Digest::of(b"rollout")), seats: 5, ranks: vec![1, 7] }),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Whether the checked-in files are to be written anew.
pub(crate) fn rewrites() -> bool {
    std::env::var_os("GROUNDSWELL_REWRITE").is_some_and(|value| value == "1")
}

fn wrapped(bytes: &[u8]) -> String {
    let text = hex::encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n") + "\n"
}

#[test]
fn bytes_on_the_wire_are_as_checked_in() {
    let papers = Papers::new(3);
    let bodies = statements(&papers).into_iter();
    let bodies = bodies.map(|(name, fact)| (format!("fact-{name}"), codec::encode(&fact.signed)));
    let frames = frames(&papers).into_iter().map(|(name, frame)| (format!("frame-{name}"), frame.encode()));
    for (name, bytes) in bodies.chain(frames) {
        let path = folder().join(format!("{name}.hex"));
        if rewrites() {
            std::fs::write(&path, wrapped(&bytes)).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name}: no vector checked in"));
        assert_eq!(kept, wrapped(&bytes), "{name}: the bytes on the wire changed");
        if name.starts_with("frame-") {
            assert_eq!(Frame::decode(&bytes).unwrap().encode(), bytes);
        }
    }
}

/// Mirrors of the codec's types, for bincode.
mod mirror {
    use bincode::Encode;

    #[derive(Encode)]
    pub(super) enum Say {
        _Term(u32),
        Open(u32),
    }

    #[derive(Encode)]
    pub(super) struct Ballot {
        pub(super) rollout: [u8; 32],
        pub(super) juror: [u8; 32],
        pub(super) say: Say,
    }

    #[derive(Encode)]
    pub(super) struct Signature {
        pub(super) key: [u8; 32],
        pub(super) signature: [u8; 64],
    }

    #[derive(Encode)]
    pub(super) struct Signed {
        pub(super) body: Vec<u8>,
        pub(super) signatures: Vec<Signature>,
    }

    #[derive(Encode)]
    pub(super) struct Entry {
        pub(super) key: u64,
        pub(super) rank: u64,
        pub(super) id: u64,
    }

    #[derive(Encode)]
    pub(super) enum Frame {
        Gossip(Signed),
        Digest { digest: [u8; 32], beacon: Option<Signed>, yours: Option<Signed>, equal: bool },
        Summary { first: u64, last: u64, entries: Vec<Entry>, beacon: Option<Signed>, yours: Option<Signed> },
        Want { keys: Vec<u64> },
        Facts { facts: Vec<Signed>, confirm: bool, last: bool },
        Seen { entries: Vec<Entry> },
        Missed { rollout: [u8; 32], seats: u64, ranks: Vec<u32> },
    }
}

fn bincode_bytes(value: &impl Encode) -> Vec<u8> {
    bincode::encode_to_vec(value, bincode::config::legacy()).unwrap()
}

#[test]
fn the_codec_writes_the_bytes_of_bincode() {
    let papers = Papers::new(3);
    let facts = statements(&papers);
    let fact = &facts.iter().find(|(name, _)| *name == "ballot").unwrap().1;
    let Statement::Ballot(ballot) = &fact.statement else { unreachable!() };
    let mirrored =
        mirror::Ballot { rollout: ballot.rollout.0.0, juror: ballot.juror.0, say: mirror::Say::Open(5) };
    assert_eq!(codec::encode(ballot), bincode_bytes(&mirrored));
    assert_eq!(fact.signed.body[34..], bincode_bytes(&mirrored), "a body is a header and the statement");

    let signed = |name: &str| {
        let fact = &facts.iter().find(|(of, _)| *of == name).unwrap().1.signed;
        let signatures = fact.signatures.iter();
        let signatures = signatures.map(|s| mirror::Signature { key: s.key.0, signature: s.signature.0 });
        mirror::Signed { body: fact.body.to_vec(), signatures: signatures.collect() }
    };
    let entry = || mirror::Entry { key: 1 << 62 | 5, rank: 6, id: 7 };
    let digest = Digest::of(b"state").0;
    let beacon = || Some(signed("beacon"));
    let mirrors = [
        mirror::Frame::Gossip(signed("ballot")),
        mirror::Frame::Digest { digest, beacon: beacon(), yours: None, equal: false },
        mirror::Frame::Digest { digest, beacon: None, yours: beacon(), equal: true },
        mirror::Frame::Summary {
            first: 0,
            last: u64::MAX,
            entries: vec![entry()],
            beacon: beacon(),
            yours: None,
        },
        mirror::Frame::Want { keys: vec![1, 2] },
        mirror::Frame::Facts { facts: vec![signed("vote")], confirm: true, last: true },
        mirror::Frame::Seen { entries: vec![entry()] },
        mirror::Frame::Missed { rollout: Digest::of(b"rollout").0, seats: 5, ranks: vec![1, 7] },
    ];
    for ((name, frame), mirror) in frames(&papers).into_iter().zip(mirrors) {
        assert_eq!(frame.encode()[1..], bincode_bytes(&mirror), "{name}");
    }
}

#[test]
fn a_fleet_is_named_by_its_first_policy() {
    let papers = Papers::new(1);
    let mut other = papers.policy.clone();
    assert_eq!(Arc::new(other.clone()).founds(), papers.fleet);
    other.name = "another".into();
    assert_ne!(other.founds(), papers.fleet);
}
