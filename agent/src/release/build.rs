//! Building a release: files in, a release directory out, whole or not at all.
//!
//! The new tree is scanned once, cut into chunks, and compared with each earlier version that is named.
//! What is on disk afterwards is unsigned: [`super::sign`] adds signatures.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use groundswell_delta::{
    DiffError, EntryKind, Options, ReadTree, Reading, ScanError, Tree, chunks, diff_trees, scan,
};
use groundswell_protocol::bounds::{CENSUS_MAX, MANIFEST_LIST_MAX, MANIFEST_MAX};
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::fact::body_id;
use groundswell_protocol::facts::{Fact, RolloutId, SignedFact, Statement};
use groundswell_protocol::time::UnixSeconds;
use groundswell_protocol::trust::manifest::{DeltaOffer, Kind, Manifest, ReleaseOrder, Requirement, Select};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::Plan;
use groundswell_protocol::wire::codec;

use super::bundle::Bundle;
use super::directory::{Places, ReleaseDirectory};
use super::disk::NewDirectory;
use super::files::{ChunkedFiles, Watched};
use super::problem::Problem;
use crate::slots::files::Directory;

/// What is to be built.
#[derive(Clone, Debug)]
pub struct BuildRequest<'a> {
    /// The fleet that it is for.
    pub fleet: &'a Bundle,
    /// What is updated.
    pub component: ComponentName,
    /// What sort of thing that is.
    pub kind: Kind,
    /// The release's name for people.
    pub version: String,
    /// The new files.
    pub tree: &'a Path,
    /// Earlier versions, each a release directory or a plain tree.
    pub from: &'a [PathBuf],
    /// Its place in the component's order; without one, the one after the highest that is known.
    pub sequence: Option<u64>,
    /// The highest sequence of the component that is known from elsewhere, say from an agent.
    pub known_sequence: Option<u64>,
    /// What must be confirmed first.
    pub requires: Vec<Requirement>,
    /// Whom it is for.
    pub select: Select,
    /// How it goes live.
    pub plan: Plan,
    /// When it may no longer be opened.
    pub expires: UnixSeconds,
    /// For people.
    pub note: String,
    /// Where to put it.
    pub out: &'a Path,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// Reading the new files.
    Scan,
    /// Reading an earlier version's files.
    ScanFrom,
    /// Writing the new version's chunks.
    Chunk,
    /// Making the delta from an earlier version.
    Diff,
}

/// How far it has come: bytes done of the step, and bytes in all where they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildProgress {
    /// What is being done.
    pub step: BuildStep,
    /// Which of the earlier versions, from 1; 0 where none is meant.
    pub number: usize,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
}

/// A delta that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltDelta {
    /// The earlier version as it was named.
    pub from: PathBuf,
    /// The delta's size; `None` if none is offered.
    pub bytes: Option<u64>,
    /// Why none is offered, in words.
    pub why_none: Option<String>,
}

/// What was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The release.
    pub release: ReleaseDirectory,
    /// The deltas, in the order of the versions that were named.
    pub deltas: Vec<BuiltDelta>,
    /// Different chunks.
    pub chunks: usize,
}

/// An earlier version, opened.
struct Earlier {
    path: PathBuf,
    tree: Tree,
    files: EarlierFiles,
}

/// Where an earlier version's bytes are.
enum EarlierFiles {
    Plain(Directory),
    Release(Box<ReleaseDirectory>),
}

impl Earlier {
    fn release(&self) -> Option<&ReleaseDirectory> {
        match &self.files {
            EarlierFiles::Release(release) => Some(release),
            EarlierFiles::Plain(_) => None,
        }
    }
}

type Tell<'a> = &'a dyn Fn(BuildProgress);

