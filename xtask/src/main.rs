//! The build's own checks: `cargo xtask ci` is what CI runs.

mod layers;
mod purity;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

/// The build's own checks.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    after_help = "\
Examples:
  cargo xtask ci        everything that CI runs
  cargo xtask layers    only the layer table"
)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Task {
    /// Everything: format, clippy, docs, layers, purity, tests with doc tests.
    Ci,
    /// Imports between crates point down, as ARCHITECTURE.md says.
    Layers,
    /// Pure crates ban clocks, threads and sockets, and forbid unsafe code.
    Purity,
    /// Every publishable crate packages, and builds from its package.
    PublishCheck,
}

/// The publishable crates that stand alone, and so build from their package before anything is published.
const STANDALONE: [&str; 7] =
    ["kvorum-ring", "kvorum-vclock", "kvorum-quorum", "kvorum-gossip", "kvorum-hints", "kvorum-history", "kvorum-lsm"];

fn main() -> Result<()> {
    let root = root()?;
    match Args::parse().task {
        Task::Ci => ci(&root),
        Task::Layers => layers::check(&root),
        Task::Purity => purity::check(&root),
        Task::PublishCheck => publish_check(&root),
    }
}

fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_owned).context("xtask stands in the workspace's root")
}

fn ci(root: &Path) -> Result<()> {
    step("format", || cargo(root, &["fmt", "--all", "--check"], &[]))?;
    step("layers", || layers::check(root))?;
    step("purity", || purity::check(root))?;
    step("clippy", || {
        cargo(root, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])
    })?;
    step("docs", || cargo(root, &["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")]))?;
    step("tests", || cargo(root, &["test", "--workspace", "--locked"], &[]))
}

fn publish_check(root: &Path) -> Result<()> {
    for package in STANDALONE {
        step(package, || cargo(root, &["package", "--package", package, "--allow-dirty"], &[]))?;
    }
    Ok(())
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("=== {name}");
    let start = Instant::now();
    run().with_context(|| format!("{name} failed"))?;
    println!("=== {name}: passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments).envs(variables.iter().copied());
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}
