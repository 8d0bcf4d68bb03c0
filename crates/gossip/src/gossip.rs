//! Owns the machine: its state and its verbs. What happens as time passes is `gossip/round.rs`; what is said
//! `gossip/compose.rs`; what is heard `gossip/exchange.rs` and `gossip/merge.rs`; whom it waits for `gossip/watching.rs`;
//! what it believes `gossip/judging.rs`; what it says of itself `gossip/own.rs`.

mod compose;
mod exchange;
mod judging;
mod merge;
mod own;
mod round;
mod watching;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use crate::charges::Charges;
use crate::codec::{Codec, MAX_ADDRESS_BYTES, MAX_ID_BYTES};
use crate::config::Config;
use crate::envelope::ENVELOPE_BYTES;
use crate::error::{Error, SetError};
use crate::health::Health;
use crate::io::{Effect, Input, Setup};
use crate::member::{Incarnation, Member};
use crate::news::News;
use crate::random::Random;
use crate::record::{Content, Record};
use crate::roster::Roster;
use crate::watch::Watch;
use crate::zombie::ZombieGuard;

/// What a node id must be able to do.
pub trait Id: Ord + Clone + Debug + Codec {}
impl<T: Ord + Clone + Debug + Codec> Id for T {}

/// What an address must be able to do.
pub trait Address: Ord + Clone + Debug + Codec {}
impl<T: Ord + Clone + Debug + Codec> Address for T {}

/// One node's part in the gossip: its member list, and the rules by which it changes.
///
/// `I` is the node id, `A` the address. Feed it every message with [`handle`](Gossip::handle), call
/// [`handle_timeout`](Gossip::handle_timeout) when [`next_timeout`](Gossip::next_timeout) is due, and do what the effects
/// say. `now` is the time since an epoch of the caller's choice, the same for all calls, counted in microseconds; it should
/// not go back, and if it does nothing worse happens than a longer wait. Messages that arrived are handed in before a
/// timeout that is due at the same time, above all after a pause.
///
/// A message of m entries takes O(m log n) at n members, and a round O((watchers + fan-out) * message size); when a member
/// joins, goes, dies or returns, the next round adds O(n * watchers), and a change among s suspicions O(s log n).
#[derive(Clone, Debug)]
pub struct Gossip<I, A> {
    config: Config,
    random: Random,
    me: I,
    pub(crate) roster: Roster<I, A>,
    watches: BTreeMap<I, Watch>,
    charges: Charges<I>,
    news: News<I>,
    /// Members that were suspected and are not any more: how often their counters are yet to be told.
    acquitted: BTreeMap<I, u32>,
    /// Members whose state may be another the next time they are judged.
    unwell: BTreeSet<I>,
    /// Those that are down or have left.
    gone: BTreeSet<I>,
    /// Those that are suspect.
    suspects: BTreeSet<I>,
    kept: BTreeSet<I>,
    zombies: ZombieGuard<I>,
    seeds: Vec<A>,
    /// Addresses from an earlier run, until their members are known to have left.
    known: Vec<(I, A)>,
    health: Health,
    /// The mean interval between signs of life of those watched, in microseconds.
    pace: u64,
    next_round: u64,
    /// Up to when this node's own pauses have been excused.
    excused: u64,
    /// When anybody was last heard.
    last_heard: u64,
    /// Nobody has been heard for so long that this node must be cut off from all.
    isolated: bool,
    /// A peer's list differed when it was last compared.
    differs: bool,
    /// How many ranges may yet be sent in this round although news is on its way.
    ranges: u32,
    /// Where the next range begins.
    cursor: Option<I>,
    /// Which of the watched that are not live are contacted next, and which suspects are mentioned next.
    turn: usize,
    /// A process that has forgotten this node takes this life of it for over.
    buried: Option<Incarnation>,
    /// This round's refutation has been used.
    refuted: bool,
    /// Something changed that the judgement depends on.
    unsettled: bool,
}

impl<I: Id, A: Address> Gossip<I, A> {
    /// A node that knows nobody yet. Its first round is due at once. Say with [`set`](Gossip::set) what the others should
    /// know of it.
    ///
    /// # Errors
    ///
    /// If the configuration does not hold its limits, or the id or the address is too long.
    pub fn new(config: Config, setup: Setup<I, A>, now: Duration) -> Result<Self, Error> {
        config.validate()?;
        let Setup { id, address, incarnation, seeds, mut known, random_seed } = setup;
        check_address(&address)?;
        if id.encoded_len() > MAX_ID_BYTES {
            return Err(Error::IdTooLong { len: id.encoded_len(), limit: MAX_ID_BYTES });
        }
        known.retain(|(known, _)| *known != id);
        let now = micros(now);
        let mut roster = Roster::new();
        roster.insert(id.clone(), Arc::new(Record::new(incarnation, address)), 0, now);
        let mut news = News::new();
        news.add(&id, 0);
        Ok(Self {
            random: Random::new(random_seed),
            me: id,
            roster,
            watches: BTreeMap::new(),
            charges: Charges::new(),
            news,
            acquitted: BTreeMap::new(),
            unwell: BTreeSet::new(),
            gone: BTreeSet::new(),
            suspects: BTreeSet::new(),
            kept: BTreeSet::new(),
            zombies: ZombieGuard::new(micros(config.forget_after)),
            seeds,
            known,
            health: Health::default(),
            pace: micros(config.round_interval),
            next_round: now,
            excused: now,
            last_heard: now,
            isolated: false,
            differs: true,
            ranges: 0,
            cursor: None,
            turn: 0,
            buried: None,
            refuted: false,
            unsettled: false,
            config,
        })
    }

