//! The release directory: a manifest, and the blobs that it names.
//!
//! | name | what |
//! |---|---|
//! | `manifest` | the signed fact in the codec's form, perhaps with too few signatures yet |
//! | `census` | the signed census that the manifest pins |
//! | `census-before` | the one that the release before it pinned, if that was known |
//! | `blobs/` and 64 hexadecimal digits | the tree's index, the deltas, the chunks, each named by its BLAKE3 |
//!
//! A directory of any origin may be opened: the manifest is read within its bounds and nothing in it is
//! believed before its signatures are counted; blobs are compared with their names by whoever reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use groundswell_delta::{EntryKind, TREE_ENCODING_BYTES_MAX, Tree};
use groundswell_protocol::bounds::{CENSUS_MAX, MANIFEST_MAX, SIGNATURES_MAX};
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::fact::body_id;
use groundswell_protocol::facts::{Fact, RolloutId, SignedFact, Statement};
use groundswell_protocol::trust::manifest::Manifest;
use groundswell_protocol::trust::policy::FleetId;
use groundswell_protocol::wire::codec;

use super::disk::{read_bounded, write_atomic};
use super::problem::Problem;

const MANIFEST_FILE: &str = "manifest";
const CENSUS_FILE: &str = "census";
const CENSUS_BEFORE_FILE: &str = "census-before";
const BLOBS_DIRECTORY: &str = "blobs";
/// What surrounds a body in a file: lengths, and the signatures of 96 bytes each.
const SIGNATURES_BYTES: usize = 64 + SIGNATURES_MAX * 96;
const MODE: u32 = 0o644;

/// A release on disk.
#[derive(Clone, Debug)]
pub struct ReleaseDirectory {
    path: PathBuf,
    signed: SignedFact,
    fleet: FleetId,
    manifest: Arc<Manifest>,
}

/// A blob that a release needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlob {
    /// Its name.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
}

/// The places inside a release directory that lies, or will lie, at `path`.
pub(super) struct Places<'a>(pub(super) &'a Path);

impl Places<'_> {
    pub(super) fn manifest(&self) -> PathBuf {
        self.0.join(MANIFEST_FILE)
    }

    pub(super) fn census(&self) -> PathBuf {
        self.0.join(CENSUS_FILE)
    }

    pub(super) fn census_before(&self) -> PathBuf {
        self.0.join(CENSUS_BEFORE_FILE)
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.0.join(BLOBS_DIRECTORY)
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.to_string())
    }
}

impl ReleaseDirectory {
    /// Whether `path` looks like a release rather than like a plain tree of files.
    pub fn is_at(path: &Path) -> bool {
        let places = Places(path);
        places.manifest().is_file() && places.blobs().is_dir()
    }

    /// Opens a release.
    ///
    /// # Errors
    /// When there is none, or its manifest is damaged or breaks a bound.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let manifest_path = Places(path).manifest();
        if !manifest_path.exists() {
            return Err(Problem::not_found(
                format!("cannot open the release {}", path.display()),
                "there is no manifest in it",
                "name a directory that `swell release build` made",
            ));
        }
        let bytes = read_bounded(&manifest_path, MANIFEST_MAX + SIGNATURES_BYTES)?;
        let bad = |why: String| {
            Problem::bad_input(
                format!("cannot use the manifest {}", manifest_path.display()),
                why,
                "build the release again, or get an undamaged copy",
            )
        };
        let signed: SignedFact =
            codec::decode(&bytes).map_err(|_| bad("it is truncated or damaged".to_owned()))?;
        if signed.signatures.len() > SIGNATURES_MAX
            || !signed.signatures.is_sorted_by(|one, other| one.key < other.key)
        {
            return Err(bad("its signatures are too many or out of order".to_owned()));
        }
        let (fleet, statement) = Fact::read_body(&signed.body, None).map_err(|why| bad(why.to_string()))?;
        let Statement::Manifest(manifest) = statement else {
            return Err(bad("it is a document of another sort".to_owned()));
        };
        Ok(Self { path: path.to_owned(), signed, fleet, manifest })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The fleet that it is for.
    pub fn fleet(&self) -> FleetId {
        self.fleet
    }

    /// What it says.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The manifest with the signatures that it has so far.
    pub fn signed(&self) -> &SignedFact {
        &self.signed
    }

    /// The rollout that it would become.
    pub fn rollout(&self) -> RolloutId {
        RolloutId(body_id(&self.signed.body))
    }

