//! Real processes under test: builds the binaries once, starts nodes on free ports, kills and restarts them, and runs
//! `kvctl`. Whatever a test leaves running is killed when it is dropped. Nothing here sleeps to synchronise: it waits
//! for a condition, with a deadline.

mod small_disk;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) use small_disk::SmallDisk;

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

/// A process whose standard output is read line by line.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    name: String,
}

impl Process {
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, name: name.to_owned() }
    }

    /// Waits for a line of output that begins so.
    pub(crate) fn line(&self, prefix: &str) -> String {
        self.try_line(prefix)
            .unwrap_or_else(|| panic!("{} never printed a line that begins with {prefix:?}", self.name))
    }

    fn try_line(&self, prefix: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with(prefix) => return Some(line),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What the system counts for it, in bytes: `VmRSS` is what it holds now, `VmHWM` the most it ever held.
    pub(crate) fn memory(&self, counter: &str) -> u64 {
        memory(self.child.id(), counter)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time it has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may hold anything: user and system time, in hundredths of a second (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        Duration::from_millis(10) * fields[11..=12].iter().map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("{name} ends"), || self.child.try_wait().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// See [`Process::memory`].
pub(crate) fn memory(process: u32, counter: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(':'));
    let kibibytes = line.unwrap_or_else(|| panic!("process {process} has no {counter}: has it ended?"));
    kibibytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A free port below those that the system hands out by itself: a node that is killed must find its port free again,
/// and not taken by somebody's outgoing connection.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + (std::process::id() % 160) as u16 * 100;
    wait_for("a port is free", || {
        let port = 12_000 + (first - 12_000 + NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    })
}

/// One node of a cluster under test, running or not.
pub(crate) struct Node {
    pub(crate) name: String,
    /// Where clients reach it; it keeps its ports over restarts.
    pub(crate) client: String,
    pub(crate) http: String,
    pub(crate) peer: String,
    /// Its log, and its data unless they have a place of their own.
    directory: PathBuf,
    data: PathBuf,
    flags: Vec<String>,
    /// Its environment, besides what every test has.
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) process: Option<Process>,
}

impl Node {
    fn start(directory: &Path, name: &str, flags: &[&str]) -> Self {
        Self::start_in(directory, directory.join(name), name, flags)
    }

    fn start_in(directory: &Path, data: PathBuf, name: &str, flags: &[&str]) -> Self {
        let [client, peer, http] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let flags = flags.iter().map(ToString::to_string).collect();
        let directory = directory.to_owned();
        let (name, variables) = (name.to_owned(), Vec::new());
        let mut node = Self { name, client, http, peer, directory, data, flags, variables, process: None };
        node.restart();
        node
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = binary("kvnode");
        command.args([
            "run",
            "--name",
            &self.name,
            "--listen",
            &self.client,
            "--peer-listen",
            &self.peer,
            "--http-listen",
            &self.http,
        ]);
        command.arg("--data-dir").arg(self.data()).args(&self.flags).envs(self.variables.iter().cloned());
        command
    }

    /// Starts it, on the ports it had before, and waits until it is ready.
    pub(crate) fn restart(&mut self) {
        self.launch();
        let ready = self.process.as_ref().unwrap().try_line("ready ");
        let ready = ready.unwrap_or_else(|| panic!("{} did not get ready; its log:\n{}", self.name, self.log()));
        let field = |key: &str| {
            let found = ready.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("the ready line has no {key}: {ready}")).to_owned()
        };
        assert_eq!(field("name"), self.name);
        (self.client, self.peer, self.http) = (field("client"), field("peer"), field("http"));
    }

    /// Where its data is.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Another process with its name and flags, on other ports and data; it need not get ready.
    pub(crate) fn twin(&self, data: PathBuf) -> Self {
        let [client, peer, http] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let (name, flags, variables) = (self.name.clone(), self.flags.clone(), self.variables.clone());
        let directory = data.parent().unwrap().to_owned();
        let mut twin = Self { name, client, http, peer, directory, data, flags, variables, process: None };
        twin.launch();
        twin
    }

    /// A copy of its data as it is at one moment.
    pub(crate) fn copy_data(&self, to: &Path) {
        let process = self.process.as_ref().unwrap();
        process.signal(Signal::STOP);
        let copied = Command::new("cp").arg("-r").arg(self.data()).arg(to).status();
        process.signal(Signal::CONT);
        assert!(copied.unwrap().success());
    }

    /// Starts it without waiting.
    fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command();
        command.stderr(log);
        self.process = Some(Process::start(&self.name, command));
    }

    /// What its HTTP port answers, head and body.
    pub(crate) fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// One of its figures; the sum of all parts, if it has some.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let text = self.http("/metrics");
        let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let numbers: Vec<f64> =
            text.lines().filter(of_name).map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(!numbers.is_empty(), "there is no {name} in:\n{text}");
        numbers.iter().sum()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the node runs")
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }
}

