//! Writes the seeds that fuzzers begin with: `cargo run -p groundswell-delta --features fuzzing --example seeds`.
//!
//! Inputs that were added by hand, because a fuzzer found something with them, stay.

use std::path::Path;
use std::{fs, io};

use groundswell_delta::fuzzing::{ENTRIES, seeds};

fn main() -> io::Result<()> {
    for (name, _) in ENTRIES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds(name).into_iter().enumerate() {
            fs::write(folder.join(format!("{number:02}")), seed)?;
        }
    }
    Ok(())
}
