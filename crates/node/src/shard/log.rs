//! Waiting for durability: appends get their sequence here, and every answer that rests on one waits here for it.

use std::collections::VecDeque;

use kvorum_quorum as quorum;
use kvorum_vclock::Dot;

use super::{Effect, LogSeq, Pending, Report, Shard, StoreError, emit};
use crate::{ActorId, Failure, FailureKind, Message, Now, Op, PeerShard, Record, StoredKey};

/// What is due once a sequence is durable.
#[derive(Debug)]
pub(super) enum AfterDurable {
    /// This node's own vote for a write it coordinates.
    Vote(Op),
    /// The answer to another coordinator's write.
    WriteReply { to: PeerShard, op: Op, newest: Dot<ActorId> },
    /// This node's own answer to a read it coordinates.
    LocalRead { op: Op, record: Record },
    /// The answer to another coordinator's read.
    ReadReply { to: PeerShard, op: Op, record: Record },
}

impl AfterDurable {
    /// Whether another coordinator waits for it. The rest belongs to operations of this shard.
    fn is_answer(&self) -> bool {
        matches!(self, Self::WriteReply { .. } | Self::ReadReply { .. })
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    appended: LogSeq,
    durable: LogSeq,
    waiting: VecDeque<(LogSeq, AfterDurable)>,
    /// The answers to other coordinators among them.
    answers: usize,
    /// The size of each append that is not durable yet, and their sum.
    sizes: VecDeque<(LogSeq, usize)>,
    undurable_bytes: usize,
    failure: Option<StoreError>,
}

impl Log {
    pub(super) fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    pub(super) fn undurable_bytes(&self) -> usize {
        self.undurable_bytes
    }

    /// Answers to other coordinators that wait for durability.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    /// Keeps `then` until `seq` is durable. What is due together is kept in the order it came.
    fn wait(&mut self, seq: LogSeq, then: AfterDurable) {
        assert!(seq > self.durable, "what is durable need not be waited for");
        assert!(self.failure.is_none(), "a log that failed is not waited for");
        self.answers += usize::from(then.is_answer());
        let at = self.waiting.partition_point(|(waiting, _)| *waiting <= seq);
        self.waiting.insert(at, (seq, then));
    }

    /// The first that was waiting for nothing beyond `durable`.
    fn next_due(&mut self, durable: LogSeq) -> Option<AfterDurable> {
        let (_, then) = self.waiting.pop_front_if(|(waiting, _)| *waiting <= durable)?;
        self.answers -= usize::from(then.is_answer());
        Some(then)
    }

    fn append(&mut self, size: usize) -> LogSeq {
        assert!(self.failure.is_none(), "nothing is appended to a log that failed");
        self.appended = LogSeq(self.appended.0 + 1);
        self.sizes.push_back((self.appended, size));
        self.undurable_bytes += size;
        self.appended
    }

    fn settle(&mut self, seq: LogSeq) {
        assert!(seq <= self.appended, "only what was appended becomes durable");
        self.durable = self.durable.max(seq);
        while let Some((_, size)) = self.sizes.pop_front_if(|(at, _)| *at <= seq) {
            self.undurable_bytes -= size;
        }
    }
}

impl Shard {
    /// Appends a record; `then` happens when it is durable.
    pub(super) fn append(
        &mut self,
        key: &StoredKey,
        record: &Record,
        then: AfterDurable,
        out: &mut impl Extend<Effect>,
    ) {
        let seq = self.log.append(key.as_bytes().len() + record.as_bytes().len());
        self.overlay.appended(key.clone(), record.clone(), seq);
        self.log.wait(seq, then);
        emit(out, Effect::Append { seq, key: key.clone(), record: record.clone() });
    }

    /// Does `then` as soon as `seq` is durable, which it is not yet.
    pub(super) fn when_durable(&mut self, seq: LogSeq, then: AfterDurable) {
        self.log.wait(seq, then);
    }

    pub(super) fn durable(&mut self, now: Now, seq: LogSeq, out: &mut impl Extend<Effect>) {
        self.log.settle(seq);
        self.overlay.settle(seq);
        while let Some(then) = self.log.next_due(seq) {
            match then {
                AfterDurable::Vote(op) => self.put_voted(now, op, quorum::Input::Answer { replica: 0 }, out),
                AfterDurable::WriteReply { to, op, newest } => self.send(to, Message::WriteReply { op, newest }, out),
                AfterDurable::LocalRead { op, record } => self.local_read(now, op, Ok(Some(record)), out),
                AfterDurable::ReadReply { to, op, record } => {
                    self.send(to, Message::ReadReply { op, record: Some(record) }, out);
                }
            }
        }
    }

    /// Nothing that waits will become durable: every waiter is told, and the shard serves no more. Writes that wait
    /// for a stored record end too, for they could not be appended.
    pub(super) fn log_failed(&mut self, now: Now, error: &StoreError, out: &mut impl Extend<Effect>) {
        if self.log.failure.is_some() {
            return;
        }
        self.log.failure = Some(error.clone());
        emit(out, Effect::Report(Report::StoreFailed(error.clone())));
        while let Some(then) = self.log.next_due(LogSeq(u64::MAX)) {
            match then {
                AfterDurable::Vote(op) => self.put_voted(now, op, quorum::Input::Error { replica: 0 }, out),
                AfterDurable::LocalRead { op, .. } => self.local_read(now, op, Err(error.clone()), out),
                AfterDurable::WriteReply { to, op, .. } | AfterDurable::ReadReply { to, op, .. } => {
                    let failure =
                        Failure::new(FailureKind::Rejected, format!("{}: {error}", self.view.name_of(self.me.node)));
                    self.send(to, Message::Refused { op, failure }, out);
                }
            }
        }
        let is_base = |pending: &Pending| matches!(pending, Pending::BaseLoad(_));
        let bases: Vec<Op> = self.ops.ops().filter(|(_, pending)| is_base(pending)).map(|(op, _)| op).collect();
        for op in bases {
            self.base_loaded(now, op, Err(error.clone()), out);
        }
    }
}
