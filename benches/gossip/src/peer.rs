//! Owns what a library must do to take part in the simulation, and what all of them have in common there: the names of
//! nodes, their addresses, and their metadata. Which libraries there are is `peers.rs`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Virtual time since the simulation began, in microseconds.
pub(crate) type Micros = u64;

pub(crate) const MILLISECOND: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;

/// How many bytes of metadata every member carries.
pub(crate) const METADATA_BYTES: usize = 200;
/// The digits at the beginning of the metadata that tell their version.
const VERSION_DIGITS: usize = 8;
const PORT: u16 = 7946;

/// One node, as the library under test makes it.
pub(crate) trait Peer: Sized {
    /// What travels between nodes. It has been encoded and counted.
    type Packet;
    /// How the library is set up, the same for all nodes.
    type Settings;

    /// Starts a process that carries metadata of version 1.
    fn start(settings: &Self::Settings, start: &Start, out: &mut Outbox<Self::Packet>) -> Result<Self>;

    /// When it wants to be called next, if nothing arrives before.
    fn next_timeout(&self) -> Micros;

    fn handle_timeout(&mut self, now: Micros, out: &mut Outbox<Self::Packet>) -> Result<()>;

    fn handle_packet(
        &mut self,
        now: Micros,
        from: usize,
        packet: Self::Packet,
        out: &mut Outbox<Self::Packet>,
    ) -> Result<()>;

    /// Changes the node's own metadata.
    fn set_version(&mut self, now: Micros, version: u32, out: &mut Outbox<Self::Packet>) -> Result<()>;

    /// Whom it takes for alive, as the library itself lists them, without the node itself.
    #[cfg(test)]
    fn live(&self) -> std::collections::BTreeSet<usize>;
}

/// What a node is told when it starts.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) seeds: Vec<usize>,
    pub(crate) random_seed: u64,
    pub(crate) now: Micros,
}

/// What a node's view of another has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The member counts as alive.
    Live(usize),
    /// It counts as dead, or (if that is not sure) at least as nobody to talk to.
    Gone { member: usize, sure: bool },
    /// Its metadata of this version have arrived.
    Version { member: usize, version: u32 },
}

/// What a call has brought about.
#[derive(Debug)]
pub(crate) struct Outbox<P> {
    pub(crate) sent: Vec<Sent<P>>,
    pub(crate) changes: Vec<Change>,
    /// Errors that the library reported and its documentation says to ignore.
    pub(crate) errors: u64,
}

#[derive(Debug)]
pub(crate) struct Sent<P> {
    pub(crate) to: usize,
    pub(crate) bytes: usize,
    pub(crate) packet: P,
}

impl<P> Default for Outbox<P> {
    fn default() -> Self {
        Self { sent: Vec::new(), changes: Vec::new(), errors: 0 }
    }
}

/// A node's name, for libraries that want one.
pub(crate) fn name(index: usize) -> String {
    format!("node-{index:05}")
}

/// Whose name it is.
pub(crate) fn named(name: &str) -> Option<usize> {
    name.strip_prefix("node-")?.parse().ok()
}

pub(crate) fn address(index: usize) -> SocketAddr {
    let [_, a, b, c] = u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, a, b, c), PORT))
}

/// Whose address it is.
pub(crate) fn at(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else { unreachable!("all addresses are made above") };
    let [_, a, b, c] = ip.octets();
    u32::from_be_bytes([0, a, b, c]) as usize
}

/// Text that does not compress well, as names, addresses and tokens do not.
pub(crate) fn metadata(index: usize, version: u32) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = SmallRng::seed_from_u64(index as u64);
    let mut text = format!("{version:0VERSION_DIGITS$}");
    text.extend((VERSION_DIGITS..METADATA_BYTES).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])));
    text
}

/// Which version of somebody's metadata this is.
pub(crate) fn version_of(metadata: &[u8]) -> Option<u32> {
    std::str::from_utf8(metadata.get(..VERSION_DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_versions_lead_back() {
        for index in [0, 1, 255, 256, 99_999] {
            assert_eq!(named(&name(index)), Some(index));
            assert_eq!(at(address(index)), index);
            let text = metadata(index, 77);
            assert_eq!((text.len(), version_of(text.as_bytes())), (METADATA_BYTES, Some(77)));
            assert_eq!(text[VERSION_DIGITS..], metadata(index, 78)[VERSION_DIGITS..]);
        }
        assert_eq!((named("other"), version_of(b"short")), (None, None));
    }
}
