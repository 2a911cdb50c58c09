//! The agent's configuration file, parsed once into validated types.
//!
//! One door: [`Config::read`]. Paths in the file are relative to the file. Unknown fields are refused,
//! with a hint at the nearest known one. Nothing here opens a socket or makes a directory.

mod component;
mod transfer;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use groundswell_protocol::trust::names::ComponentName;
use serde::Deserialize;

pub use component::{ComponentConfig, ReadyConfig, SwitchConfig};
pub use transfer::TransferConfig;

use crate::link::{Multiaddr, parse_address};
use crate::release::nearest::nearest;
use crate::telemetry::logs::LogFormat;
use crate::transfer::Caps;

/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// An agent's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of everything that the agent writes.
    pub data: PathBuf,
    /// The fleet bundle: policy chain and census to start from.
    pub fleet: PathBuf,
    /// Where to listen for peers.
    pub listen: Vec<Multiaddr>,
    /// Addresses to tell peers instead of those.
    pub announce: Vec<Multiaddr>,
    /// Peers to start from.
    pub bootstrap: Vec<Multiaddr>,
    /// The control API's socket.
    pub socket: PathBuf,
    /// A TCP address that serves metrics and nothing else.
    pub metrics: Option<SocketAddr>,
    /// How much of the line pieces may take, and when.
    pub transfer: TransferConfig,
    /// Bytes of blobs kept for peers and for fetches under way.
    pub store_bytes_max: u64,
    /// How logs look.
    pub log: LogConfig,
    /// What this node runs.
    pub components: Vec<ComponentConfig>,
}

/// How logs look.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Lines for people, or JSON for machines.
    pub format: LogFormat,
    /// What is logged: `info`, `debug`, or a filter like `info,groundswell_agent::link=debug`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: PathBuf,
    fleet: PathBuf,
    #[serde(default)]
    listen: Vec<String>,
    #[serde(default)]
    announce: Vec<String>,
    #[serde(default)]
    bootstrap: Vec<String>,
    socket: Option<PathBuf>,
    metrics: Option<SocketAddr>,
    upload_bytes_per_second: Option<u64>,
    download_bytes_per_second: Option<u64>,
    transfer: Option<transfer::TransferFile>,
    #[serde(default = "default_store_bytes_max")]
    store_bytes_max: u64,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    component: Vec<ComponentConfig>,
}

fn default_store_bytes_max() -> u64 {
    8 * 1024 * 1024 * 1024
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file is not what it should be.
    #[error("{path} is not a valid configuration: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why, and where.
        why: String,
    },
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |why: String| ConfigError::Unreadable { path: path.to_owned(), why };
        let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(unreadable(format!("it has {size} bytes, more than {FILE_BYTES_MAX}")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        // A bare file name has an empty parent: what it names is relative to where it lies all the same.
        let whole = std::path::absolute(path).map_err(|e| unreadable(e.to_string()))?;
        let base = whole.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, base).map_err(|why| ConfigError::Invalid { path: path.to_owned(), why })
    }

    fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| explain(&error))?;
        let data = base.join(file.data);
        let mut names = BTreeSet::new();
        for component in &file.component {
            component.check()?;
            if !names.insert(component.name.clone()) {
                return Err(format!("the component {} is configured twice", component.name));
            }
        }
        for (name, rate) in [
            ("upload_bytes_per_second", file.upload_bytes_per_second),
            ("download_bytes_per_second", file.download_bytes_per_second),
        ] {
            if rate == Some(0) {
                return Err(format!("{name} must not be 0; leave it out for no cap"));
            }
        }
        let plain = Caps {
            upload_bytes_per_second: file.upload_bytes_per_second,
            download_bytes_per_second: file.download_bytes_per_second,
            link_upload_bytes_per_second: None,
        };
        let transfer = match file.transfer {
            None => TransferConfig::always(plain),
            Some(_) if plain != Caps::default() => {
                return Err(
                    "caps are set twice: move upload_bytes_per_second and download_bytes_per_second into \
                            [transfer], as upload = \"2 MB/s\" and download"
                        .to_owned(),
                );
            }
            Some(section) => TransferConfig::check(section)?,
        };
        if file.log.level.trim().is_empty() {
            return Err("log.level must not be empty; `info` is the default".to_owned());
        }
        Ok(Self {
            socket: file.socket.map_or_else(|| data.join("agent.sock"), |socket| base.join(socket)),
            data,
            fleet: base.join(file.fleet),
            listen: addresses(&file.listen)?,
            announce: addresses(&file.announce)?,
            bootstrap: addresses(&file.bootstrap)?,
            metrics: file.metrics,
            transfer,
            store_bytes_max: file.store_bytes_max,
            log: file.log,
            components: file.component,
        })
    }

    /// The names of the configured components.
    pub fn component_names(&self) -> BTreeSet<ComponentName> {
        self.components.iter().map(|component| component.name.clone()).collect()
    }
}

