//! Writes valid inputs for each target into its corpus, for a fuzzer to begin with: `cargo run --bin seeds`, in the directory of this package.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    for (number, (target, bytes)) in kvorum_lsm::fuzz::samples().into_iter().enumerate() {
        let corpus = Path::new("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        fs::write(corpus.join(format!("sample-{number}")), bytes)?;
    }
    Ok(())
}
