//! Owns a small world of replicas and clients that writes down its whole history: every write is an event with the set of
//! events its writer had seen. What a record should hold then follows from the definition alone. Does not choose what
//! happens: the tests do.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::{Context, Dot, Siblings, Timestamp};

/// A record whose values are the numbers of events.
pub(super) type Record = Siblings<u64, usize>;

#[derive(Debug, Clone)]
struct Event {
    dot: Dot<u64>,
    /// The numbers of all events the writer had seen.
    past: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Replica {
    actor: u64,
    pub(super) record: Record,
    known: BTreeSet<usize>,
}

#[derive(Debug, Clone, Default)]
struct Client {
    context: Context<u64>,
    past: BTreeSet<usize>,
}

/// What can happen. Indices are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The client adds what the replica shows to what it has seen.
    Read { client: usize, replica: usize },
    /// The client forgets what it has seen, so that its next write is blind.
    Forget { client: usize },
    /// The client writes with the context it has, which may be old. The dot's time skips `gap` units.
    Write { client: usize, replica: usize, gap: u64 },
    /// The replica's state leaves as a message.
    Send { replica: usize },
    /// A message arrives: late, again or never.
    Deliver { message: usize, replica: usize },
    /// The replica falls back to the state in a message and goes on, as a new actor if `fresh`.
    Restart { message: usize, replica: usize, fresh: bool },
}

#[derive(Debug, Clone)]
pub(super) struct World {
    events: Vec<Event>,
    pub(super) replicas: Vec<Replica>,
    clients: Vec<Client>,
    pub(super) messages: Vec<Replica>,
    /// The newest time of each actor: its clock survives restarts.
    clocks: BTreeMap<u64, u64>,
    actors: u64,
}

impl World {
    pub(super) fn new(replicas: usize, clients: usize) -> Self {
        let actors = replicas as u64;
        Self {
            events: Vec::new(),
            replicas: (0..actors)
                .map(|actor| Replica { actor, record: Record::new(), known: BTreeSet::new() })
                .collect(),
            clients: std::vec![Client::default(); clients],
            messages: Vec::new(),
            clocks: BTreeMap::new(),
            actors,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Read { client, replica } => {
                let replica = &self.replicas[replica % self.replicas.len()];
                let count = self.clients.len();
                let client = &mut self.clients[client % count];
                client.context.merge(&replica.record.context());
                client.past.extend(&replica.known);
            }
            Step::Forget { client } => {
                let count = self.clients.len();
                self.clients[client % count] = Client::default();
            }
            Step::Write { client, replica, gap } => {
                let client = &self.clients[client % self.clients.len()];
                let count = self.replicas.len();
                let replica = &mut self.replicas[replica % count];
                let clock = self.clocks.entry(replica.actor).or_default();
                *clock += 1 + gap;
                let dot = Dot { time: Timestamp::from_bits(*clock), actor: replica.actor };
                let number = self.events.len();
                replica.record.put(&client.context, dot, number).expect("an actor's clock passes all its dots");
                replica.known.extend(&client.past);
                replica.known.insert(number);
                self.events.push(Event { dot, past: client.past.clone() });
            }
            Step::Send { replica } => {
                self.messages.push(self.replicas[replica % self.replicas.len()].clone());
            }
            Step::Deliver { message, replica } => {
                let count = self.replicas.len();
                if let Some(message) = self.message(message) {
                    self.replicas[replica % count].absorb(&message);
                }
            }
            Step::Restart { message, replica, fresh } => {
                let count = self.replicas.len();
                if let Some(message) = self.message(message) {
                    let replica = &mut self.replicas[replica % count];
                    replica.record = message.record;
                    replica.known = message.known;
                    if fresh {
                        replica.actor = self.actors;
                        self.actors += 1;
                    }
                }
            }
        }
    }

    /// Whether the replica holds what its history says: alive are exactly the writes that no other known write has seen,
    /// and the context covers exactly the known writes.
    pub(super) fn check(&self, replica: &Replica) -> Result<(), String> {
        let alive: BTreeSet<usize> = replica.record.values().map(|(_, number)| *number).collect();
        let overwritten = |number: usize| replica.known.iter().any(|other| self.events[*other].past.contains(&number));
        let maximal: BTreeSet<usize> = replica.known.iter().copied().filter(|number| !overwritten(*number)).collect();
        if alive != maximal {
            return Err(format!("alive are {alive:?}, should be {maximal:?}, in {self:#?}"));
        }
        if replica.record.values().any(|(dot, number)| dot != self.events[*number].dot) {
            return Err(format!("a value stands under another's dot in {self:#?}"));
        }
        let context = replica.record.context();
        for (number, event) in self.events.iter().enumerate() {
            if context.covers(&event.dot) != replica.known.contains(&number) {
                return Err(format!("the context is wrong about event {number} in {self:#?}"));
            }
        }
        Ok(())
    }

    pub(super) fn check_all(&self) -> Result<(), String> {
        self.replicas.iter().try_for_each(|replica| self.check(replica))
    }

    fn message(&self, message: usize) -> Option<Replica> {
        let place = message.checked_rem(self.messages.len())?;
        Some(self.messages[place].clone())
    }
}

impl Replica {
    pub(super) fn absorb(&mut self, other: &Self) {
        self.record.merge(&other.record);
        self.known.extend(&other.known);
    }
}