    /// Takes in something that happened outside.
    pub fn handle(&mut self, now: Duration, input: Input<I, A>, out: &mut impl Extend<Effect<I, A>>) {
        let now = micros(now);
        self.wake(now);
        match input {
            Input::Message(message) => self.on_message(now, message, out),
            Input::Evidence { id, evidence } => self.on_evidence(now, &id, evidence, out),
            Input::Contact(to) => self.on_contact(to, out),
            Input::Leave => self.on_leave(now, out),
        }
    }

    /// Runs the round that is due, if one is. Suspicions fall due in rounds.
    ///
    /// A call that comes late by more than a round interval tells that this node was held up and could not listen; by so
    /// much longer it waits for everybody else's heartbeat.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A>>) {
        let now = micros(now);
        if now >= self.next_round {
            self.wake(now);
            self.on_round(now, out);
        }
    }

    /// When to call [`handle_timeout`](Gossip::handle_timeout) next. There is always a next round.
    pub fn next_timeout(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.next_round))
    }

    /// Sets one of this node's metadata entries, and says whether that changed it. The change spreads with the next rounds.
    ///
    /// # Errors
    ///
    /// If the key or the value is too long, or there are too many keys; then nothing changes.
    pub fn set(&mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<[u8]>>) -> Result<bool, SetError> {
        let (key, value) = (key.into(), value.into());
        let slot = self.own_record().slot_for(&key, &value)?;
        if let Some(slot) = slot {
            self.amend(|record| record.put(slot, Content::Meta { key, value }));
        }
        Ok(slot.is_some())
    }

    /// Removes one of this node's metadata entries, and says whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let slot = self.own_record().slot_of(key);
        if let Some(slot) = slot {
            self.amend(|record| record.put(slot, Content::Empty));
        }
        slot.is_some()
    }

    /// From now on this node receives gossip at another address.
    ///
    /// # Errors
    ///
    /// If it is too long; then nothing changes.
    pub fn set_address(&mut self, address: A) -> Result<(), Error> {
        check_address(&address)?;
        if self.own_record().address != address {
            self.amend(|record| {
                record.version = record.version.saturating_add(1);
                (record.address, record.address_version) = (address, record.version);
            });
        }
        Ok(())
    }

    /// Raises this node's incarnation to at least this. [`Event::Superseded`](crate::Event::Superseded) says what that is
    /// good for.
    pub fn raise(&mut self, incarnation: Incarnation) {
        if incarnation > self.incarnation() {
            self.begin_life(incarnation);
        }
    }

    /// From now on exactly these members are never forgotten, however long they are away.
    pub fn keep(&mut self, ids: BTreeSet<I>) {
        self.kept = ids;
    }

    /// This node's id.
    pub fn me(&self) -> &I {
        &self.me
    }

    /// This node's incarnation: the one it started with, raised by every [`Event::Refuted`](crate::Event::Refuted) and
    /// [`Event::Superseded`](crate::Event::Superseded). Remember it: its next process must start above it.
    pub fn incarnation(&self) -> Incarnation {
        self.own_record().incarnation
    }

    /// Whether this node has heard nobody for so long that it takes all others for unreachable.
    pub fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// All members, this node included, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = Member<'_, I, A>> {
        self.roster.iter().map(|(id, slot)| Member { id, slot, is_me: *id == self.me })
    }

    /// The member with this id, which may be this node, if it is known.
    pub fn member(&self, id: &I) -> Option<Member<'_, I, A>> {
        let place = self.roster.place(id)?;
        let id = self.roster.id(place);
        Some(Member { id, slot: self.roster.slot(place), is_me: *id == self.me })
    }

    /// Those whose silence this node would notice at first hand: whom the rings give it, and whom it looks at for a while
    /// because somebody suspects them.
    pub fn watched(&self) -> impl Iterator<Item = &I> {
        self.watches.keys()
    }

    /// The most bytes of a message without its envelope.
    pub(crate) fn body_bytes(&self) -> usize {
        self.config.message_bytes - ENVELOPE_BYTES
    }

    /// How often a node tells what it has learnt: enough for an epidemic to reach everybody.
    pub(crate) fn enough(&self) -> u32 {
        let members = self.roster.len() as u64 + 1;
        self.config.retell.saturating_mul(u64::BITS - (members - 1).leading_zeros())
    }

    /// Loses the memory of forgotten members, to see what it is good for.
    #[cfg(test)]
    pub(crate) fn remember_no_forgotten(&mut self) {
        self.zombies = ZombieGuard::new(0);
    }
}

fn check_address<A: Codec>(address: &A) -> Result<(), Error> {
    match address.encoded_len() {
        len if len > MAX_ADDRESS_BYTES => Err(Error::AddressTooLong { len, limit: MAX_ADDRESS_BYTES }),
        _ => Ok(()),
    }
}

/// Microseconds, half a million years of them at most.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
