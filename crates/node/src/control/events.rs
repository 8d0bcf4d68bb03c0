//! What has become of the members of late: counted by kind, and the last of it kept for those who watch.

use std::collections::VecDeque;
use std::sync::Arc;

use kvorum_gossip::State;

use crate::NodeId;

/// How many events are kept.
const KEPT: usize = 256;

/// Something that became of a member, as this node sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberEvent {
    /// Its place in the order of all events of this process; the first is 1.
    pub number: u64,
    /// When, by this node's wall clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The member.
    pub id: NodeId,
    /// Its name at the time.
    pub name: Arc<str>,
    /// What.
    pub change: MemberChange,
}

/// What can become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// It was heard of for the first time, or again after it was forgotten.
    Joined,
    /// A new process speaks for it.
    Restarted,
    /// Failure detection changed its mind, or it has left.
    State {
        /// What it was.
        from: State,
        /// What it is.
        to: State,
    },
    /// It was down or gone for so long that it is not a member any more.
    Forgotten,
}

/// The events of this process.
#[derive(Debug, Default)]
pub struct EventLog {
    /// The number of the last one.
    last: u64,
    kept: VecDeque<MemberEvent>,
    counts: [u64; EVENT_KINDS.len()],
}

/// The kinds of events that are counted, in the words of metrics.
pub const EVENT_KINDS: [&str; 10] =
    ["joined", "restarted", "up", "suspect", "unreachable", "down", "left", "forgotten", "refuted", "superseded"];

impl EventLog {
    /// The number of the last event; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The events after the one with this number, oldest first.
    ///
    /// # Errors
    /// How many of them are not kept any more.
    pub fn after(&self, number: u64) -> Result<Vec<MemberEvent>, u64> {
        let first = self.last + 1 - self.kept.len() as u64;
        match first.saturating_sub(number.saturating_add(1)) {
            0 => Ok(self.kept.iter().filter(|event| event.number > number).cloned().collect()),
            missed => Err(missed),
        }
    }

    /// How many there were of each [kind](EVENT_KINDS).
    #[must_use]
    pub fn counts(&self) -> [u64; EVENT_KINDS.len()] {
        self.counts
    }

    pub(super) fn add(&mut self, at_ms: u64, id: NodeId, name: Arc<str>, change: MemberChange) {
        let kind = match change {
            MemberChange::Joined => "joined",
            MemberChange::Restarted => "restarted",
            MemberChange::State { to, .. } => match to {
                State::Up => "up",
                State::Suspect => "suspect",
                State::Unreachable => "unreachable",
                State::Down => "down",
                State::Left => "left",
            },
            MemberChange::Forgotten => "forgotten",
        };
        self.count(kind);
        self.last += 1;
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(MemberEvent { number: self.last, at_ms, id, name, change });
    }

    /// This node was taken for dead, and has contradicted.
    pub(super) fn refuted(&mut self) {
        self.count("refuted");
    }

    /// Somebody else spoke for this node's id.
    pub(super) fn superseded(&mut self) {
        self.count("superseded");
    }

    fn count(&mut self, kind: &str) {
        let kind = EVENT_KINDS.iter().position(|it| *it == kind);
        kind.into_iter().for_each(|kind| self.counts[kind] += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &mut EventLog, n: u64, change: MemberChange) {
        log.add(1_000 + n, NodeId(n), format!("n{n}").into(), change);
    }

    #[test]
    fn who_watches_gets_each_event_once_and_in_order() {
        let mut log = EventLog::default();
        assert_eq!((log.last(), log.after(0)), (0, Ok(Vec::new())));
        add(&mut log, 1, MemberChange::Joined);
        add(&mut log, 2, MemberChange::State { from: State::Up, to: State::Suspect });
        let numbers = |after| log.after(after).unwrap().iter().map(|event| event.number).collect::<Vec<_>>();
        assert_eq!((numbers(0), numbers(1), numbers(2), numbers(99)), (vec![1, 2], vec![2], vec![], vec![]));
        let event = &log.after(1).unwrap()[0];
        assert_eq!((event.at_ms, event.id, &*event.name), (1_002, NodeId(2), "n2"));
    }

    #[test]
    fn who_is_too_slow_is_told_how_many_it_missed() {
        let mut log = EventLog::default();
        (0..300).for_each(|n| add(&mut log, n, MemberChange::Joined));
        assert_eq!(log.after(0), Err(44));
        assert_eq!(log.after(43), Err(1));
        let kept = log.after(44).unwrap();
        assert_eq!((kept.len(), kept[0].number, kept[255].number), (256, 45, 300));
    }

    #[test]
    fn every_kind_is_counted_by_itself() {
        let mut log = EventLog::default();
        add(&mut log, 1, MemberChange::Joined);
        add(&mut log, 1, MemberChange::Restarted);
        for to in [State::Up, State::Suspect, State::Unreachable, State::Down, State::Left] {
            add(&mut log, 1, MemberChange::State { from: State::Up, to });
        }
        add(&mut log, 1, MemberChange::Forgotten);
        log.refuted();
        log.superseded();
        assert_eq!(log.counts(), [1; EVENT_KINDS.len()]);
        assert_eq!(log.last(), 8, "what others did to this node is no event of a member");
    }
}
