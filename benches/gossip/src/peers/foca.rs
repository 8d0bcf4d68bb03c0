//! Owns foca's part in the comparison: identities, timers and broadcasts, as its examples have them.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use foca::{
    BroadcastHandler, Config, Foca, Identity, Invalidates, Member, Notification, PostcardCodec, Runtime, Timer,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::peer::{Change, Micros, Outbox, Peer, SECOND, Sent, Start, address, at, metadata, version_of};

/// How long to wait for an answer to an announcement before making another one.
const ANNOUNCE_AGAIN: Micros = SECOND;

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// Whether the metadata are part of the identity, or broadcast.
    pub(crate) in_identity: bool,
}

/// As in foca's example of an agent: the address, and what makes it new after it was declared down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Id {
    address: SocketAddr,
    bump: u64,
    metadata: String,
}

impl Id {
    /// Somebody who may be there, of whom only the address is known.
    fn well_known(node: usize) -> Self {
        Self { address: address(node), bump: 0, metadata: String::new() }
    }
}

impl Identity for Id {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump + 1, ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

pub(crate) struct FocaPeer {
    foca: Foca<Id, PostcardCodec, SmallRng, Board>,
    timers: BinaryHeap<Reverse<(Micros, Timer<Id>)>>,
    wanted: Wanted,
    news: Rc<RefCell<Vec<Change>>>,
    seeds: Vec<usize>,
    announced: bool,
    announce: Micros,
    me: usize,
    in_identity: bool,
}

impl Peer for FocaPeer {
    type Packet = Vec<u8>;
    type Settings = Settings;

    fn start(settings: &Settings, start: &Start, out: &mut Outbox<Vec<u8>>) -> Result<Self> {
        let text = if settings.in_identity { metadata(start.index, 1) } else { String::new() };
        let id = Id { address: address(start.index), bump: 1, metadata: text };
        let (board, random) = (Board::default(), SmallRng::seed_from_u64(start.random_seed));
        let news = Rc::clone(&board.news);
        let mut foca = Foca::with_custom_broadcast(id, settings.config.clone(), random, PostcardCodec, board);
        if !settings.in_identity {
            foca.add_broadcast(&Board::item(start.index, 1))?;
        }
        // As in its example of well-known members: those that are down are announced to from time to time.
        let mut wanted = Wanted::default();
        let well_known = start.seeds.iter().map(|seed| Member::down(Id::well_known(*seed)));
        out.errors += u64::from(foca.apply_many(well_known, false, &mut wanted).is_err());
        Ok(Self {
            foca,
            timers: BinaryHeap::new(),
            wanted,
            news,
            seeds: start.seeds.clone(),
            announced: false,
            announce: start.now,
            me: start.index,
            in_identity: settings.in_identity,
        })
    }

    fn next_timeout(&self) -> Micros {
        let announce = if self.wants_to_announce() { self.announce } else { Micros::MAX };
        self.timers.peek().map_or(announce, |Reverse((due, _))| announce.min(*due))
    }

    fn handle_timeout(&mut self, now: Micros, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        if self.wants_to_announce() && self.announce <= now {
            (self.announced, self.announce) = (true, now + ANNOUNCE_AGAIN);
            for seed in self.seeds.clone() {
                let result = self.foca.announce(Id::well_known(seed), &mut self.wanted);
                self.take(now, result, out)?;
            }
        }
        while self.timers.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            if let Some(Reverse((_, timer))) = self.timers.pop() {
                let result = self.foca.handle_timer(timer, &mut self.wanted);
                self.take(now, result, out)?;
            }
        }
        Ok(())
    }

    fn handle_packet(&mut self, now: Micros, _: usize, packet: Vec<u8>, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        let result = self.foca.handle_data(&packet, &mut self.wanted);
        self.take(now, result, out)
    }

    fn set_version(&mut self, now: Micros, version: u32, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        if self.in_identity {
            let old = self.foca.identity();
            let id = Id { address: old.address, bump: old.bump + 1, metadata: metadata(self.me, version) };
            self.wanted.active = false;
            let result = self.foca.change_identity(id, &mut self.wanted);
            self.take(now, result, out)
        } else {
            self.foca.add_broadcast(&Board::item(self.me, version))?;
            Ok(())
        }
    }

