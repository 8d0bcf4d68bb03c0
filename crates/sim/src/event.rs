//! What is going to happen, and when: the queue of a run. Events of the same moment come out in the order they went
//! in. It carries events and does not look into them.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kvorum_node::{
    ClientRef, ControlInput, ControlMessage, EpochPhase, Input, KeyRange, Message, Op, PeerShard, Request, Response,
    StoredKey,
};

use crate::faults::Trouble;

/// The number of a computer of the cluster, from 0.
pub(crate) type HostIndex = usize;

/// Which life a host is in: odd while a process runs there, even while none does. Whatever belongs to an earlier
/// life is void.
pub(crate) type Life = u64;

#[derive(Debug)]
pub(crate) enum Event {
    /// A message of a shard arrives, which is waited for so long.
    Peer { way: Way, from: PeerShard, to: PeerShard, tag: EpochPhase, timeout: Duration, message: Message },
    /// A message of a control part arrives.
    Control { way: Way, message: ControlMessage },
    /// A host notices that its connection to another broke.
    Broken { at: HostIndex, life: Life, of: HostIndex },
    /// A client's request arrives.
    Request { host: HostIndex, from: ClientRef, request: Request },
    /// A client is answered.
    Response { to: ClientRef, response: Response },
    /// A client's connection breaks: its node died, or its request or answer was lost.
    Disconnected { to: ClientRef },
    /// A client has waited long enough.
    GiveUp { to: ClientRef },
    /// A client has thought of something to do.
    Think { session: usize },
    /// Something inside one process.
    Local { host: HostIndex, life: Life, local: Local },
    /// Trouble begins.
    Begins(Trouble),
    /// It ends.
    Ends(Trouble),
}

/// From where to where a message goes, and between which lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) from: (HostIndex, Life),
    pub(crate) to: (HostIndex, Life),
}

#[derive(Debug)]
pub(crate) enum Local {
    /// A shard is handed an input.
    Shard { shard: usize, input: Input },
    /// The control part is handed an input.
    Control(ControlInput),
    /// A machine's timer: 0 is the control part, `i + 1` shard `i`.
    Timer { machine: usize, due: Duration },
    /// The disk finds a record now.
    Load { shard: usize, op: Op, key: StoredKey, until: Duration },
    /// The disk reads a range now.
    Scan { shard: usize, op: Op, range: KeyRange, limit_bytes: u32, until: Duration },
    /// A group of the log is written and synced.
    LogFlushed,
    /// The engine finds time for background work.
    EngineWorks,
    /// The oldest state file under way is written, synced and renamed.
    FileWritten,
}

/// A heap of moments, and the events themselves in slots of their own: they are large, and a heap moves what it holds.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Moment>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    pushed: u64,
}

/// When, as the how-many-th, and in which slot.
type Moment = (Duration, u64, usize);

impl Event {
    /// The process it happens to, if it is one that can stand still.
    pub(crate) fn host(&self) -> Option<HostIndex> {
        match self {
            Self::Peer { way, .. } | Self::Control { way, .. } => Some(way.to.0),
            Self::Broken { at: host, .. } | Self::Request { host, .. } | Self::Local { host, .. } => Some(*host),
            Self::Response { .. } | Self::Disconnected { .. } | Self::GiveUp { .. } | Self::Think { .. } => None,
            Self::Begins(_) | Self::Ends(_) => None,
        }
    }
}

impl Queue {
    pub(crate) fn push(&mut self, at: Duration, event: Event) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[slot] = Some(event);
        self.heap.push(Reverse((at, self.pushed, slot)));
        self.pushed += 1;
    }

    /// The next event, if it is due by then.
    pub(crate) fn pop_by(&mut self, limit: Duration) -> Option<(Duration, Event)> {
        let Reverse((at, _, slot)) = *self.heap.peek().filter(|Reverse((at, ..))| *at <= limit)?;
        self.heap.pop();
        self.free.push(slot);
        Some((at, self.events[slot].take().expect("what is in the heap is in its slot")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_arrival() {
        let mut queue = Queue::default();
        for (at, session) in [(2, 0), (1, 1), (2, 2), (9, 3)] {
            queue.push(Duration::from_millis(at), Event::Think { session });
        }
        let order: Vec<usize> = core::iter::from_fn(|| queue.pop_by(Duration::from_millis(5)))
            .map(|(_, event)| if let Event::Think { session } = event { session } else { unreachable!() })
            .collect();
        assert_eq!(order, [1, 0, 2], "and what is due later stays");
    }
}
