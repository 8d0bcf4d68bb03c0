//! Real processes under test: builds the binaries once, starts nodes on free ports, kills and restarts them, and runs
//! `kvctl`. Whatever a test leaves running is killed when it is dropped. Nothing here sleeps to synchronise: it waits
//! for a condition, with a deadline.

mod client;
mod cluster;
mod network;
mod node;
mod process;
mod small_disk;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use client::{
    assert_equal_replicas, block_on, client, config, for_each, hints, scan_one, wait_until_no_hints,
};
pub(crate) use cluster::Cluster;
pub(crate) use network::Network;
pub(crate) use node::Node;
pub(crate) use process::{Process, memory};
pub(crate) use small_disk::SmallDisk;

use node::free_port;

/// How long anything that should happen may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The directory of the binaries, built once: `cargo test` alone does not build the binaries of other packages.
pub(crate) fn binaries() -> &'static Path {
    static BINARIES: OnceLock<PathBuf> = OnceLock::new();
    BINARIES.get_or_init(|| {
        // target/PROFILE/deps/this-test
        let this = std::env::current_exe().unwrap();
        let directory = this.parent().and_then(Path::parent).unwrap().to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args([
            "build",
            "--quiet",
            "--locked",
            "--bin",
            "kvnode",
            "--bin",
            "kvctl",
            "--bin",
            "kvbench",
            "--target-dir",
        ]);
        build.arg(directory.parent().unwrap()).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        if directory.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the binaries do not build");
        directory
    })
}

/// A binary, in an environment without settings of its own.
pub(crate) fn binary(name: &str) -> Command {
    let mut command = Command::new(binaries().join(name));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("KVORUM_")) {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Waits until `condition` gives a value.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command that should end by itself, and soon; it is killed when it does not.
pub(crate) fn finish(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (send, output) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    output.recv_timeout(PATIENCE).map_or_else(
        |_| {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("{command:?} did not end within {PATIENCE:?}")
        },
        Result::unwrap,
    )
}

pub(crate) fn kvctl(endpoint: &str, arguments: &[impl AsRef<OsStr>], input: &[u8]) -> Output {
    let mut command = binary("kvctl");
    command.args(["-e", endpoint]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It need not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub(crate) fn assert_success(output: &Output, what: impl std::fmt::Debug) {
    assert!(output.status.success(), "{what:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}
