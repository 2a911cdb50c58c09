//! Which rollout is meant.

use clap::Args;
use groundswell_protocol::node::status::{RolloutStatus, Status};

use crate::cli::daemon::SocketArgs;
use crate::cli::failure::{Code, Failure};
use crate::cli::words::some_of;

/// Candidates named in an error.
const CANDIDATES_SHOWN: usize = 6;

/// Which rollout, and of which agent to ask.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The beginning of the rollout's id, or a component for its newest [default: the only live one, else
    /// the only one]
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    pub(super) socket: SocketArgs,
}

impl Which {
    /// The rollout that is meant.
    pub(super) fn find<'a>(&self, status: &'a Status) -> Result<&'a RolloutStatus, Failure> {
        let all: Vec<&RolloutStatus> = status.rollouts.iter().collect();
        if all.is_empty() {
            return Err(Failure::new(
                Code::NotFound,
                "cannot show a rollout",
                "this agent knows of none",
                "publish a release first, or wait until it has arrived here",
            ));
        }
        match &self.id {
            None => newest(&all),
            Some(id) => named(&all, id),
        }
    }
}

fn newest<'a>(all: &[&'a RolloutStatus]) -> Result<&'a RolloutStatus, Failure> {
    let live: Vec<&RolloutStatus> = all.iter().copied().filter(|rollout| rollout.ending.is_none()).collect();
    let candidates = if live.is_empty() { all } else { &live };
    let component = &candidates[0].component;
    if candidates.iter().all(|rollout| rollout.component == *component) {
        return Ok(highest(candidates));
    }
    Err(ambiguous("several components have rollouts", candidates))
}

fn named<'a>(all: &[&'a RolloutStatus], id: &str) -> Result<&'a RolloutStatus, Failure> {
    let of_component: Vec<&RolloutStatus> =
        all.iter().copied().filter(|rollout| rollout.component.as_str() == id).collect();
    if !of_component.is_empty() {
        return Ok(highest(&of_component));
    }
    let prefix = id.to_ascii_lowercase();
    let by_id: Vec<&RolloutStatus> = all
        .iter()
        .copied()
        .filter(|rollout| !prefix.is_empty() && rollout.rollout.to_string().starts_with(&prefix))
        .collect();
    match by_id.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::new(
            Code::NotFound,
            format!("cannot find the rollout {id:?}"),
            format!("no component and no rollout here begins like that; there are {}", list(all)),
            "see them all with `swell rollout list`",
        )),
        several => Err(ambiguous(&format!("{id:?} begins several rollouts"), several)),
    }
}

fn highest<'a>(rollouts: &[&'a RolloutStatus]) -> &'a RolloutStatus {
    rollouts.iter().max_by_key(|rollout| rollout.order).expect("BUG: there is at least one")
}

fn ambiguous(why: &str, candidates: &[&RolloutStatus]) -> Failure {
    Failure::new(
        Code::Usage,
        "cannot tell which rollout is meant",
        format!("{why}: {}", list(candidates)),
        "name one by its component, or by more of its id",
    )
}

fn list(rollouts: &[&RolloutStatus]) -> String {
    let names: Vec<String> = rollouts
        .iter()
        .map(|rollout| format!("{} ({} {})", rollout.rollout.0.short(), rollout.component, rollout.version))
        .collect();
    some_of(&names, CANDIDATES_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::{rollout, status};
    use groundswell_protocol::node::record::Ending;

    fn which(id: Option<&str>) -> Which {
        Which { id: id.map(ToOwned::to_owned), socket: SocketArgs::default() }
    }

    #[test]
    fn a_rollout_is_found_by_component_by_id_and_by_default() {
        let mut first = rollout("web", 1);
        first.ending = Some(Ending::Done);
        let second = rollout("web", 2);
        let status = status(vec![first.clone(), second.clone()]);
        assert_eq!(which(None).find(&status), Ok(&second));
        assert_eq!(which(Some("web")).find(&status), Ok(&second));
        let id = first.rollout.to_string();
        assert_eq!(which(Some(&id[..6])).find(&status), Ok(&first));
        assert_eq!(which(Some(&id[..6].to_uppercase())).find(&status), Ok(&first));
        assert_eq!(which(Some("zz")).find(&status).expect_err("unknown").code, Code::NotFound);
    }

    #[test]
    fn what_is_not_clear_is_asked_back() {
        let status = status(vec![rollout("web", 1), rollout("database", 1)]);
        let failure = which(None).find(&status).expect_err("two components");
        assert_eq!(failure.code, Code::Usage);
        assert!(failure.why.contains("web") && failure.why.contains("database"), "{failure}");
        assert!(which(Some("")).find(&status).is_err());
    }

    #[test]
    fn an_agent_without_rollouts_says_so() {
        assert_eq!(which(None).find(&status(Vec::new())).expect_err("none").code, Code::NotFound);
    }
}
