//! A blob under way: written piece by piece, readable by piece at once, resumable after any death.
//!
//! There is no journal of pieces: on resuming, each piece on disk is verified against the outline, which
//! costs a reading of what is there and cannot be fooled by a torn write. A blob of a single piece is
//! kept in memory until it is finished, so that many small chunks cost one file write each.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use groundswell_protocol::digest::Digest;
use groundswell_protocol::transfer::{
    BLOB_BYTES_MAX, Outline, OutlineError, PIECE_BYTES, PieceSet, piece_count, piece_range,
};
use rustix::fs::SeekFrom;

use super::error::{During, StoreError};
use super::{BlobStore, Inner};

/// An unfinished blob. Dropping it keeps what is on disk for the next [`BlobStore::partial`].
pub struct PartialBlob {
    store: Arc<Inner>,
    digest: Digest,
    bytes: u64,
    state: Mutex<State>,
}

struct State {
    outline: Option<Arc<Outline>>,
    held: PieceSet,
    place: Place,
}

enum Place {
    /// A single piece, in memory.
    Memory(Option<Vec<u8>>),
    Disk {
        file: Arc<File>,
        path: PathBuf,
    },
    /// Finished: the store has it.
    Stored,
}

impl PartialBlob {
    pub(super) fn open(store: Arc<Inner>, digest: Digest, bytes: u64) -> Result<Self, StoreError> {
        if bytes > BLOB_BYTES_MAX {
            return Err(OutlineError::TooLarge(bytes).into());
        }
        store.index().begin(digest)?;
        match State::open(&store, digest, bytes) {
            Ok(state) => Ok(Self { store, digest, bytes, state: Mutex::new(state) }),
            Err(refused) => {
                store.index().end(&digest);
                Err(refused)
            }
        }
    }

    /// The blob's name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The blob's size when complete.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The outline, once it is known.
    pub fn outline(&self) -> Option<Arc<Outline>> {
        self.state().outline.clone()
    }

    /// The pieces that are here and verified.
    pub fn held(&self) -> PieceSet {
        self.state().held.clone()
    }

    /// Keeps the outline, so that pieces can be written now and verified after a restart.
    pub fn set_outline(&self, outline: Arc<Outline>) -> Result<(), StoreError> {
        if outline.blob() != self.digest || outline.bytes() != self.bytes {
            let why = format!("the outline is of blob {:?} of {} bytes", outline.blob(), outline.bytes());
            return Err(StoreError::WrongContent { expected: self.digest, why });
        }
        self.store.folder.save_outline(&outline)?;
        self.state().outline = Some(outline);
        Ok(())
    }

    /// Writes one piece, if it verifies. It can be read and served at once; it is surely on disk after
    /// [`PartialBlob::finish`].
    pub fn write(&self, piece: u32, data: Vec<u8>) -> Result<(), StoreError> {
        let wrong = |why: &str| StoreError::WrongContent { expected: self.digest, why: why.to_owned() };
        let outline = self.outline().ok_or_else(|| wrong("its outline is not known yet"))?;
        if !outline.verify(piece, &data) {
            return Err(wrong(&format!("piece {piece} does not verify")));
        }
        let target = match &self.state().place {
            Place::Disk { file, path } => Some((file.clone(), path.clone())),
            Place::Memory(_) | Place::Stored => None,
        };
        if let Some((file, path)) = target {
            let offset = u64::from(piece) * u64::from(PIECE_BYTES);
            file.write_all_at(&data, offset).during("write", &path)?;
            self.state().held.insert(piece);
            return Ok(());
        }
        let mut state = self.state();
        if let Place::Memory(memory) = &mut state.place {
            *memory = Some(data);
            state.held.insert(piece);
        }
        Ok(())
    }

