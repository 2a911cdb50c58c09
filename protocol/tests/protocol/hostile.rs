//! Bytes from peers: nothing panics, one value has one encoding, and a refusal names the right fault.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::health::HealthNumbers;
use groundswell_protocol::facts::{
    BadFact, Ballot, Beacon, Fact, Heads, KeySignature, RolloutId, Say, SignedFact, Statement, Vote,
    VoteState,
};
use groundswell_protocol::identity::{KeyPair, PublicKey, Signature};
use groundswell_protocol::node::event::Blame;
use groundswell_protocol::node::{Event, Input, Record, Refusal, Verdict, Via};
use groundswell_protocol::time::Span;
use groundswell_protocol::trust::command::Instruction;
use groundswell_protocol::trust::policy::FleetId;
use groundswell_protocol::wire::frame::{BadFrame, Entry, Frame};
use proptest::prelude::*;

use crate::fleet::papers::{Papers, key};
use crate::fleet::{Fleet, gossip};
use crate::vectors::{frames, statements};

/// A fleet of four that follows one rollout, for judging facts.
fn settled() -> (Fleet, RolloutId) {
    let mut fleet = Fleet::new(4);
    fleet.run_until(Span::seconds(60), Fleet::all_sign);
    let rollout = fleet.publish(0, 1, "1.0");
    fleet.run_until(Span::seconds(60), |f| f.rollout(3, rollout).is_some());
    (fleet, rollout)
}

fn verdict(fleet: &mut Fleet, frame: &[u8]) -> Verdict {
    let from = fleet.machines[1].id;
    let effects = fleet.input(0, Input::Received { from, via: Via::Gossip, frame }).unwrap();
    let verdict = effects.verdict().expect("every frame gets a verdict");
    let refused = effects.events().any(|e| matches!(e, Event::Refused { .. }));
    assert_eq!(refused, matches!(verdict, Verdict::Refused(_)), "a refusal is an event");
    verdict
}

fn refusal(fleet: &mut Fleet, signed: SignedFact) -> Refusal {
    let before = fleet.holds(0);
    let found = verdict(fleet, &Frame::Gossip(signed).encode());
    assert_eq!(fleet.holds(0), before, "a refusal changes nothing");
    match found {
        Verdict::Refused(why) => why,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn vote(rollout: RolloutId, node: PublicKey) -> Statement {
    let numbers = HealthNumbers::default();
    let state = VoteState::Trying;
    Statement::Vote(Vote { rollout, node, state, attempt: 1, beat: 0, numbers, note: String::new() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), tag in 0_u8..10) {
        let fleet = FleetId(Digest([0; 32]));
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), bytes.clone());
        }
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes.clone());
        }
        let body = [&[tag, 1][..], &[0; 32], &bytes].concat();
        if let Ok((_, statement)) = Fact::read_body(&body, Some(fleet)) {
            prop_assert_eq!(statement.body(fleet).to_vec(), body.clone());
        }
        let signatures = vec![KeySignature { key: PublicKey([1; 32]), signature: Signature([2; 64]) }];
        let _ = Fact::read(fleet, SignedFact { body: body.into(), signatures: signatures.into() });
    }

    #[test]
    fn mutated_frames_decode_to_what_they_say_or_not_at_all(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let papers = Papers::new(3);
        let all = frames(&papers);
        let (_, frame) = &all[which.index(all.len())];
        let mut bytes = frame.encode();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), bytes, "one frame, one encoding");
        }
    }
}

/// Frames of every sort, whole, cut and changed, from a peer to a node in the middle of a rollout.
#[test]
fn a_node_survives_whatever_a_peer_sends() {
    let (mut fleet, rollout) = settled();
    let papers = fleet.papers.clone();
    let mut generator = groundswell_protocol::node::entropy::Generator::new(
        &groundswell_protocol::node::Entropy([3; 32]),
        "hostile",
    );
    let mut seeds: Vec<Vec<u8>> = frames(&papers).into_iter().map(|(_, frame)| frame.encode()).collect();
    seeds.push(gossip(&papers.release(1, "1.0").1));
    let resume = Instruction::Flow { counter: 1, pause: false };
    seeds.push(Frame::Gossip(papers.command(rollout, resume)).encode());
    let below = |generator: &mut groundswell_protocol::node::entropy::Generator, bound: usize| {
        usize::try_from(generator.below(bound as u64)).unwrap()
    };
    for round in 0..4000 {
        let mut bytes = seeds[below(&mut generator, seeds.len())].clone();
        for _ in 0..below(&mut generator, 4) {
            let place = below(&mut generator, bytes.len());
            bytes[place] = u8::try_from(generator.below(256)).unwrap();
        }
        if round % 3 == 0 {
            bytes.truncate(below(&mut generator, bytes.len() + 1));
        }
        let via = if round % 2 == 0 { Via::Gossip } else { Via::Direct };
        let from = fleet.machines[1].id;
        fleet.input(0, Input::Received { from, via, frame: &bytes });
    }
    fleet.advance(Span::seconds(120));
    assert!(fleet.agrees(), "and the fleet still agrees");
}

