//! Size and speed of a delta between two files or two directories:
//! `cargo bench -p groundswell-delta --bench trees -- OLD NEW`.
//!
//! Prints one line for each step: seconds, peak memory, bytes. The new tree is built in a temporary directory and
//! verified.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use groundswell_delta::{
    Limits, Listed, ListedKind, OpenFile, Options, PathError, ReadTree, ScratchMemory, Tree, TreePath,
    WriteTree, apply_tree, diff_trees, scan, verify,
};

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> =
        std::env::args_os().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from).collect();
    match &paths[..] {
        [old, new] => measure(&Directory::of(old)?, &Directory::of(new)?),
        _ => {
            println!(
                "usage: cargo bench -p groundswell-delta --bench trees -- OLD NEW (two files or directories)"
            );
            Ok(())
        }
    }
}

fn measure(old: &Directory, new: &Directory) -> Result<(), Box<dyn Error>> {
    let (old_tree, new_tree) = step("scan both", || Ok((scan(old)?, scan(new)?)))?;
    println!("new tree: {} bytes, encoding {}", new_tree.bytes(), new_tree.encode().len());
    let nothing = Tree::empty();
    let full = step("pack whole", || make(&nothing, old, &new_tree, new))?;
    let delta = step("diff_trees", || make(&old_tree, old, &new_tree, new))?;
    println!("delta: {:.1} % of the packed whole", 100.0 * delta.len() as f64 / full.len() as f64);
    let place = tempfile::tempdir()?;
    let mut made = Directory::of(place.path())?;
    step("apply_tree", || {
        let digest = new_tree.digest();
        Ok(apply_tree(&old_tree, old, &delta[..], &digest, &mut made, &ScratchMemory, &Limits::default())?)
    })?;
    step("verify", || Ok(verify(&new_tree, &made)?))
}

fn make(
    old_tree: &Tree,
    old: &Directory,
    new_tree: &Tree,
    new: &Directory,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut delta = Vec::new();
    let summary = diff_trees(old_tree, old, new_tree, new, &Options::default(), &mut delta, &mut |_| {})?;
    println!("{summary:?}");
    Ok(delta)
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    // Sets the peak back to what is used now.
    fs::write("/proc/self/clear_refs", "5").ok();
    let before = resident("VmRSS:")?;
    let begin = Instant::now();
    let result = work()?;
    println!(
        "{name}: {:.2} s, {} MiB above the {before} MiB before",
        begin.elapsed().as_secs_f64(),
        resident("VmHWM:")?.saturating_sub(before),
    );
    Ok(result)
}

/// A figure of this process, in MiB.
fn resident(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0").parse()?;
    Ok(kib / 1024)
}

/// A directory, or a file as the only one in it.
struct Directory {
    root: PathBuf,
    only: Option<TreePath>,
}

impl Directory {
    fn of(path: &Path) -> Result<Self, Box<dyn Error>> {
        if path.is_dir() {
            return Ok(Self { root: path.into(), only: None });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        Ok(Self {
            root: path.parent().unwrap_or(Path::new(".")).into(),
            only: Some(TreePath::new(name.ok_or("a name that is not UTF-8")?)?),
        })
    }

    fn list_below(&self, below: &str, listed: &mut Vec<Listed>) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(below))? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| PathError::NotUtf8)?;
            let text = if below.is_empty() { name } else { format!("{below}/{name}") };
            let metadata = entry.metadata()?;
            let kind = if metadata.is_dir() {
                self.list_below(&text, listed)?;
                ListedKind::Directory
            } else if metadata.is_symlink() {
                let target = fs::read_link(entry.path())?.into_os_string().into_string();
                ListedKind::Symlink { target: target.map_err(|_| PathError::NotUtf8)? }
            } else {
                ListedKind::File { executable: metadata.permissions().mode() & 0o100 != 0 }
            };
            listed.push(Listed { path: TreePath::new(text)?, kind });
        }
        Ok(())
    }
}

impl ReadTree for Directory {
    type File = OpenFile;

    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        match &self.only {
            Some(path) => {
                let kind = ListedKind::File { executable: true };
                listed.push(Listed { path: path.clone(), kind });
            }
            None => self.list_below("", &mut listed)?,
        }
        Ok(listed)
    }

    fn open(&self, path: &TreePath) -> io::Result<OpenFile> {
        OpenFile::new(File::open(self.root.join(path))?)
    }
}

impl WriteTree for Directory {
    type File = BufWriter<File>;

    fn directory(&mut self, path: &TreePath) -> io::Result<()> {
        fs::create_dir(self.root.join(path))
    }

    fn symlink(&mut self, path: &TreePath, target: &str) -> io::Result<()> {
        std::os::unix::fs::symlink(target, self.root.join(path))
    }

    fn create(&mut self, path: &TreePath, executable: bool) -> io::Result<BufWriter<File>> {
        let file = File::create_new(self.root.join(path))?;
        let mode = if executable { 0o755 } else { 0o644 };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        Ok(BufWriter::new(file))
    }

    fn finish(&mut self, mut file: BufWriter<File>) -> io::Result<()> {
        file.flush()
    }
}
