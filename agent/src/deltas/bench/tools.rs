//! The tools that are compared, and how each is asked for its smallest delta.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::process::find;

/// From this size on, a tool is asked once and not in several ways.
const LARGE_BYTES: u64 = 100 << 20;
/// The window that zstd has at level 19 without being asked, as a power of two: never less than this.
const ZSTD_WINDOW_LOG_MIN: u32 = 27;
/// The largest window that zstd knows.
const ZSTD_WINDOW_LOG_MAX: u32 = 31;
/// What xdelta3 takes for its source window: at least its default, and no more than it can.
const XDELTA_WINDOW_BYTES: (u64, u64) = (64 << 20, 2 << 30);

/// Somebody who makes deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Ourselves, as small as can be.
    SwellBest,
    /// Ourselves, in a hurry.
    SwellFast,
    /// bsdiff 4 and bspatch.
    Bsdiff,
    /// xdelta3.
    Xdelta3,
    /// zstd with the old file as its reference.
    Zstd,
    /// HDiffPatch's hdiffz and hpatchz.
    Hdiffpatch,
}

/// The two files of a pair, and where things go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'a> {
    pub(super) old: &'a Path,
    pub(super) new: &'a Path,
    /// Size of the larger of both.
    pub(super) bytes: u64,
    pub(super) delta: &'a Path,
    pub(super) output: &'a Path,
}

/// The two programs of a tool.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) maker: PathBuf,
    pub(super) applier: PathBuf,
}

impl Tool {
    /// Everybody, ourselves first.
    pub const ALL: [Self; 6] =
        [Self::SwellBest, Self::SwellFast, Self::Bsdiff, Self::Xdelta3, Self::Zstd, Self::Hdiffpatch];
    /// Everybody else.
    pub const PEERS: [Self; 4] = [Self::Bsdiff, Self::Xdelta3, Self::Zstd, Self::Hdiffpatch];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SwellBest => "swell",
            Self::SwellFast => "swell-fast",
            Self::Bsdiff => "bsdiff",
            Self::Xdelta3 => "xdelta3",
            Self::Zstd => "zstd",
            Self::Hdiffpatch => "hdiffpatch",
        }
    }

    /// Whether it is ourselves.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::SwellBest | Self::SwellFast)
    }

    /// Where its programs are; otherwise the one that is missing. `swell` is this program.
    pub(super) fn programs(self, swell: &Path) -> Result<Programs, String> {
        let (maker, applier) = match self {
            Self::SwellBest | Self::SwellFast => {
                return Ok(Programs { maker: swell.to_owned(), applier: swell.to_owned() });
            }
            Self::Bsdiff => ("bsdiff", "bspatch"),
            Self::Xdelta3 => ("xdelta3", "xdelta3"),
            Self::Zstd => ("zstd", "zstd"),
            Self::Hdiffpatch => ("hdiffz", "hpatchz"),
        };
        let locate = |program: &str| find(program).ok_or_else(|| format!("{program} is not installed"));
        Ok(Programs { maker: locate(maker)?, applier: locate(applier)? })
    }

    /// How it is asked for a delta: in each of these ways, of which the smallest result counts.
    pub(super) fn makings(self, files: &Files<'_>) -> Vec<Vec<OsString>> {
        let Files { old, new, bytes, delta, .. } = *files;
        let is_large = bytes >= LARGE_BYTES;
        match self {
            Self::SwellBest | Self::SwellFast => {
                let effort = if self == Self::SwellFast { "--fast" } else { "--best" };
                let mut making = words("delta diff --quiet --force --threads 1");
                making.extend([effort.into(), old.into(), new.into(), "-o".into(), delta.into()]);
                vec![making]
            }
            Self::Bsdiff => vec![vec![old.into(), new.into(), delta.into()]],
            // -D: without it packed input is unpacked, and packed again to other bytes.
            Self::Xdelta3 => {
                let mut making = words("-9 -D -f -e -B");
                making.push(xdelta_window(bytes).into());
                making.extend(["-s".into(), old.into(), new.into(), delta.into()]);
                vec![making]
            }
            Self::Zstd => {
                let levels: &[&str] = if is_large { &["-19"] } else { &["-19", "--ultra -22"] };
                levels.iter().map(|level| zstd_making(level, files)).collect()
            }
            Self::Hdiffpatch => {
                let matchings: &[&str] = if is_large {
                    &["-m-6 -SD"]
                } else {
                    &["-m-6 -SD", "-m-1 -SD -block-0", "-m-1 -cache -block-0"]
                };
                let making = |matching: &&str| {
                    let mut making = words(matching);
                    making.extend(words("-p-1 -c-lzma2-9-64m -f"));
                    making.extend([old.into(), new.into(), delta.into()]);
                    making
                };
                matchings.iter().map(making).collect()
            }
        }
    }

    /// How it is asked for the new file.
    pub(super) fn applying(self, files: &Files<'_>) -> Vec<OsString> {
        let Files { old, bytes, delta, output, .. } = *files;
        match self {
            Self::SwellBest | Self::SwellFast => {
                let mut applying = words("delta apply --quiet --force");
                applying.extend([old.into(), delta.into(), "-o".into(), output.into()]);
                applying
            }
            Self::Bsdiff => vec![old.into(), output.into(), delta.into()],
            Self::Xdelta3 => {
                let mut applying = words("-D -f -d -B");
                applying.push(xdelta_window(bytes).into());
                applying.extend(["-s".into(), old.into(), delta.into(), output.into()]);
                applying
            }
            Self::Zstd => {
                let mut applying = words("-q -f -d --memory=2048MB");
                applying.push(format!("--long={}", zstd_window_log(bytes)).into());
                applying.extend([reference(old), delta.into(), "-o".into(), output.into()]);
                applying
            }
            Self::Hdiffpatch => vec!["-f".into(), old.into(), delta.into(), output.into()],
        }
    }
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

fn words(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

fn zstd_making(level: &str, files: &Files<'_>) -> Vec<OsString> {
    let mut making = words(level);
    // One thread packs somewhat smaller here, and its time can be compared.
    making.extend(words("-q -f --single-thread"));
    making.push(format!("--long={}", zstd_window_log(files.bytes)).into());
    making.extend([reference(files.old), files.new.into(), "-o".into(), files.delta.into()]);
    making
}

/// The window that sees all of the old file.
fn zstd_window_log(bytes: u64) -> u32 {
    let log = bytes.checked_next_power_of_two().map_or(u64::BITS, u64::ilog2);
    log.clamp(ZSTD_WINDOW_LOG_MIN, ZSTD_WINDOW_LOG_MAX)
}

fn reference(old: &Path) -> OsString {
    let mut reference = OsString::from("--patch-from=");
    reference.push(old);
    reference
}

fn xdelta_window(bytes: u64) -> String {
    let (least, most) = XDELTA_WINDOW_BYTES;
    bytes.checked_next_power_of_two().unwrap_or(most).clamp(least, most).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_see_the_whole_old_file() {
        assert_eq!([1, 1 << 27, (1 << 27) + 1, u64::MAX].map(zstd_window_log), [27, 27, 28, 31]);
        assert_eq!(xdelta_window(1), "67108864");
        assert_eq!(xdelta_window(u64::MAX), "2147483648");
    }

    #[test]
    fn large_files_are_tried_in_one_way() {
        let path = Path::new("x");
        let files = Files { old: path, new: path, bytes: 1, delta: path, output: path };
        let large = Files { bytes: 1 << 30, ..files };
        for tool in Tool::ALL {
            assert!(!tool.makings(&files).is_empty() && tool.makings(&large).len() == 1);
        }
    }
}
