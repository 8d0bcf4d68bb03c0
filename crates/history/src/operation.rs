//! A history of reads and writes of keys, as clients saw it: what they asked, when, and what they were told. The
//! checkers of replicated stores share it; none of them changes it. It judges nothing.

use core::fmt;

/// A point in real time that all processes agree on: nanoseconds of a common clock, or just the number of an event in
/// the order of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// The number of an operation in its [`History`], from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub usize);

/// What a store says about the order of a version among those of its key, such as (timestamp, actor): the larger wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u128);

/// Between when and when a value ends by itself. Clocks disagree, so it is known only so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Before this the value has certainly not expired.
    pub earliest: Moment,
    /// From then on it certainly has.
    pub latest: Moment,
}

/// What a client asked of one key. Every write has a number, that of its operation, and the value it writes names it:
/// a read tells which writes it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write a value that names this operation.
    Put {
        /// When it ends by itself; never, if none is given.
        expiry: Option<Expiry>,
    },
    /// Delete: write a tombstone.
    Delete,
    /// Read.
    Get,
}

/// What became of an operation, as far as its client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No word yet: a write may take effect at any later time, or never.
    Pending,
    /// The write was acknowledged.
    Written {
        /// As which version, if the store says so.
        version: Option<Version>,
    },
    /// The read saw what these puts wrote: none if the key is absent, several if they are siblings.
    Read(Vec<OpId>),
    /// The read returned a value that no put of the history wrote.
    ReadUnknown,
    /// The write was certainly not applied.
    Rejected,
    /// The write may or may not have been applied, and may still be.
    Indeterminate,
    /// The read failed.
    Failed,
}

/// One operation of one process on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<K> {
    /// Its number.
    pub id: OpId,
    /// Who asked; a process does one thing at a time.
    pub process: u64,
    /// Of which key.
    pub key: K,
    /// What was asked.
    pub action: Action,
    /// For a write: the read whose context it carried, and so all that that read knew of.
    pub context: Option<OpId>,
    /// When it was asked.
    pub invoked: Moment,
    /// When the outcome was known.
    pub completed: Option<Moment>,
    /// What came of it.
    pub outcome: Outcome,
    /// For a read of one value: as which version the store returned it, if the store says so.
    pub saw: Option<Version>,
}

impl<K> Operation<K> {
    /// Whether it is a put or a delete.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    /// Whether it is a write that was acknowledged.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.outcome, Outcome::Written { .. })
    }

    /// Whether it is a write of which nobody can say when, or whether, it takes effect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_write() && matches!(self.outcome, Outcome::Pending | Outcome::Indeterminate)
    }
}

impl<K: fmt::Display> fmt::Display for Operation<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ", self.id.0)?;
        match self.action {
            Action::Put { expiry: None } => f.write_str("put")?,
            Action::Put { expiry: Some(Expiry { earliest, latest }) } => {
                write!(f, "put (expires {}..{})", earliest.0, latest.0)?;
            }
            Action::Delete => f.write_str("delete")?,
            Action::Get => f.write_str("get")?,
        }
        write!(f, " {} by {} from {} to ", self.key, self.process, self.invoked.0)?;
        match self.completed {
            Some(completed) => write!(f, "{}", completed.0)?,
            None => f.write_str("the end")?,
        }
        match &self.outcome {
            Outcome::Pending => f.write_str(": pending"),
            Outcome::Written { .. } => f.write_str(": written"),
            Outcome::Read(seen) if seen.is_empty() => f.write_str(": absent"),
            Outcome::Read(seen) => {
                f.write_str(": read")?;
                seen.iter().try_for_each(|id| write!(f, " #{}", id.0))
            }
            Outcome::ReadUnknown => f.write_str(": read what nobody wrote"),
            Outcome::Rejected => f.write_str(": rejected"),
            Outcome::Indeterminate => f.write_str(": indeterminate"),
            Outcome::Failed => f.write_str(": failed"),
        }
    }
}

/// All operations of a run, by number.
#[derive(Clone, Debug)]
pub struct History<K> {
    operations: Vec<Operation<K>>,
}

impl<K> Default for History<K> {
    fn default() -> Self {
        Self { operations: Vec::new() }
    }
}

impl<K> History<K> {
    /// A process asks something. A write names the read whose context it carries, if any.
    ///
    /// # Panics
    /// If that is no read of this history.
    pub fn begin(&mut self, process: u64, key: K, action: Action, context: Option<OpId>, now: Moment) -> OpId {
        let is_read = |read: &OpId| self.operations.get(read.0).is_some_and(|read| !read.is_write());
        assert!(context.as_ref().is_none_or(is_read), "a context comes from a read");
        let id = OpId(self.operations.len());
        let outcome = Outcome::Pending;
        let (completed, saw) = (None, None);
        self.operations.push(Operation { id, process, key, action, context, invoked: now, completed, outcome, saw });
        id
    }

    /// A process knows what came of it.
    ///
    /// # Panics
    /// If it has ended already, or no such operation was begun.
    pub fn end(&mut self, id: OpId, outcome: Outcome, now: Moment) {
        let operation = &mut self.operations[id.0];
        assert!(operation.completed.is_none(), "an operation ends once");
        operation.completed = Some(now);
        operation.outcome = outcome;
    }

    /// The store has told as which version it returned what a read saw: so it is known even of a write whose own outcome
    /// is not.
    ///
    /// # Panics
    /// If the operation is no read.
    pub fn saw(&mut self, id: OpId, version: Version) {
        let operation = &mut self.operations[id.0];
        assert!(!operation.is_write(), "only a read sees a version");
        operation.saw = Some(version);
    }

    /// The store has told when the value of a put ends, so that is known better than when it was begun.
    ///
    /// # Panics
    /// If the operation is no put with an expiry.
    pub fn narrow_expiry(&mut self, id: OpId, told: Expiry) {
        let Action::Put { expiry: Some(expiry) } = &mut self.operations[id.0].action else {
            panic!("only a put that was begun with an expiry has one");
        };
        *expiry = told;
    }

    /// The operations, by number.
    #[must_use]
    pub fn operations(&self) -> &[Operation<K>] {
        &self.operations
    }

    /// The operation of that number.
    #[must_use]
    pub fn get(&self, id: OpId) -> Option<&Operation<K>> {
        self.operations.get(id.0)
    }
}