#[test]
fn every_fault_gets_its_refusal_and_its_blame() {
    let (mut fleet, rollout) = settled();
    let papers = fleet.papers.clone();
    let id = papers.nodes[1].public();
    let good = papers.by(1, vote(rollout, id)).signed;

    let other = Fact::sign(FleetId(Digest([9; 32])), vote(rollout, id), &[&papers.nodes[1]]).signed;
    assert_eq!(refusal(&mut fleet, other), Refusal::OtherFleet);

    let mut tag = good.clone();
    tag.body[0] = 5;
    assert_eq!(refusal(&mut fleet, tag), Refusal::BadFact);
    let mut version = good.clone();
    version.body[1] = 2;
    assert_eq!(refusal(&mut fleet, version), Refusal::BadFact);
    let mut padded = good.clone();
    padded.body.push(0);
    assert_eq!(refusal(&mut fleet, padded), Refusal::BadFact);

    let mut bent = good.clone();
    bent.signatures[0].signature.0[40] ^= 1;
    assert_eq!(refusal(&mut fleet, bent), Refusal::Unsigned);
    let mut unsigned = good.clone();
    unsigned.signatures.clear();
    assert_eq!(refusal(&mut fleet, unsigned), Refusal::Unsigned);
    let mut doubled = good.clone();
    let again = doubled.signatures[0];
    doubled.signatures.push(again);
    assert_eq!(refusal(&mut fleet, doubled), Refusal::Unsigned);
    let stranger = Fact::sign(papers.fleet, vote(rollout, id), &[&papers.nodes[2]]).signed;
    assert_eq!(refusal(&mut fleet, stranger), Refusal::Unsigned);

    let outsider = key("outsider");
    let seat = Fact::sign(papers.fleet, vote(rollout, outsider.public()), &[&outsider]).signed;
    assert_eq!(refusal(&mut fleet, seat), Refusal::NoSeat);
    let say = Say::Open(6);
    let high = papers.by(1, Statement::Ballot(Ballot { rollout, juror: id, say })).signed;
    assert_eq!(refusal(&mut fleet, high), Refusal::OutOfRange);
    let nobody = papers.by(1, vote(RolloutId(Digest([5; 32])), id)).signed;
    assert_eq!(refusal(&mut fleet, nobody), Refusal::MissingParent);
    let beacon = Beacon {
        node: outsider.public(),
        boot: 1,
        incarnation: 1,
        count: 1,
        heads: Heads::default(),
        active: Vec::new(),
        installed: Vec::new(),
        addresses: Vec::new(),
    };
    let beacon = Fact::sign(papers.fleet, Statement::Beacon(beacon), &[&outsider]).signed;
    assert_eq!(refusal(&mut fleet, beacon), Refusal::NotAMember);

    for why in
        [Refusal::OtherFleet, Refusal::BadFact, Refusal::Unsigned, Refusal::NoSeat, Refusal::OutOfRange]
    {
        assert_eq!(why.blame(), Blame::Peer);
    }
    for why in [Refusal::MissingParent, Refusal::NotAMember, Refusal::Collected] {
        assert_eq!(why.blame(), Blame::Nobody);
    }
    assert_eq!(verdict(&mut fleet, &gossip(&papers.by(1, vote(rollout, id)))), Verdict::Accepted);
    assert_eq!(verdict(&mut fleet, &gossip(&papers.by(1, vote(rollout, id)))), Verdict::Known);
}

#[test]
fn documents_need_their_thresholds_and_sorted_signatures() {
    let (mut fleet, _) = settled();
    let papers = fleet.papers.clone();
    let (_, good) = papers.release(2, "2.0");
    let wrong = Fact::sign(papers.fleet, good.statement.clone(), &[&papers.operator]);
    assert_eq!(refusal(&mut fleet, wrong.signed), Refusal::Unsigned);
    let both = Fact::sign(papers.fleet, good.statement.clone(), &[&papers.operator, &papers.release]);
    let mut unsorted = both.signed.clone();
    unsorted.signatures.reverse();
    assert_eq!(refusal(&mut fleet, unsorted), Refusal::Unsigned);
    let many: Vec<KeyPair> = (0..17).map(|n| key(&format!("signer {n}"))).collect();
    let many: Vec<&KeyPair> = many.iter().collect();
    assert_eq!(
        Fact::read(papers.fleet, Fact::sign(papers.fleet, good.statement.clone(), &many).signed).unwrap_err(),
        BadFact::Signatures
    );
    // The bytes say who signed for what: the same signatures over another body are worth nothing.
    let mut moved = good.signed.clone();
    moved.body = papers.release(3, "3.0").1.signed.body;
    assert_eq!(refusal(&mut fleet, moved), Refusal::Unsigned);
    assert_eq!(verdict(&mut fleet, &gossip(&both)), Verdict::Accepted, "other keys' signatures do no harm");
    assert_eq!(good.id, both.id, "signatures are no part of a fact's name");
}

