//! From files to a published release, with a recipient in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{RolloutId, SignedFact};
use groundswell_protocol::identity::KeyPair;
use groundswell_protocol::trust::manifest::{Kind, Select};
use groundswell_protocol::trust::names::ComponentName;
use groundswell_protocol::trust::plan::Plan;

use super::build::{BuildRequest, Built, build};
use super::bundle::Bundle;
use super::census::enrol;
use super::directory::{NamedBlob, ReleaseDirectory};
use super::problem::{Problem, ProblemKind};
use super::publish::{Recipient, publish};
use super::review::review;
use super::sign::sign;
use super::testing::{Keys, enrolment, small_fleet};

struct Place {
    dir: tempfile::TempDir,
    keys: Keys,
    fleet: Bundle,
}

impl Place {
    fn new() -> Self {
        let (keys, fleet) = small_fleet();
        Self { dir: tempfile::tempdir().expect("temp dir"), keys, fleet }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tree whose large file differs from others in a few bytes.
    fn tree(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.join("bin")).expect("mkdir");
        let mut bytes: Vec<u8> =
            (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        bytes[1000..1000 + name.len()].copy_from_slice(name.as_bytes());
        fs::write(path.join("bin/server"), bytes).expect("write");
        fs::write(path.join("version"), name).expect("write");
        path
    }

    fn request<'a>(&'a self, tree: &'a Path, from: &'a [PathBuf], out: &'a Path) -> BuildRequest<'a> {
        BuildRequest {
            fleet: &self.fleet,
            component: ComponentName::new("web").expect("name"),
            kind: Kind::Service,
            version: "1.0.0".to_owned(),
            tree,
            from,
            sequence: None,
            known_sequence: None,
            requires: Vec::new(),
            select: Select::default(),
            plan: Plan::default(),
            expires: 4_000_000_000,
            note: String::new(),
            out,
        }
    }

    fn build(&self, tree: &str, from: &[PathBuf]) -> Built {
        let (files, out) = (self.tree(tree), self.path(&format!("{tree}.release")));
        build(&self.request(&files, from, &out), &|_| {}).expect("built")
    }
}

#[derive(Default)]
struct Memory {
    trust: Vec<SignedFact>,
    blobs: BTreeSet<Digest>,
    submitted: Vec<SignedFact>,
    budgets: Vec<u32>,
    room: Option<usize>,
}

impl Recipient for Memory {
    type Error = Problem;

    fn trust(&mut self) -> Result<Vec<SignedFact>, Problem> {
        Ok(self.trust.clone())
    }

    fn missing(&mut self, digests: &[Digest]) -> Result<Vec<Digest>, Problem> {
        Ok(digests.iter().filter(|digest| !self.blobs.contains(digest)).copied().collect())
    }

    fn upload(&mut self, blob: NamedBlob, path: &Path) -> Result<(), Problem> {
        if self.room.is_some_and(|room| self.blobs.len() >= room) {
            return Err(Problem::local("cannot take the blob", "the disk is full", "make room"));
        }
        let bytes = fs::read(path).expect("present");
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.bytes));
        self.blobs.insert(blob.digest);
        Ok(())
    }

    fn set_egress(&mut self, _: RolloutId, permille: u32, blobs: &[Digest]) -> Result<(), Problem> {
        assert!(blobs.iter().all(|blob| self.blobs.contains(blob)), "the bytes come first");
        assert!(self.submitted.is_empty(), "nobody may ask before the budget is set");
        self.budgets.push(permille);
        Ok(())
    }

    fn submit(&mut self, fact: &SignedFact) -> Result<bool, Problem> {
        self.submitted.push(fact.clone());
        Ok(true)
    }
}

