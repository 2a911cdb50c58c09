//! Families of faults: for each a function that draws one of its kind.
//!
//! A draw takes a stream of luck of its own and the ground that it happens on, and gives the steps that make
//! up one fault, its end among them. All faults end within [`FAULTS_END_MILLISECONDS`].

use super::fault::{ClockFault, CrashPoint, DiskFault, Fault, Whom};
use super::{Act, Count, Liar, Lie, Step, When, Who};
use crate::fleet::Thief;
use crate::generator::Generator;
use crate::world::links::Bursts;

/// By then every fault has ended.
pub const FAULTS_END_MILLISECONDS: u64 = 120_000;

/// A family of faults.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Draws one fault; no steps if the machines are too few for it.
    pub draw: fn(&mut Generator, &Ground) -> Vec<Step>,
}

/// What faults happen to.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Machines.
    pub nodes: u32,
    /// Zones that they are in.
    pub zones: u32,
    /// Machines that may forget what they signed, or be as wrong as a liar: with all liars fewer than a third,
    /// and none that holds the only copy of a release.
    pub forgetful: Vec<u32>,
}

/// All families.
pub const FAMILIES: [Family; 23] = [
    Family { name: "crash", draw: crash },
    Family { name: "crash on trial", draw: crash_on_trial },
    Family { name: "leader lost", draw: leader_lost },
    Family { name: "zone outage", draw: zone_outage },
    Family { name: "flash crowd", draw: flash_crowd },
    Family { name: "churn", draw: churn },
    Family { name: "attrition", draw: attrition },
    Family { name: "freeze", draw: freeze },
    Family { name: "crash point", draw: crash_point },
    Family { name: "split", draw: split },
    Family { name: "cut by zone", draw: cut_zone },
    Family { name: "cut by list", draw: cut_list },
    Family { name: "cut one way", draw: cut_one_way },
    Family { name: "clog", draw: clog },
    Family { name: "weather", draw: weather },
    Family { name: "damage", draw: damage },
    Family { name: "eclipse", draw: eclipse },
    Family { name: "bad disk", draw: bad_disk },
    Family { name: "lost disk", draw: wipe },
    Family { name: "old image", draw: old_image },
    Family { name: "wall clock", draw: wall_clock },
    Family { name: "monotonic clock", draw: monotonic_clock },
    Family { name: "other version", draw: other_version },
];

fn number(wide: u64) -> u32 {
    u32::try_from(wide).unwrap_or(u32::MAX)
}

fn node(draw: &mut Generator, nodes: u32) -> Who {
    Who::Node(number(draw.below(u64::from(nodes))))
}

/// A machine that releases are not published on: its disk may go.
fn not_the_publisher(draw: &mut Generator, nodes: u32) -> Option<Who> {
    (nodes > 1).then(|| Who::Node(1 + number(draw.below(u64::from(nodes - 1)))))
}

/// A few machines, each once, by rising place.
fn some(draw: &mut Generator, nodes: u32, most: u64) -> Whom {
    let count = draw.between(1, most.min(u64::from(nodes)));
    let mut places: Vec<u32> = (0..count).map(|_| number(draw.below(u64::from(nodes)))).collect();
    places.sort_unstable();
    places.dedup();
    Whom(places.into_iter().map(Who::Node).collect())
}

fn zone(draw: &mut Generator, ground: &Ground) -> Who {
    Who::Zone(number(draw.below(u64::from(ground.zones))))
}

/// One of the machines that may forget.
fn forgetful(draw: &mut Generator, ground: &Ground) -> Option<Who> {
    let place = draw.place(ground.forgetful.len());
    ground.forgetful.get(place).copied().map(Who::Node)
}

fn begins(draw: &mut Generator) -> When {
    When::At(draw.between(1_000, FAULTS_END_MILLISECONDS / 2))
}

