//! Mistakes that everybody makes once: each is answered with the exit code that the interface promises, and with one
//! line that says what failed, on what, and what to do.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, SmallDisk, binary, finish, kvctl};

const USAGE: i32 = 2;
const UNAVAILABLE: i32 = 3;
pub(crate) const OTHER: i32 = 5;

/// `kvnode run` on free ports; in memory, unless `flags` say otherwise.
pub(crate) fn node(data_dir: &Path, flags: &[&str]) -> Command {
    let mut command = binary("kvnode");
    command.args(["run", "--name", "n1"]);
    for (flag, default) in [
        ("--listen", "127.0.0.1:0"),
        ("--peer-listen", "127.0.0.1:0"),
        ("--http-listen", "127.0.0.1:0"),
        ("--engine", "memory"),
    ] {
        if !flags.contains(&flag) {
            command.args([flag, default]);
        }
    }
    command.arg("--data-dir").arg(data_dir).args(flags);
    command
}

/// Holds that a node ended with this exit code, and said why in one line, after its log, with all these words.
pub(crate) fn assert_node_refuses(command: Command, exit: i32, words: &[&str]) {
    let described = format!("{command:?}");
    let Output { status, stdout, stderr } = finish(command);
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(exit), "{described}: {said}");
    assert!(stdout.is_empty(), "{described}: it said it was ready");
    let last = said.lines().last().unwrap_or_default();
    let why =
        last.strip_prefix("kvnode: ").unwrap_or_else(|| panic!("{described}: the last line is no reason: {said}"));
    assert_eq!(said.lines().filter(|line| line.starts_with("kvnode: ")).count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(why.contains(word), "{described}: nothing of {word:?} in: {why}");
    }
    println!("{why}");
}

/// The same of `kvctl`, which has no log.
fn assert_kvctl_fails(output: &Output, exit: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.starts_with("kvctl: "), "{said}");
    for word in words {
        assert!(said.contains(word), "nothing of {word:?} in: {said}");
    }
    println!("{}", said.trim_end());
}

const REQUESTS: [&[&str]; 4] = [&["get", "k"], &["put", "k", "v"], &["del", "k"], &["status"]];

#[test]
fn kvctl_on_a_wrong_port_says_what_is_there() {
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    let node = cluster.node("n1");
    for port in [&node.peer, &node.http] {
        for request in REQUESTS {
            let start = Instant::now();
            let output = kvctl(port, request, b"");
            let exit = if request == ["status"] { OTHER } else { UNAVAILABLE };
            assert_kvctl_fails(&output, exit, &[port, "; "]);
            assert!(start.elapsed() < Duration::from_secs(7), "{request:?} took {:?}", start.elapsed());
        }
    }
}

#[test]
fn kvctl_on_a_dead_port_fails_at_once_and_names_every_endpoint() {
    let [first, second] = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    });
    for request in REQUESTS {
        let start = Instant::now();
        let output = kvctl(&format!("{first},{second}"), request, b"");
        assert_kvctl_fails(&output, UNAVAILABLE, &[&first, &second, "is the node running?"]);
        assert!(start.elapsed() < Duration::from_secs(5), "{request:?} took {:?}", start.elapsed());
    }
}

#[test]
fn a_node_that_hangs_costs_kvctl_its_timeout_and_no_more() {
    let mut cluster = Cluster::start(1, &["--engine", "memory"]);
    let endpoint = cluster.node("n1").client.clone();
    cluster.node_mut("n1").process().signal(Signal::STOP);
    for request in REQUESTS {
        let start = Instant::now();
        let output = kvctl(&endpoint, &[request, &["--timeout", "700ms"]].concat(), b"");
        assert_kvctl_fails(&output, UNAVAILABLE, &[&endpoint, "; "]);
        assert!(start.elapsed() < Duration::from_secs(5), "{request:?} took {:?}", start.elapsed());
    }
    cluster.node_mut("n1").process().signal(Signal::CONT);
    cluster.run("n1", &["put", "k", "v"]);
}

#[test]
fn kvctl_refuses_bad_flags_and_levels_before_it_asks_anybody() {
    for (arguments, word) in [
        (&["get", "k", "--colour"][..], "--colour"),
        (&["get"], "KEY"),
        (&["fetch", "k"], "fetch"),
        (&["get", "k", "-r", "most"], "most"),
        (&["get", "k", "-r", "0"], "0"),
        (&["put", "k", "v", "-w", "65"], "65"),
        (&["put", "k", "v", "--ttl", "soon"], "soon"),
        (&["status", "--timeout", "5"], "5"),
        (&["status", "-o", "xml"], "xml"),
    ] {
        assert_kvctl_fails(&kvctl("127.0.0.1:1", arguments, b""), USAGE, &[word]);
    }
    for endpoint in ["nowhere", "", "a b:1", "127.0.0.1:70000"] {
        assert_kvctl_fails(&kvctl(endpoint, &["status"], b""), USAGE, &["HOST:PORT"]);
    }
}

