//! The plain echo: every frame is sent back. What has arrived together leaves together.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::serve::RECEIVE_BYTES;

pub(crate) async fn serve(clients: TcpListener) -> io::Result<()> {
    loop {
        let (client, _) = clients.accept().await?;
        client.set_nodelay(true)?;
        // A client that breaks off is nobody else's matter.
        tokio::task::spawn_local(async move { converse(client).await });
    }
}

/// Frames need not be told apart: what comes back is what was sent, in order.
async fn converse(mut client: TcpStream) -> io::Result<()> {
    let mut received = BytesMut::with_capacity(RECEIVE_BYTES);
    while client.read_buf(&mut received).await? > 0 {
        while received.has_remaining() {
            client.write_buf(&mut received).await?;
        }
        received.clear();
        received.reserve(RECEIVE_BYTES);
    }
    Ok(())
}