fn lasts(draw: &mut Generator, most: u64) -> u64 {
    draw.between(100, most.min(FAULTS_END_MILLISECONDS / 2))
}

fn one(when: When, act: Act) -> Vec<Step> {
    vec![Step { when, act }]
}

fn fault(draw: &mut Generator, fault: Fault) -> Vec<Step> {
    one(begins(draw), Act::Fault(fault))
}

fn crash(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let act = Act::Crash { who: node(draw, ground.nodes), back_after: Some(lasts(draw, 30_000)) };
    one(begins(draw), act)
}

fn crash_on_trial(draw: &mut Generator, _: &Ground) -> Vec<Step> {
    let act = Act::Crash { who: Who::OnTrial, back_after: Some(lasts(draw, 20_000)) };
    one(When::Running { release: 1, nodes: Count::Number(1 + number(draw.below(3))) }, act)
}

fn leader_lost(draw: &mut Generator, _: &Ground) -> Vec<Step> {
    let act = Act::Crash { who: Who::Leader, back_after: Some(lasts(draw, 60_000)) };
    one(When::Opened { release: 1, ranks: Count::Number(1 + number(draw.below(3))) }, act)
}

fn zone_outage(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let act = Act::Crash { who: zone(draw, ground), back_after: Some(lasts(draw, 20_000)) };
    one(begins(draw), act)
}

fn flash_crowd(draw: &mut Generator, _: &Ground) -> Vec<Step> {
    let who = Who::OfFleet(number(draw.between(60, 100) * 10));
    let act = Act::Crash { who, back_after: Some(lasts(draw, 20_000)) };
    one(begins(draw), act)
}

fn churn(draw: &mut Generator, _: &Ground) -> Vec<Step> {
    let (every, away) = (draw.between(500, 5_000), draw.between(500, 8_000));
    let lasts = lasts(draw, 40_000);
    fault(draw, Fault::Churn { who: Who::OfFleet(1000).into(), every, away, lasts })
}

/// Never more than leave a quorum of those that judge, and never the publisher.
fn attrition(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let nodes = ground.nodes;
    let faulty = nodes.saturating_sub(1) / 3;
    let quorum = (nodes + faulty + 1).div_ceil(2);
    let permille = nodes.saturating_sub(quorum) * 1000 / nodes.max(1);
    let mut places: Vec<Who> = Vec::new();
    for _ in 0..draw.between(1, 6) {
        places.extend(not_the_publisher(draw, nodes).filter(|who| !places.contains(who)));
    }
    if permille == 0 || places.is_empty() {
        return Vec::new();
    }
    let (every, lasts) = (draw.between(2_000, 15_000), lasts(draw, 60_000));
    fault(draw, Fault::Attrition { who: Whom(places), every, permille, lasts })
}

fn freeze(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let (who, lasts) = (some(draw, ground.nodes, 3), lasts(draw, 30_000));
    fault(draw, Fault::Freeze { who, lasts })
}

fn crash_point(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    const POINTS: [CrashPoint; 5] = [
        CrashPoint::BeforePersist,
        CrashPoint::InCommit,
        CrashPoint::AfterCommit,
        CrashPoint::BeforeSwitch,
        CrashPoint::AfterSwitch,
    ];
    let point = POINTS[draw.place(POINTS.len())];
    let (nth, who) = (number(draw.between(1, 8)), some(draw, ground.nodes, 3));
    let (back_after, lasts) = (lasts(draw, 10_000), lasts(draw, 60_000));
    fault(draw, Fault::CrashPoint { who, point, nth, back_after, lasts })
}

fn split(draw: &mut Generator, _: &Ground) -> Vec<Step> {
    let act = Act::Split { permille: number(draw.between(100, 500)) };
    let healed = Step { when: When::After(lasts(draw, 60_000)), act: Act::Heal };
    vec![Step { when: begins(draw), act }, healed]
}