    #[cfg(test)]
    fn live(&self) -> std::collections::BTreeSet<usize> {
        self.foca.iter_members().map(|member| at(member.id().address)).collect()
    }
}

impl FocaPeer {
    /// Once in any case, so that a seed that others have found first does not forget to look for the other seeds.
    fn wants_to_announce(&self) -> bool {
        !self.wanted.active || !self.announced
    }

    /// Does what foca wants done. Its errors count, but change nothing: so its example treats them.
    fn take(&mut self, now: Micros, result: Result<(), foca::Error>, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        out.errors += u64::from(result.is_err());
        for (timer, after) in self.wanted.timers.drain(..) {
            self.timers.push(Reverse((now + after.as_micros() as Micros, timer)));
        }
        out.sent.append(&mut self.wanted.sent);
        out.changes.append(&mut self.wanted.changes);
        out.changes.append(&mut self.news.borrow_mut());
        Ok(())
    }
}

/// What foca asked for in one call, and whether it knows itself to be a member.
#[derive(Default)]
struct Wanted {
    /// A new identity may have been told to nobody, if the messages were lost: foca's documentation says to wait for
    /// `Active`. Until then this node goes on announcing itself.
    active: bool,
    sent: Vec<Sent<Vec<u8>>>,
    timers: Vec<(Timer<Id>, Duration)>,
    changes: Vec<Change>,
}

impl Wanted {
    fn live(&mut self, id: &Id) {
        let member = at(id.address);
        self.changes.push(Change::Live(member));
        if let Some(version) = version_of(id.metadata.as_bytes()) {
            self.changes.push(Change::Version { member, version });
        }
    }
}

impl Runtime<Id> for Wanted {
    fn notify(&mut self, notification: Notification<'_, Id>) {
        match notification {
            Notification::MemberUp(id) => self.live(id),
            Notification::MemberDown(id) => {
                self.changes.push(Change::Gone { member: at(id.address), sure: true });
            }
            Notification::Rename(_, id) => {
                // It says nothing about life, only what the member is called from now on.
                if let Some(version) = version_of(id.metadata.as_bytes()) {
                    self.changes.push(Change::Version { member: at(id.address), version });
                }
            }
            Notification::Active => self.active = true,
            Notification::Idle | Notification::Defunct | Notification::Rejoin(_) => self.active = false,
        }
    }

    fn send_to(&mut self, to: Id, data: &[u8]) {
        self.sent.push(Sent { to: at(to.address), bytes: data.len(), packet: data.to_vec() });
    }

    fn submit_after(&mut self, event: Timer<Id>, after: Duration) {
        self.timers.push((event, after));
    }
}

/// The metadata that others have broadcast, with what is new among them.
#[derive(Default)]
struct Board {
    items: BTreeMap<usize, Vec<u8>>,
    news: Rc<RefCell<Vec<Change>>>,
}

/// Whose metadata a broadcast carries, and which.
struct Key {
    member: usize,
    version: u32,
}

impl Invalidates for Key {
    fn invalidates(&self, other: &Self) -> bool {
        self.member == other.member && self.version > other.version
    }
}

#[derive(Debug)]
struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a broadcast that nobody has made")
    }
}

impl std::error::Error for Malformed {}

impl Board {
    /// A broadcast: the member's number, and its metadata.
    fn item(member: usize, version: u32) -> Vec<u8> {
        let mut item = u32::try_from(member).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        item.extend_from_slice(metadata(member, version).as_bytes());
        item
    }
}

impl BroadcastHandler<Id> for Board {
    type Key = Key;
    type Error = Malformed;

    fn receive_item(&mut self, data: &[u8], _: Option<&Id>) -> Result<Option<Key>, Malformed> {
        let (member, text) = data.split_first_chunk().ok_or(Malformed)?;
        let (member, version) = (u32::from_be_bytes(*member) as usize, version_of(text).ok_or(Malformed)?);
        if self.items.get(&member).and_then(|known| version_of(known)).is_some_and(|known| known >= version) {
            return Ok(None);
        }
        self.items.insert(member, text.to_vec());
        self.news.borrow_mut().push(Change::Version { member, version });
        Ok(Some(Key { member, version }))
    }
}
