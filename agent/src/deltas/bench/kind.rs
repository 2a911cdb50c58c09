//! Kinds of files: goals are set by kind.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How much of a file is looked at.
const LOOKED_AT_BYTES: u64 = 4 << 20;
const ELF: &[u8] = b"\x7fELF";
const WASM: &[u8] = b"\0asm";
/// How containers begin that may be opened: gzip, zip, ar (Debian packages), xz, zstd, squashfs, bzip2.
const CONTAINERS: [&[u8]; 7] =
    [b"\x1f\x8b", b"PK\x03\x04", b"!<arch>\n", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"hsqs", b"BZh"];
/// Where a Linux kernel image says what it is.
const KERNEL: (usize, &[u8]) = (0x202, b"HdrS");
/// Where a tar says so.
const TAR: (usize, &[u8]) = (257, b"ustar");
const TAR_BLOCK_BYTES: usize = 512;
/// Weights have no magic of their own.
const WEIGHTS: [&str; 3] = ["safetensors", "onnx", "gguf"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Programs and libraries, or an archive of them.
    Elf,
    /// WebAssembly.
    Wasm,
    /// Text, or an archive of it.
    Text,
    /// Something packed around other files.
    Container,
    /// A kernel that unpacks itself.
    Kernel,
    /// A model's weights.
    Weights,
    /// Anything else; there are no goals for its size.
    Other,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elf => "elf",
            Self::Wasm => "wasm",
            Self::Text => "text",
            Self::Container => "container",
            Self::Kernel => "kernel",
            Self::Weights => "weights",
            Self::Other => "other",
        }
    }

    /// Guesses from the first bytes of a file, and for weights from its name. Only to choose goals by.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LOOKED_AT_BYTES).read_to_end(&mut bytes)?;
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| WEIGHTS.contains(&extension)) {
            return Ok(Self::Weights);
        }
        Ok(Self::of_bytes(&bytes))
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let stands =
            |(at, magic): (usize, &[u8])| bytes.get(at..).is_some_and(|bytes| bytes.starts_with(magic));
        if bytes.starts_with(ELF) {
            Self::Elf
        } else if bytes.starts_with(WASM) {
            Self::Wasm
        } else if CONTAINERS.iter().any(|magic| bytes.starts_with(magic)) {
            Self::Container
        } else if stands(KERNEL) {
            Self::Kernel
        } else if stands(TAR) {
            let holds_programs = bytes.chunks(TAR_BLOCK_BYTES).any(|block| block.starts_with(ELF));
            if holds_programs { Self::Elf } else { Self::Text }
        } else if bytes.contains(&0) {
            Self::Other
        } else {
            Self::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_content() {
        let mut tar = vec![0; 2048];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(Kind::of_bytes(&tar), Kind::Text);
        tar[1024..1028].copy_from_slice(ELF);
        let mut kernel = vec![0; 2048];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        for (bytes, kind) in [
            (&b"\x7fELF..."[..], Kind::Elf),
            (b"\0asm\x01", Kind::Wasm),
            (b"PK\x03\x04", Kind::Container),
            (&tar, Kind::Elf),
            (&kernel, Kind::Kernel),
            (b"{}", Kind::Text),
            (b"a\0b", Kind::Other),
        ] {
            assert_eq!(Kind::of_bytes(bytes), kind, "{bytes:?}");
        }
    }
}
