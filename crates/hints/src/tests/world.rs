//! A naive caller: a store of rows, a log that makes them visible to reads in order, targets that learn
//! what they are sent. It performs every effect, and checks each promise at every step (also in `checks`).

mod checks;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::{Config, Effect, Hints, Input, Kind, Seq, Taken};

pub(super) type Place = (u8, u8, Seq);

#[derive(Clone, Debug)]
pub(super) struct Row {
    key: u8,
    /// Rises with each write of the whole run.
    version: u64,
    bytes: u32,
    kind: Kind,
}

/// What becomes of something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    /// It arrives, and its answer is lost.
    AnswerLost,
    Lost,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) hints: Hints<u8, u8>,
    config: Config,
    pub(super) now: Duration,
    /// The newest rows, and those that reads see, which follow.
    pub(super) rows: BTreeMap<Place, Row>,
    visible: BTreeMap<Place, Row>,
    log: Vec<(Place, Option<Row>)>,
    /// Whether rows are visible to reads at once.
    at_once: bool,
    up: BTreeSet<u8>,
    pub(super) reads: Vec<(u8, u8, Option<Seq>, usize)>,
    /// With the version that was sent; nothing for a drop.
    pub(super) flights: BTreeMap<Place, Option<u64>>,
    /// The newest version of a key that a target holds.
    received: BTreeMap<(u8, u8, u8), u64>,
    /// What it has to hold in the end: owed writes, and spare ones unless its partition is dirty.
    owed: BTreeMap<(u8, u8, u8), u64>,
    spare: BTreeMap<(u8, u8, u8), u64>,
    dirty: BTreeSet<(u8, u8)>,
    version: u64,
    /// When how many bytes were sent.
    sent: Vec<(Duration, u64)>,
    /// The last hint that was sent of a partition, as long as nothing failed.
    order: Option<BTreeMap<(u8, u8), Seq>>,
}

impl World {
    pub(super) fn new(config: Config, at_once: bool) -> Self {
        Self {
            hints: Hints::new(config),
            config,
            now: Duration::ZERO,
            rows: BTreeMap::new(),
            visible: BTreeMap::new(),
            log: Vec::new(),
            at_once,
            up: BTreeSet::new(),
            reads: Vec::new(),
            flights: BTreeMap::new(),
            received: BTreeMap::new(),
            owed: BTreeMap::new(),
            spare: BTreeMap::new(),
            dirty: BTreeSet::new(),
            version: 0,
            sent: Vec::new(),
            order: Some(BTreeMap::new()),
        }
    }

    fn unix_ms(&self) -> u64 {
        1_000_000 + u64::try_from(self.now.as_millis()).unwrap()
    }

    /// A write of a key that the target misses.
    pub(super) fn write(&mut self, target: u8, key: u8, bytes: u32, kind: Kind) {
        let partition = key % 3;
        self.version += 1;
        let version = self.version;
        let found = self.rows.iter().find(|((to, _, _), row)| *to == target && row.key == key);
        if let Some((place, row)) = found.map(|(place, row)| (*place, row.clone())) {
            let kind = if row.kind == Kind::Owed { Kind::Owed } else { kind };
            self.hints.grew(&target, &partition, place.2, (row.bytes, row.kind), (bytes, kind));
            self.append(place, Some(Row { key, version, bytes, kind }));
        } else {
            let fits = self.hints.bytes() + u64::from(bytes) <= self.config.bytes;
            match self.hints.take(self.unix_ms(), target, partition, bytes, kind) {
                Taken::New(seq) => {
                    assert!(fits, "a hint was taken that does not fit");
                    assert!(self.rows.keys().all(|place| place.2 < seq), "{seq:?} is not the latest");
                    self.append((target, partition, seq), Some(Row { key, version, bytes, kind }));
                }
                Taken::Refused => {
                    assert!(!fits, "a hint was refused that fits");
                    if kind == Kind::Owed {
                        return;
                    }
                }
            }
        }
        let expected = if kind == Kind::Owed { &mut self.owed } else { &mut self.spare };
        expected.insert((target, partition, key), version);
        self.check();
    }

    fn append(&mut self, place: Place, row: Option<Row>) {
        match &row {
            Some(row) => self.rows.insert(place, row.clone()),
            None => self.rows.remove(&place),
        };
        self.log.push((place, row));
        if self.at_once {
            self.flush(usize::MAX);
        }
    }

    /// The log becomes durable up to here, and visible.
    pub(super) fn flush(&mut self, entries: usize) {
        for (place, row) in self.log.drain(..entries.min(self.log.len())) {
            match row {
                Some(row) => self.visible.insert(place, row),
                None => self.visible.remove(&place),
            };
        }
    }

    pub(super) fn up(&mut self, target: u8) {
        self.up.insert(target);
        self.tell(Input::Up(target));
    }

    /// The connection breaks.
    pub(super) fn down(&mut self, target: u8, fate: Fate) {
        self.up.remove(&target);
        self.order = None;
        self.tell(Input::Down(target));
        let flights: Vec<Place> = self.flights.keys().filter(|place| place.0 == target).copied().collect();
        for place in flights {
            self.arrive(place, if fate == Fate::Arrives { Fate::AnswerLost } else { fate });
        }
    }

