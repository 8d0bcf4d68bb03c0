//! One node under test: its ports, its data, its log, and the process that runs it or does not.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::Signal;

use super::{Network, Process, binary, wait_for};

/// A free port below those that the system hands out by itself: a node that is killed must find its port free again,
/// and not taken by somebody's outgoing connection.
pub(super) fn free_port() -> u16 {
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
    /// Where other nodes reach it: its peer port, or what stands before that.
    pub(super) reached: String,
    network: Option<Arc<Network>>,
    /// Its log, and its data unless they have a place of their own.
    directory: PathBuf,
    data: PathBuf,
    flags: Vec<String>,
    /// Its environment, besides what every test has.
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) process: Option<Process>,
}

impl Node {
    /// Starts it with its data in its place of the directory, and waits until it is ready.
    pub(super) fn start(directory: &Path, name: &str, flags: &[&str], network: Option<&Arc<Network>>) -> Self {
        let mut node = Self::new(directory, directory.join(name), name, flags);
        if let Some(network) = network {
            node.reached = network.stand_before(name, &node.peer);
            node.flags.extend(["--peer-advertise".to_owned(), node.reached.clone()]);
            node.network = Some(Arc::clone(network));
        }
        node.restart();
        node
    }

    /// The same with its data elsewhere.
    pub(super) fn start_in(directory: &Path, data: PathBuf, name: &str, flags: &[&str]) -> Self {
        let mut node = Self::new(directory, data, name, flags);
        node.restart();
        node
    }

    /// One that is not started, and may never get ready.
    pub(crate) fn unready(directory: &Path, name: &str, flags: &[&str]) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        Self::new(directory, directory.join(name), name, flags)
    }

    fn new(directory: &Path, data: PathBuf, name: &str, flags: &[&str]) -> Self {
        let [client, peer, http] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let flags = flags.iter().map(ToString::to_string).collect();
        let (name, directory, reached) = (name.to_owned(), directory.to_owned(), peer.clone());
        let (variables, process, network) = (Vec::new(), None, None);
        Self { name, client, http, peer, reached, network, directory, data, flags, variables, process }
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
        self.wait_until_ready();
    }

    /// Waits for the line that says where it serves.
    pub(crate) fn wait_until_ready(&mut self) {
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
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let mut twin = Self::new(data.parent().unwrap(), data.clone(), &self.name, &flags);
        twin.variables.clone_from(&self.variables);
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
    pub(crate) fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command();
        command.stderr(log);
        let process = Process::start(&self.name, command);
        if let Some(network) = &self.network {
            network.runs(&self.name, process.id());
        }
        self.process = Some(process);
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

    /// The part of one of its figures whose labels hold this; none if it cannot be asked now.
    pub(crate) fn figure_of(&self, name: &str, label: &str) -> Option<f64> {
        TcpStream::connect(&self.http).ok()?;
        let text = self.http("/metrics");
        let line = text.lines().find(|line| line.split('{').next() == Some(name) && line.contains(label))?;
        line.rsplit(' ').next()?.parse().ok()
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
