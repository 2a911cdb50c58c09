//! Rollout plans as people write them: TOML, with the defaults of the protocol for what is left out.

use std::path::Path;

use groundswell_protocol::trust::plan::Plan;
use toml::{Table, Value};

use super::disk::read_bounded;
use super::nearest::nearest;
use super::problem::Problem;

/// Bytes of a plan file at most.
const PLAN_FILE_MAX: usize = 64 << 10;

const PLAN_FIELDS: [&str; 12] = [
    "ladder",
    "bake_s",
    "stage_s",
    "trial_s",
    "hold_s",
    "hold_permille",
    "stop_permille",
    "revert_spread_s",
    "beacon_ms",
    "probes",
    "order",
    "judge",
];
const RUNG_FIELDS: [&str; 2] = ["nodes", "permille"];
const ACTION_FIELDS: [&str; 4] = ["http", "tcp", "exec", "process"];
const PROBE_FIELDS: [&str; 9] = [
    "http",
    "tcp",
    "exec",
    "process",
    "initial_delay_ms",
    "period_ms",
    "timeout_ms",
    "success_threshold",
    "failure_threshold",
];

/// The defaults as a file to begin with, every line explained.
pub const DEFAULT_PLAN: &str = r#"# How a release goes live. What is left out has the value shown here.

# The waves: how many nodes run the release before the next ones may. `nodes` counts them, `permille`
# is thousandths of the rollout's members, rounded up. The whole fleet is added at the end.
ladder = [
    { nodes = 1 },
    { nodes = 4 },
    { nodes = 16 },
    { permille = 50 },
    { permille = 250 },
    { permille = 500 },
    { permille = 1000 },
]

trial_s = 300          # how long a node's probes must pass before it calls itself healthy
bake_s = 600           # how long a healthy node must stay healthy before it counts
stage_s = 600          # how long an open node may take to begin before another is opened in its place
hold_s = 3600          # how long a rollout may stand still before it is stopped

hold_permille = 50     # failed or doubtful thousandths of the open nodes that hold the rollout
stop_permille = 150    # failed thousandths that stop it and send every node back
revert_spread_s = 30   # after a stop, healthy nodes spread their way back over this time

beacon_ms = 2000       # time between signs of life while the rollout is live; three missed are silence

# What healthy means. Without a probe a node is healthy as long as its process was not restarted.
# One block a probe, with one of http, tcp, exec, process; port 0 or none is the component's own first
# listening socket.
#
# [[probes]]
# http = { path = "/health" }
# initial_delay_ms = 0
# period_ms = 10000
# timeout_ms = 1000
# success_threshold = 1
# failure_threshold = 3
#
# [[probes]]
# exec = { command = ["./bin/check", "--quick"] }
#
# [[probes]]
# tcp = { port = 5432 }
#
# [[probes]]
# process = {}
"#;

/// Reads and checks a plan file.
///
/// # Errors
/// When it cannot be read, is not TOML, names an unknown field, or breaks a bound.
pub fn read(path: &Path) -> Result<Plan, Problem> {
    let what = || format!("cannot use the plan {}", path.display());
    let todo = "see every field and its default with `swell release plan`";
    let bytes = read_bounded(path, PLAN_FILE_MAX)?;
    let text =
        String::from_utf8(bytes).map_err(|_| Problem::bad_input(what(), "it is not a text file", todo))?;
    parse(&text).map_err(|why| Problem::bad_input(what(), why, todo))
}

/// Reads and checks the text of a plan.
///
/// # Errors
/// The words say what is wrong with it.
pub fn parse(text: &str) -> Result<Plan, String> {
    let table: Table = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    check_names(&table)?;
    let plan: Plan = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    plan.check().map_err(|bad| bad.to_string())?;
    Ok(plan)
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('^')).collect();
    lines.join(" ")
}

/// Checks all names, deeper than serde can: it lets unknown fields inside probes pass.
fn check_names(table: &Table) -> Result<(), String> {
    check_fields(table, "a plan", &PLAN_FIELDS)?;
    for rung in tables(table, "ladder") {
        check_fields(rung, "a rung of the ladder", &RUNG_FIELDS)?;
    }
    for probe in tables(table, "probes") {
        check_fields(probe, "a probe", &PROBE_FIELDS)?;
        let actions: Vec<&str> =
            ACTION_FIELDS.into_iter().filter(|action| probe.contains_key(*action)).collect();
        match actions.as_slice() {
            [action] => check_action(probe, action)?,
            [] => return Err("a probe has none of http, tcp, exec and process".to_owned()),
            several => {
                return Err(format!("a probe has {} at once: write one block each", several.join(" and ")));
            }
        }
    }
    Ok(())
}

