//! Merge laws: registers are a lattice, and what follows from them only rises.

use std::sync::Arc;

use groundswell_protocol::facts::{Ballot, Fact, Registers, RolloutId, Say, Statement, StopReason};
use groundswell_protocol::rollout::derived::Derived;
use groundswell_protocol::rollout::quorum::Quorum;
use groundswell_protocol::rollout::roster::Roster;
use groundswell_protocol::trust::command::Instruction;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use crate::fleet::papers::Papers;
use crate::pool::{NODES, pool};

fn parts() -> (Papers, RolloutId, Roster, Vec<Arc<Fact>>) {
    let pool = pool();
    (pool.papers, pool.rollout, pool.roster, pool.facts)
}

fn merged<'a>(facts: impl IntoIterator<Item = &'a Arc<Fact>>) -> Registers {
    let mut registers = Registers::default();
    for fact in facts {
        registers.merge(fact);
    }
    registers
}

fn contents(registers: &Registers) -> Vec<Vec<u8>> {
    registers.iter().map(|(_, fact)| fact.signed.body.to_vec()).collect()
}

fn join(a: &Registers, b: &Registers) -> Registers {
    merged(a.iter().chain(b.iter()).map(|(_, fact)| fact))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn merge_is_commutative_associative_and_idempotent(
        picks in prop::collection::vec((any::<Index>(), 0_u8..3), 0..60),
    ) {
        let (_, _, _, facts) = parts();
        let side = |wanted: u8| {
            merged(picks.iter().filter(|(_, side)| *side == wanted).map(|(pick, _)| &facts[pick.index(facts.len())]))
        };
        let (a, b, c) = (side(0), side(1), side(2));
        prop_assert_eq!(contents(&join(&a, &b)), contents(&join(&b, &a)));
        prop_assert_eq!(contents(&join(&join(&a, &b), &c)), contents(&join(&a, &join(&b, &c))));
        prop_assert_eq!(contents(&join(&a, &a)), contents(&a));
        prop_assert_eq!(join(&a, &b).digest(), join(&b, &a).digest());
    }

    #[test]
    fn digests_are_equal_exactly_when_facts_are(
        one in prop::collection::vec(any::<Index>(), 0..40),
        other in prop::collection::vec(any::<Index>(), 0..40),
    ) {
        let (_, _, _, facts) = parts();
        let of = |picks: &[Index]| merged(picks.iter().map(|pick| &facts[pick.index(facts.len())]));
        let (a, b) = (of(&one), of(&other));
        prop_assert_eq!(a.digest() == b.digest(), contents(&a) == contents(&b));
        let mut c = join(&a, &b);
        let keys: Vec<_> = c.iter().map(|(key, _)| key.clone()).filter(|key| a.get(key).is_none()).collect();
        for key in keys {
            c.remove(&key);
        }
        prop_assert_eq!(c.digest() == a.digest(), contents(&c) == contents(&a), "taking out undoes putting in");
        prop_assert_eq!(a.synced().count(), a.len());
    }

    #[test]
    fn votes_that_are_hushed_at_any_moment_stay_and_no_sync_carries_them(
        before in prop::collection::vec(any::<Index>(), 0..40),
        after in prop::collection::vec(any::<Index>(), 0..40),
    ) {
        let (_, rollout, _, facts) = parts();
        let of = |picks: &[Index]| picks.iter().map(|pick| Arc::clone(&facts[pick.index(facts.len())])).collect::<Vec<_>>();
        let plain = merged(of(&before).iter().chain(&of(&after)));
        let mut hushed = merged(&of(&before));
        hushed.hush(rollout);
        of(&after).iter().for_each(|fact| _ = hushed.merge(fact));
        for (key, fact) in plain.iter() {
            prop_assert_eq!(hushed.get(key).map(|held| held.id), Some(fact.id));
        }
        let votes = hushed.votes(rollout).len();
        prop_assert_eq!(votes, plain.votes(rollout).len());
        prop_assert_eq!((hushed.len(), hushed.synced().count()), (plain.len(), plain.len() - votes));
        hushed.unhush(rollout);
        prop_assert_eq!(hushed.digest(), plain.digest());
        prop_assert_eq!(contents(&hushed), contents(&plain));
    }

    #[test]
    fn open_term_and_stop_only_rise_under_any_delivery(
        order in Just((0..parts().3.len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (_, rollout, roster, facts) = parts();
        let mut registers = Registers::default();
        let mut before = Derived::default();
        for place in order {
            registers.merge(&facts[place]);
            let after = Derived::read(rollout, &roster, &registers, false);
            prop_assert!(after.open >= before.open && after.term >= before.term);
            prop_assert!(after.hinted_term >= before.hinted_term);
            prop_assert!(after.stop.is_some() || before.stop.is_none(), "a stop is never unsaid");
            prop_assert!(!(after.stop.is_some() && after.done(&roster)), "a stop beats done");
            before = after;
        }
        prop_assert!(before.stop.is_some());
        prop_assert_eq!(before.open, roster.done());
    }

    #[test]
    fn stop_wins_every_merge(stoppers in subsequence((0..NODES).collect::<Vec<_>>(), 3), seed in any::<u64>()) {
        let (papers, rollout, roster, facts) = parts();
        let stop = |node: &usize| {
            let say = Say::Stop(StopReason::Evidence);
            let juror = papers.nodes[*node].public();
            Arc::new(papers.by(*node, Statement::Ballot(Ballot { rollout, juror, say })))
        };
        let stops: Vec<_> = stoppers.iter().map(stop).collect();
        let rest: Vec<_> = facts.into_iter().filter(|f| {
            !matches!(&f.statement, Statement::Ballot(b) if matches!(b.say, Say::Stop(_)))
                && !matches!(&f.statement, Statement::Command(c) if c.instruction == Instruction::Stop)
        }).collect();
        let (a, b) = (merged(&stops), merged(&rest));
        let (ab, ba) = (join(&a, &b), join(&b, &a));
        for registers in [&ab, &ba] {
            let derived = Derived::read(rollout, &roster, registers, false);
            prop_assert!(derived.stop.is_some() && !derived.done(&roster), "{}", seed);
        }
        let two = merged(&stops[..2]);
        prop_assert!(Derived::read(rollout, &roster, &join(&two, &b), false).stop.is_none(), "f jurors stop nothing");
    }

    /// S4 on the registers: whatever fewer than a quorum says, and however often, nothing opens.
    #[test]
    fn no_wave_opens_without_its_certificate(numbers in prop::collection::vec(1_u32..9, NODES)) {
        let (papers, rollout, roster, _) = parts();
        let quorum = Quorum::of(u32::try_from(NODES).unwrap()).quorum as usize;
        let mut registers = Registers::default();
        for (said, open) in numbers.iter().enumerate() {
            let ballot = Ballot { rollout, juror: papers.nodes[said].public(), say: Say::Open(*open) };
            registers.merge(&Arc::new(papers.by(said, Statement::Ballot(ballot))));
            let derived = Derived::read(rollout, &roster, &registers, false);
            let mut sorted = numbers[..=said].to_vec();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(derived.open, sorted.get(quorum - 1).copied().unwrap_or(0));
        }
    }
}

#[test]
fn pause_wins_at_equal_counters_and_a_later_resume_unsays_neither_stop_nor_promote() {
    let (papers, rollout, roster, _) = parts();
    let order =
        |instruction| Arc::new(Fact::read(papers.fleet, papers.command(rollout, instruction)).unwrap());
    let flow = |counter, pause| order(Instruction::Flow { counter, pause });
    let read = |facts: &[&Arc<Fact>]| Derived::read(rollout, &roster, &merged(facts.iter().copied()), false);
    let (pause, resume, later) = (flow(1, true), flow(1, false), flow(2, false));
    assert!(read(&[&pause, &resume]).paused && read(&[&resume, &pause]).paused);
    assert!(!read(&[&later, &pause]).paused);
    let (stop, promote) = (order(Instruction::Stop), order(Instruction::Promote(3)));
    let all = read(&[&stop, &promote, &later]);
    assert!(all.stop.is_some() && all.open == 3);
}
