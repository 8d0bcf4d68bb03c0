//! `floors serve`: one server process, until it is stopped. What it does is in `echo.rs` and `quorum.rs`.

use std::io;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};

use crate::args::ServeArgs;
use crate::{echo, quorum};

/// How much is read at once.
pub(crate) const RECEIVE_BYTES: usize = 64 * 1024;

/// One thread: on a machine that several processes share, hops between threads only cost.
pub(crate) fn serve(args: &ServeArgs) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.context("cannot start")?.block_on(async {
        tokio::select! {
            served = serve_until_stopped(args) => served,
            () = stdin_ended(), if args.stop_with_stdin => Ok(()),
        }
    })
}

async fn serve_until_stopped(args: &ServeArgs) -> Result<()> {
    let clients = listen(args.listen).await?;
    match (args.peer_listen, args.peers.as_slice()) {
        (None, []) => {
            ready(&clients)?;
            echo::serve(clients).await.context("cannot accept clients")
        }
        (Some(peer_listen), peers @ [_, _]) => {
            let acknowledger = listen(peer_listen).await?;
            let links = quorum::join(acknowledger, peers).await.context("cannot reach the peers")?;
            ready(&clients)?;
            quorum::serve(clients, links).await.context("cannot accept clients")
        }
        (_, peers) => bail!("--peers names {} of them: give two, or none", peers.len()),
    }
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn ready(clients: &TcpListener) -> io::Result<()> {
    println!("ready client={}", clients.local_addr()?);
    Ok(())
}

async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while stdin.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}
