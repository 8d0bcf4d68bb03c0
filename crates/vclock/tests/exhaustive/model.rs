//! Owns a small world of replicas and clients in which every write is an event that remembers the set of events its writer
//! had seen. What a replica must show then follows from the definition: a version is visible if and only if it was received
//! and no received version's past contains it. Does not choose what happens: `main.rs` does.

use kvorum_vclock::{Causality, Context, Dot, Siblings, Timestamp};

pub(crate) const REPLICAS: usize = 3;
pub(crate) const CLIENTS: usize = 3;
/// No replica restarts as often as this in one history.
const TENURES: u64 = 8;

/// A set of events, by number.
type Set = u64;

/// What can happen. Deleting writes a tombstone, which is a version like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The client writes with the context of its latest get.
    Put {
        client: usize,
        replica: usize,
    },
    /// Somebody writes without any context.
    BlindPut {
        replica: usize,
    },
    /// The client deletes with the context of its latest get.
    Delete {
        client: usize,
        replica: usize,
    },
    Get {
        client: usize,
        replica: usize,
    },
    /// Two replicas merge each other's records.
    Exchange {
        one: usize,
        other: usize,
    },
    /// The replica loses everything since just before its last own write, and goes on: a new tenure of it.
    Restart {
        replica: usize,
    },
}

#[derive(Debug, Clone)]
struct Event {
    dot: Dot<u64>,
    past: Set,
}

#[derive(Debug, Clone, Default)]
struct Copy {
    /// Values are the numbers of events.
    record: Siblings<u64, usize>,
    known: Set,
}

#[derive(Debug, Clone, Default)]
struct Replica {
    actor: u64,
    copy: Copy,
    /// What is on its disk if the last own write never got there.
    before_last_write: Option<Copy>,
}

#[derive(Debug, Clone, Default)]
struct Client {
    context: Context<u64>,
    past: Set,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    events: Vec<Event>,
    replicas: [Replica; REPLICAS],
    clients: [Client; CLIENTS],
    /// Whether a restarted replica goes on as a new actor.
    fresh_actors: bool,
}

impl World {
    pub(crate) fn new(fresh_actors: bool) -> Self {
        let mut replicas: [Replica; REPLICAS] = Default::default();
        for (actor, replica) in (0..).zip(&mut replicas) {
            replica.actor = actor * TENURES;
        }
        Self { events: Vec::new(), replicas, clients: Default::default(), fresh_actors }
    }

    /// Every step that may change something now.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for replica in 0..REPLICAS {
            steps.push(Step::BlindPut { replica });
            steps.extend((replica + 1..REPLICAS).map(|other| Step::Exchange { one: replica, other }));
            if self.replicas[replica].before_last_write.is_some() {
                steps.push(Step::Restart { replica });
            }
            for client in 0..CLIENTS {
                if self.clients[client].past != self.replicas[replica].copy.known {
                    steps.push(Step::Get { client, replica });
                }
                // Without a context a put is a blind one, whoever makes it.
                if self.clients[client].past != 0 {
                    steps.extend([Step::Put { client, replica }, Step::Delete { client, replica }]);
                }
            }
        }
        steps
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Put { client, replica } | Step::Delete { client, replica } => {
                let client = self.clients[client].clone();
                self.write(&client, replica);
            }
            Step::BlindPut { replica } => self.write(&Client::default(), replica),
            Step::Get { client, replica } => {
                let copy = &self.replicas[replica].copy;
                self.clients[client] = Client { context: copy.record.context(), past: copy.known };
            }
            Step::Exchange { one, other } => {
                let (left, right) = (self.replicas[one].copy.clone(), self.replicas[other].copy.clone());
                self.replicas[one].copy.absorb(&right);
                self.replicas[other].copy.absorb(&left);
            }
            Step::Restart { replica } => {
                let replica = &mut self.replicas[replica];
                if let Some(copy) = replica.before_last_write.take() {
                    replica.copy = copy;
                    replica.actor += u64::from(self.fresh_actors);
                }
            }
        }
    }

    fn write(&mut self, client: &Client, replica: usize) {
        let number = self.events.len();
        let replica = &mut self.replicas[replica];
        replica.before_last_write = Some(replica.copy.clone());
        // The clock of an actor survives a restart, and leaves gaps.
        let earlier = self.events.iter().filter(|event| event.dot.actor == replica.actor).count() as u64;
        let dot = Dot { time: Timestamp::from_bits(2 + 3 * earlier), actor: replica.actor };
        replica.copy.record.put(&client.context, dot, number).expect("an actor's clock passes all its dots");
        replica.copy.known |= client.past | 1 << number;
        self.events.push(Event { dot, past: client.past });
    }

    /// Whether every replica shows, knows and compares as its history says.
    pub(crate) fn check(&self) -> Result<(), String> {
        for check in [Self::check_visible, Self::check_context] {
            for (number, replica) in self.replicas.iter().enumerate() {
                check(self, &replica.copy).map_err(|error| format!("replica {number} {error}"))?;
            }
        }
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let (one, other) = (&self.replicas[one].copy, &self.replicas[other].copy);
            let by_history = match (one.known & !other.known != 0, other.known & !one.known != 0) {
                (false, false) => Causality::Equal,
                (false, true) => Causality::Before,
                (true, false) => Causality::After,
                (true, true) => Causality::Concurrent,
            };
            let answers = [one.record.compare(&other.record), one.record.context().compare(&other.record.context())];
            if answers != [by_history; 2] {
                return Err(format!("comparing says {answers:?}, histories say {by_history:?}"));
            }
        }
        Ok(())
    }

    fn check_visible(&self, copy: &Copy) -> Result<(), String> {
        let mut overwritten = 0;
        for (number, event) in self.events.iter().enumerate() {
            if copy.known >> number & 1 == 1 {
                overwritten |= event.past;
            }
        }
        let visible: Set = copy.record.values().map(|(_, number)| 1 << number).sum();
        let maximal = copy.known & !overwritten;
        if visible != maximal {
            return Err(format!("shows {visible:#b} and should show {maximal:#b}"));
        }
        Ok(())
    }

    fn check_context(&self, copy: &Copy) -> Result<(), String> {
        let context = copy.record.context();
        for (number, event) in self.events.iter().enumerate() {
            let is_known = copy.known >> number & 1 == 1;
            if context.covers(&event.dot) != is_known || copy.record.covers(&event.dot) != is_known {
                return Err(format!("has a context that is wrong about event {number}"));
            }
        }
        Ok(())
    }

    /// What all worlds have in common that differ in the names of replicas and clients only, or in the order of steps that
    /// do not touch each other, or in what is a tombstone.
    pub(crate) fn key(&self) -> Vec<u8> {
        const ORDERS: [[u64; REPLICAS]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        ORDERS.iter().map(|names| Naming::new(self, names).key(self)).min().unwrap_or_default()
    }
}

