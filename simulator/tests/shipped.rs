//! What is shipped is the honest core: bugs are planted and marks are made by name only, for the exam.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Features that change the core for the simulator's exam.
const EXAM_FEATURES: [&str; 3] = ["mutations", "marks", "exam"];
/// Where dependencies stand in a manifest.
const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn manifests() -> Vec<(String, Table)> {
    let root = workspace();
    let read = |folder: &str| {
        let path = root.join(folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).expect("a package's Cargo.toml");
        (folder.to_owned(), text.parse::<Table>().expect("TOML"))
    };
    let (_, workspace) = read(".");
    let members = workspace["workspace"]["members"].as_array().expect("a list of members").clone();
    let members: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    members.into_iter().chain(["."]).map(read).collect()
}

fn names(value: &Value) -> bool {
    match value {
        Value::String(text) => EXAM_FEATURES.iter().any(|name| text.split('/').any(|part| part == *name)),
        Value::Array(list) => list.iter().any(names),
        Value::Table(table) => table.values().any(names),
        _ => false,
    }
}

#[test]
fn no_dependency_and_no_default_enables_what_the_exam_needs() {
    for (package, manifest) in manifests() {
        let in_workspace = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        let sections = SECTIONS.iter().filter_map(|section| manifest.get(*section)).chain(in_workspace);
        for section in sections {
            assert!(!names(section), "{package}: a dependency enables an exam feature");
        }
        let features = manifest.get("features").and_then(Value::as_table).cloned().unwrap_or_default();
        for (feature, enables) in features {
            let allowed = EXAM_FEATURES.contains(&feature.as_str());
            assert!(allowed || !names(&enables), "{package}: the feature {feature} enables an exam feature");
        }
    }
}

#[test]
fn the_exams_own_program_is_not_built_without_its_feature() {
    let (_, simulator) = manifests().into_iter().find(|(name, _)| name == "simulator").expect("a member");
    for section in ["bin", "test"] {
        for target in simulator[section].as_array().expect("a list of targets") {
            let name = target["name"].as_str().expect("a name");
            if name.contains("exam") {
                assert!(target.get("required-features").is_some_and(names), "{name}");
            }
        }
    }
}