/// A cluster of real processes.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    directory: TempDir,
}

impl Cluster {
    /// One node whose data lies in a place of the caller's.
    pub(crate) fn alone_in(place: &Path, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let node = Node::start_in(directory.path(), place.join("data"), "n1", flags);
        let cluster = Self { nodes: vec![node], directory };
        cluster.wait_until_up(1);
        cluster
    }

    /// Starts nodes that found a cluster together, and waits until it is complete and every node serves.
    pub(crate) fn start(nodes: usize, flags: &[&str]) -> Self {
        Self::found(nodes, &[], flags)
    }

    /// The same, with flags that only the founder is given.
    pub(crate) fn found(nodes: usize, founder: &[&str], flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let count = nodes.to_string();
        let founding = [&["--initial-nodes", &count][..], founder, flags].concat();
        let mut cluster = Self { nodes: vec![Node::start(directory.path(), "n1", &founding)], directory };
        for _ in 1..nodes {
            cluster.join(flags);
        }
        cluster.wait_until_up(nodes);
        cluster
    }

    /// Starts one more node.
    pub(crate) fn join(&mut self, flags: &[&str]) {
        let seeds = self.nodes.iter().map(|node| node.peer.as_str()).collect::<Vec<_>>().join(",");
        let flags = [&["--seeds", &seeds][..], flags].concat();
        let name = format!("n{}", self.nodes.len() + 1);
        self.nodes.push(Node::start(self.directory.path(), &name, &flags));
    }

    /// Waits until every running node says that it is ready and that so many nodes are up.
    pub(crate) fn wait_until_up(&self, nodes: usize) {
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            let start = Instant::now();
            let sees_all = || {
                let states = self.states(&node.name)?;
                let are_up = states.iter().filter(|(_, state)| state == "up").count() == nodes;
                (are_up && node.http("/readyz").starts_with("HTTP/1.1 200")).then_some(())
            };
            while sees_all().is_none() {
                assert!(
                    start.elapsed() < PATIENCE,
                    "{} does not see {nodes} nodes up: {:?}; the logs:\n{}",
                    node.name,
                    self.states(&node.name),
                    self.logs(),
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What all nodes have said.
    fn logs(&self) -> String {
        self.nodes.iter().map(|node| format!("{}\n{}\n", node.name, node.log())).collect()
    }

    /// The members' states as a node sees them.
    pub(crate) fn states(&self, node: &str) -> Option<Vec<(String, String)>> {
        let output = self.kvctl(node, &["-o", "json", "status"]);
        if !output.status.success() {
            return None;
        }
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |member: &serde_json::Value, key: &str| member[key].as_str().unwrap().to_owned();
        Some(
            status["members"]
                .as_array()
                .unwrap()
                .iter()
                .map(|member| (text(member, "name"), text(member, "state")))
                .collect(),
        )
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).unwrap()
    }

    pub(crate) fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `kvctl` against one node.
    pub(crate) fn kvctl(&self, node: &str, arguments: &[impl AsRef<OsStr>]) -> Output {
        kvctl(&self.node(node).client, arguments, b"")
    }

    /// Runs `kvctl`, and takes for granted that it succeeds; gives its output.
    pub(crate) fn run(&self, node: &str, arguments: &[impl AsRef<OsStr> + std::fmt::Debug]) -> String {
        let output = self.kvctl(node, arguments);
        assert_success(&output, arguments);
        String::from_utf8(output.stdout).unwrap()
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