impl Copy {
    fn absorb(&mut self, other: &Self) {
        self.record.merge(&other.record);
        self.known |= other.known;
    }
}

/// The world with the replicas renamed, and the events numbered by their dots instead of the order in which they happened.
struct Naming<'a> {
    names: &'a [u64; REPLICAS],
    /// The numbers of the events, ascending by their renamed dots.
    order: Vec<usize>,
}

impl<'a> Naming<'a> {
    fn new(world: &World, names: &'a [u64; REPLICAS]) -> Self {
        let mut naming = Self { names, order: (0..world.events.len()).collect() };
        let dot = |number: &usize| world.events[*number].dot;
        let mut order = core::mem::take(&mut naming.order);
        order.sort_by_key(|number| (naming.actor(dot(number).actor), dot(number).time));
        Self { names, order }
    }

    fn actor(&self, actor: u64) -> u8 {
        (self.names[(actor / TENURES) as usize] * TENURES + actor % TENURES) as u8
    }

    fn set(&self, set: Set) -> u8 {
        (0..).zip(&self.order).map(|(place, number)| ((set >> number & 1) as u8) << place).sum()
    }

    fn copy(&self, copy: &Copy, key: &mut Vec<u8>) {
        key.push(self.set(copy.known));
        let mut facts: Vec<[u8; 3]> = Vec::new();
        facts.extend(copy.record.discards().map(|(actor, time)| [self.actor(*actor), 0, time.to_bits() as u8]));
        facts.extend(copy.record.values().map(|(dot, _)| [self.actor(dot.actor), 1, dot.time.to_bits() as u8]));
        facts.sort_unstable();
        key.push(facts.len() as u8);
        key.extend(facts.concat());
    }

    fn key(&self, world: &World) -> Vec<u8> {
        let mut key = vec![world.events.len() as u8];
        for number in &self.order {
            let event = &world.events[*number];
            key.extend([self.actor(event.dot.actor), self.set(event.past)]);
        }
        let mut replicas: Vec<&Replica> = world.replicas.iter().collect();
        replicas.sort_by_key(|replica| self.actor(replica.actor));
        for replica in replicas {
            key.push(self.actor(replica.actor));
            self.copy(&replica.copy, &mut key);
            match &replica.before_last_write {
                Some(copy) => self.copy(copy, &mut key),
                None => key.push(u8::MAX),
            }
        }
        // Clients differ in nothing but what they have seen.
        let mut clients: Vec<Vec<u8>> = world.clients.iter().map(|client| self.client(client)).collect();
        clients.sort_unstable();
        key.extend(clients.concat());
        key
    }

    fn client(&self, client: &Client) -> Vec<u8> {
        let mut entries: Vec<[u8; 2]> =
            client.context.iter().map(|(actor, time)| [self.actor(*actor), time.to_bits() as u8]).collect();
        entries.sort_unstable();
        [&[self.set(client.past), entries.len() as u8], entries.concat().as_slice()].concat()
    }
}