#[test]
fn a_release_is_built_signed_and_published() {
    let place = Place::new();
    let first = place.build("one", &[]);
    let from = [first.release.path().to_owned()];
    let mut second = place.build("two", &from).release;
    let manifest = second.manifest().clone();
    assert_eq!((first.release.manifest().order.sequence, manifest.order.sequence), (1, 2));
    assert_eq!(manifest.deltas.len(), 1);
    assert!(manifest.deltas[0].bytes < manifest.bytes / 10, "{} bytes", manifest.deltas[0].bytes);

    let mut agent = Memory { trust: place.fleet.facts(), ..Memory::default() };
    let early = publish(&second, &mut agent, None, &|_, _| {}).expect_err("unsigned");
    assert_eq!(early.kind, ProblemKind::Refused);
    assert!(agent.blobs.is_empty(), "nothing was sent");

    let signing = sign(&mut second, &place.fleet, std::slice::from_ref(&place.keys.release)).expect("signed");
    assert!(signing.signatures.is_enough());
    assert_eq!(signing.added.len(), 1);
    let again = sign(&mut second, &place.fleet, std::slice::from_ref(&place.keys.release)).expect("signed");
    assert!(again.added.is_empty(), "a second signature of one key adds nothing");

    agent.room = Some(3);
    let full = publish(&second, &mut agent, None, &|_, _| {}).expect_err("full");
    assert_eq!(full.kind, ProblemKind::Local);
    assert!(agent.submitted.is_empty(), "no manifest before its bytes");
    agent.room = None;
    let reopened = ReleaseDirectory::open(second.path()).expect("opens");
    let published = publish(&reopened, &mut agent, Some(1_050), &|_, _| {}).expect("published");
    assert_eq!(published.uploaded_blobs, published.blobs - 3, "only what was missing");
    assert_eq!((agent.budgets.as_slice(), published.egress_permille), ([1_050].as_slice(), Some(1_050)));
    assert_eq!(agent.submitted, [second.signed().clone()]);
    let repeated = publish(&reopened, &mut agent, None, &|_, _| {}).expect("again");
    assert_eq!(repeated.uploaded_blobs, 0);
}

#[test]
fn equal_files_give_equal_releases_from_trees_and_from_releases() {
    let place = Place::new();
    let first = place.build("one", &[]);
    let files = place.tree("two");
    let mut manifests = Vec::new();
    for (number, from) in [first.release.path().to_owned(), place.tree("one")].into_iter().enumerate() {
        let out = place.path(&format!("out{number}"));
        let from = [from];
        let mut request = place.request(&files, &from, &out);
        request.sequence = Some(2);
        manifests.push(build(&request, &|_| {}).expect("built").release.manifest().clone());
    }
    assert_eq!(manifests[0], manifests[1]);
}

#[test]
fn versions_that_help_nobody_get_no_delta() {
    let place = Place::new();
    let (same, twin) = (place.tree("two"), place.tree("one"));
    let unlike = place.path("unlike");
    fs::create_dir(&unlike).expect("mkdir");
    fs::write(unlike.join("file"), "nothing in common").expect("write");
    let built = place.build("two", &[same, twin.clone(), twin, unlike]);
    let offered: Vec<bool> = built.deltas.iter().map(|delta| delta.bytes.is_some()).collect();
    assert_eq!(offered[..3], [false, true, false]);
    let blobs: BTreeMap<_, _> =
        built.release.blobs().expect("blobs").into_iter().map(|blob| (blob.digest, blob.bytes)).collect();
    let on_disk = fs::read_dir(built.release.path().join("blobs")).expect("list").count();
    assert_eq!(on_disk, blobs.len(), "no blob is left over");
}

#[test]
fn a_failed_build_leaves_nothing() {
    let place = Place::new();
    let files = place.tree("one");
    let out = place.path("out");
    let missing = [place.path("nowhere")];
    let problem = build(&place.request(&files, &missing, &out), &|_| {}).expect_err("no such tree");
    assert_eq!(problem.kind, ProblemKind::NotFound);

    let nobody = Select { zones: vec!["elsewhere".to_owned()], ..Select::default() };
    let request = BuildRequest { select: nobody, ..place.request(&files, &[], &out) };
    assert_eq!(build(&request, &|_| {}).expect_err("nobody").kind, ProblemKind::Refused);

    let request = BuildRequest { version: "a b".to_owned(), ..place.request(&files, &[], &out) };
    assert_eq!(build(&request, &|_| {}).expect_err("a bad version").kind, ProblemKind::Usage);

    let request =
        BuildRequest { sequence: Some(7), known_sequence: Some(7), ..place.request(&files, &[], &out) };
    assert_eq!(build(&request, &|_| {}).expect_err("no rise").kind, ProblemKind::Refused);

    let left: Vec<_> = fs::read_dir(place.dir.path())
        .expect("list")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(left, ["one"]);
}

