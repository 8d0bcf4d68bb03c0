//! The layer table: which crate of the workspace may import which. Imports point down and only down.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A crate, and the crates of the workspace it may import; tests may import what they like.
const TABLE: &[(&str, &[&str])] = &[
    // Concepts know no other crate.
    ("kvorum-ring", &[]),
    ("kvorum-vclock", &[]),
    ("kvorum-quorum", &[]),
    ("kvorum-gossip", &[]),
    ("kvorum-hints", &[]),
    ("kvorum-history", &[]),
    ("kvorum-lsm", &[]),
    // Plain protobuf types; conversions live in the shells.
    ("kvorum-wire", &[]),
    // One node without I/O: storage is an effect.
    ("kvorum-node", CONCEPTS),
    (
        "kvorum-sim",
        &[
            "kvorum-node",
            "kvorum-lsm",
            "kvorum-ring",
            "kvorum-vclock",
            "kvorum-quorum",
            "kvorum-gossip",
            "kvorum-history",
        ],
    ),
    // The shells. `server` also imports the concepts whose types stand in `node`'s interface.
    (
        "kvorum-server",
        &["kvorum-node", "kvorum-lsm", "kvorum-wire", "kvorum-ring", "kvorum-vclock", "kvorum-quorum", "kvorum-gossip"],
    ),
    ("kvorum-client", &["kvorum-wire", "kvorum-ring", "kvorum-quorum"]),
    // The top.
    ("kvnode", &["kvorum-server", "kvorum-client", "kvorum-ring"]),
    ("kvctl", &["kvorum-client"]),
    ("kvbench", &["kvorum-client", "kvorum-history"]),
    ("kvorum-tests", &["kvorum-client", "kvorum-wire"]),
    ("xtask", &[]),
];

const CONCEPTS: &[&str] = &["kvorum-ring", "kvorum-vclock", "kvorum-quorum", "kvorum-gossip", "kvorum-hints"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or none for a normal one.
    kind: Option<String>,
    /// Set for crates of the workspace.
    path: Option<String>,
}

pub(crate) fn check(root: &Path) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .output();
    let output = output.context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something else")?;
    let wrong = violations(&metadata.packages);
    if !wrong.is_empty() {
        bail!("imports that the layer table (xtask/src/layers.rs) does not allow:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn violations(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == package.name) else {
            wrong.push(format!("{} is not in the table", package.name));
            continue;
        };
        let imported = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some() && dependency.kind.as_deref() != Some("dev"));
        let forbidden = imported.filter(|dependency| !allowed.contains(&dependency.name.as_str()));
        wrong.extend(forbidden.map(|dependency| format!("{} imports {}", package.name, dependency.name)));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        let dependency =
            Dependency { name: dependency.to_owned(), kind: kind.map(ToOwned::to_owned), path: Some("x".to_owned()) };
        Package { name: name.to_owned(), dependencies: vec![dependency] }
    }

    #[test]
    fn an_import_upward_is_found() {
        assert_eq!(violations(&[package("kvorum-ring", "kvorum-node", None)]), ["kvorum-ring imports kvorum-node"]);
        assert_eq!(violations(&[package("kvorum-node", "kvorum-server", None)]), ["kvorum-node imports kvorum-server"]);
        assert_eq!(violations(&[package("stranger", "kvorum-ring", None)]), ["stranger is not in the table"]);
        assert!(violations(&[package("kvorum-node", "kvorum-ring", None)]).is_empty());
        assert!(violations(&[package("kvorum-ring", "kvorum-sim", Some("dev"))]).is_empty());
    }
}