fn check_action(probe: &Table, action: &str) -> Result<(), String> {
    let fields: &[&str] = match action {
        "http" => &["port", "path"],
        "tcp" => &["port"],
        "exec" => &["command"],
        _ => &[],
    };
    match probe.get(action) {
        Some(Value::Table(inner)) => check_fields(inner, &format!("the probe action {action}"), fields),
        _ => Err(format!("the probe action {action} is written as `{action} = {{ … }}`")),
    }
}

fn tables<'a>(table: &'a Table, field: &str) -> impl Iterator<Item = &'a Table> {
    let list = table.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_table)
}

fn check_fields(table: &Table, of: &str, known: &[&str]) -> Result<(), String> {
    let Some(unknown) = table.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let hint = match nearest(unknown, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => "; it has no fields".to_owned(),
        None => format!("; its fields are {}", known.join(", ")),
    };
    Err(format!("{of} has no field {unknown:?}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundswell_protocol::trust::plan::Rung;
    use groundswell_protocol::trust::probe::{Probe, ProbeAction};
    use proptest::prelude::*;

    #[test]
    fn the_default_file_is_the_default_plan() {
        assert_eq!(parse(DEFAULT_PLAN).expect("parses"), Plan::default());
        assert_eq!(parse("").expect("parses"), Plan::default());
    }

    #[test]
    fn the_names_checked_are_those_of_the_plan() {
        let value = Table::try_from(Plan::default()).expect("a table");
        let mut names: Vec<&str> = value.keys().map(String::as_str).collect();
        let mut known = PLAN_FIELDS.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
        let probe = Probe {
            action: ProbeAction::Process,
            initial_delay_ms: 0,
            period_ms: 1,
            timeout_ms: 1,
            success_threshold: 1,
            failure_threshold: 1,
        };
        for name in serde_json::to_value(probe).expect("json").as_object().expect("object").keys() {
            assert!(PROBE_FIELDS.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn the_commented_probes_are_right() {
        let uncommented: String = DEFAULT_PLAN
            .split_once("#\n# [[probes]]")
            .expect("the examples")
            .1
            .replace("# ", "")
            .replace('#', "");
        let plan = parse(&format!("[[probes]]{uncommented}")).expect("parses");
        let actions: Vec<_> = plan.probes.iter().map(|probe| probe.action.clone()).collect();
        assert_eq!(
            actions,
            [
                ProbeAction::Http { port: 0, path: "/health".to_owned() },
                ProbeAction::Exec { command: vec!["./bin/check".to_owned(), "--quick".to_owned()] },
                ProbeAction::Tcp { port: 5432 },
                ProbeAction::Process,
            ]
        );
    }

    #[test]
    fn what_is_written_replaces_the_default() {
        let plan =
            parse("ladder = [{ nodes = 1 }, { permille = 250 }]\ntrial_s = 2\nbake_s = 0").expect("parses");
        assert_eq!(plan.ladder, [Rung::Nodes(1), Rung::Permille(250)]);
        assert_eq!((plan.trial_s, plan.bake_s, plan.hold_s), (2, 0, 3600));
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_name() {
        for (text, words) in [
            ("bakes = 3", "did you mean `bake_s`?"),
            ("colour = 3", "its fields are ladder"),
            ("ladder = [{ node = 1 }]", "did you mean `nodes`?"),
            ("[[probes]]\nhttp = { path = \"/\" }\nperiod = 3", "did you mean `period_ms`?"),
            ("[[probes]]\nhttp = { path = \"/\", prot = 3 }", "did you mean `port`?"),
            ("[[probes]]\nperiod_ms = 3", "none of http"),
            ("[[probes]]\nhttp = { path = \"/\" }\ntcp = {}", "http and tcp at once"),
            ("[[probes]]\nhttp = \"/\"", "is written as"),
            ("trial_s = 0", "trial_s"),
            ("trial_s = -1", "trial_s"),
            ("hold_permille = 500", "hold must not exceed stop"),
            ("ladder = []", "rungs"),
            ("judge = 2", "judge"),
            ("trial_s = ", "TOML"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(words), "{text:?} gave {why:?}, which should contain {words:?}");
            assert!(!why.contains('\n'), "{why:?} is one line");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
