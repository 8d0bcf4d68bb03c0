//! The HTTP port: `/livez`, `/readyz` and `/metrics`, for those who look after processes. What they ask is short, and so is
//! what a connection may take: strangers cost little here too.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{Sleep, sleep};

use crate::control_loop::Snapshot;
use crate::metrics::{self, Metrics};

/// Connections at a time. One more ends the oldest, so that strangers cannot keep those out who look after the node.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection lives, idle or not: whoever asks regularly connects again.
const LIFETIME: Duration = Duration::from_secs(10);
/// What may be sent to one in that time, in bytes.
const MOST_READ: usize = 64 << 10;

pub(crate) fn router(
    snapshot: watch::Receiver<Snapshot>,
    stopped: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
) -> Router {
    let ready = move || async move {
        let snapshot = snapshot.borrow();
        if *stopped.borrow() {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the node is stopping\n".to_owned())
        } else if snapshot.ready {
            (StatusCode::OK, "ready\n".to_owned())
        } else if snapshot.view.layout.is_some() {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the node's store has failed; see its log\n".to_owned())
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", snapshot.view.not_ready_because()))
        }
    };
    let metrics = move || async move { ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.text()) };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// A listener whose connections are bounded in number, time and size.
pub(crate) struct Bounded {
    listener: TcpListener,
    /// The connections, oldest first; dropping one of these ends its connection.
    open: VecDeque<oneshot::Sender<()>>,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, open: VecDeque::new() }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Brief;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Brief, SocketAddr) {
        let (stream, from) = axum::serve::Listener::accept(&mut self.listener).await;
        self.open.retain(|connection| !connection.is_closed());
        if self.open.len() >= MAX_CONNECTIONS {
            self.open.pop_front();
        }
        let (connection, ended) = oneshot::channel();
        self.open.push_back(connection);
        (Brief { stream, left: MOST_READ, end: Box::pin(sleep(LIFETIME)), ended, is_over: false }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that does not last.
pub(crate) struct Brief {
    stream: TcpStream,
    /// How much more is read.
    left: usize,
    end: Pin<Box<Sleep>>,
    /// Completes when the listener gives this connection up.
    ended: oneshot::Receiver<()>,
    is_over: bool,
}

impl Brief {
    /// # Errors
    /// When it has lived long enough, or must make room for another.
    fn poll_alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A channel must not be polled again once it has completed.
        self.is_over =
            self.is_over || self.end.as_mut().poll(cx).is_ready() || Pin::new(&mut self.ended).poll(cx).is_ready();
        if self.is_over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Brief {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_alive(cx)?;
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Brief {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_alive(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
