//! The README, followed word by word: what it tells a newcomer to type is read from it, and typed.
//!
//! One thing differs from what stands there: `cargo run --release --bin NAME --` would build everything once more, so
//! the program that is built already is run in its place, with the same arguments; and `kvctl`, for which the README lets
//! the reader choose between `cargo run` and the `PATH`, is found on the `PATH`, like `kvnode`.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Process, binaries, finish, wait_for};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

/// The commands of each block of shell code, in order.
fn blocks(text: &str) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line == "```sh") {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").map(ToOwned::to_owned).collect());
    }
    blocks
}

/// A line of the README as a shell runs it, in a directory and an environment of a newcomer.
fn shell(line: &str, directory: &Path) -> Command {
    let line = line
        .strip_prefix("cargo run --release --bin ")
        .map_or_else(|| line.to_owned(), |rest| rest.replacen(" --", "", 1));
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    // `exec`, so that what is started is the child itself, and can be asked to stop.
    command.arg("-c").arg(format!("exec {line}")).current_dir(directory).env_clear();
    command.env("PATH", format!("{}:{path}", binaries().display())).env("HOME", directory);
    command.stdin(std::process::Stdio::null());
    command
}

/// Runs a line that should succeed; gives what it prints.
fn follow(line: &str, directory: &Path) -> String {
    let output = finish(shell(line, directory));
    assert!(output.status.success(), "`{line}`: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn stop(mut process: Process) {
    process.signal(Signal::INT);
    assert!(process.wait().success());
}

/// Every command that the README spells in its text as `kvctl ...` or `kvnode ...`.
fn inline_commands(text: &str) -> Vec<String> {
    let pieces = text.split('`').skip(1).step_by(2).filter(|piece| !piece.contains('\n'));
    pieces.filter(|piece| piece.starts_with("kvctl ") || piece.starts_with("kvnode ")).map(ToOwned::to_owned).collect()
}

fn ports_are_free() -> bool {
    (7400..=7422).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

#[test]
fn the_readme_can_be_followed_word_by_word() {
    let text = std::fs::read_to_string(README).unwrap();
    let blocks = blocks(&text);
    let [start, test, tour @ ..] = &blocks[..] else { panic!("the README has {} blocks of commands", blocks.len()) };
    assert_eq!(start[..], ["cargo run --release --bin kvnode -- dev"]);
    assert_eq!(test[..], ["cargo test --workspace"], "these very tests");
    let (own_cluster, tour): (Vec<_>, Vec<_>) =
        tour.iter().flatten().partition(|line: &&String| line.starts_with("kvnode run "));
    assert!(tour.len() >= 4 && own_cluster.len() == 3, "{tour:?} {own_cluster:?}");
    if !ports_are_free() {
        println!("skipped: another process uses the ports from 7400, which the README names");
        return;
    }

    let directory = tempfile::tempdir().unwrap();
    let cluster = Process::start("dev", shell(&start[0], directory.path()));
    cluster.line("cluster ready");
    let mut balance = None;
    for line in &tour {
        assert!(line.starts_with("kvctl "), "what is `{line}`?");
        let printed = follow(line, directory.path());
        if line.contains(" get greeting") {
            assert_eq!(printed, "hello, world\n");
        }
        if let Some(put) = line.strip_prefix("kvctl put balance ") {
            balance = put.split_whitespace().next().map(|value| format!("{value}\n"));
        }
        if line.contains(" get balance") {
            assert_eq!(Some(printed.clone()), balance, "what was put last");
        }
        if line.contains(" status") {
            assert!(["n1", "n2", "n3"].iter().all(|name| printed.contains(name)), "{printed}");
        }
    }
    std::fs::write(directory.path().join("FILE"), "a\t1\nb\t2\n").unwrap();
    for line in inline_commands(&text) {
        // Those that start something are followed as blocks.
        if line.starts_with("kvctl ") || line.ends_with("--help") {
            follow(&line, directory.path());
        }
    }
    stop(cluster);

    wait_for("the ports are free again", || ports_are_free().then_some(()));
    let directory = tempfile::tempdir().unwrap();
    let nodes: Vec<Process> =
        own_cluster.iter().map(|line| Process::start(line, shell(line, directory.path()))).collect();
    for node in &nodes {
        node.line("ready ");
    }
    wait_for("the three nodes are a cluster", || {
        finish(shell("kvctl put greeting 'hello, world' -w all", directory.path())).status.success().then_some(())
    });
    assert_eq!(follow("kvctl -e 127.0.0.1:7420 get greeting", directory.path()), "hello, world\n");
    nodes.into_iter().rev().for_each(stop);
}

#[test]
fn a_command_of_the_readme_that_does_not_work_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    for line in [
        "kvctl frob",
        "kvctl get greeting -r most",
        "kvctl -e 127.0.0.1:1 get greeting # nobody there",
        "kvstl get greeting",
    ] {
        let followed = std::panic::catch_unwind(|| follow(line, directory.path()));
        assert!(followed.is_err(), "`{line}` works");
    }
    assert_eq!(blocks("a\n```sh\nb\nc\n```\n```toml\nd\n```\n```sh\ne\n```\n"), [vec!["b", "c"], vec!["e"]]);
    assert_eq!(inline_commands("`kvctl a` b `c`, `kvnode\nd` `kvnode e`"), ["kvctl a", "kvnode e"]);
}
