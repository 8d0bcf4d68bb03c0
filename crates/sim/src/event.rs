//! What is going to happen, and when: the queue of a run. Events of the same moment come out in the order they went
//! in. It carries events and does not look into them.

use core::time::Duration;
use std::collections::BTreeMap;

use kvorum_node::{
    ClientRef, ControlInput, ControlMessage, EpochPhase, Input, KeyRange, Message, Op, PeerShard, Request, Response,
    StoredKey,
};

use crate::faults::Fault;

/// The number of a computer of the cluster, from 0.
pub(crate) type HostIndex = usize;

/// Which life a host is in: odd while a process runs there, even while none does. Whatever belongs to an earlier
/// life is void.
pub(crate) type Life = u64;

#[derive(Debug)]
pub(crate) enum Event {
    /// A message of a shard arrives.
    Peer { way: Way, from: PeerShard, to: PeerShard, tag: EpochPhase, message: Message },
    /// A message of a control part arrives.
    Control { way: Way, message: ControlMessage },
    /// A host notices that its connection to another broke.
    Broken { at: HostIndex, life: Life, of: HostIndex },
    /// A client's request arrives.
    Request { host: HostIndex, from: ClientRef, request: Request },
    /// A client is answered.
    Response { to: ClientRef, response: Response },
    /// A client's connection breaks, as its node died.
    Disconnected { to: ClientRef },
    /// A client has waited long enough.
    GiveUp { to: ClientRef },
    /// A client has thought of something to do.
    Think { session: usize },
    /// Something inside one process.
    Local { host: HostIndex, life: Life, local: Local },
    /// Trouble begins or ends.
    Fault(Fault),
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
    Timer { machine: usize },
    /// The disk finds a record now.
    Load { shard: usize, op: Op, key: StoredKey },
    /// The disk reads a range now.
    Scan { shard: usize, op: Op, range: KeyRange, limit_bytes: u32 },
    /// A group of a shard's log is written and synced.
    LogFlushed { shard: usize },
    /// The oldest state file under way is written, synced and renamed.
    FileWritten,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: BTreeMap<(Duration, u64), Event>,
    pushed: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Duration, event: Event) {
        self.events.insert((at, self.pushed), event);
        self.pushed += 1;
    }

    /// The next event, if it is due by then.
    pub(crate) fn pop_by(&mut self, limit: Duration) -> Option<(Duration, Event)> {
        let first = self.events.first_entry().filter(|entry| entry.key().0 <= limit)?;
        let ((at, _), event) = first.remove_entry();
        Some((at, event))
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