/// Builds a release directory.
///
/// # Errors
/// When something named is missing, damaged, of another fleet or component, or the disk refuses; nothing
/// is left then.
pub fn build(request: &BuildRequest<'_>, tell: Tell<'_>) -> Result<Built, Problem> {
    let census = request.fleet.census_fact().ok_or_else(|| {
        Problem::refused(
            "cannot build a release",
            "no node is enrolled in the fleet yet, and a release says who takes part",
            "enrol nodes with `swell fleet enrol`",
        )
    })?;
    if request.from.len() > MANIFEST_LIST_MAX {
        return Err(Problem::usage(
            "cannot build the release",
            format!(
                "{} earlier versions are named, and a manifest has room for {MANIFEST_LIST_MAX}",
                request.from.len()
            ),
            "name the versions that most nodes run",
        ));
    }
    check_selects_somebody(request)?;
    let making = NewDirectory::begin(request.out)?;
    let places = Places(making.path());
    let new_files = open_directory(request.tree)?;
    let new = scan_watched(&new_files, BuildStep::Scan, 0, tell)?;
    if new.bytes() == 0 {
        return Err(Problem::bad_input(
            format!("cannot build a release of {}", request.tree.display()),
            "there is not a single byte in its files",
            "name the directory with the new version's files",
        ));
    }
    let earlier = open_earlier(request, tell)?;
    let order = choose_order(request, &earlier)?;

    fs::create_dir(places.blobs()).map_err(|error| Problem::writing(&places.blobs(), &error))?;
    let index = new.encode();
    let tree = Digest::of(&index);
    put(&places.blob(&tree), &index)?;
    let chunks = write_chunks(&places, &new, request.tree, &new_files, tell)?;
    let (offers, deltas) = write_deltas(&places, &earlier, &new, &new_files, tell)?;

    let manifest = Manifest {
        component: request.component.clone(),
        kind: request.kind,
        version: request.version.clone(),
        order,
        policy: request.fleet.newest_policy().version,
        census: census.id,
        tree,
        index_bytes: index.len() as u64,
        bytes: new.bytes(),
        deltas: offers,
        requires: request.requires.clone(),
        select: request.select.clone(),
        plan: request.plan.clone(),
        expires: request.expires,
        note: request.note.clone(),
    };
    write_documents(&places, request, manifest, census, &earlier)?;
    making.finish()?;
    Ok(Built { release: ReleaseDirectory::open(request.out)?, deltas, chunks })
}

fn check_selects_somebody(request: &BuildRequest<'_>) -> Result<(), Problem> {
    let census = request.fleet.census().expect("BUG: looked at before");
    if census.members.iter().any(|member| request.select.includes(census, member)) {
        return Ok(());
    }
    Err(Problem::refused(
        "cannot build the release",
        format!(
            "none of the {} nodes of census {} is in the zones, rings and classes chosen",
            census.members.len(),
            census.version
        ),
        "see the nodes' labels with `swell fleet show`",
    ))
}

fn open_directory(path: &Path) -> Result<Directory, Problem> {
    Directory::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Problem::not_found(
            format!("cannot read the files in {}", path.display()),
            if path.exists() { "it is not a directory" } else { "there is no such directory" },
            "name the directory that holds the version's files",
        ),
        _ => Problem::reading(path, &error),
    })
}

fn scan_watched(
    directory: &Directory,
    step: BuildStep,
    number: usize,
    tell: Tell<'_>,
) -> Result<Tree, Problem> {
    let path = directory.path();
    let read = Cell::new(0);
    let tell_read = |done| tell(BuildProgress { step, number, done, total: None });
    let files = Watched { files: directory, read: &read, tell: &tell_read };
    scan(&files).map_err(|error| match error {
        ScanError::List(error) => Problem::reading(path, &error),
        ScanError::Read { file, error } => Problem::reading(&path.join(file.as_str()), &error),
        ScanError::Tree(error) => Problem::bad_input(
            format!("cannot make a version of {}", path.display()),
            error.to_string(),
            "remove or replace what is named",
        ),
    })
}