#[test]
fn damaged_releases_are_refused_by_name() {
    let place = Place::new();
    let mut release = place.build("one", &[]).release;
    sign(&mut release, &place.fleet, std::slice::from_ref(&place.keys.release)).expect("signed");
    let mut agent = Memory { trust: place.fleet.facts(), ..Memory::default() };

    let chunk = release.blobs().expect("blobs")[1];
    let path = release.blob_path(&chunk.digest);
    let bytes = fs::read(&path).expect("read");
    fs::write(&path, &bytes[1..]).expect("cut");
    let problem = publish(&release, &mut agent, None, &|_, _| {}).expect_err("a cut chunk");
    assert!(problem.why.contains(&chunk.digest.short()), "{problem}");
    assert!(agent.blobs.is_empty(), "found before anything was sent");
    fs::write(&path, &bytes).expect("mend");

    let index = release.blob_path(&release.manifest().tree);
    let bytes = fs::read(&index).expect("read");
    fs::write(&index, [&bytes[..], b"x"].concat()).expect("lengthen");
    assert_eq!(release.read_tree().expect_err("damaged").kind, ProblemKind::BadInput);

    let manifest = release.path().join("manifest");
    let bytes = fs::read(&manifest).expect("read");
    for end in [0, 1, 40, bytes.len() - 1] {
        fs::write(&manifest, &bytes[..end]).expect("cut");
        assert_eq!(ReleaseDirectory::open(release.path()).expect_err("cut").kind, ProblemKind::BadInput);
    }
    let mut flipped = bytes.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    fs::write(&manifest, &flipped).expect("flip");
    let mut release = ReleaseDirectory::open(release.path()).expect("well-formed");
    let seen = review(&release, &place.fleet, 0).expect("reviewed");
    assert!(!seen.signatures.is_enough(), "a wrong signature counts for nothing");
    assert_eq!(seen.signatures.worthless.len(), 1);
    let signing =
        sign(&mut release, &place.fleet, std::slice::from_ref(&place.keys.release)).expect("signed anew");
    assert!(signing.signatures.is_enough() && signing.signatures.worthless.is_empty());
}

#[test]
fn a_review_shows_whom_the_new_census_brings() {
    let mut place = Place::new();
    let known_to_signer = place.fleet.clone();
    let first = place.build("one", &[]);
    enrol(&mut place.fleet, &[enrolment(8), enrolment(9)], std::slice::from_ref(&place.keys.enrol))
        .expect("enrolled");
    let second = place.build("two", &[first.release.path().to_owned()]).release;

    for (bundle, warned) in [(&known_to_signer, true), (&place.fleet, false)] {
        let seen = review(&second, bundle, 0).expect("reviewed");
        let change = seen.census.change.expect("compared");
        assert_eq!((seen.census.version, change.from_version), (Some(2), 1));
        assert_eq!((change.added, change.changed, change.removed), (2, 0, 0));
        assert_eq!(seen.members, Some(5));
        assert_eq!(seen.warnings.iter().any(|warning| warning.contains("newer than")), warned);
    }
    let outdated = review(&first.release, &place.fleet, 0).expect("reviewed");
    assert!(outdated.warnings.iter().any(|warning| warning.contains("pins census 1")));

    let mut agent = Memory { trust: known_to_signer.facts(), ..Memory::default() };
    let mut second = second;
    sign(&mut second, &place.fleet, std::slice::from_ref(&place.keys.release)).expect("signed");
    publish(&second, &mut agent, None, &|_, _| {}).expect("published");
    let census = place.fleet.census_fact().expect("census").signed.clone();
    assert_eq!(agent.submitted, [census, second.signed().clone()], "the census goes first");
}

#[test]
fn keys_of_other_roles_and_other_fleets_are_refused() {
    let place = Place::new();
    let mut release = place.build("one", &[]).release;
    let problem =
        sign(&mut release, &place.fleet, std::slice::from_ref(&place.keys.operator)).expect_err("operator");
    assert!(problem.why.contains("a key of the role operator"), "{problem}");
    let stranger = KeyPair::from_seed(&[200; 32]);
    let problem = sign(&mut release, &place.fleet, &[stranger]).expect_err("stranger");
    assert!(problem.why.contains("in no role"), "{problem}");
    let other = Bundle::found(super::testing::first_policy(&Keys::new(9))).expect("founds");
    let problem =
        sign(&mut release, &other, std::slice::from_ref(&place.keys.release)).expect_err("other fleet");
    assert!(problem.why.contains("belongs to fleet"), "{problem}");
    assert!(release.signed().signatures.is_empty(), "unchanged");
}
