//! Which real releases are measured: `corpus.toml`, in words.

use std::path::PathBuf;

use serde::Deserialize;

use super::kind::Kind;
use crate::release::nearest::nearest;
use crate::release::problem::Problem;

const CORPUS: &str = include_str!("corpus.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    pair: Vec<Pair>,
}

/// Two successive releases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What it is, for people.
    pub(super) what: String,
    #[serde(default)]
    client: Option<Client>,
    #[serde(default)]
    package: Option<String>,
    #[serde(default)]
    take: Option<Taking>,
    #[serde(default)]
    inside: Option<String>,
    /// Why no package client can bring it.
    #[serde(default)]
    not_fetched: Option<String>,
    old: Side,
    new: Side,
}

/// One of both releases. What it does not say, the pair says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    version: String,
    bytes: u64,
    sha256: String,
    #[serde(default)]
    package: Option<String>,
    #[serde(default)]
    inside: Option<String>,
}

/// Who fetches packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Client {
    /// `pip download` of a wheel.
    Pip,
    /// `pip download` of the source.
    PipSource,
    /// `npm pack`.
    Npm,
    /// `apt-get download`.
    Apt,
}

/// What is taken of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Taking {
    /// The package's own file.
    Whole,
    /// The package's own file, without its gzip.
    Gunzipped,
    /// The tar of files in a Debian package.
    DebTar,
    /// One file in it.
    Inside,
}

/// A file of the corpus, and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its name in the cache.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Where to get it, or why nowhere.
    pub(super) origin: Result<Origin, String>,
}

/// A file in a package.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) client: Client,
    pub(super) package: String,
    pub(super) version: String,
    pub(super) take: Taking,
    /// The path in the package, for [`Taking::Inside`]; `*` stands for anything in a name.
    pub(super) inside: PathBuf,
}

impl Pair {
    /// The old and the new file.
    pub(super) fn wanted(&self) -> [Wanted; 2] {
        [("old", &self.old), ("new", &self.new)].map(|(end, side)| Wanted {
            name: format!("{}.{end}", self.name),
            bytes: side.bytes,
            sha256: side.sha256.clone(),
            origin: self.origin(side),
        })
    }

    fn origin(&self, side: &Side) -> Result<Origin, String> {
        if let Some(why) = &self.not_fetched {
            return Err(why.clone());
        }
        let lacks = |what: &str| format!("BUG: the corpus does not say its {what}");
        Ok(Origin {
            client: self.client.ok_or_else(|| lacks("client"))?,
            package: side.package.as_ref().or(self.package.as_ref()).ok_or_else(|| lacks("package"))?.clone(),
            version: side.version.clone(),
            take: self.take.ok_or_else(|| lacks("taking"))?,
            inside: side.inside.as_ref().or(self.inside.as_ref()).map(PathBuf::from).unwrap_or_default(),
        })
    }
}

/// The pairs of the corpus, or those of these names.
///
/// # Errors
/// When a name is none of the corpus.
pub(super) fn pairs(only: &[String]) -> Result<Vec<Pair>, Problem> {
    let corpus: Corpus = toml::from_str(CORPUS).expect("BUG: the corpus is no TOML of its form");
    let names: Vec<&str> = corpus.pair.iter().map(|pair| pair.name.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        let todo = nearest(unknown, &names).map_or_else(
            || format!("choose from {}", names.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let what = "cannot choose from the corpus";
        return Err(Problem::usage(what, format!("there is no pair {unknown:?} in it"), todo));
    }
    let chosen = |pair: &Pair| only.is_empty() || only.contains(&pair.name);
    Ok(corpus.pair.into_iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_says_all_that_it_must() {
        let pairs = pairs(&[]).expect("the corpus");
        assert!(pairs.len() >= 20);
        for pair in &pairs {
            for wanted in pair.wanted() {
                assert!(wanted.sha256.len() == 64 && wanted.bytes > 0, "{}", wanted.name);
                match wanted.origin {
                    Ok(origin) => {
                        assert_eq!(
                            origin.take == Taking::Inside,
                            origin.inside.is_relative() && origin.inside.file_name().is_some()
                        );
                    }
                    Err(why) => assert!(!why.starts_with("BUG"), "{}: {why}", wanted.name),
                }
            }
        }
    }

    #[test]
    fn the_corpus_names_packages_and_no_hosts() {
        for word in ["://", ".org", ".com", ".net"] {
            assert!(!CORPUS.contains(word), "{word}");
        }
    }

    #[test]
    fn unknown_names_get_a_hint() {
        let problem = pairs(&["rufff".to_owned()]).expect_err("unknown");
        assert!(problem.todo.contains("`ruff`"), "{problem}");
        assert_eq!(pairs(&["ruff".to_owned()]).expect("known").len(), 1);
    }
}
