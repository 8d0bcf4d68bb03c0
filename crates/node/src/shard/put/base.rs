//! The stored record that something merges into: it is read once for all that wait for it.

use core::time::Duration;

use kvorum_hints::Kind;
use kvorum_quorum as quorum;

use crate::shard::hints::HintWaiter;
use crate::shard::overlay::Merged;
use crate::shard::{Effect, Pending, Report, Shard, StoreError, Waiter, emit};
use crate::{Failure, Message, Now, Op, Record, StoredKey};

impl Shard {
    /// Has the stored record read that writes of this key wait for.
    pub(in crate::shard) fn load_base(&mut self, key: StoredKey, out: &mut impl Extend<Effect>) {
        let op = self.ops.insert(Pending::BaseLoad { key: key.detached(), quietly: false });
        emit(out, Effect::Load { op, key, until: Duration::MAX });
    }

    /// The same for what nobody has asked for.
    pub(in crate::shard) fn load_base_quietly(&mut self, key: StoredKey, out: &mut impl Extend<Effect>) {
        let op = self.begin_background(Pending::BaseLoad { key: key.detached(), quietly: true });
        emit(out, Effect::Load { op, key, until: Duration::MAX });
    }

    /// The stored record is known: whoever waited for it goes on, in the order they came.
    pub(in crate::shard) fn base_loaded(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::BaseLoad { key, quietly }) = self.ops.remove(op) else {
            unreachable!("only the reading of a base ends here");
        };
        self.background -= usize::from(quietly);
        let waiters = self.overlay.loaded(&key);
        let failure = self.log.failure().cloned();
        let stored = match failure.map_or(result, Err) {
            Ok(stored) => stored,
            Err(error) => return self.base_unreadable(now, waiters, &error, out),
        };
        for waiter in waiters {
            if self.overlay.is_loading(&key) {
                // One of those before has ended what a further write waited for, and that has the record read anew.
                self.overlay.base_for(&key, waiter);
                continue;
            }
            let (newest, durable_at) = match self.overlay.newest(&key) {
                Some((record, seq)) => (record.cloned(), Some(seq)),
                None => (stored.clone(), None),
            };
            let base = (newest, durable_at);
            match waiter {
                Waiter::Put(op) => self.put_above(now, op, base.0.as_ref(), out),
                Waiter::Replica { from, op, record } => self.replica_merge(now, from, op, &key, record, base, out),
                Waiter::Merge { record, then } => self.merge_quietly(now, &key, record, base, then, out),
                Waiter::Hint(HintWaiter::Keep(missed)) => self.keep_beside(now, &key, missed, base, out),
                Waiter::Hint(HintWaiter::Delivered(op)) => self.erase_if_same(now, op, &key, base.0, out),
            }
        }
    }

    /// A damaged stored record may hide an acknowledged version, so nothing may be merged into it.
    pub(super) fn base_unreadable(
        &mut self,
        now: Now,
        waiters: Vec<Waiter>,
        error: &StoreError,
        out: &mut impl Extend<Effect>,
    ) {
        for waiter in waiters {
            match waiter {
                Waiter::Put(op) => self.put_rejected(op, format!("cannot write: {error}"), out),
                Waiter::Replica { from, op, .. } => {
                    let message = format!("{}: {error}", self.view.name_of(self.me.node));
                    let failure = Failure::new(error.kind(), message);
                    self.send(from, Message::Refused { op, failure }, out);
                }
                Waiter::Merge { then: Merged::Pulled(op), .. } => self.pull_failed(now, op, out),
                Waiter::Merge { then: Merged::Repaired(op), .. } => {
                    self.repair_voted(now, op, quorum::Input::Error { replica: 0 }, out);
                }
                Waiter::Merge { then: Merged::Quietly, .. } => {}
                Waiter::Hint(HintWaiter::Keep(missed)) => {
                    if missed.kind == Kind::Spare {
                        let (target, partition) = (missed.target, missed.key.partition());
                        emit(out, Effect::Report(Report::HintDropped { target, partition }));
                    }
                    self.hint_refused(now, missed.answer, &error.to_string(), out);
                }
                Waiter::Hint(HintWaiter::Delivered(op)) => self.hint_failed(now, op, out),
            }
        }
    }
}
