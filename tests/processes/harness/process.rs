//! A process under test: what it prints, what it costs, and how it is signalled and ended.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, wait_for};

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

    pub(super) fn try_line(&self, prefix: &str) -> Option<String> {
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

    /// How it has ended; none while it runs.
    pub(crate) fn ended(&self) -> Option<String> {
        // A zombie, whose end nobody has waited for yet.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        (fields[0] == "Z").then(|| format!("its wait status is {}", fields[49]))
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("{name} ends"), || self.child.try_wait().unwrap())
    }

    /// Ctrl-C; its exit code, if it ends by itself.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        self.signal(Signal::INT);
        self.wait().code()
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
