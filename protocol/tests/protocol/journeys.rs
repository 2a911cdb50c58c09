//! Releases from publication to their end, on a small fleet.

use groundswell_protocol::digest::Digest;
use groundswell_protocol::node::Event;
use groundswell_protocol::node::event::Stage;
use groundswell_protocol::time::Span;

use crate::fleet::{FIRST, Fleet};

pub(crate) const MINUTE: Span = Span::seconds(60);

#[test]
fn a_good_release_is_confirmed_everywhere() {
    for count in 1..=7 {
        let mut fleet = Fleet::new(count);
        assert!(fleet.run_until(MINUTE, Fleet::all_sign), "n={count}");
        let rollout = fleet.publish(0, 1, "1.0");
        assert!(fleet.run_until(MINUTE, |f| f.all_at(rollout, Stage::Confirmed)), "n={count}");
        for node in 0..count {
            let installed = fleet.installed(node);
            assert_eq!(installed.active.map(|slot| slot.version).as_deref(), Some("1.0"));
            assert_eq!(installed.previous.map(|slot| slot.version).as_deref(), Some(FIRST));
            assert_eq!(installed.anchor.map(|slot| slot.version).as_deref(), Some("1.0"));
            assert_eq!(installed.trial, None);
        }
        fleet.advance(MINUTE);
        assert!(fleet.agrees());
    }
}

#[test]
fn a_bad_release_stays_with_its_canary() {
    for count in 1..=7 {
        let mut fleet = Fleet::new(count);
        fleet.run_until(MINUTE, Fleet::all_sign);
        for node in 0..count {
            fleet.set_sick(node, "1.0", true);
        }
        let rollout = fleet.publish(0, 1, "1.0");
        let stopped = |e: &Event| matches!(e, Event::Stopped { .. });
        assert!(fleet.run_until(MINUTE, |f| f.count(|_, e| stopped(e)) == count), "n={count}");
        fleet.advance(MINUTE);
        let tried = fleet.count(|_, e| matches!(e, Event::Stage { to: Stage::Trial, .. }));
        assert!(tried <= if count < 4 { 1 } else { 2 }, "n={count}: {tried} nodes were exposed");
        for node in 0..count {
            assert_eq!(fleet.machines[node].slot.values().next(), Some(&Digest::of(FIRST.as_bytes())));
            assert!(fleet.rollout(node, rollout).unwrap().ending.is_some());
        }
    }
}
