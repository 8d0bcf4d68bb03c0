//! `kvnode run`: one node in the foreground.

use std::io::Write;

use anyhow::{Context, Result, anyhow};
use kvorum_server::ServerError;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::RunArgs;
use crate::effective::Log;
use crate::layers::Settings;
use crate::{Failure, effective};

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let settings = Settings::gather(&args.layers, |name| std::env::var_os(name)).map_err(Failure::usage)?;
    let log = effective::log(&settings).map_err(Failure::usage)?;
    let config = effective::config(&settings).map_err(Failure::usage)?;
    start_log(log)?;
    stop_on_panic();
    raise_file_limit();
    let stop_with_stdin = args.stop_with_stdin;
    let stop = async move {
        tokio::select! {
            () = signalled() => {}
            () = stdin_ended(), if stop_with_stdin => {}
        }
    };
    let ready = |ready: &kvorum_server::Ready| {
        let kvorum_server::Ready { name, id, client, peer, http } = ready;
        let mut out = std::io::stdout();
        // Whoever started the node may have closed its end; the node serves all the same.
        let _ = writeln!(out, "ready name={name} id={id} client={client} peer={peer} http={http}")
            .and_then(|()| out.flush());
    };
    kvorum_server::run(config, ready, stop).map_err(|error| match error {
        // The file was named by a setting, which is wrong.
        ServerError::ClusterKey(_) => Failure::usage(error.into()),
        error => error.into(),
    })
}

fn start_log(Log { filter, json }: Log) -> Result<()> {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let started = if json { log.json().try_init() } else { log.with_ansi(colour).try_init() };
    started.map_err(|error| anyhow!(error)).context("cannot start the log")
}

/// A panic anywhere is a defect that leaves a thread's state unknown: the whole process stops, as after a crash, and
/// what it acknowledged is found again when it is started.
fn stop_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// Connections and store files are all files: lets the process have as many as it may.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

async fn signalled() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals: stop this node with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while stdin.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}
