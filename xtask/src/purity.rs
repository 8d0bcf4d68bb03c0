//! Pure crates: each has the same `clippy.toml`, which bans clocks, threads and sockets, and forbids unsafe code.

use std::path::Path;

use anyhow::{Context, Result, bail};

const PURE: [&str; 8] = ["ring", "vclock", "quorum", "gossip", "hints", "history", "node", "sim"];

pub(crate) fn check(root: &Path) -> Result<()> {
    let read = |name: &str, file: &str| {
        let path = root.join("crates").join(name).join(file);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let model = read(PURE[0], "clippy.toml")?;
    for name in PURE {
        if read(name, "clippy.toml")? != model {
            bail!(
                "crates/{name}/clippy.toml differs from crates/{}/clippy.toml: pure crates ban the same things",
                PURE[0]
            );
        }
        if !read(name, "src/lib.rs")?.contains("#![forbid(unsafe_code)]") {
            bail!("crates/{name}/src/lib.rs lacks #![forbid(unsafe_code)]");
        }
    }
    Ok(())
}
