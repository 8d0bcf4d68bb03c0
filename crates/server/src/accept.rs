//! Taking connections in: a bounded number of them, and only those that begin as HTTP/2 connections do, soon. Whoever
//! connects and says nothing, or something else, costs a socket for a few seconds and nothing more.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long it may take to send it.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// What somebody gets who speaks HTTP/1 to a gRPC port: an answer that a browser or `curl` shows.
const WRONG_PROTOCOL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nthis port speaks gRPC; use kvctl, or the HTTP port for /readyz\n";

/// A connection on its way to a shard thread.
pub(crate) struct Accepted {
    stream: std::net::TcpStream,
    permit: OwnedSemaphorePermit,
}

/// Accepts connections and hands them to the shard threads in turn, at most `limit` at a time; further ones wait. As
/// many may be about to greet, or wait for their turn: one more ends the oldest of them, so that those who say nothing
/// cannot keep others out.
pub(crate) async fn accept(listener: TcpListener, threads: Vec<mpsc::Sender<Accepted>>, limit: usize) {
    let permits = Arc::new(Semaphore::new(limit));
    let mut arriving: VecDeque<JoinHandle<()>> = VecDeque::new();
    for turn in 0_usize.. {
        match listener.accept().await {
            Ok((stream, _)) => {
                if arriving.len() >= limit {
                    arriving.retain(|arrival| !arrival.is_finished());
                }
                if arriving.len() >= limit
                    && let Some(oldest) = arriving.pop_front()
                {
                    oldest.abort();
                }
                let (thread, permits) = (threads[turn % threads.len()].clone(), Arc::clone(&permits));
                arriving.push_back(tokio::spawn(async move {
                    let Ok(Some(stream)) = tokio::time::timeout(PREFACE_TIMEOUT, greet(stream)).await else { return };
                    let Ok(permit) = permits.acquire_owned().await else { return };
                    // The thread has gone when the node is stopping.
                    let _ = thread.send(Accepted { stream, permit }).await;
                }));
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                // Out of file descriptors, most likely: some will be closed before long.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Takes the preface from the stream; none when something else comes.
async fn greet(mut stream: TcpStream) -> Option<std::net::TcpStream> {
    let mut first = [0; PREFACE.len()];
    let mut seen = 0;
    while seen < PREFACE.len() {
        let more = stream.read(&mut first[seen..]).await.ok()?;
        seen += more;
        if more == 0 || first[..seen] != PREFACE[..seen] {
            // Best effort, for people: a program that speaks something else will not read it.
            let _ = stream.try_write(WRONG_PROTOCOL);
            return None;
        }
    }
    stream.set_nodelay(true).ok()?;
    stream.into_std().ok()
}

/// A connection at its shard thread. While it lives it counts against the limit.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What is left of the preface, which was taken from the stream and is read first.
    preface: &'static [u8],
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub(crate) fn open(accepted: Accepted) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::from_std(accepted.stream)?, preface: PREFACE, _permit: accepted.permit })
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.preface.is_empty() {
            let (now, later) = self.preface.split_at(self.preface.len().min(buf.remaining()));
            buf.put_slice(now);
            self.preface = later;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A listener that lets one connection in at a time.
    async fn listening() -> (std::net::SocketAddr, mpsc::Receiver<Accepted>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, accepted) = mpsc::channel(1);
        tokio::spawn(accept(listener, vec![send], 1));
        (address, accepted)
    }

    #[tokio::test]
    async fn only_what_begins_as_http2_is_let_in_however_slowly_it_comes() {
        let (address, mut accepted) = listening().await;
        let mut browser = TcpStream::connect(address).await.unwrap();
        browser.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        browser.read_to_end(&mut answer).await.ok();
        assert!(String::from_utf8_lossy(&answer).contains("speaks gRPC"));

        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(&PREFACE[..10]).await.unwrap();
        tokio::task::yield_now().await;
        slow.write_all(&PREFACE[10..]).await.unwrap();
        let mut connection = Connection::open(accepted.recv().await.unwrap()).unwrap();
        slow.write_all(b"and more").await.unwrap();
        let mut read = [0; PREFACE.len() + 8];
        connection.read_exact(&mut read).await.unwrap();
        assert_eq!(read[..], [PREFACE, &b"and more"[..]].concat(), "nothing of it is lost");
    }

    #[tokio::test]
    async fn those_who_say_nothing_keep_nobody_out() {
        let (address, mut accepted) = listening().await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(PREFACE).await.unwrap();
        assert!(accepted.recv().await.is_some());
        drop(silent);
    }

    #[tokio::test]
    async fn beyond_the_limit_a_connection_waits_until_another_ends() {
        let (address, mut accepted) = listening().await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(PREFACE).await.unwrap();
        let held = accepted.recv().await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(PREFACE).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), accepted.recv()).await;
        assert!(early.is_err(), "the limit is one");
        drop(held);
        assert!(accepted.recv().await.is_some());
    }
}
