//! Liars below a third cost time, and nothing else; what each of them does is really done.

use crate::report::Outcome;
use crate::scenario::file;
use crate::world::World;

/// Seven machines, of which two lie, and a release with this health.
fn run(lie: &str, health: &str, goal: &str, words: &str) -> Outcome {
    let text = format!(
        "name = \"lies\"\nabout = \"test\"\nnodes = 7\nlimit = \"1h\"\ngoal = {{ {goal} = \"2\" }}\n\
         [[release]]\nversion = \"1\"\nsequence = 1\ndelta = \"800KB\"\n\
         [[release]]\nversion = \"2\"\nsequence = 2\ndelta = \"800KB\"\n{health}\n\
         [[liar]]\nwho = 5\nlie = \"{lie}\"\n[[liar]]\nwho = 6\nlie = \"{lie}\"\n\
         [[step]]\nat = \"5s\"\npublish = {{ release = \"2\", on = 0 }}\n{words}"
    );
    let scenario = file::parse(&text, "lies", None).unwrap_or_else(|error| panic!("{error}"));
    let outcome = World::play(scenario, 2, Box::new(|_| {}));
    assert!(outcome.violations.is_empty(), "{lie}: {}", outcome.summary());
    outcome
}

fn completes_beside(lie: &str) -> Outcome {
    let outcome = run(lie, "", "completes", "");
    assert_eq!(outcome.ending.as_deref(), Some("done"), "{lie}: {}", outcome.summary());
    outcome
}

#[test]
fn a_good_release_completes_beside_those_who_hold_back_or_make_noise() {
    for lie in ["withholds", "replays", "eclipses"] {
        completes_beside(lie);
    }
    assert!(completes_beside("spams").counters.refusals > 100);
    assert!(completes_beside("forges").counters.refusals > 100);
}

#[test]
fn a_good_release_completes_beside_lying_leaders() {
    for lie in ["leads-early", "leads-too-far", "leads-nowhere"] {
        completes_beside(lie);
    }
}

#[test]
fn one_sort_of_word_against_another_ends_the_same_everywhere() {
    for lie in ["equivocates", "double-votes", "cries-stop"] {
        run(lie, "", "ends", "");
    }
}

#[test]
fn who_votes_together_below_a_third_neither_saves_a_bad_release_nor_spreads_it() {
    let outcome = run("colludes", "health = { fails-after = \"1s\" }", "stops", "");
    assert!(outcome.exposed <= 5, "{}", outcome.summary());
    completes_beside("colludes");
}

#[test]
fn who_is_surrounded_activates_nothing_that_is_stopped() {
    // Whatever the surrounded machine runs it ran before the others stopped it, or not at all: S5 looks.
    let words = "[[step]]\nat = \"9s\"\neclipse = { who = [3, 4], lasts = \"60s\" }";
    run("eclipses", "health = { fails-after = \"3s\" }", "stops", words);
    let abort = "[[step]]\nat = \"6s\"\neclipse = { who = 3, lasts = \"60s\" }\n\
                 [[step]]\nat = \"20s\"\ncommand = { release = \"2\", order = \"stop\" }";
    run("eclipses", "", "ends", abort);
}
