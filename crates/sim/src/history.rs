//! The history of a run as its clients saw it: what they asked, when, and what they were told. It judges nothing.

use core::fmt;
use core::time::Duration;

/// The number of an operation in its [`History`]. A put writes it as its value, so every value is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub usize);

/// What a client asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the operation's number.
    Put,
    /// Write a tombstone.
    Delete,
    /// Read. Each key that a scan covers counts as one.
    Get,
}

/// What became of it, as far as the client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No word yet: the write may take effect at any time.
    Pending,
    /// The write was acknowledged.
    Written,
    /// The read returned what this put wrote; nothing, if none.
    Read(Option<OpId>),
    /// The read returned a value that no put ever wrote.
    ReadUnknown,
    /// The write was certainly not applied.
    Rejected,
    /// The write may or may not have been applied, and may still be.
    Indeterminate,
    /// The read failed.
    Failed,
}

/// One operation of one client on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub id: OpId,
    /// Who asked.
    pub session: usize,
    /// Which node was asked.
    pub node: usize,
    /// The number of the key.
    pub key: usize,
    /// What was asked.
    pub action: Action,
    /// When.
    pub invoked: Duration,
    /// When the outcome was known.
    pub completed: Option<Duration>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Operation {
    /// Whether it is a write of which nobody can say when, or whether, it takes effect.
    #[must_use]
    pub fn is_open_write(&self) -> bool {
        self.action != Action::Get && matches!(self.outcome, Outcome::Pending | Outcome::Indeterminate)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "#{} {:?} key-{} by client {} at n{}, {:.6} s to ",
            self.id.0,
            self.action,
            self.key,
            self.session,
            self.node,
            self.invoked.as_secs_f64()
        )?;
        match self.completed {
            Some(completed) => write!(f, "{:.6} s", completed.as_secs_f64())?,
            None => f.write_str("the end")?,
        }
        write!(f, ": {:?}", self.outcome)
    }
}

/// All operations of a run, by number.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
}

impl History {
    /// A client asks something.
    pub fn begin(&mut self, session: usize, node: usize, key: usize, action: Action, now: Duration) -> OpId {
        let id = OpId(self.operations.len());
        self.operations.push(Operation {
            id,
            session,
            node,
            key,
            action,
            invoked: now,
            completed: None,
            outcome: Outcome::Pending,
        });
        id
    }

    /// A client knows what came of it.
    ///
    /// # Panics
    /// If it has ended already, or no such operation was begun.
    pub fn end(&mut self, id: OpId, outcome: Outcome, now: Duration) {
        let operation = &mut self.operations[id.0];
        assert!(operation.completed.is_none(), "an operation ends once");
        operation.completed = Some(now);
        operation.outcome = outcome;
    }

    /// The operations, by number.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}