#[test]
fn kvnode_refuses_what_it_cannot_be_configured_with() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let file = temp.path().join("node.toml");
    let mut frob = binary("kvnode");
    frob.arg("frob");
    assert_node_refuses(frob, USAGE, &["frob"]);
    assert_node_refuses(node(&data, &["--colour", "red"]), USAGE, &["--colour"]);
    assert_node_refuses(node(&data, &["--listen", "7400"]), USAGE, &["listen", "7400", "HOST:PORT"]);
    assert_node_refuses(node(&data, &["--engine", "rocks"]), USAGE, &["engine", "rocks", "memory"]);
    assert_node_refuses(node(&data, &["--max-pair", "2MiB"]), USAGE, &["max-pair", "2MiB", "1MiB"]);
    assert_node_refuses(node(&data, &["--partitions", "100"]), USAGE, &["partitions", "power of two"]);

    let mut variable = node(&data, &[]);
    variable.env("KVORUM_WEIGHT", "heavy");
    assert_node_refuses(variable, USAGE, &["KVORUM_WEIGHT", "heavy"]);

    let config = file.to_str().unwrap();
    assert_node_refuses(node(&data, &["--config", config]), USAGE, &["node.toml"]);
    for (text, words) in [
        ("weight = 1\nlissten = '127.0.0.1:1'\n", &["node.toml:2", "lissten"][..]),
        ("weight = 'heavy'\n", &["node.toml:1", "weight"]),
        ("durability = 'sometimes'\n", &["node.toml", "durability", "sometimes", "always"]),
        ("this is not toml", &["node.toml:1"]),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_node_refuses(node(&data, &["--config", config]), USAGE, words);
    }
    assert!(!data.exists(), "a node that is configured wrongly touches nothing");
}

#[test]
fn a_data_directory_that_cannot_be_used_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    // A file where the directory should be; permissions would not stop root.
    let file = temp.path().join("a-file");
    std::fs::write(&file, "x").unwrap();
    assert_node_refuses(node(&file, &[]), OTHER, &["a-file", "check the path"]);
    assert_node_refuses(node(&file.join("below"), &[]), OTHER, &["a-file/below", "check the path"]);

    let foreign = temp.path().join("thesis");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.tex"), "x").unwrap();
    assert_node_refuses(node(&foreign, &[]), OTHER, &["thesis", "no Kvorum data", "--data-dir"]);
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1, "nothing was written into it");
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for flag in ["--listen", "--peer-listen", "--http-listen"] {
        let temp = tempfile::tempdir().unwrap();
        assert_node_refuses(node(temp.path(), &[flag, &address]), OTHER, &[&address, flag, "another process"]);
    }
}

#[test]
fn a_second_process_on_a_data_directory_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    assert_node_refuses(node(&cluster.path("n1"), &[]), OTHER, &["in use by another kvnode", "--data-dir"]);
    cluster.run("n1", &["put", "k", "v"]);
}

/// The data directory of a node that has run and stopped.
fn used_directory() -> (Cluster, PathBuf) {
    let mut cluster = Cluster::start(1, &["--engine", "memory"]);
    cluster.run("n1", &["put", "k", "v"]);
    cluster.node_mut("n1").process().signal(Signal::TERM);
    assert!(cluster.node_mut("n1").process().wait().success());
    let path = cluster.path("n1");
    (cluster, path)
}

#[test]
fn damaged_files_of_a_data_directory_are_named() {
    let (_cluster, directory) = used_directory();
    for name in ["identity.toml", "cluster.state", "clock.ceiling"] {
        let path = directory.join(name);
        let whole = std::fs::read(&path).unwrap();
        let middle = whole.len() / 2;
        let flipped: Vec<u8> =
            whole.iter().enumerate().map(|(at, byte)| if at == middle { byte ^ 0x80 } else { *byte }).collect();
        for damaged in [&whole[..middle], b"", &flipped, &[0xff; 100]] {
            std::fs::write(&path, damaged).unwrap();
            assert_node_refuses(node(&directory, &[]), OTHER, &[name, "damaged", "restore it"]);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    // As it was, it starts: nothing that was refused has changed anything.
    let start = crate::harness::Process::start("n1", node(&directory, &[]));
    start.line("ready ");
}

#[test]
fn a_directory_of_another_engine_is_refused() {
    let (_cluster, directory) = used_directory();
    assert_node_refuses(node(&directory, &["--engine", "sled"]), OTHER, &["--engine memory", "--data-dir"]);
}

#[test]
fn a_node_that_starts_on_a_full_disk_says_so() {
    for left in [0, 4] {
        let temp = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(temp.path(), 512) else {
            println!("skipped: this process may not mount a small file system");
            return;
        };
        disk.fill(left);
        for engine in ["lsm", "sled"] {
            let directory = temp.path().join(engine);
            let path = directory.to_str().unwrap();
            assert_node_refuses(node(&directory, &["--engine", engine]), OTHER, &[path, "No space left", "check"]);
            // It has left nothing that takes up room.
            let _ = std::fs::remove_dir_all(&directory);
        }
        drop(disk);
    }
}
