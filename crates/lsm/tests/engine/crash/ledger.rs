//! What was asked of a database and how far it was promised: from that follows which states may be found after a crash.

use std::path::PathBuf;

use crate::support::Model;

/// Written by everything that writes: its number. So no two states are the same.
pub const MARK: &[u8] = b"mark";

/// Puts and deletes.
pub type Ops = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// What happens at once or not at all.
pub enum Change {
    Write(Ops),
    /// From a key to before another, or to the end.
    Drop(Vec<u8>, Option<Vec<u8>>),
}

impl Change {
    fn apply(&self, model: &mut Model) {
        match self {
            Self::Write(ops) => {
                for (key, value) in ops {
                    match value {
                        Some(value) => drop(model.insert(key.clone(), value.clone())),
                        None => drop(model.remove(key)),
                    }
                }
            }
            Self::Drop(from, to) => {
                model.retain(|key, _| key < from || to.as_ref().is_some_and(|to| key >= to));
            }
        }
    }
}

/// A copy of the database elsewhere.
pub struct Copy {
    pub dir: PathBuf,
    pub state: Model,
    /// Whether it was acknowledged.
    pub made: bool,
}

/// The promises.
#[derive(Default)]
pub struct Ledger {
    /// What is durable.
    base: Model,
    /// What was begun since, in its order.
    since: Vec<Change>,
    /// The first so many of these were acknowledged.
    acknowledged: usize,
    pub copies: Vec<Copy>,
    last_number: u64,
}

impl Ledger {
    /// A number that nothing else has.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The mark of the next write.
    pub fn mark(&mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        (MARK.to_vec(), Some(self.number().to_string().into_bytes()))
    }

    pub fn begin(&mut self, change: Change) {
        self.since.push(change);
    }

    /// All that was begun has happened.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.since.len();
    }

    /// All that has happened is durable.
    pub fn durable(&mut self) {
        for change in self.since.drain(..self.acknowledged) {
            change.apply(&mut self.base);
        }
        self.acknowledged = 0;
    }

    /// The state with all that was begun.
    pub fn newest(&self) -> Model {
        let mut state = self.base.clone();
        self.since.iter().for_each(|change| change.apply(&mut state));
        state
    }

    /// Whether a state may be found: all changes up to some moment, and none later. The moment is not before what is durable, or, if only
    /// the process ended and not the machine, what was acknowledged. Gives how many changes since what is durable it has.
    pub fn allows(&self, found: &Model, killed: bool) -> Result<usize, String> {
        let least = if killed { self.acknowledged } else { 0 };
        let mut state = self.base.clone();
        for done in 0..=self.since.len() {
            if done > 0 {
                self.since[done - 1].apply(&mut state);
            }
            if done >= least && state == *found {
                return Ok(done);
            }
        }
        let mark = |model: &Model| model.get(MARK).map(|mark| String::from_utf8_lossy(mark).into_owned());
        Err(format!(
            "{} of {} keys are found, with mark {:?}, which is no state from mark {:?} with {least} changes on, to mark {:?}",
            found.len(),
            state.len(),
            mark(found),
            mark(&self.base),
            mark(&state),
        ))
    }

    /// How many copies were made.
    pub fn copies_made(&self) -> usize {
        self.copies.iter().filter(|copy| copy.made).count()
    }

    /// Goes on from what was found after the process was killed. What is missing will not come back; the rest need not be durable yet.
    pub fn go_on_after_kill(&mut self, found: &Model) -> Result<(), String> {
        let happened = self.allows(found, true)?;
        self.since.truncate(happened);
        self.acknowledged = happened;
        self.copies.retain(|copy| copy.made);
        Ok(())
    }

    /// Goes on from what was found at a moment when there were so many copies.
    pub fn go_on(&mut self, found: Model, copies: usize) {
        self.base = found;
        self.since.clear();
        self.acknowledged = 0;
        self.copies.truncate(copies);
    }
}
