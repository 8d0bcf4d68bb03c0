//! `kvnode dev`: a local cluster as child processes.
//!
//! Each node has a settings file of its own in the directory, so that one that was stopped or killed can be started
//! again by hand with `kvnode run --config`. The nodes watch their standard input and stop when this process is gone,
//! however it ended.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kvorum_client::{Client, Route};
use kvorum_server::config::default_memory;
use kvorum_server::memory::MIN_MEMORY;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::args::DevArgs;
use crate::layers::{Settings, Source};
use crate::settings::{SETTINGS, Setting, size};
use crate::{Failure, effective};

/// How long the nodes may take to find each other.
const FORMATION: Duration = Duration::from_secs(60);
/// How long a node may take to stop before it is killed.
const STOPPING: Duration = Duration::from_secs(10);

struct Node {
    name: String,
    client: String,
    peer: String,
    http: String,
    settings: PathBuf,
    log: PathBuf,
    /// None once it has been seen to end.
    process: Option<Child>,
}

pub(crate) fn dev(args: &DevArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(cluster(args))
}

async fn cluster(args: &DevArgs) -> Result<(), Failure> {
    let mut nodes = plan(args).map_err(Failure::usage)?;
    say(&format!("starting {} nodes in {}", nodes.len(), args.dir.display()));
    for node in &nodes {
        say(&format!(
            "  {}  client {}  peer {}  http {}  log {}",
            node.name,
            node.client,
            node.peer,
            node.http,
            node.log.display()
        ));
    }
    let mut stop = std::pin::pin!(stop_asked());
    let formed = tokio::select! {
        formed = form(&mut nodes) => formed.map(|()| true),
        () = &mut stop => Ok(false),
    };
    if matches!(formed, Ok(true)) {
        say("cluster ready");
        let endpoint = if args.base_port == 7400 { String::new() } else { format!(" -e {}", nodes[0].client) };
        say(&format!(
            "try: kvctl{endpoint} put hello world; kvctl{endpoint} get hello; kvctl{endpoint} status    (Ctrl-C stops all nodes)"
        ));
        tokio::select! {
            () = watch(&mut nodes) => say("no node is left"),
            () = &mut stop => {}
        }
    }
    stop_all(&mut nodes).await;
    Ok(formed.map(drop)?)
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    // Whoever started this may have closed its end; the cluster runs all the same.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn stop_asked() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// What `kvnode dev` chooses for each node.
const CHOSEN: [&str; 8] =
    ["name", "data-dir", "listen", "peer-listen", "http-listen", "seeds", "advertise", "peer-advertise"];

/// What holds for every node: flags, over variables. A setting that is wrong is told before anything is started.
fn common(flags: &Settings, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Settings> {
    let common = flags.clone().over(Settings::from_variables(variable)?);
    let chosen = SETTINGS.iter().filter(|setting| CHOSEN.contains(&setting.key));
    if let Some(value) = chosen.into_iter().find_map(|setting| common.given(setting)) {
        bail!("{}: `kvnode dev` chooses it for each node; leave it away, or use `kvnode run`", value.place());
    }
    let mut node = common.clone();
    node.set("name", "n1", Source::Default);
    effective::log(&node)?;
    effective::config(&node)?;
    Ok(common)
}

/// Chooses names, ports and places, and writes each node's settings file.
fn plan(args: &DevArgs) -> Result<Vec<Node>> {
    let common = common(&args.flags, |name| std::env::var_os(name))?;
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
    let dir = args.dir.canonicalize().with_context(|| format!("cannot use {}", args.dir.display()))?;
    let ports = ports(args)?;
    let addresses: Vec<[String; 3]> = ports.iter().map(|ports| ports.map(|port| format!("127.0.0.1:{port}"))).collect();
    let names: Vec<String> = (1..=args.nodes).map(|number| format!("n{number}")).collect();
    let is_new = |name: &str| !dir.join(name).join("identity.toml").exists();
    let cluster_exists = names.iter().any(|name| !is_new(name));
    let mut nodes = Vec::new();
    for (index, (name, [client, peer, http])) in names.iter().zip(&addresses).enumerate() {
        let others = addresses.iter().map(|[_, other, _]| other).filter(|other| *other != peer);
        // The first node founds the cluster, unless there is one already: then it joins it like any other.
        let founds = index == 0 && !(cluster_exists && is_new(name));
        let data_dir = dir.join(name);
        let data_dir = data_dir.to_str().with_context(|| format!("{} is not UTF-8 text", data_dir.display()))?;
        let mut chosen = Settings::default();
        let values = [("name", name.as_str()), ("data-dir", data_dir), ("listen", client), ("peer-listen", peer)];
        values.into_iter().chain([("http-listen", http.as_str())]).for_each(|(key, value)| {
            chosen.set(key, value, Source::Default);
        });
        if !founds {
            chosen.set("seeds", others.cloned().collect::<Vec<_>>().join(","), Source::Default);
        }
        let mut fallback = Settings::default();
        fallback.set("initial-nodes", args.nodes.to_string(), Source::Default);
        // They share one machine, and what one node would take of it.
        let memory = (default_memory() / u64::from(args.nodes)).max(MIN_MEMORY);
        fallback.set("memory", size(memory), Source::Default);
        let settings = chosen.over(common.clone()).over(fallback);
        let path = args.dir.join(format!("{name}.toml"));
        let text = file(&settings);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        nodes.push(Node {
            name: name.clone(),
            client: client.clone(),
            peer: peer.clone(),
            http: http.clone(),
            settings: path,
            log: args.dir.join(format!("{name}.log")),
            process: None,
        });
    }
    Ok(nodes)
}

/// What is set, as a settings file.
fn file(settings: &Settings) -> String {
    let line = |setting: &'static Setting| settings.given(setting).map(|value| value.to_toml() + "\n");
    let head = "# Written by `kvnode dev` at every start.\n".to_owned();
    std::iter::once(head).chain(SETTINGS.iter().filter_map(line)).collect()
}

/// Client, peer and HTTP port of each node.
fn ports(args: &DevArgs) -> Result<Vec<[u16; 3]>> {
    if args.base_port == 0 {
        let free: Vec<TcpListener> = (0..3 * args.nodes)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<std::io::Result<_>>()
            .context("no free ports")?;
        let ports: Vec<u16> = free
            .iter()
            .map(|listener| listener.local_addr().map(|address| address.port()))
            .collect::<std::io::Result<_>>()?;
        return Ok(ports.chunks_exact(3).map(|ports| [ports[0], ports[1], ports[2]]).collect());
    }
    let last = u32::from(args.base_port) + 10 * u32::from(args.nodes - 1) + 2;
    if last > u32::from(u16::MAX) {
        bail!("--base-port {}: {} nodes need ports up to {last}, beyond 65535", args.base_port, args.nodes);
    }
    Ok((0..args.nodes).map(|node| args.base_port + 10 * node).map(|base| [base, base + 1, base + 2]).collect())
}

/// Starts the nodes and waits until each says that all are up and every partition has its replicas.
async fn form(nodes: &mut [Node]) -> Result<()> {
    for node in nodes.iter_mut() {
        node.process = Some(start(node)?);
    }
    let deadline = Instant::now() + FORMATION;
    let count = nodes.len();
    let mut waiting: Vec<usize> = (0..count).collect();
    while let Some(index) = waiting.last().copied() {
        for node in nodes.iter_mut() {
            if let Some(ended) = node.process.as_mut().and_then(|process| process.try_wait().transpose()) {
                node.process = None;
                bail!("{} did not start ({}): {}", node.name, ended?, last_line(&node.log));
            }
        }
        let Some(missing) = missing(&nodes[index].client, count).await else {
            waiting.pop();
            continue;
        };
        if Instant::now() > deadline {
            bail!(
                "the cluster was not complete after {} s: {}: {missing}; look at {}",
                FORMATION.as_secs(),
                nodes[index].name,
                nodes[index].log.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// What a node lacks to be part of a complete cluster.
async fn missing(endpoint: &str, nodes: usize) -> Option<String> {
    let config = kvorum_client::Config::new([endpoint]).route(Route::Endpoints).timeout(Duration::from_secs(2));
    let status = match Client::connect(config).await {
        Ok(client) => client.status().await,
        Err(error) => Err(error),
    };
    match status {
        Err(error) => Some(error.to_string()),
        Ok(status) if status.partitions == 0 => {
            Some(status.warnings.into_iter().next().unwrap_or_else(|| "there is no layout".to_owned()))
        }
        Ok(status) => {
            let up = status.members.iter().filter(|member| member.state == "up").count();
            let not_ready = || format!("{} does not serve yet", status.answered_by);
            if up < nodes { Some(format!("{up} of {nodes} nodes are up")) } else { (!status.ready).then(not_ready) }
        }
    }
}

fn start(node: &Node) -> Result<Child> {
    let program = std::env::current_exe().context("cannot find the kvnode program")?;
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&node.log);
    let log = log.with_context(|| format!("cannot write {}", node.log.display()))?;
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&node.settings).arg("--stop-with-stdin");
    // The variables have been read already; a node must not see another's.
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("KVORUM_")) {
        command.env_remove(variable);
    }
    // A group of its own: Ctrl-C reaches this process alone, which then stops the nodes.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).process_group(0);
    command.spawn().with_context(|| format!("cannot start {}", node.name))
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().map_or_else(|| format!("see {}", log.display()), ToOwned::to_owned)
}

/// Tells of nodes that end; returns when all have.
async fn watch(nodes: &mut [Node]) {
    while nodes.iter().any(|node| node.process.is_some()) {
        for node in nodes.iter_mut() {
            if let Some(Ok(ended)) = node.process.as_mut().and_then(|process| process.try_wait().transpose()) {
                node.process = None;
                say(&format!(
                    "{} has stopped ({ended}); to start it again: kvnode run --config {}",
                    node.name,
                    node.settings.display()
                ));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Closes every node's standard input, which asks it to stop, and waits.
async fn stop_all(nodes: &mut [Node]) {
    let mut stopping = Vec::new();
    for node in nodes {
        if let Some(mut process) = node.process.take() {
            drop(process.stdin.take());
            stopping.push((&node.name, process));
        }
    }
    let deadline = Instant::now() + STOPPING;
    for (name, mut process) in stopping {
        if tokio::time::timeout_at(deadline, process.wait()).await.is_err() {
            eprintln!("kvnode: {name} did not stop within {} s and is killed", STOPPING.as_secs());
            if let Err(error) = process.kill().await {
                eprintln!("kvnode: {:#}", anyhow!(error).context(format!("cannot kill {name}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn dev_args(line: &[&str]) -> DevArgs {
        let Command::Dev(args) = Args::try_parse_from(["kvnode", "dev"].iter().chain(line)).unwrap().command else {
            panic!("{line:?}");
        };
        *args
    }

    fn complaint(line: &[&str], variable: Option<(&str, &str)>) -> String {
        let variable = |name: &str| variable.filter(|(given, _)| *given == name).map(|(_, value)| value.into());
        common(&dev_args(line).flags, variable).unwrap_err().to_string()
    }

    #[test]
    fn what_dev_chooses_or_what_is_wrong_is_refused_with_its_place() {
        let flag = complaint(&["--listen", "127.0.0.1:1"], None);
        assert!(flag.starts_with("flag --listen: `kvnode dev` chooses it"), "{flag}");
        let variable = complaint(&[], Some(("KVORUM_NAME", "n7")));
        assert!(variable.starts_with("variable KVORUM_NAME: `kvnode dev` chooses it"), "{variable}");
        let engine = complaint(&[], Some(("KVORUM_ENGINE", "rocks")));
        assert_eq!(engine, "variable KVORUM_ENGINE: `rocks` is not one of lsm, sled, memory");
    }

    #[test]
    fn each_node_gets_a_file_that_holds_what_was_chosen_and_what_was_given() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().to_str().unwrap();
        let nodes = plan(&dev_args(&["--dir", dir, "--engine", "memory", "--base-port", "8400"])).unwrap();
        let read = |node: &Node| effective::config(&Settings::read(&node.settings, "flag --config").unwrap()).unwrap();
        let configs: Vec<_> = nodes.iter().map(read).collect();
        assert_eq!(configs.iter().map(|config| config.name.as_str()).collect::<Vec<_>>(), ["n1", "n2", "n3"]);
        assert_eq!(configs[1].listen.to_string(), "127.0.0.1:8410");
        assert_eq!(configs[1].http_listen.to_string(), "127.0.0.1:8412");
        assert!(configs[0].seeds.is_empty(), "the first founds the cluster");
        assert_eq!(configs[2].seeds, ["127.0.0.1:8401", "127.0.0.1:8411"]);
        assert!(configs.iter().all(|config| config.founding.nodes == 3));
        assert_eq!(format!("{:?}", configs[2].engine), "Memory");
        let together: u64 = configs.iter().map(|config| config.memory).sum();
        assert!(together <= default_memory().max(3 * MIN_MEMORY), "{together} bytes");
        let nodes = plan(&dev_args(&["--dir", dir, "--memory", "128MiB", "--base-port", "8400"])).unwrap();
        assert!(nodes.iter().all(|node| read(node).memory == 128 << 20));
    }
}
