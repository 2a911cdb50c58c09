//! What a scenario must fulfil before it is played: everything that it names exists.

use groundswell_protocol::trust::names::is_label;

use super::groups::GROUPS_MAX;
use super::words::nearest;
use super::{Act, Scenario, When, Who};

/// Most machines of a story.
pub const NODES_MAX: u32 = 200_000;
/// Most steps of a story.
pub const STEPS_MAX: usize = 10_000;
/// Most releases of a story.
const RELEASES_MAX: usize = 64;
/// Longest story: a year, in virtual seconds.
const LIMIT_SECONDS_MAX: u64 = 365 * 24 * 3600;

/// Why a scenario cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unfit {
    /// In which list of the scenario, and at which place of it; an empty name for the whole.
    pub part: (&'static str, usize),
    /// The word that is at fault.
    pub word: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The nearest valid word.
    pub nearest: Option<String>,
}

fn unfit(part: (&'static str, usize), word: &dyn ToString, what: String, nearest: Option<String>) -> Unfit {
    Unfit { part, word: word.to_string(), what, nearest }
}

impl Scenario {
    /// Checks that everything that it names exists, and its bounds.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Unfit> {
        self.check_size()?;
        self.check_groups()?;
        self.check_releases()?;
        self.check_links()?;
        for (place, liar) in self.liars.iter().enumerate() {
            self.check_who(("liar", place), liar.who)?;
            if matches!(liar.who, Who::OnTrial | Who::Publisher) {
                let what = "who lies must be known when the story begins".to_owned();
                return Err(unfit(("liar", place), &liar.who, what, Some("leader".to_owned())));
            }
        }
        for place in 0..self.steps.len() {
            self.check_step(place)?;
        }
        let plan = |bad: groundswell_protocol::trust::plan::BadPlan| {
            unfit(("plan", 0), &"plan", format!("the plan is not valid: {bad}"), None)
        };
        self.plan.check().map_err(plan)
    }

    fn check_size(&self) -> Result<(), Unfit> {
        let (nodes, fewest) = (self.nodes, self.nodes_min.max(1));
        if nodes < fewest || nodes > NODES_MAX {
            let what = format!("the story needs {fewest} to {NODES_MAX} machines");
            return Err(unfit(("nodes", 0), &nodes, what, Some(nodes.clamp(fewest, NODES_MAX).to_string())));
        }
        if self.limit_seconds == 0 || self.limit_seconds > LIMIT_SECONDS_MAX {
            let what = "the limit must lie between 1 s and 365 d".to_owned();
            return Err(unfit(("limit", 0), &"limit", what, Some("1h".to_owned())));
        }
        if self.steps.len() > STEPS_MAX {
            let what = format!("there are {} steps; {STEPS_MAX} are the most", self.steps.len());
            return Err(unfit(("step", STEPS_MAX), &"step", what, None));
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), Unfit> {
        let links = &self.links;
        let bursts = links.bursts.map_or(0, |b| b.begin.max(b.end).max(b.loss));
        let shares = [
            ("loss", links.loss_permille),
            ("duplicates", links.duplicate_permille),
            ("reordered", links.late_permille),
            ("damage", links.damage_permille),
            ("bursts", bursts),
        ];
        if let Some((word, _)) = shares.iter().find(|(_, permille)| *permille > 1000) {
            return Err(unfit(
                ("links", 0),
                word,
                "a share is at most all".to_owned(),
                Some("100%".to_owned()),
            ));
        }
        let zones = self.zones().len();
        if !links.distances.is_empty()
            && (links.distances.len() != zones || links.distances.iter().any(|row| row.len() != zones))
        {
            let what =
                format!("there are {zones} zones: the table has as many rows, and as many words in each");
            return Err(unfit(("links", 0), &"distances", what, None));
        }
        for (place, class) in self.classes.iter().enumerate() {
            if self.classes[..place].iter().any(|other| other.name == class.name) {
                return Err(unfit(
                    ("class", place),
                    &class.name.as_str(),
                    "it is there twice".to_owned(),
                    None,
                ));
            }
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), Unfit> {
        if self.groups.len() > GROUPS_MAX {
            let what = format!("there are {} groups; {GROUPS_MAX} are the most", self.groups.len());
            return Err(unfit(("group", GROUPS_MAX), &"group", what, None));
        }
        for (place, group) in self.groups.iter().enumerate() {
            let part = ("group", place);
            if group.nodes == 0 {
                let what = "a group has machines".to_owned();
                return Err(unfit(part, &0, what, Some("1".to_owned())));
            }
            if let Some(label) = [&group.zone, &group.ring, &group.class].into_iter().find(|l| !is_label(l)) {
                let what = "a label is a short word without spaces".to_owned();
                return Err(unfit(part, label, what, None));
            }
        }
        if !self.groups.is_empty() && self.labels().iter().all(|group| !group.elector) {
            let what = "somebody must be an elector".to_owned();
            return Err(unfit(("group", 0), &"elector", what, Some("elector = true".to_owned())));
        }
        Ok(())
    }

    fn check_releases(&self) -> Result<(), Unfit> {
        let count = self.releases.len();
        if count == 0 || count > RELEASES_MAX {
            let what = format!("a story has 1 to {RELEASES_MAX} releases");
            return Err(unfit(("release", 0), &"release", what, None));
        }
        for (place, release) in self.releases.iter().enumerate() {
            let part = ("release", place);
            if self.releases[..place].iter().any(|other| other.version == release.version) {
                let what = "two releases have this version".to_owned();
                return Err(unfit(part, &release.version, what, Some(format!("{}-b", release.version))));
            }
            if release.sequence == 0 {
                return Err(unfit(part, &0, "sequences count from 1".to_owned(), Some("1".to_owned())));
            }
        }
        self.check_release(("goal", 0), self.goal.release())?;
        self.check_release(("back-to", 0), self.back_to)
    }

    fn check_release(&self, part: (&'static str, usize), release: usize) -> Result<(), Unfit> {
        let Some(last) = self.releases.len().checked_sub(1) else { return Ok(()) };
        if release > last {
            let what = "there is no such release".to_owned();
            return Err(unfit(part, &release, what, Some(self.releases[last].version.clone())));
        }
        Ok(())
    }

    fn check_who(&self, part: (&'static str, usize), who: Who) -> Result<(), Unfit> {
        match who {
            Who::Node(place) if place >= self.nodes => {
                let last = self.nodes - 1;
                let what = format!("there is no machine {place}: the {} count from 0 to {last}", self.nodes);
                Err(unfit(part, &place, what, Some(last.to_string())))
            }
            Who::Zone(zone) if zone as usize >= self.zones().len() => {
                let (count, last) = (self.zones().len(), self.zones().len() - 1);
                let what = format!("there is no zone {zone}: the {count} count from 0 to {last}");
                Err(unfit(part, &who, what, Some(format!("zone {last}"))))
            }
            _ => Ok(()),
        }
    }

    fn check_step(&self, place: usize) -> Result<(), Unfit> {
        let part = ("step", place);
        match self.steps[place].when {
            When::After(_) if place == 0 => {
                let what = "the first step comes after no other".to_owned();
                return Err(unfit(part, &"after", what, Some("at".to_owned())));
            }
            When::Opened { release, .. } | When::Running { release, .. } => {
                self.check_release(part, release)?;
            }
            When::At(_) | When::After(_) => {}
        }
        match self.steps[place].act {
            Act::Publish { release, on } => {
                self.check_release(part, release)?;
                self.check_who(part, on)
            }
            Act::Command { release, .. } => self.check_release(part, release),
            Act::Crash { who, .. }
            | Act::Disk { who, .. }
            | Act::Snapshot { who }
            | Act::Restore { who }
            | Act::Enrol { who } => self.check_who(part, who),
            Act::Split { permille } if permille > 1000 => {
                let what = "a share is at most all".to_owned();
                Err(unfit(part, &format!("{}%", permille / 10), what, Some("100%".to_owned())))
            }
            Act::Split { .. } | Act::Heal | Act::Core => Ok(()),
            Act::Fault(ref fault) => {
                fault.named().try_for_each(|who| self.check_who(part, who))?;
                match fault.wrong() {
                    Some((word, what)) => Err(unfit(part, &word, what, None)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The version that was probably meant.
pub(super) fn nearest_version<'a>(written: &str, versions: &[&'a str]) -> Option<&'a str> {
    nearest(written, versions).or_else(|| versions.last().copied())
}
