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
    tombstone: bool,
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
pub(super) struct Client {
    pub(super) context: Context<u64>,
    past: BTreeSet<usize>,
}

/// What can happen. Indices are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The client adds what the replica shows to what it has seen.
    Read {
        client: usize,
        replica: usize,
    },
    /// The client forgets what it has seen, so that its next write is blind.
    Forget {
        client: usize,
    },
    /// The client writes with the context it has, which may be old. The dot's time skips `gap` units.
    Write {
        client: usize,
        replica: usize,
        gap: u64,
        tombstone: bool,
    },
    /// The replica's state leaves as a message.
    Send {
        replica: usize,
    },
    /// A message arrives: late, again or never.
    Deliver {
        message: usize,
        replica: usize,
    },
    /// The replica falls back to the state in a message and goes on, as a new actor if `fresh`.
    Restart {
        message: usize,
        replica: usize,
        fresh: bool,
    },
    /// Two replicas send each other all they have.
    Exchange {
        one: usize,
        other: usize,
    },
    PruneRecord {
        replica: usize,
        keep: usize,
    },
    PruneContext {
        client: usize,
        keep: usize,
    },
    /// The stable time goes up as far as what all replicas have received allows, but not past `up_to`.
    Settle {
        up_to: u64,
    },
    /// The replica forgets what is stable.
    ForgetStable {
        replica: usize,
    },
}

#[derive(Debug, Clone)]
pub(super) struct World {
    events: Vec<Event>,
    pub(super) replicas: Vec<Replica>,
    pub(super) clients: Vec<Client>,
    pub(super) messages: Vec<Replica>,
    /// The newest time of each actor: its clock survives restarts.
    clocks: BTreeMap<u64, u64>,
    actors: u64,
    /// Every replica has received all events up to this time, and no actor has its clock below it.
    pub(super) stable: u64,
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
            stable: 0,
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
            Step::Write { client, replica, gap, tombstone } => {
                let client = &self.clients[client % self.clients.len()];
                let count = self.replicas.len();
                let replica = &mut self.replicas[replica % count];
                let clock = self.clocks.entry(replica.actor).or_default();
                *clock = (*clock).max(self.stable) + 1 + gap;
                let dot = Dot { time: Timestamp::from_bits(*clock), actor: replica.actor };
                let number = self.events.len();
                replica.record.put(&client.context, dot, number).expect("an actor's clock passes all its dots");
                replica.known.extend(&client.past);
                replica.known.insert(number);
                self.events.push(Event { dot, tombstone, past: client.past.clone() });
            }
            Step::Send { replica } => {
                self.messages.push(self.replicas[replica % self.replicas.len()].clone());
            }
            Step::Deliver { message, replica } => {
                let count = self.replicas.len();
                if let Some(message) = self.message(message).filter(|message| self.is_accepted(message)) {
                    self.replicas[replica % count].absorb(&message);
                }
            }
            Step::Exchange { one, other } => {
                let count = self.replicas.len();
                let (left, right) = (self.replicas[one % count].clone(), self.replicas[other % count].clone());
                self.replicas[one % count].absorb(&right);
                self.replicas[other % count].absorb(&left);
            }
            Step::PruneRecord { replica, keep } => {
                let count = self.replicas.len();
                self.replicas[replica % count].record.prune(keep);
            }
            Step::PruneContext { client, keep } => {
                let count = self.clients.len();
                self.clients[client % count].context.prune(keep);
            }
            Step::Settle { up_to } => {
                let lacking = |event: &usize| self.replicas.iter().any(|replica| !replica.known.contains(event));
                let times = (0..self.events.len()).filter(lacking).map(|event| self.events[event].dot.time.to_bits());
                let bound = times.min().map_or(up_to, |time| up_to.min(time - 1));
                self.stable = self.stable.max(bound);
            }
            Step::ForgetStable { replica } => {
                let count = self.replicas.len();
                let stable = Timestamp::from_bits(self.stable);
                let events = &self.events;
                self.replicas[replica % count].record.forget(stable, |_, number| events[*number].tombstone);
            }
            Step::Restart { message, replica, fresh } => {
                let count = self.replicas.len();
                // A copy that was away while the stable time went past it pulls before it serves: that is another step.
                if let Some(message) = self.message(message).filter(|message| self.has_all_stable(message)) {
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

    /// Whether the replica holds what its history says: alive are exactly the writes that no other known write has seen, but
    /// for stable tombstones, and the context covers exactly the known writes, but for what is stable.
    pub(super) fn check(&self, replica: &Replica) -> Result<(), String> {
        let present = |numbers: BTreeSet<usize>| -> BTreeSet<usize> {
            numbers.into_iter().filter(|number| !(self.events[*number].tombstone && self.is_stable(*number))).collect()
        };
        let (alive, maximal) = (present(self.alive(replica)?), present(self.maximal(replica)));
        if alive != maximal {
            return Err(format!("alive are {alive:?}, should be {maximal:?}, in {self:#?}"));
        }
        let context = replica.record.context();
        for (number, event) in self.events.iter().enumerate() {
            if !self.is_stable(number) && context.covers(&event.dot) != replica.known.contains(&number) {
                return Err(format!("the context is wrong about event {number} in {self:#?}"));
            }
        }
        Ok(())
    }

    /// What holds even if records and contexts are pruned: at each replica every known write is alive that no other known
    /// write has seen; nothing is alive that is not known, and no context covers what is not known.
    pub(super) fn check_nothing_lost(&self) -> Result<(), String> {
        for replica in &self.replicas {
            let (alive, maximal) = (self.alive(replica)?, self.maximal(replica));
            if !maximal.is_subset(&alive) || !alive.is_subset(&replica.known) {
                return Err(format!("alive are {alive:?}, must be {maximal:?}, in {self:#?}"));
            }
            let context = replica.record.context();
            let covered = (0..self.events.len()).filter(|number| context.covers(&self.events[*number].dot));
            if let Some(number) = covered.into_iter().find(|number| !replica.known.contains(number)) {
                return Err(format!("the context covers event {number}, which is not known, in {self:#?}"));
            }
        }
        Ok(())
    }

    /// The events whose values are alive, each under its own dot.
    fn alive(&self, replica: &Replica) -> Result<BTreeSet<usize>, String> {
        if replica.record.values().any(|(dot, number)| dot != self.events[*number].dot) {
            return Err(format!("a value stands under another's dot in {self:#?}"));
        }
        Ok(replica.record.values().map(|(_, number)| *number).collect())
    }

    /// The known events that no other known event has seen.
    fn maximal(&self, replica: &Replica) -> BTreeSet<usize> {
        let overwritten = |number: usize| replica.known.iter().any(|other| self.events[*other].past.contains(&number));
        replica.known.iter().copied().filter(|number| !overwritten(*number)).collect()
    }

    fn is_stable(&self, number: usize) -> bool {
        self.events[number].dot.time.to_bits() <= self.stable
    }

    fn has_all_stable(&self, message: &Replica) -> bool {
        (0..self.events.len()).all(|number| !self.is_stable(number) || message.known.contains(&number))
    }

    /// A record with something alive at or below the stable time is accepted only from a sender that had received all of
    /// what is stable: another one might bring back what is forgotten.
    fn is_accepted(&self, message: &Replica) -> bool {
        let is_old = message.record.values().any(|(_, number)| self.is_stable(*number));
        !is_old || self.has_all_stable(message)
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