fn cut(draw: &mut Generator, from: Whom, to: Whom, one_way: bool) -> Vec<Step> {
    let lasts = lasts(draw, 60_000);
    fault(draw, Fault::Cut { from, to, one_way, lasts })
}

fn cut_zone(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let from = zone(draw, ground).into();
    cut(draw, from, Whom::default(), false)
}

fn cut_list(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let (from, to) = (some(draw, ground.nodes, 4), some(draw, ground.nodes, 4));
    let to = if draw.chance(500) { to } else { Whom::default() };
    cut(draw, from, to, false)
}

fn cut_one_way(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let from = some(draw, ground.nodes, 4);
    cut(draw, from, Whom::default(), true)
}

fn clog(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let (who, to) = (some(draw, ground.nodes, 4), some(draw, ground.nodes, 4));
    let to = if draw.chance(300) { to } else { Whom::default() };
    let lasts = lasts(draw, 30_000);
    fault(draw, Fault::Clog { who, to, lasts })
}

/// Bad weather of every sort but damage.
fn weather(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let who = if draw.chance(500) { Who::OfFleet(1000).into() } else { some(draw, ground.nodes, 4) };
    let bursts = Bursts {
        begin: number(draw.between(1, 50)),
        end: number(draw.between(20, 300)),
        loss: number(draw.between(500, 1000)),
    };
    let weather = Fault::Weather {
        who,
        loss: number(draw.below(400)),
        bursts: draw.chance(500).then_some(bursts),
        duplicates: number(draw.below(300)),
        reordered: number(draw.below(500)),
        damage: 0,
        delay: draw.below(500) * 1_000,
        lasts: lasts(draw, 60_000),
    };
    fault(draw, weather)
}

fn damage(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let who = some(draw, ground.nodes, 4);
    let damage = number(draw.between(10, 300));
    let lasts = lasts(draw, 60_000);
    let (loss, bursts, duplicates, reordered, delay) = (0, None, 0, 0, 0);
    fault(draw, Fault::Weather { who, loss, bursts, duplicates, reordered, damage, delay, lasts })
}

fn other_version(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let who = if draw.chance(500) { zone(draw, ground).into() } else { some(draw, ground.nodes, 4) };
    let lasts = lasts(draw, 60_000);
    fault(draw, Fault::OtherVersion { who, lasts })
}

fn eclipse(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let (who, lasts) = (node(draw, ground.nodes).into(), lasts(draw, 60_000));
    fault(draw, Fault::Eclipse { who, lasts })
}

fn bad_disk(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let how = match draw.below(4) {
        0 => DiskFault::Refuses,
        1 => DiskFault::Full,
        2 => DiskFault::Slow(number(draw.between(2, 500))),
        _ => DiskFault::Forgets,
    };
    let (who, lasts) = (some(draw, ground.nodes, 3), lasts(draw, 20_000));
    if how != DiskFault::Forgets {
        return fault(draw, Fault::BadDisk { who, how, lasts });
    }
    // It forgets for nothing unless the power goes.
    let Some(who) = forgetful(draw, ground) else { return Vec::new() };
    let mut steps = fault(draw, Fault::BadDisk { who: who.into(), how, lasts });
    let crash = Act::Crash { who, back_after: Some(draw.between(500, 5_000)) };
    steps.push(Step { when: When::After(draw.below(lasts)), act: crash });
    steps
}

fn wipe(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let Some(who) = forgetful(draw, ground) else { return Vec::new() };
    let lasts = lasts(draw, 20_000);
    fault(draw, Fault::Wipe { who: who.into(), lasts })
}

fn old_image(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let Some(who) = forgetful(draw, ground) else { return Vec::new() };
    let restored = Step { when: When::After(lasts(draw, 60_000)), act: Act::Restore { who } };
    vec![Step { when: begins(draw), act: Act::Snapshot { who } }, restored]
}