    /// One piece, verified; `None` if it is not here. A piece that the disk has spoilt is let go and
    /// reported as [`StoreError::Damaged`].
    pub fn read(&self, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let (file, outline) = {
            let state = self.state();
            if !state.held.contains(piece) {
                return Ok(None);
            }
            match (&state.place, &state.outline) {
                (Place::Memory(data), _) => return Ok(data.clone()),
                (Place::Disk { file, .. }, Some(outline)) => (file.clone(), outline.clone()),
                (Place::Disk { .. }, None) => return Ok(None),
                (Place::Stored, _) => {
                    drop(state);
                    return BlobStore { inner: self.store.clone() }.read_piece(&self.digest, piece);
                }
            }
        };
        match read_verified(&file, &outline, piece) {
            Some(data) => Ok(Some(data)),
            None => {
                self.state().held.remove(piece);
                Err(StoreError::Damaged { digest: self.digest })
            }
        }
    }

    /// Makes the blob a complete one, on disk and visible; an error if pieces are missing. After an error
    /// it can be tried again.
    pub fn finish(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if !state.held.is_full() {
            let why = format!("only {:?} pieces are here", state.held);
            return Err(StoreError::WrongContent { expected: self.digest, why });
        }
        match &mut state.place {
            Place::Stored => return Ok(()),
            Place::Memory(data) => {
                BlobStore { inner: self.store.clone() }.insert(data.as_deref().unwrap_or_default())?;
            }
            Place::Disk { file, .. } => {
                self.store.folder.promote(file, &self.digest, self.bytes)?;
                let mut index = self.store.index();
                index.forget_partial(self.digest, self.bytes, true);
                index.enter_whole(self.digest, self.bytes);
            }
        }
        state.place = Place::Stored;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PartialBlob {
    fn drop(&mut self) {
        self.store.index().end(&self.digest);
    }
}

impl State {
    fn open(store: &Inner, digest: Digest, bytes: u64) -> Result<Self, StoreError> {
        let held = PieceSet::none(piece_count(bytes));
        if let Some(outline) = Outline::single(digest, bytes) {
            return Ok(Self { outline: Some(Arc::new(outline)), held, place: Place::Memory(None) });
        }
        let path = store.folder.partial_path(&digest, bytes);
        if !store.index().has_partial(digest, bytes) {
            store.folder.check_room(bytes)?;
            store.index().reserve(bytes)?;
            store.index().enter_partial(digest, bytes);
        }
        let file = open_sized(&path, bytes).inspect_err(|_| {
            if !path.exists() {
                store.index().forget_partial(digest, bytes, false);
            }
        })?;
        let outline = store.folder.load_outline(&digest, bytes).map(Arc::new);
        let held = outline.as_deref().map_or(held, |outline| pieces_on_disk(&file, outline));
        Ok(Self { outline, held, place: Place::Disk { file: Arc::new(file), path } })
    }
}

fn open_sized(path: &std::path::Path, bytes: u64) -> Result<File, StoreError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.during("open", path)?;
    file.set_len(bytes).during("size", path)?;
    Ok(file)
}

/// The pieces that verify; holes of the sparse file are skipped unread.
fn pieces_on_disk(file: &File, outline: &Outline) -> PieceSet {
    let mut held = PieceSet::none(outline.pieces());
    let mut at = 0;
    // A file system that cannot tell holes answers as if all were data.
    while let Ok(data) = rustix::fs::seek(file, SeekFrom::Data(at)) {
        let first = data / u64::from(PIECE_BYTES);
        let Ok(piece) = u32::try_from(first) else { break };
        if piece >= outline.pieces() {
            break;
        }
        if read_verified(file, outline, piece).is_some() {
            held.insert(piece);
        }
        at = (first + 1) * u64::from(PIECE_BYTES);
    }
    held
}

fn read_verified(file: &File, outline: &Outline, piece: u32) -> Option<Vec<u8>> {
    let (offset, length) = piece_range(outline.bytes(), piece)?;
    let mut data = vec![0; length as usize];
    file.read_exact_at(&mut data, offset).ok()?;
    outline.verify(piece, &data).then_some(data)
}