#[test]
fn frames_are_bounded() {
    assert_eq!(Frame::decode(&[]), Err(BadFrame::Malformed));
    assert_eq!(Frame::decode(&[2, 0, 0, 0, 0]), Err(BadFrame::Version(2)));
    let huge = vec![1; groundswell_protocol::bounds::MESSAGE_MAX + 1];
    assert_eq!(Frame::decode(&huge), Err(BadFrame::TooLarge));
    let mut endless = Frame::Want { keys: Vec::new() }.encode();
    let end = endless.len();
    endless[end - 8..].fill(255);
    assert_eq!(Frame::decode(&endless), Err(BadFrame::Malformed), "a length beyond the bytes");
    let entry = |key| Entry { key, rank: 0, id: 0 };
    let rollout = RolloutId(Digest([1; 32]));
    let refused = [
        Frame::Want { keys: vec![2, 1] },
        Frame::Want { keys: (0..513).collect() },
        Frame::Summary { first: 5, last: 4, entries: vec![], beacon: None, yours: None },
        Frame::Summary { first: 5, last: 9, entries: vec![entry(4)], beacon: None, yours: None },
        Frame::Summary { first: 0, last: 9, entries: vec![entry(4), entry(3)], beacon: None, yours: None },
        Frame::Seen { entries: (0..257).map(entry).collect() },
        Frame::Missed { rollout, seats: 0, ranks: (0..129).collect() },
        Frame::Missed { rollout, seats: 0, ranks: vec![1, 1] },
    ];
    for frame in refused {
        assert_eq!(Frame::decode(&frame.encode()), Err(BadFrame::Malformed), "{frame:?}");
    }
    let mut trailing = Frame::Want { keys: vec![1] }.encode();
    trailing.push(0);
    assert_eq!(Frame::decode(&trailing), Err(BadFrame::Malformed));
}

#[test]
fn a_census_too_large_for_gossip_is_refused_there() {
    let (mut fleet, _) = settled();
    let nodes: Vec<PublicKey> = (0..500).map(|n| key(&format!("many {n}")).public()).collect();
    let papers = fleet.papers.clone();
    let (census, _) = papers.next_census(2, 1, &nodes, &papers.enrol);
    assert_eq!(verdict(&mut fleet, &gossip(&census)), Verdict::Refused(Refusal::BadFrame));
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// RFC 8032, section 7.1: tests 1 to 3.
#[test]
fn signatures_are_those_of_rfc_8032() {
    let vectors = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, public, message, signature) in vectors {
        let pair = KeyPair::from_seed(&bytes(seed));
        let message = hex::decode(message).unwrap();
        assert_eq!(pair.public(), PublicKey(bytes(public)));
        assert_eq!(pair.sign(&message), Signature(bytes(signature)));
        assert!(pair.public().verify(&message, &Signature(bytes(signature))));
        let mut bent = Signature(bytes(signature));
        bent.0[0] ^= 1;
        assert!(!pair.public().verify(&message, &bent));
    }
}

/// The points of small order, and encodings that are not canonical (Chalkias, Garillot, Nikolaenko,
/// "Taming the many EdDSAs", 2020, appendix C): under such keys a signature of zeros fits any message.
#[test]
fn keys_of_small_order_sign_nothing() {
    let points = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in points {
        let key = PublicKey(bytes(point));
        for commitment in points {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&bytes::<32>(commitment));
            for message in [&b"one"[..], b"two", b"three", b"four"] {
                assert!(!key.verify(message, &Signature(signature)), "{point} signs");
            }
        }
    }
}

#[test]
fn every_statement_reads_back_as_it_was() {
    let papers = Papers::new(3);
    for (name, fact) in statements(&papers) {
        let read = Fact::read(papers.fleet, fact.signed.clone()).unwrap();
        assert_eq!((read.id, read.rank, &read.key), (fact.id, fact.rank, &fact.key), "{name}");
        assert_eq!(read.statement, fact.statement, "{name}");
        let record = Record::Fact(fact.signed);
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }
}