    /// Replaces the signatures on disk.
    ///
    /// # Errors
    /// When the disk refuses; the old ones stay then.
    pub(super) fn write_signatures(&mut self, signed: SignedFact) -> Result<(), Problem> {
        write_atomic(&Places(&self.path).manifest(), &codec::encode(&signed), MODE)?;
        self.signed = signed;
        Ok(())
    }

    /// Where a blob of it is, if it is there.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        Places(&self.path).blob(digest)
    }

    /// Where its blobs are.
    pub(super) fn blobs_path(&self) -> PathBuf {
        Places(&self.path).blobs()
    }

    /// Reads and verifies the tree's index.
    ///
    /// # Errors
    /// When it is missing, or not what the manifest names.
    pub fn read_tree(&self) -> Result<Tree, Problem> {
        let path = self.blob_path(&self.manifest.tree);
        let bytes = read_bounded(&path, TREE_ENCODING_BYTES_MAX)?;
        let bad = |why: String| {
            Problem::bad_input(
                format!("cannot use the index {}", path.display()),
                why,
                "build the release again, or get an undamaged copy",
            )
        };
        if Digest::of(&bytes) != self.manifest.tree || bytes.len() as u64 != self.manifest.index_bytes {
            return Err(bad("its bytes are not those that the manifest names".to_owned()));
        }
        let tree = Tree::decode(&bytes).map_err(|why| bad(why.to_string()))?;
        if tree.bytes() != self.manifest.bytes {
            return Err(bad("its size is not the one that the manifest names".to_owned()));
        }
        Ok(tree)
    }

    /// All blobs that nodes may ask for: the index, the deltas, each chunk once.
    ///
    /// # Errors
    /// As [`Self::read_tree`].
    pub fn blobs(&self) -> Result<Vec<NamedBlob>, Problem> {
        let tree = self.read_tree()?;
        let index = NamedBlob { digest: self.manifest.tree, bytes: self.manifest.index_bytes };
        let deltas =
            self.manifest.deltas.iter().map(|delta| NamedBlob { digest: delta.blob, bytes: delta.bytes });
        let chunks = chunks_of(&tree).into_iter().map(|(digest, bytes)| NamedBlob { digest, bytes });
        Ok(std::iter::once(index).chain(deltas).chain(chunks).collect())
    }

    /// The signed census that the manifest pins: read, its signatures not verified.
    ///
    /// # Errors
    /// When it is missing, damaged, or not the one that the manifest pins.
    pub fn pinned_census(&self) -> Result<Fact, Problem> {
        let path = Places(&self.path).census();
        let fact = self.read_census(&path)?;
        if fact.id != self.manifest.census {
            return Err(Problem::bad_input(
                format!("cannot use {}", path.display()),
                "it is not the census that the manifest pins",
                "build the release again, or get an undamaged copy",
            ));
        }
        Ok(fact)
    }

    /// The signed census that the release before pinned, if it is known: read, its signatures not verified.
    ///
    /// # Errors
    /// When it is there and damaged.
    pub fn census_before(&self) -> Result<Option<Fact>, Problem> {
        let path = Places(&self.path).census_before();
        if path.exists() { self.read_census(&path).map(Some) } else { Ok(None) }
    }

    fn read_census(&self, path: &Path) -> Result<Fact, Problem> {
        let bytes = read_bounded(path, CENSUS_MAX + SIGNATURES_BYTES)?;
        let bad = |why: String| {
            Problem::bad_input(
                format!("cannot use the census {}", path.display()),
                why,
                "build the release again, or get an undamaged copy",
            )
        };
        let signed: SignedFact =
            codec::decode(&bytes).map_err(|_| bad("it is truncated or damaged".to_owned()))?;
        let fact = Fact::read(self.fleet, signed).map_err(|why| bad(why.to_string()))?;
        match fact.statement {
            Statement::Census(_) => Ok(fact),
            _ => Err(bad("it is a document of another sort".to_owned())),
        }
    }
}

/// The chunks of a tree with their sizes, each once.
pub(super) fn chunks_of(tree: &Tree) -> BTreeMap<Digest, u64> {
    let mut chunks = BTreeMap::new();
    for entry in tree.entries() {
        if let EntryKind::File { chunks: of_file, .. } = &entry.kind {
            for chunk in of_file {
                chunks.insert(Digest(*chunk.digest.as_bytes()), u64::from(chunk.bytes));
            }
        }
    }
    chunks
}
