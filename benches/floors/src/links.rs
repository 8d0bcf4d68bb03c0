//! Owns the connections between servers: copies go out on those we made, acknowledgements come back on them. Copies that
//! gather while the last are being written leave together.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::frames::{self, NUMBER};
use crate::serve::RECEIVE_BYTES;
use crate::waiters::Waiters;

/// How long a peer may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// The way to one peer.
#[derive(Debug, Default)]
pub(crate) struct Link {
    outbox: RefCell<Vec<u8>>,
    filled: Notify,
}

impl Link {
    /// Connects to a peer, and wakes `waiters` when it acknowledges. A peer that is not there yet is waited for.
    pub(crate) async fn open(peer: SocketAddr, waiters: Rc<Waiters>) -> io::Result<Rc<Link>> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(peer).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(PAUSE).await,
            }
        };
        stream.set_nodelay(true)?;
        let (acknowledgements, copies) = stream.into_split();
        let link = Rc::new(Link::default());
        tokio::task::spawn_local(write(Rc::clone(&link), copies));
        tokio::task::spawn_local(read(acknowledgements, waiters));
        Ok(link)
    }

    /// Sends a copy of a frame.
    pub(crate) fn send(&self, frame: &[u8], number: u64) {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            self.filled.notify_one();
        }
        frames::append_copy(&mut outbox, frame, number);
    }
}

async fn write(link: Rc<Link>, mut copies: OwnedWriteHalf) -> io::Result<()> {
    let mut sending = Vec::new();
    loop {
        link.filled.notified().await;
        std::mem::swap(&mut sending, &mut *link.outbox.borrow_mut());
        copies.write_all(&sending).await?;
        sending.clear();
    }
}

async fn read(mut acknowledgements: OwnedReadHalf, waiters: Rc<Waiters>) -> io::Result<()> {
    let mut received = BytesMut::with_capacity(RECEIVE_BYTES);
    while acknowledgements.read_buf(&mut received).await? > 0 {
        while received.len() >= NUMBER {
            waiters.acknowledge(received.get_u64_le());
        }
        received.reserve(RECEIVE_BYTES / 2);
    }
    Ok(())
}

/// Acknowledges what peers send.
pub(crate) async fn acknowledge(peers: TcpListener) -> io::Result<()> {
    loop {
        let (peer, _) = peers.accept().await?;
        peer.set_nodelay(true)?;
        tokio::task::spawn_local(acknowledge_one(peer));
    }
}

async fn acknowledge_one(mut peer: TcpStream) -> io::Result<()> {
    let mut received = BytesMut::with_capacity(RECEIVE_BYTES);
    let mut acknowledgements = Vec::new();
    while peer.read_buf(&mut received).await? > 0 {
        frames::acknowledge(&mut received, &mut acknowledgements)?;
        peer.write_all(&acknowledgements).await?;
        acknowledgements.clear();
        received.reserve(RECEIVE_BYTES / 2);
    }
    Ok(())
}
