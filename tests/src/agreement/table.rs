//! The two beside each other.

use std::fmt::Write as _;

use super::{Course, Milestone, Overlay};

/// A quantile of numbers that rise: the smallest that so many of 1,000 do not exceed.
pub fn quantile(rising: &[u64], permille: usize) -> u64 {
    let place = (rising.len() * permille).div_ceil(1_000).max(1) - 1;
    rising.get(place).or(rising.last()).copied().unwrap_or(0)
}

/// How far the simulator is from reality, in per cent of reality.
fn apart(real: u64, simulated: u64) -> String {
    if real == 0 {
        return "–".to_owned();
    }
    let permille = (i128::from(simulated) - i128::from(real)) * 1_000 / i128::from(real);
    format!("{}{}.{} %", if permille < 0 { "−" } else { "+" }, permille.abs() / 10, permille.abs() % 10)
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

/// `part / whole` with two digits.
fn ratio(part: u64, whole: u64) -> String {
    let hundredths = part * 100 / whole.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// All rollouts of one side.
pub struct Side {
    /// Their courses.
    pub courses: Vec<Course>,
    /// What gossip cost in all of them.
    pub overlay: Overlay,
}

impl Side {
    /// One side's rollouts together.
    pub fn of(rollouts: Vec<(Course, Overlay)>) -> Self {
        let mut overlay = Overlay::default();
        let mut courses = Vec::new();
        for (course, cost) in rollouts {
            overlay.add(&cost);
            courses.push(course);
        }
        Self { courses, overlay }
    }

    fn times(&self, of: impl Fn(&Course) -> Vec<u64>) -> Vec<u64> {
        let mut all: Vec<u64> = self.courses.iter().flat_map(of).collect();
        all.sort_unstable();
        all
    }
}

/// How many courses of a side have the order of events that most real ones have; and that order.
fn order(real: &Side, side: &Side, targets: &[u32]) -> (usize, Vec<Milestone>) {
    let orders: Vec<Vec<Milestone>> = real.courses.iter().map(|course| course.milestones(targets)).collect();
    let count = |order: &Vec<Milestone>| orders.iter().filter(|other| *other == order).count();
    let Some(usual) = orders.iter().max_by_key(|order| count(order)) else { return (0, Vec::new()) };
    let same = side.courses.iter().filter(|course| course.milestones(targets) == *usual).count();
    (same, usual.clone())
}

/// The table, in Markdown.
pub fn table(real: &Side, simulated: &Side, targets: &[u32]) -> String {
    let mut text = String::from("| | real agents | simulated | apart |\n|---|---|---|---|\n");
    let mut row = |what: &str, real: String, simulated: String, apart: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {what} | {real} | {simulated} | {apart} |");
    };
    let (same, usual) = order(real, real, targets);
    let (also, _) = order(real, simulated, targets);
    let of = |same: usize, side: &Side| format!("{same} of {}", side.courses.len());
    row("rollouts in the same order of events", of(same, real), of(also, simulated), String::new());
    let mut times = |what: &str, of: &dyn Fn(&Course) -> Vec<u64>| {
        let (ours, theirs) = (real.times(of), simulated.times(of));
        for (name, permille) in [("median", 500), ("p95", 950)] {
            let (ours, theirs) = (quantile(&ours, permille), quantile(&theirs, permille));
            row(&format!("{what}, {name}"), seconds(ours), seconds(theirs), apart(ours, theirs));
        }
    };
    times("rollout, from the first word to done", &|course| course.done.into_iter().collect());
    for target in targets {
        times(&format!("until {target} ranks are open"), &|course| {
            course.opened.iter().filter(|(_, open)| open == target).map(|(at, _)| *at).collect()
        });
    }
    times("a node's healthy vote, all nodes", &|course| course.healthy.clone());
    let (ours, theirs) = (&real.overlay, &simulated.overlay);
    let per_mille = |part: u64, whole: u64| part * 1_000 / whole.max(1);
    let mut ratios = |what: &str, of: &dyn Fn(&Overlay) -> (u64, u64)| {
        let (ours, theirs) = (of(ours), of(theirs));
        let difference = apart(per_mille(ours.0, ours.1), per_mille(theirs.0, theirs.1));
        row(what, ratio(ours.0, ours.1), ratio(theirs.0, theirs.1), difference);
    };
    ratios("gossip: duplicates a first copy", &|overlay| (overlay.duplicates, overlay.first_copies));
    ratios("gossip: hops a first copy", &|overlay| (overlay.hops, overlay.ways));
    ratios("gossip: share that came straight from its author", &|overlay| (overlay.straight, overlay.ways));
    ratios("gossip: mesh neighbours a node", &|overlay| (overlay.mesh, overlay.mesh_nodes));
    ratios("gossip: asked for after it was announced, of 1,000 first copies", &|overlay| {
        (overlay.asked * 1_000, overlay.first_copies)
    });
    row("gossip: most hops", ours.hops_max.to_string(), theirs.hops_max.to_string(), String::new());
    let (count, other) = (real.courses.len() as u64, simulated.courses.len() as u64);
    row(
        "gossip: first copies in a rollout, all nodes",
        (ours.first_copies / count.max(1)).to_string(),
        (theirs.first_copies / other.max(1)).to_string(),
        apart(ours.first_copies / count.max(1), theirs.first_copies / other.max(1)),
    );
    let _ = writeln!(text, "\nThe order: {usual:?}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_numbers_themselves() {
        let numbers: Vec<u64> = (1..=20).collect();
        assert_eq!(
            (quantile(&numbers, 500), quantile(&numbers, 950), quantile(&numbers, 1_000)),
            (10, 19, 20)
        );
        assert_eq!((quantile(&[7], 950), quantile(&[], 500)), (7, 0));
    }

    #[test]
    fn distances_are_of_reality() {
        assert_eq!(apart(1_000, 1_150), "+15.0 %");
        assert_eq!(apart(1_000, 899), "−10.1 %");
        assert_eq!(apart(0, 5), "–");
    }
}
