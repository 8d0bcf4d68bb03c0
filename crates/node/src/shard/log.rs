//! Waiting for durability: appends get their sequence here, and every answer that rests on one waits here for it.

use std::collections::VecDeque;

use kvorum_hints::Seq;
use kvorum_quorum as quorum;
use kvorum_ring::PartitionId;
use kvorum_vclock::Dot;

use super::hints::HintAnswer;
use super::{Effect, LogSeq, Pending, Report, Shard, StoreError, emit};
use crate::{ActorId, Digest, Failure, FailureKind, Message, NodeId, Now, Op, PeerShard, Record, StoredKey, record};

/// What is due once a sequence is durable.
#[derive(Debug)]
pub(super) enum AfterDurable {
    /// This node's own vote for a write it coordinates.
    Vote(Op),
    /// The answer to another coordinator's write.
    WriteReply { to: PeerShard, op: Op, partition: PartitionId, newest: Dot<ActorId> },
    /// This node's own answer to a read it coordinates.
    LocalRead { op: Op, record: Record },
    /// The answer to another coordinator's read.
    ReadReply { to: PeerShard, op: Op, record: Record, known: Option<Digest> },
    /// A row of a page that was pulled.
    Pulled(Op),
    /// This node's own copy is repaired, which a read waits for.
    Repaired(Op),
    /// A hint is kept.
    HintKept { answer: HintAnswer, newest: Dot<ActorId> },
    /// A hint is erased.
    HintGone { target: NodeId, partition: PartitionId, seq: Seq },
    /// Nobody waits.
    Nothing,
}

impl AfterDurable {
    /// Whether another coordinator waits for it. The rest belongs to operations of this shard.
    fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::WriteReply { .. } | Self::ReadReply { .. } | Self::HintKept { answer: HintAnswer::Peer(..), .. }
        )
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
        self.overlay.appended(key.clone(), Some(record.clone()), seq);
        self.log.wait(seq, then);
        emit(out, Effect::Append { seq, key: key.clone(), record: record.clone() });
    }

    /// Appends the removal of what is stored; `then` happens when that is durable.
    pub(super) fn erase(&mut self, key: &StoredKey, then: AfterDurable, out: &mut impl Extend<Effect>) {
        let seq = self.log.append(key.as_bytes().len());
        self.overlay.appended(key.clone(), None, seq);
        self.log.wait(seq, then);
        emit(out, Effect::Erase { seq, key: key.clone() });
    }

    /// Does `then` as soon as `seq` is durable, which it is not yet.
    pub(super) fn when_durable(&mut self, seq: LogSeq, then: AfterDurable) {
        self.log.wait(seq, then);
    }

    /// Merges a record into what is stored, never overwrites; `then`, which is told the outcome, happens when that is
    /// durable. `durable_at` is the sequence that makes `newest` durable, if it is not yet.
    pub(super) fn merge_here(
        &mut self,
        now: Now,
        key: &StoredKey,
        record: Record,
        (newest, durable_at): (Option<Record>, Option<LogSeq>),
        then: impl FnOnce(&Record) -> AfterDurable,
        out: &mut impl Extend<Effect>,
    ) {
        let (merged, pruned) = record::merge_counting(newest.clone(), Some(record));
        let merged = merged.expect("what is merged with a record is one");
        if pruned > 0 {
            emit(out, Effect::Report(Report::Pruned { entries: pruned }));
        }
        let then = then(&merged);
        match durable_at {
            _ if newest.is_none_or(|newest| newest != merged) => {
                self.append(&key.detached(), &merged.detached(), then, out);
            }
            Some(seq) => self.when_durable(seq, then),
            None => self.come_due(now, then, out),
        }
    }

    pub(super) fn durable(&mut self, now: Now, seq: LogSeq, out: &mut impl Extend<Effect>) {
        self.log.settle(seq);
        self.overlay.settle(seq);
        while let Some(then) = self.log.next_due(seq) {
            self.come_due(now, then, out);
        }
    }

    /// What was waited for is durable.
    fn come_due(&mut self, now: Now, then: AfterDurable, out: &mut impl Extend<Effect>) {
        match then {
            AfterDurable::Vote(op) => self.put_voted(now, op, quorum::Input::Answer { replica: 0 }, out),
            AfterDurable::WriteReply { to, op, partition, newest } => {
                let pulled_by = self.pulled_by(partition);
                self.send(to, Message::WriteReply { op, newest, pulled_by }, out);
            }
            AfterDurable::LocalRead { op, record } => self.local_read(now, op, Ok(Some(record)), out),
            AfterDurable::ReadReply { to, op, record, known } => self.answer_read(to, op, Some(record), known, out),
            AfterDurable::Pulled(op) => self.pull_stored(now, op, out),
            AfterDurable::Repaired(op) => self.repair_voted(now, op, quorum::Input::Answer { replica: 0 }, out),
            AfterDurable::HintKept { answer, newest } => self.hint_kept(now, answer, newest, out),
            AfterDurable::HintGone { target, partition, seq } => self.hint_gone(now, target, partition, seq, out),
            AfterDurable::Nothing => {}
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
                AfterDurable::Repaired(op) => self.repair_voted(now, op, quorum::Input::Error { replica: 0 }, out),
                AfterDurable::WriteReply { to, op, .. } | AfterDurable::ReadReply { to, op, .. } => {
                    let failure =
                        Failure::new(FailureKind::Rejected, format!("{}: {error}", self.view.name_of(self.me.node)));
                    self.send(to, Message::Refused { op, failure }, out);
                }
                AfterDurable::HintKept { answer, .. } => self.hint_refused(now, answer, &error.to_string(), out),
                // Who has lost its log does nothing of this any more.
                AfterDurable::Pulled(_) | AfterDurable::HintGone { .. } | AfterDurable::Nothing => {}
            }
        }
        let is_base = |pending: &Pending| matches!(pending, Pending::BaseLoad { .. });
        let bases: Vec<Op> = self.ops.ops().filter(|(_, pending)| is_base(pending)).map(|(op, _)| op).collect();
        for op in bases {
            self.base_loaded(now, op, Err(error.clone()), out);
        }
    }
}