    pub(super) fn forget(&mut self, target: u8) {
        self.up.remove(&target);
        let places: Vec<Place> = self.rows.keys().filter(|place| place.0 == target).copied().collect();
        places.into_iter().for_each(|place| self.append(place, None));
        self.flush(usize::MAX);
        self.reads.retain(|read| read.0 != target);
        self.flights.retain(|place, _| place.0 != target);
        self.owed.retain(|place, _| place.0 != target);
        self.spare.retain(|place, _| place.0 != target);
        self.tell(Input::Forgotten(target));
    }

    /// The holder starts again with what its disk has.
    pub(super) fn crash(&mut self) {
        // What was not durable was not acknowledged either; what it replaced still is.
        self.flush(usize::MAX);
        self.hints = Hints::new(self.config);
        self.reads.clear();
        self.flights.clear();
        self.up.clear();
        self.sent.clear();
        self.order = None;
        for ((target, partition, seq), row) in self.rows.clone() {
            let Row { bytes, kind, .. } = row;
            let mut out = Vec::new();
            let input = Input::Recovered { target, partition, seq, bytes, kind };
            self.hints.handle(self.now, self.unix_ms(), input, &mut out);
            self.perform(out);
        }
        self.check();
    }

    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(next) = self.hints.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.timeout();
        }
        self.now = end;
        self.timeout();
    }

    fn timeout(&mut self) {
        let mut out = Vec::new();
        self.hints.handle_timeout(self.now, self.unix_ms(), &mut out);
        self.perform(out);
        let next = self.hints.next_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} is over at {:?}", self.now);
        self.check();
    }

    /// Answers a read with what it sees now.
    pub(super) fn page(&mut self, index: usize, fails: bool) {
        let (target, partition, after, limit) = self.reads.remove(index);
        if fails {
            self.order = None;
            return self.tell(Input::PageFailed { target, partition });
        }
        let of = |place: &Place| place.0 == target && place.1 == partition && Some(place.2) > after;
        let mut rows = self.visible.iter().filter(|(place, _)| of(place));
        let page = rows.by_ref().take(limit).map(|((_, _, seq), row)| (*seq, row.bytes, row.kind)).collect();
        let more = rows.next().is_some();
        self.tell(Input::Page { target, partition, rows: page, more });
    }

    /// What was sent, or is to be dropped, meets its fate, and is answered.
    pub(super) fn arrive(&mut self, place: Place, fate: Fate) {
        let Some(version) = self.flights.remove(&place) else { return };
        let (target, partition, seq) = place;
        let row = self.rows.get(&place).cloned();
        let failed = Input::Failed { target, partition, seq };
        if fate != Fate::Arrives {
            self.order = None;
        }
        let Some(row) = row else { return self.tell(Input::Delivered { target, partition, seq }) };
        let Some(version) = version else {
            return match (row.kind, fate) {
                (Kind::Owed, _) => {
                    self.order = None;
                    self.tell(Input::Changed { target, partition, seq });
                }
                (Kind::Spare, Fate::Lost) => self.tell(failed),
                (Kind::Spare, _) => {
                    self.append(place, None);
                    self.tell(Input::Delivered { target, partition, seq });
                }
            };
        };
        if fate == Fate::Lost {
            return self.tell(failed);
        }
        let received = self.received.entry((target, partition, row.key)).or_default();
        *received = version.max(*received);
        if fate == Fate::AnswerLost {
            return self.tell(failed);
        }
        if version == row.version {
            self.append(place, None);
            self.tell(Input::Delivered { target, partition, seq });
        } else {
            self.order = None;
            self.tell(Input::Changed { target, partition, seq });
        }
    }

    pub(super) fn tell(&mut self, input: Input<u8, u8>) {
        let mut out = Vec::new();
        self.hints.handle(self.now, self.unix_ms(), input, &mut out);
        self.perform(out);
        self.check();
    }

    fn perform(&mut self, effects: Vec<Effect<u8, u8>>) {
        for effect in effects {
            match effect {
                Effect::Read { target, partition, after, limit } => {
                    assert!(self.reads.iter().all(|read| read.0 != target), "a second read for {target}");
                    assert!(limit > 0 && limit <= self.config.page);
                    self.reads.push((target, partition, after, limit));
                }
                Effect::Send { target, partition, seq } => self.send((target, partition, seq)),
                Effect::Drop { target, partition, seq } => {
                    let place = (target, partition, seq);
                    let age = self.unix_ms() - seq.unix_ms();
                    assert!(u128::from(age) > self.config.max_age.as_millis(), "{place:?} is too young to be dropped");
                    // A read may not see yet that it has become owed.
                    let spare = self.rows.get(&place).is_some_and(|row| row.kind == Kind::Spare);
                    assert!(spare || !self.at_once, "{place:?} is dropped and is not spare");
                    assert_eq!(self.flights.insert(place, None), None, "{place:?} is dropped while in flight");
                }
            }
        }
    }

    fn send(&mut self, place: Place) {
        let (target, partition, seq) = place;
        assert!(self.up.contains(&target), "{place:?} is sent to a target that is down");
        let row = self.rows.get(&place).unwrap_or_else(|| panic!("{place:?} is sent and not there"));
        assert_eq!(self.flights.insert(place, Some(row.version)), None, "{place:?} is sent while in flight");
        let in_flight = self.flights.keys().filter(|place| place.0 == target).count();
        assert!(in_flight <= self.config.in_flight, "{in_flight} in flight to {target}");
        if let Some(last) = self.order.as_mut().and_then(|order| order.insert((target, partition), seq)) {
            assert!(last < seq, "{seq:?} is sent after {last:?}");
        }
        if self.at_once {
            self.sent.push((self.now, u64::from(row.bytes)));
            self.check_rate();
        }
    }
}
