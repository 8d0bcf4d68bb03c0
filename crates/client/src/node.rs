//! Owns one node as the client sees it: its address, the sessions with it, and when to leave it
//! alone. Which node a request goes to is decided in `route.rs`.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::transport::Endpoint;

use crate::Error;
use crate::backoff::Backoff;
use crate::session::{CONNECT_TIMEOUT, Failure, Session};

const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// A connection without traffic is probed after this time, and given up after the next.
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a node that left a call without an answer is the last to be asked.
const SILENCE_MS: u64 = 2000;

/// A node: its sessions are opened when needed and replaced when over.
#[derive(Debug)]
pub(crate) struct Node {
    address: String,
    endpoint: Endpoint,
    links: Box<[Mutex<Link>]>,
    turn: AtomicUsize,
    born: Instant,
    /// Milliseconds since `born`.
    avoided_until_ms: AtomicU64,
    ended: Arc<Notify>,
}

/// One of the connections.
#[derive(Debug)]
struct Link {
    session: Option<Arc<Session>>,
    /// Not before this time, because of this failure.
    closed: Option<(Instant, Failure)>,
    backoff: Backoff,
}

impl Node {
    /// `ended` is told whenever a session with the node is over.
    pub(crate) fn new(address: &str, connections: usize, ended: Arc<Notify>) -> Result<Node, Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|_| Error::Config(format!("`{address}` is not HOST:PORT")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let link = || {
            let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
            Mutex::new(Link { session: None, closed: None, backoff })
        };
        Ok(Node {
            address: address.into(),
            endpoint,
            links: (0..connections).map(|_| link()).collect(),
            turn: AtomicUsize::new(0),
            born: Instant::now(),
            avoided_until_ms: AtomicU64::new(0),
            ended,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A session, new or old, that may still be connecting. While the node is left alone after a
    /// failure to connect: that failure.
    pub(crate) fn session(&self) -> Result<Arc<Session>, Failure> {
        let turn = if self.links.len() == 1 { 0 } else { self.turn.fetch_add(1, Ordering::Relaxed) };
        let mut link = self.links[turn % self.links.len()].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &link.session {
            let Some((failure, was_open)) = session.failure() else { return Ok(Arc::clone(session)) };
            link.session = None;
            if was_open {
                // It may well be back already.
                link.backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
            } else {
                let pause = link.backoff.pause();
                link.closed = Some((Instant::now() + pause, failure));
            }
        }
        if let Some((until, failure)) = &link.closed {
            if Instant::now() < *until {
                return Err(failure.clone());
            }
            link.closed = None;
        }
        let session = Arc::new(Session::open(self.endpoint.clone(), Arc::clone(&self.ended)));
        link.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The node left a call without an answer: ask others first for a while.
    pub(crate) fn avoid(&self) {
        self.avoided_until_ms.store(self.age_ms() + SILENCE_MS, Ordering::Relaxed);
    }

    pub(crate) fn is_avoided(&self) -> bool {
        // Most nodes never are, and need no look at the clock.
        let until = self.avoided_until_ms.load(Ordering::Relaxed);
        until > 0 && self.age_ms() < until
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
