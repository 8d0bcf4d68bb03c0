//! The quorum echo: each frame is copied to two peers and sent back when the first has acknowledged its copy. These are
//! the messages of a put with N = 3 and W = 2, or of a get with R = 2, and nothing else: no store, no checks.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::frames;
use crate::links::{Link, acknowledge};
use crate::serve::RECEIVE_BYTES;
use crate::waiters::Waiters;

/// The ways to the peers, and who waits for them.
#[derive(Debug)]
pub(crate) struct Links {
    links: Vec<Rc<Link>>,
    waiters: Rc<Waiters>,
}

/// Serves peers, and connects to them.
pub(crate) async fn join(acknowledger: TcpListener, peers: &[SocketAddr]) -> io::Result<Links> {
    tokio::task::spawn_local(acknowledge(acknowledger));
    let waiters = Rc::new(Waiters::default());
    let mut links = Vec::new();
    for &peer in peers {
        links.push(Link::open(peer, Rc::clone(&waiters)).await?);
    }
    Ok(Links { links, waiters })
}

/// Serves clients.
pub(crate) async fn serve(clients: TcpListener, links: Links) -> io::Result<()> {
    let links = Rc::new(links);
    loop {
        let (client, _) = clients.accept().await?;
        client.set_nodelay(true)?;
        let links = Rc::clone(&links);
        tokio::task::spawn_local(async move {
            let slot = links.waiters.enter();
            // A client that breaks off is nobody else's matter.
            let _ = converse(client, &links, slot).await;
            links.waiters.leave(slot);
        });
    }
}

async fn converse(mut client: TcpStream, links: &Links, slot: u32) -> io::Result<()> {
    let mut received = BytesMut::with_capacity(RECEIVE_BYTES);
    while client.read_buf(&mut received).await? > 0 {
        while let Some(frame) = frames::next(&mut received)? {
            let number = links.waiters.next_frame(slot);
            links.links.iter().for_each(|link| link.send(&frame, number));
            links.waiters.acknowledged(slot).await;
            client.write_all(&frame).await?;
        }
        received.reserve(RECEIVE_BYTES / 2);
    }
    Ok(())
}