fn open_earlier(request: &BuildRequest<'_>, tell: Tell<'_>) -> Result<Vec<Earlier>, Problem> {
    let mut earlier = Vec::new();
    for (path, number) in request.from.iter().zip(1..) {
        if !ReleaseDirectory::is_at(path) {
            let files = open_directory(path)?;
            let tree = scan_watched(&files, BuildStep::ScanFrom, number, tell)?;
            earlier.push(Earlier { path: path.clone(), tree, files: EarlierFiles::Plain(files) });
            continue;
        }
        let release = ReleaseDirectory::open(path)?;
        let what = || format!("cannot build from the release {}", path.display());
        if release.fleet() != request.fleet.fleet() {
            return Err(Problem::bad_input(
                what(),
                format!("it belongs to fleet {:?}, this one is {:?}", release.fleet(), request.fleet.fleet()),
                "name a release of this fleet, or the plain directory of its files",
            ));
        }
        if release.manifest().component != request.component {
            return Err(Problem::bad_input(
                what(),
                format!("it is a release of {}, not of {}", release.manifest().component, request.component),
                "name a release of the same component, or the plain directory of its files",
            ));
        }
        let tree = release.read_tree()?;
        earlier.push(Earlier { path: path.clone(), tree, files: EarlierFiles::Release(Box::new(release)) });
    }
    Ok(earlier)
}

fn choose_order(request: &BuildRequest<'_>, earlier: &[Earlier]) -> Result<ReleaseOrder, Problem> {
    let releases = earlier.iter().filter_map(Earlier::release);
    let highest =
        releases.map(|release| release.manifest().order.sequence).chain(request.known_sequence).max();
    let epoch = request.fleet.newest_policy().epoch;
    let sequence = match (request.sequence, highest) {
        (Some(sequence), Some(highest)) if sequence <= highest => {
            return Err(Problem::refused(
                format!("cannot give the release the sequence {sequence}"),
                format!(
                    "{} has been released with the sequence {highest} already, and nodes never go back",
                    request.component
                ),
                format!("leave --sequence away, or use at least {}", highest.saturating_add(1)),
            ));
        }
        (Some(sequence), _) => sequence,
        (None, highest) => highest.unwrap_or(0).checked_add(1).ok_or_else(|| {
            Problem::refused(
                "cannot number the release",
                "the component's sequence cannot rise any further",
                "raise the policy's epoch with `swell fleet rotate --raise-epoch`",
            )
        })?,
    };
    Ok(ReleaseOrder { epoch, sequence })
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    fs::write(path, bytes).map_err(|error| Problem::writing(path, &error))
}

fn changed(path: &Path) -> Problem {
    Problem::bad_input(
        format!("cannot build a release of {}", path.display()),
        "its files changed while they were read",
        "leave the files alone until the release is built, or copy them first",
    )
}

/// Writes each chunk of the new tree once, and says how many there are.
fn write_chunks(
    places: &Places<'_>,
    new: &Tree,
    path: &Path,
    files: &Directory,
    tell: Tell<'_>,
) -> Result<usize, Problem> {
    let mut written = std::collections::BTreeSet::new();
    let mut done = 0;
    for entry in new.entries() {
        let EntryKind::File { chunks: expected, .. } = &entry.kind else { continue };
        let reading = |error: io::Error| Problem::reading(&path.join(entry.path.as_str()), &error);
        let mut expected = expected.iter();
        for chunk in chunks(Reading::new(files.open(&entry.path).map_err(reading)?)) {
            let chunk = chunk.map_err(reading)?;
            if expected.next().map(|expected| expected.digest) != Some(chunk.digest) {
                return Err(changed(path));
            }
            let digest = Digest(*chunk.digest.as_bytes());
            if written.insert(digest) {
                put(&places.blob(&digest), &chunk.bytes)?;
            }
            done += chunk.bytes.len() as u64;
            tell(BuildProgress { step: BuildStep::Chunk, number: 0, done, total: Some(new.bytes()) });
        }
        if expected.next().is_some() {
            return Err(changed(path));
        }
    }
    Ok(written.len())
}

