//! Owns the simulation: nodes, the network between them, pauses, and what happens when. Nothing here knows a library.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use anyhow::{Context, Result};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::network::Network;
use crate::peer::{Change, Micros, Outbox, Peer, SECOND, Start};
use crate::views::Views;

/// How long a pause lasts, and the time between two.
const PAUSE: std::ops::Range<Micros> = 2 * SECOND..6 * SECOND;
const BETWEEN: std::ops::Range<Micros> = 5 * SECOND..25 * SECOND;
/// Nodes by which the others find each other.
const SEEDS: usize = 3;

enum Event<P> {
    Start { node: usize },
    Timeout { node: usize },
    Packet { from: usize, to: usize, packet: P },
    Pause { node: usize },
    Resume { node: usize },
}

struct Entry<P> {
    due: Micros,
    number: u64,
    event: Event<P>,
}

impl<P> Ord for Entry<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<P> PartialOrd for Entry<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Entry<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Entry<P> {}

struct Node<P: Peer> {
    peer: P,
    /// When the timeout is in the queue that counts; others are void.
    scheduled: Micros,
    /// While it is paused, what arrives for it.
    waiting: Option<Vec<(usize, P::Packet)>>,
}

pub(crate) struct Cluster<P: Peer> {
    settings: P::Settings,
    nodes: Vec<Option<Node<P>>>,
    size: usize,
    queue: BinaryHeap<Entry<P::Packet>>,
    number: u64,
    random: SmallRng,
    out: Outbox<P::Packet>,
    pub(crate) now: Micros,
    pub(crate) network: Network,
    pub(crate) views: Views,
    pub(crate) errors: u64,
}

impl<P: Peer> Cluster<P> {
    /// A cluster meant to have `size` nodes, with room for a few more. None has started yet.
    pub(crate) fn new(settings: P::Settings, size: usize, room: usize, loss: f64, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        Self {
            settings,
            nodes: (0..room).map(|_| None).collect(),
            size,
            queue: BinaryHeap::new(),
            number: 0,
            network: Network::new(random.random(), loss),
            random,
            out: Outbox::default(),
            now: 0,
            views: Views::new(room),
            errors: 0,
        }
    }

    /// Lets a node start at some time from now.
    pub(crate) fn start_after(&mut self, node: usize, wait: Micros) {
        self.push(self.now + wait, Event::Start { node });
    }

    pub(crate) fn start(&mut self, node: usize) -> Result<()> {
        let seeds = (0..SEEDS.min(self.size)).filter(|seed| *seed != node).collect();
        let random_seed = self.random.random();
        let start = Start { index: node, seeds, random_seed, now: self.now };
        let peer = P::start(&self.settings, &start, &mut self.out)?;
        self.nodes[node] = Some(Node { peer, scheduled: Micros::MAX, waiting: None });
        self.views.set_running(node, true);
        self.settle(node)
    }

    /// Ends a node without a goodbye.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node] = None;
        self.views.set_running(node, false);
    }

    pub(crate) fn set_version(&mut self, node: usize, version: u32) -> Result<()> {
        let now = self.now;
        let Some(there) = &mut self.nodes[node] else { return Ok(()) };
        there.peer.set_version(now, version, &mut self.out)?;
        self.settle(node)
    }

    /// From now on a node stops every now and then, as a process does whose machine is overloaded: it neither sends nor
    /// receives, and what arrives waits for it.
    pub(crate) fn let_pause(&mut self, node: usize) {
        self.views.set_pausing(node);
        let wait = self.random.random_range(0..BETWEEN.end);
        self.push(self.now + wait, Event::Pause { node });
    }

    pub(crate) fn random_below(&mut self, limit: usize) -> usize {
        self.random.random_range(0..limit)
    }

    /// Lets time pass until something is so, which is asked whenever a view has changed. Gives when that was; nothing if
    /// the time was not enough.
    pub(crate) fn run_until(&mut self, wait: Micros, mut done: impl FnMut(&Views) -> bool) -> Result<Option<Micros>> {
        let deadline = self.now + wait;
        if done(&self.views) {
            return Ok(Some(self.now));
        }
        while self.queue.peek().is_some_and(|entry| entry.due <= deadline) {
            let entry = self.queue.pop().context("it was there a moment ago")?;
            self.now = entry.due;
            if self.handle(entry.event)? && done(&self.views) {
                return Ok(Some(self.now));
            }
        }
        self.now = deadline;
        Ok(None)
    }

    pub(crate) fn run(&mut self, wait: Micros) -> Result<()> {
        self.run_until(wait, |_| false).map(|_| ())
    }

    /// Says whether any view changed.
    fn handle(&mut self, event: Event<P::Packet>) -> Result<bool> {
        let now = self.now;
        match event {
            Event::Start { node } => {
                self.start(node)?;
                Ok(true)
            }
            Event::Timeout { node } => {
                let Some(there) = &mut self.nodes[node] else { return Ok(false) };
                if there.scheduled != now || there.waiting.is_some() {
                    return Ok(false);
                }
                there.scheduled = Micros::MAX;
                there.peer.handle_timeout(now, &mut self.out)?;
                self.settle_changed(node)
            }
            Event::Packet { from, to, packet } => {
                let Some(there) = &mut self.nodes[to] else { return Ok(false) };
                if let Some(waiting) = &mut there.waiting {
                    waiting.push((from, packet));
                    return Ok(false);
                }
                there.peer.handle_packet(now, from, packet, &mut self.out)?;
                self.settle_changed(to)
            }
            Event::Pause { node } => {
                let Some(there) = &mut self.nodes[node] else { return Ok(false) };
                there.waiting = Some(Vec::new());
                let wait = self.random.random_range(PAUSE);
                self.push(now + wait, Event::Resume { node });
                Ok(false)
            }
            Event::Resume { node } => {
                let wait = self.random.random_range(BETWEEN);
                self.push(now + wait, Event::Pause { node });
                let Some(there) = &mut self.nodes[node] else { return Ok(false) };
                for (from, packet) in there.waiting.take().unwrap_or_default() {
                    there.peer.handle_packet(now, from, packet, &mut self.out)?;
                }
                there.scheduled = Micros::MAX;
                if there.peer.next_timeout() <= now {
                    there.peer.handle_timeout(now, &mut self.out)?;
                }
                self.settle_changed(node)
            }
        }
    }

    fn settle_changed(&mut self, node: usize) -> Result<bool> {
        let changed = !self.out.changes.is_empty();
        self.settle(node)?;
        Ok(changed)
    }

    /// Does what a node wants done after a call.
    fn settle(&mut self, node: usize) -> Result<()> {
        self.errors += std::mem::take(&mut self.out.errors);
        let mut changes = std::mem::take(&mut self.out.changes);
        changes.drain(..).for_each(|change: Change| self.views.apply(node, change));
        self.out.changes = changes;
        let mut sent = std::mem::take(&mut self.out.sent);
        for sent in sent.drain(..) {
            if let Some(delay) = self.network.carry(node, sent.to, sent.bytes) {
                self.push(self.now + delay, Event::Packet { from: node, to: sent.to, packet: sent.packet });
            }
        }
        self.out.sent = sent;
        let there = self.nodes[node].as_mut().context("a node acts that does not run")?;
        let due = there.peer.next_timeout().max(self.now);
        if due < there.scheduled {
            there.scheduled = due;
            self.push(due, Event::Timeout { node });
        }
        Ok(())
    }

    fn push(&mut self, due: Micros, event: Event<P::Packet>) {
        self.number += 1;
        self.queue.push(Entry { due, number: self.number, event });
    }
}

#[cfg(test)]
mod tests;
