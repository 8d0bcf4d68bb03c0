//! A cluster of real processes: how it is founded and joined, what its members say of each other, and `kvctl` against one
//! of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Network, Node, PATIENCE, assert_success, kvctl};

/// A cluster of real processes.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    directory: TempDir,
    network: Option<Arc<Network>>,
}

impl Cluster {
    /// One node whose data lies in a place of the caller's.
    pub(crate) fn alone_in(place: &Path, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let node = Node::start_in(directory.path(), place.join("data"), "n1", flags);
        let cluster = Self { nodes: vec![node], directory, network: None };
        cluster.wait_until_up(1);
        cluster
    }

    /// Starts nodes that found a cluster together, and waits until it is complete and every node serves.
    pub(crate) fn start(nodes: usize, flags: &[&str]) -> Self {
        Self::found(nodes, &[], flags)
    }

    /// The same, with flags that only the founder is given.
    pub(crate) fn found(nodes: usize, founder: &[&str], flags: &[&str]) -> Self {
        Self::of(&vec![flags; nodes], founder, None)
    }

    /// The same, with a network that can be cut.
    pub(crate) fn behind(network: &Arc<Network>, nodes: usize, flags: &[&str]) -> Self {
        Self::of(&vec![flags; nodes], &[], Some(Arc::clone(network)))
    }

    /// The same, each node with flags of its own.
    pub(crate) fn of(flags: &[&[&str]], founder: &[&str], network: Option<Arc<Network>>) -> Self {
        let (nodes, count) = (flags.len(), flags.len().to_string());
        let founding = [&["--initial-nodes", &count][..], founder, flags[0]].concat();
        let mut cluster = Self { nodes: Vec::new(), directory: tempfile::tempdir().unwrap(), network };
        cluster.add(&founding);
        for flags in &flags[1..] {
            cluster.join(flags);
        }
        cluster.wait_until_up(nodes);
        cluster
    }

    /// Starts nodes that found a cluster together, all at the same time, and does not wait for it to be complete.
    pub(crate) fn at_once(nodes: usize, flags: &[&str]) -> Self {
        let count = nodes.to_string();
        let mut cluster = Self { nodes: Vec::new(), directory: tempfile::tempdir().unwrap(), network: None };
        let mut seed = None;
        for number in 1..=nodes {
            let role = seed.as_ref().map_or(["--initial-nodes", &count], |seed: &String| ["--seeds", seed]);
            let (directory, name) = (cluster.directory.path(), format!("n{number}"));
            let mut node = Node::unready(directory, &name, &[&role[..], flags].concat());
            node.launch();
            seed.get_or_insert_with(|| node.peer.clone());
            cluster.nodes.push(node);
        }
        for node in &mut cluster.nodes {
            node.wait_until_ready();
        }
        cluster
    }

    /// Starts one more node.
    pub(crate) fn join(&mut self, flags: &[&str]) {
        let seeds = self.nodes.iter().map(|node| node.reached.as_str()).collect::<Vec<_>>().join(",");
        self.add(&[&["--seeds", &seeds][..], flags].concat());
    }

    fn add(&mut self, flags: &[&str]) {
        let name = format!("n{}", self.nodes.len() + 1);
        self.nodes.push(Node::start(self.directory.path(), &name, flags, self.network.as_ref()));
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
        let ended = |node: &Node| match &node.process {
            Some(process) => process.ended().map_or_else(String::new, |how| format!(", which has ended: {how}")),
            None => ", which does not run".to_owned(),
        };
        self.nodes.iter().map(|node| format!("{}{}\n{}\n", node.name, ended(node), node.log())).collect()
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