/// Makes the deltas. One that would be no smaller than the files themselves is not offered.
fn write_deltas(
    places: &Places<'_>,
    earlier: &[Earlier],
    new: &Tree,
    new_files: &Directory,
    tell: Tell<'_>,
) -> Result<(Vec<DeltaOffer>, Vec<BuiltDelta>), Problem> {
    let mut offers: Vec<DeltaOffer> = Vec::new();
    let mut deltas = Vec::new();
    for (version, number) in earlier.iter().zip(1..) {
        let from = Digest(*version.tree.digest().as_bytes());
        let none = |why: &str| BuiltDelta {
            from: version.path.clone(),
            bytes: None,
            why_none: Some(why.to_owned()),
        };
        if version.tree == *new {
            deltas.push(none("it is the same version"));
            continue;
        }
        if offers.iter().any(|offer| offer.from == from) {
            deltas.push(none("the same version was named twice"));
            continue;
        }
        let tell =
            |done| tell(BuildProgress { step: BuildStep::Diff, number, done, total: Some(new.bytes()) });
        let (blob, bytes) = match &version.files {
            EarlierFiles::Release(release) => {
                let files = ChunkedFiles::new(&version.tree, &release.blobs_path());
                write_delta(places, version, &files, new, new_files, &tell)?
            }
            EarlierFiles::Plain(files) => write_delta(places, version, files, new, new_files, &tell)?,
        };
        if bytes >= new.bytes() {
            let path = places.blob(&blob);
            fs::remove_file(&path).map_err(|error| Problem::writing(&path, &error))?;
            deltas.push(none("it would be no smaller than the files themselves"));
            continue;
        }
        offers.push(DeltaOffer { from, blob, bytes });
        deltas.push(BuiltDelta { from: version.path.clone(), bytes: Some(bytes), why_none: None });
    }
    Ok((offers, deltas))
}

/// How many threads may work at a time: as many as this machine has processors.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn write_delta(
    places: &Places<'_>,
    version: &Earlier,
    old_files: &impl ReadTree,
    new: &Tree,
    new_files: &Directory,
    tell: &dyn Fn(u64),
) -> Result<(Digest, u64), Problem> {
    let making = places.0.join("delta.part");
    let file = File::create(&making).map_err(|error| Problem::writing(&making, &error))?;
    let mut out = Named { out: BufWriter::new(file), hasher: blake3::Hasher::new(), bytes: 0 };
    let options = Options { threads: processors(), ..Options::default() };
    diff_trees(&version.tree, old_files, new, new_files, &options, &mut out, &mut |done| tell(done))
        .map_err(|error| match error {
            DiffError::Write(error) => Problem::writing(&making, &error),
            error => Problem::bad_input(
                format!("cannot make the delta from {}", version.path.display()),
                error.to_string(),
                "leave the files alone until the release is built; if one is damaged, get an undamaged copy",
            ),
        })?;
    out.out.flush().map_err(|error| Problem::writing(&making, &error))?;
    let digest = Digest(*out.hasher.finalize().as_bytes());
    let path = places.blob(&digest);
    fs::rename(&making, &path).map_err(|error| Problem::writing(&path, &error))?;
    Ok((digest, out.bytes))
}

/// Counts and hashes what passes through.
struct Named<W> {
    out: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Named<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn write_documents(
    places: &Places<'_>,
    request: &BuildRequest<'_>,
    manifest: Manifest,
    census: &Fact,
    earlier: &[Earlier],
) -> Result<(), Problem> {
    manifest.check().map_err(|bad| {
        Problem::usage("cannot build the release", bad.to_string(), "correct what is named, and build again")
    })?;
    let body = Statement::Manifest(Arc::new(manifest)).body(request.fleet.fleet());
    if body.len() > MANIFEST_MAX {
        return Err(Problem::usage(
            "cannot build the release",
            format!("its manifest has {} bytes, and may have {MANIFEST_MAX}", body.len()),
            "name fewer earlier versions, labels and probes",
        ));
    }
    put(&places.manifest(), &codec::encode(&SignedFact { body, signatures: Vec::new().into() }))?;
    debug_assert!(census.signed.body.len() <= CENSUS_MAX);
    put(&places.census(), &codec::encode(&census.signed))?;
    let newest = earlier.iter().filter_map(Earlier::release).max_by_key(|release| release.manifest().order);
    // Only to show what changed: a release of before that has lost its census is no reason to fail.
    if let Some(before) = newest.and_then(|release| release.pinned_census().ok()) {
        put(&places.census_before(), &codec::encode(&before.signed))?;
    }
    Ok(())
}

impl Built {
    /// The rollout that it would become.
    pub fn rollout(&self) -> RolloutId {
        RolloutId(body_id(&self.release.signed().body))
    }
}
