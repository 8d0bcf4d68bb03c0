//! Owns the socket that chitchat is given: what it sends waits there to be fetched, and what it is to receive is put in.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use anyhow::Result;
use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{ChannelTransport, RecvOutcome, SendOutcome, Socket, Transport};

/// The largest datagram that UDP carries over IPv4.
const LARGEST: usize = 65_507;

/// A message as it leaves.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) to: SocketAddr,
    pub(super) envelope: ChitchatEnvelope,
    pub(super) bytes: usize,
}

/// The side of the socket that the simulation holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Port(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    arrived: VecDeque<RecvOutcome>,
    leaving: Vec<Leaving>,
    waker: Option<Waker>,
    /// Chitchat has nothing to do but to wait for a message or for its next round.
    rests: bool,
}

impl Port {
    pub(super) fn put(&self, message: RecvOutcome) {
        let mut inside = self.lock();
        inside.arrived.push_back(message);
        inside.rests = false;
        if let Some(waker) = inside.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn fetch(&self) -> Vec<Leaving> {
        std::mem::take(&mut self.lock().leaving)
    }

    pub(super) fn rests(&self) -> bool {
        let inside = self.lock();
        inside.rests && inside.arrived.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Port {
    async fn open(&self, listen_addr: SocketAddr) -> Result<Box<dyn Socket>> {
        // Chitchat's encoding is reachable by its own transports only, so each message goes through one of these on its way
        // out. It encodes it, decodes it, and says how long it was.
        let codec = ChannelTransport::with_mtu(LARGEST);
        let (entry, exit) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        let (entry, exit) = (codec.open(entry).await?, codec.open(exit).await?);
        Ok(Box::new(PortSocket { port: self.clone(), address: listen_addr, entry, exit }))
    }
}

struct PortSocket {
    port: Port,
    address: SocketAddr,
    entry: Box<dyn Socket>,
    exit: Box<dyn Socket>,
}

#[async_trait]
impl Socket for PortSocket {
    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.address)
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> Result<SendOutcome> {
        self.port.lock().rests = false;
        self.entry.send(self.exit.local_addr()?, envelope).await?;
        let RecvOutcome { envelope, num_bytes_received: bytes, .. } = self.exit.recv().await?;
        self.port.lock().leaving.push(Leaving { to, envelope, bytes });
        Ok(SendOutcome { num_bytes_sent: bytes })
    }

    async fn recv(&mut self) -> Result<RecvOutcome> {
        poll_fn(|context| {
            let mut inside = self.port.lock();
            let message = inside.arrived.pop_front();
            inside.rests = message.is_none();
            inside.waker = message.is_none().then(|| context.waker().clone());
            message.map_or(Poll::Pending, |message| Poll::Ready(Ok(message)))
        })
        .await
    }
}
