//! The bounds of this crate, each named once.
//!
//! Sizes in files and deltas are read from strangers: every one of them is compared with a bound
//! from here before anything is allocated for it.

use crate::tensors::TENSORS_MEMORY_BYTES;

/// Most bytes of a [`TreePath`](crate::TreePath), and of a symbolic link's target (Linux: `PATH_MAX` is 4,096 for
/// the whole path, of which the slot's own directory needs a part).
pub const PATH_BYTES_MAX: usize = 1024;
/// Most bytes of one part of a path (Linux: `NAME_MAX`).
pub const NAME_BYTES_MAX: usize = 255;
/// Most entries of one tree.
pub const ENTRIES_MAX: u32 = 262_144;
/// Most bytes of a tree's encoding: room for some 900,000 chunks, or 58 GB of files.
pub const TREE_ENCODING_BYTES_MAX: usize = 32 << 20;
/// Most bytes of all files of a tree together (1 TiB).
pub const TREE_BYTES_MAX: u64 = 1 << 40;

/// Files of a tree are read into memory to be compared if they have no more bytes together; larger ones are read where they
/// are.
pub(crate) const LOADED_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of several old files that a new file is made from together.
pub(crate) const SOURCES_BYTES_MAX: u64 = WINDOW_BYTES_MAX as u64;
/// Most old files that a new file is made from.
pub(crate) const SOURCES_MAX: usize = 8;
/// Old files of a group are read into memory when they have no more bytes together; so many small ones cannot be kept
/// open.
pub(crate) const BASE_LOADED_BYTES_MAX: u64 = 8 << 20;
/// What following a delta between trees may cost beside what it writes: the old bytes that its groups are made from, each as
/// often as a group names it, and the plain forms of containers. So many times the bytes of both trees, and so many more. An
/// honest delta stays far below; a hostile one could name large old files for each of very many small new ones.
pub(crate) const WORK_TIMES: u64 = 16;
/// See [`WORK_TIMES`]. Small trees may hold a few files that grow a thousandfold when they are opened.
pub(crate) const WORK_BYTES: u64 = 2 * PLAIN_BYTES_MAX;
/// Most bytes of a delta's plan, unpacked.
pub(crate) const PLAN_BYTES_MAX: usize = 16 << 20;

/// The buffer that files are read, hashed and copied through.
pub(crate) const BUFFER_BYTES: usize = 128 << 10;

/// Most memory that [`apply`](crate::apply) holds at one time, whatever the sizes of the files, but for what re-packing
/// containers takes. [`apply_tree`](crate::apply_tree) holds this, small old files of 8 MiB, the delta's plan, the two trees (at
/// most a few times [`TREE_ENCODING_BYTES_MAX`]) and nothing else.
pub const APPLY_MEMORY_BYTES: usize = 64 << 20;

const _: () = assert!(
    (1 << LITERALS_WINDOW_LOG)
        + 3 * (1 << NUMBERS_WINDOW_LOG)
        + PRIMER_BYTES_MAX
        + 3 * 12 * REGIONS_MAX as usize
        + REFERENCES_BYTES_MAX
        + 16 * BUFFER_BYTES
        <= APPLY_MEMORY_BYTES
);
const _: () = assert!((1 << WHOLE_WINDOW_LOG) + 16 * BUFFER_BYTES <= APPLY_MEMORY_BYTES);
// What is around tensors has neither references nor many literals.
const _: () = assert!(TENSORS_MEMORY_BYTES <= REFERENCES_BYTES_MAX);

/// Most bytes of one window of a patch, old or new: larger files are made window by window.
pub const WINDOW_BYTES_MAX: u32 = 256 << 20;
/// Most regions of one window. The applier keeps them all, in the order of both files.
pub(crate) const REGIONS_MAX: u32 = 1 << 19;
/// Most bytes of references of one window; those that have no room any more are not predicted.
pub(crate) const REFERENCES_BYTES_MAX: usize = 26 << 20;
/// Most bytes of what is noted of the fields of a module while its wide form is made.
pub(crate) const NOTES_BYTES_MAX: usize = 16 << 20;
const _: () = assert!(NOTES_BYTES_MAX <= REFERENCES_BYTES_MAX);
/// Fewest bytes that a window makes, if it is not the last.
pub(crate) const WINDOW_BYTES_MIN: u64 = 16 << 20;
/// Most windows of one patch.
pub(crate) const WINDOWS_MAX: u64 = 1 << 16;
/// Most old bytes that a window's literals lean on.
pub(crate) const PRIMER_BYTES_MAX: usize = 2 << 20;
/// The window of a file that is sent whole, as a power of two.
pub(crate) const WHOLE_WINDOW_LOG: u32 = 25;
/// Most bytes of a file with its containers open: what it takes in scratch space.
pub(crate) const PLAIN_BYTES_MAX: u64 = 4 << 30;
/// Most bytes of what tells of the pairs of tensors of two files.
pub(crate) const PAIRS_BYTES_MAX: u64 = 2 << 20;
/// Most bytes of what tells of the containers of a file.
pub(crate) const CHAIN_BYTES_MAX: u64 = 24 << 20;
/// Most bytes of the layout of a window.
pub(crate) const LAYOUT_BYTES_MAX: u64 = 4 << 20;
/// Streams of at most so many bytes together may be packed as one.
pub(crate) const JOINED_BYTES_MAX: u64 = 64 << 10;
/// The window of packed numbers, as a power of two.
pub(crate) const NUMBERS_WINDOW_LOG: u32 = 21;
/// The window of packed literals, as a power of two.
pub(crate) const LITERALS_WINDOW_LOG: u32 = 23;

/// Memory that containers may take by default, beside [`APPLY_MEMORY_BYTES`], while a delta is followed: what an xz
/// compressor needs for a dictionary of 32 MiB, as in Linux kernels.
pub const CONTAINER_MEMORY_BYTES: u64 = 416 << 20;

/// What a caller is ready to accept from a delta. Sizes beyond are refused before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes read from the delta itself.
    pub delta_bytes: u64,
    /// Most bytes of the new file, or of all files of the new tree together.
    pub new_bytes: u64,
    /// Most entries of the new tree.
    pub entries: u32,
    /// Most bytes of memory for unpacking and packing containers, beside [`APPLY_MEMORY_BYTES`].
    pub container_memory_bytes: u64,
}

impl Default for Limits {
    /// 16 GiB of delta and of new files, [`ENTRIES_MAX`] entries: for a caller that has already compared the signed
    /// sizes with the free disk, and wants no surprise beyond.
    fn default() -> Self {
        Self {
            delta_bytes: 16 << 30,
            new_bytes: 16 << 30,
            entries: ENTRIES_MAX,
            container_memory_bytes: CONTAINER_MEMORY_BYTES,
        }
    }
}