/// Clocks on the wall of a few machines are off by up to ten years.
fn wall_clock(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    const TEN_YEARS: u64 = 10 * 365 * 24 * 3600 * 1000;
    let by = draw.between(1_000, TEN_YEARS);
    let how = if draw.chance(500) { ClockFault::WallAhead(by) } else { ClockFault::WallBehind(by) };
    let (who, lasts) = (some(draw, ground.nodes, 3), lasts(draw, 60_000));
    fault(draw, Fault::BadClock { who, how, lasts })
}

/// Monotonic clocks of a few machines drift by up to a twentieth, or that of one leaps forward by up to a
/// minute: whoever leaps takes others for silent, and that is as bad as a lie.
fn monotonic_clock(draw: &mut Generator, ground: &Ground) -> Vec<Step> {
    let drift = i32::try_from(draw.below(100_000)).unwrap_or(0) - 50_000;
    let leap = draw.between(100, 60_000);
    let leaps = draw.chance(500);
    let (some, lasts) = (some(draw, ground.nodes, 3), lasts(draw, 60_000));
    if !leaps {
        return fault(draw, Fault::BadClock { who: some, how: ClockFault::Drift(drift), lasts });
    }
    let Some(who) = forgetful(draw, ground) else { return Vec::new() };
    fault(draw, Fault::BadClock { who: who.into(), how: ClockFault::Leap(leap), lasts })
}

/// Every lie.
const LIES: [Lie; 13] = [
    Lie::CriesStop,
    Lie::Floods,
    Lie::Withholds,
    Lie::Forges,
    Lie::Equivocates,
    Lie::Replays,
    Lie::DoubleVotes,
    Lie::Spams,
    Lie::Eclipses,
    Lie::Colludes,
    Lie::LeadsEarly,
    Lie::LeadsTooFar,
    Lie::LeadsNowhere,
];

/// One liar. Never the publisher: who keeps the only copy of a release stops it by that alone.
pub fn liar(draw: &mut Generator, nodes: u32) -> Option<Liar> {
    let lie = LIES[draw.place(LIES.len())];
    not_the_publisher(draw, nodes).map(|who| Liar { who, lie })
}

/// What somebody signs with who may not release.
pub fn thief(draw: &mut Generator) -> Thief {
    [Thief::OneKey, Thief::OneKeyTwice, Thief::OtherRoles, Thief::Machines][draw.place(4)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{catalogue, file};

    #[test]
    fn every_fault_of_every_family_is_sound_and_ends_in_time() {
        for family in &FAMILIES {
            let mut drawn = 0;
            for seed in 0..60 {
                for nodes in [1, 2, 7, 100] {
                    let mut story = catalogue::named("calm-day", nodes).expect("BUG: the catalogue has it");
                    let ground = Ground { nodes, zones: 4, forgetful: (1..nodes.div_ceil(3)).collect() };
                    let steps = (family.draw)(&mut Generator::new(seed), &ground);
                    drawn += steps.len();
                    story.steps.extend(steps);
                    assert_eq!(story.check(), Ok(()), "{} {seed} {nodes}", family.name);
                    let read = file::parse(&file::write(&story), family.name, None);
                    assert_eq!(read.as_ref().map_err(ToString::to_string), Ok(&story), "{}", family.name);
                    let mut at = 0;
                    for step in &story.steps {
                        match step.when {
                            When::At(milliseconds) => at = milliseconds,
                            When::After(milliseconds) => at += milliseconds,
                            When::Opened { .. } | When::Running { .. } => continue,
                        }
                        let lasts = match &step.act {
                            Act::Fault(fault) => fault.lasts(),
                            Act::Crash { back_after, .. } => back_after.unwrap_or(0),
                            _ => 0,
                        };
                        assert!(at + lasts <= FAULTS_END_MILLISECONDS, "{} ends", family.name);
                    }
                }
            }
            assert!(drawn >= 100, "{} draws nothing", family.name);
        }
    }
}