fn addresses(texts: &[String]) -> Result<Vec<Multiaddr>, String> {
    texts.iter().map(|text| parse_address(text).map_err(|error| error.to_string())).collect()
}

/// TOML's own words, with a hint at the nearest field where one is unknown.
fn explain(error: &toml::de::Error) -> String {
    let words = error.to_string();
    let quoted: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
    match (error.message().starts_with("unknown field"), quoted.split_first()) {
        (true, Some((unknown, known))) => match nearest(unknown, known) {
            Some(near) => format!("{words}did you mean `{near}`?"),
            None => words,
        },
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/swell"))
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parse("data = 'data'\nfleet = 'fleet.bundle'\n").expect("valid");
        assert_eq!(config.socket, Path::new("/etc/swell/data/agent.sock"));
        assert_eq!(config.fleet, Path::new("/etc/swell/fleet.bundle"));
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_known_one() {
        let error = parse("data = 'd'\nfleet = 'f'\nbotstrap = []\n").expect_err("unknown field");
        assert!(error.contains("did you mean `bootstrap`?"), "{error}");
    }

    #[test]
    fn a_component_twice_is_refused() {
        let text = "data='d'\nfleet='f'\n[[component]]\nname='web'\n[[component]]\nname='web'\n";
        assert!(parse(text).expect_err("twice").contains("configured twice"));
    }

    #[test]
    fn services_that_open_their_own_ports_are_switched_in_turn() {
        let text = "data='d'\nfleet='f'\n[[component]]\nname='web'\nrun=['./s']\n";
        assert_eq!(parse(text).expect("valid").components[0].switch(), SwitchConfig::InTurn);
        let text = format!("{text}listen=['127.0.0.1:80']\n");
        assert_eq!(parse(&text).expect("valid").components[0].switch(), SwitchConfig::Overlap);
    }

    #[test]
    fn a_bare_file_name_will_do() {
        let _ = Config::read(Path::new("no such agent.toml")).expect_err("not there");
        let directory = tempfile::tempdir().expect("a place for the test");
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, "data='d'\nfleet='f'\n").expect("written");
        assert_eq!(Config::read(&path).expect("valid").data, directory.path().join("d"));
    }

    #[test]
    fn a_zero_cap_is_refused() {
        let text = "data='d'\nfleet='f'\nupload_bytes_per_second=0\n";
        assert!(parse(text).expect_err("zero").contains("must not be 0"));
    }

    #[test]
    fn caps_are_set_in_one_place_and_an_unknown_field_has_its_hint() {
        let text = "data='d'\nfleet='f'\nupload_bytes_per_second=5000\n[transfer]\ndownload='1 MB/s'\n";
        assert!(parse(text).expect_err("twice").contains("set twice"));
        let caps = parse(text.replacen("upload_bytes_per_second=5000", "", 1).as_str()).expect("valid");
        assert_eq!(caps.transfer.caps_at(0).download_bytes_per_second, Some(1_000_000));
        let error = parse("data='d'\nfleet='f'\n[transfer]\nuplaod='1 MB/s'\n").expect_err("unknown field");
        assert!(error.contains("did you mean `upload`?"), "{error}");
    }

    #[test]
    fn bad_addresses_are_named() {
        let error = parse("data='d'\nfleet='f'\nlisten=['localhost:1']\n").expect_err("no multiaddr");
        assert!(error.contains("localhost:1"), "{error}");
    }
}
