//! A network between nodes that can be cut without privileges: every node's peer port stands behind a proxy, whose address
//! the node advertises. Who has opened a connection is found by the owner of its socket, so that the way between any two
//! nodes can be cut by itself.
//!
//! A cut is silence, as when packets are lost: connections stay open, new ones are taken, and not a byte of either passes
//! before it is healed. Then what was under way arrives.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::free_port;

/// Two nodes, the lesser name first: a cut has no direction.
type Pair = (String, String);

fn pair(one: &str, other: &str) -> Pair {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    (first.to_owned(), second.to_owned())
}

/// All proxies of a cluster. They end when it is dropped.
pub(crate) struct Network {
    runtime: tokio::runtime::Handle,
    cuts: watch::Sender<BTreeSet<Pair>>,
    /// The processes of the nodes, those that have ended included.
    processes: Mutex<Vec<(u32, String)>>,
    /// Its end ends the thread of the proxies.
    _running: tokio::sync::oneshot::Sender<()>,
}

impl Network {
    pub(crate) fn new() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (running, ended) = tokio::sync::oneshot::channel();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(async { drop(ended.await) }));
        let (cuts, _) = watch::channel(BTreeSet::new());
        Arc::new(Self { runtime: handle, cuts, processes: Mutex::default(), _running: running })
    }

    /// A node runs in this process.
    pub(super) fn runs(&self, node: &str, process: u32) {
        self.processes.lock().unwrap().push((process, node.to_owned()));
    }

    /// Puts a proxy before a node's peer port; gives its address.
    pub(super) fn stand_before(self: &Arc<Self>, node: &str, peer: &str) -> String {
        let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        // It must not keep the network alive, whose end ends it.
        let (network, node, peer) = (Arc::downgrade(self), node.to_owned(), peer.parse().unwrap());
        self.runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, from)) = listener.accept().await {
                let Some(network) = network.upgrade() else { return };
                // A connection whose owner has closed it already is nobody's, and is closed.
                if let Some(owner) = network.owner(from, address) {
                    tokio::spawn(carry(stream, peer, pair(&owner, &node), network.cuts.subscribe()));
                }
            }
        });
        address.to_string()
    }

    /// The node that has opened a connection.
    fn owner(&self, from: SocketAddr, to: SocketAddr) -> Option<String> {
        let inode = inode(from, to)?;
        let processes = self.processes.lock().unwrap();
        let owner = processes.iter().find(|(process, _)| owns(*process, &inode));
        owner.map(|(_, node)| node.clone())
    }

    /// Cuts every way between the two sides.
    pub(crate) fn cut(&self, one_side: &[&str], other_side: &[&str]) {
        let ways = one_side.iter().flat_map(|one| other_side.iter().map(|other| pair(one, other)));
        self.cuts.send_modify(|cuts| cuts.extend(ways));
    }

    pub(crate) fn heal(&self) {
        self.cuts.send_modify(BTreeSet::clear);
    }
}

/// The number of the socket that has opened a connection, as the system lists it (proc(5), `/proc/net/tcp`).
fn inode(from: SocketAddr, to: SocketAddr) -> Option<String> {
    let hexadecimal = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port()),
        SocketAddr::V6(_) => unreachable!("the tests use IPv4"),
    };
    let (from, to) = (hexadecimal(from), hexadecimal(to));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&from) && words.next() == Some(&to)
    });
    line.and_then(|line| line.split_whitespace().nth(9)).map(str::to_owned)
}

fn owns(process: u32, inode: &str) -> bool {
    let socket = format!("socket:[{inode}]");
    let files = std::fs::read_dir(format!("/proc/{process}/fd"));
    let links = files.into_iter().flatten().flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    links.into_iter().any(|link| link == Path::new(&socket))
}

/// Carries a connection to the node and back, except while its way is cut.
async fn carry(stream: TcpStream, to: SocketAddr, way: Pair, cuts: watch::Receiver<BTreeSet<Pair>>) {
    if open(&mut cuts.clone(), &way).await.is_err() {
        return;
    }
    let Ok(onward) = TcpStream::connect(to).await else { return };
    // What delays small packets here would look like a slow network.
    let _ = (stream.set_nodelay(true), onward.set_nodelay(true));
    let (from_one, to_one) = stream.into_split();
    let (from_other, to_other) = onward.into_split();
    let mut both = JoinSet::new();
    both.spawn(pump(from_one, to_other, way.clone(), cuts.clone()));
    both.spawn(pump(from_other, to_one, way, cuts));
    // When one direction has ended, the connection has; the other pump ends with the set.
    both.join_next().await;
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Pair, mut cuts: watch::Receiver<BTreeSet<Pair>>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        // The end of a connection does not pass a cut either.
        if open(&mut cuts, &way).await.is_err() || read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Waits until the way is open; an error if there is no network any more.
async fn open(cuts: &mut watch::Receiver<BTreeSet<Pair>>, way: &Pair) -> Result<(), watch::error::RecvError> {
    cuts.wait_for(|cuts| !cuts.contains(way)).await.map(drop)
}
