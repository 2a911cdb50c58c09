//! Reading the workspace's own source, for the tests of its shape.

use std::path::{Path, PathBuf};

use toml::Table;

use crate::binary::workspace;

/// The workspace's packages, by folder.
pub const PACKAGES: [&str; 5] = ["protocol", "delta", "agent", "simulator", "tests"];

/// A source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path, from the workspace's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Whether all of it is for tests.
    pub is_test: bool,
}

impl Source {
    /// The lines that are neither comments nor of the test module at the file's end.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines
            .take_while(|(_, line)| !line.starts_with("mod tests {"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The modules that it declares: line, name, and whether only tests see them.
    pub fn modules(&self) -> Vec<(usize, &str, bool)> {
        let mut modules = Vec::new();
        let mut before = "";
        for (number, line) in self.code() {
            let line = line.trim();
            let declared = line.strip_suffix(';').and_then(|line| line.split_once("mod "));
            if let Some((visibility, name)) = declared
                && (visibility.is_empty() || visibility.starts_with("pub"))
            {
                modules.push((number, name, before == "#[cfg(test)]"));
            }
            before = line;
        }
        modules
    }
}

/// All Rust files below `folder` of the workspace.
///
/// # Panics
/// When they cannot be read.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut pending = vec![workspace().join(folder)];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).expect("a folder of the workspace").flatten() {
            let path = entry.path();
            if path.is_dir() {
                // What was built is nobody's source.
                if !path.ends_with("target") {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let path = path.strip_prefix(workspace()).expect("inside").to_owned();
                let is_test = path.iter().any(|part| part == "tests" || part == "benches");
                found.push(Source { path, text, is_test });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    mark_tests(&mut found);
    found
}

/// A module that only tests see is for tests, and so is everything below it.
fn mark_tests(sources: &mut [Source]) {
    let declared = |source: &Source| -> Vec<PathBuf> {
        let modules = source.modules();
        let tests = modules.iter().filter(|(_, _, is_test)| *is_test || source.is_test);
        tests.filter_map(|(_, name, _)| module_file(&source.path, name)).collect()
    };
    loop {
        let tests: Vec<PathBuf> = sources.iter().flat_map(declared).collect();
        let new = sources.iter_mut().filter(|source| !source.is_test && tests.contains(&source.path));
        if new.map(|source| source.is_test = true).count() == 0 {
            return;
        }
    }
}

/// The names of the workspace's packages that `package` depends on, in a section of its Cargo.toml.
///
/// # Panics
/// When there is no such package.
pub fn siblings(package: &str, section: &str) -> Vec<String> {
    let manifest = workspace().join(package).join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).expect("a package's Cargo.toml");
    let table: Table = text.parse().expect("TOML");
    let Some(dependencies) = table.get(section).and_then(toml::Value::as_table) else { return Vec::new() };
    dependencies.keys().filter_map(|name| Some(name.strip_prefix("groundswell-")?.to_owned())).collect()
}

/// The sections of a Cargo.toml that make one package depend on another.
pub const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Where the module `name`, declared in the file at `parent`, lies.
pub fn module_file(parent: &Path, name: &str) -> Option<PathBuf> {
    let stem = parent.file_stem()?.to_str()?;
    let directory = match stem {
        "mod" | "lib" | "main" => parent.parent()?.to_owned(),
        stem => parent.parent()?.join(stem),
    };
    let choices = [directory.join(format!("{name}.rs")), directory.join(name).join("mod.rs")];
    choices.into_iter().find(|choice| workspace().join(choice).is_file())
}
