//! A register that keeps concurrent values and writes every past out in full: slow, large and plainly right, so an
//! oracle for clocks that say the same in few bytes. It knows no replica and no network; it is what one replica holds.

use std::collections::{BTreeMap, BTreeSet};

/// A set of writes that contains, with each write, all that the write knew of: a causal history (Schwarz and Mattern,
/// 1994). It is what a context stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CausalHistory<I>(BTreeSet<I>);

impl<I> Default for CausalHistory<I> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<I: Ord + Clone> CausalHistory<I> {
    /// Whether it contains a write. O(log n).
    #[must_use]
    pub fn contains(&self, id: &I) -> bool {
        self.0.contains(id)
    }

    /// Its writes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &I> {
        self.0.iter()
    }

    /// Adds what another contains. O(n log n).
    pub fn join(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Whether another contains all of it. O(n).
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

/// A version of the register: a write with its whole past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplicitVersion<I> {
    /// The number of the write.
    pub id: I,
    /// What it knew of: not itself.
    pub past: CausalHistory<I>,
}

/// A register of concurrent versions: it holds the maximal ones, those that lie in no other's past. A deletion is a
/// write like any other, which the caller tells by its number.
///
/// Registers grow with the number of writes, and so does the time of each call: for tests and models.
///
/// ```
/// use kvorum_history::causality::{CausalHistory, ExplicitRegister};
///
/// let (mut here, mut there) = (ExplicitRegister::default(), ExplicitRegister::default());
/// here.write("a", &CausalHistory::default());
/// there.write("b", &CausalHistory::default());
/// here.merge(&there);
/// let (siblings, context) = here.read();
/// assert_eq!(siblings, ["a", "b"]);
///
/// there.write("c", &context);
/// here.merge(&there);
/// assert_eq!(here.read().0, ["c"], "it has replaced what its writer had read");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplicitRegister<I> {
    versions: BTreeMap<I, CausalHistory<I>>,
}

impl<I> Default for ExplicitRegister<I> {
    fn default() -> Self {
        Self { versions: BTreeMap::new() }
    }
}

impl<I: Ord + Clone> ExplicitRegister<I> {
    /// Writes a version that replaces what the context contains and stands beside everything else. It returns the
    /// version, for other replicas to [`insert`](Self::insert).
    ///
    /// # Panics
    /// If the register or the context has seen that number: a number names one write.
    pub fn write(&mut self, id: I, context: &CausalHistory<I>) -> ExplicitVersion<I> {
        assert!(!self.has_seen(&id) && !context.contains(&id), "a number names one write");
        let version = ExplicitVersion { id, past: context.clone() };
        self.insert(version.clone());
        version
    }

    /// The concurrent versions, ascending by number, and the context that stands for all that the register has seen.
    #[must_use]
    pub fn read(&self) -> (Vec<I>, CausalHistory<I>) {
        let mut context = CausalHistory::default();
        for (id, past) in &self.versions {
            context.join(past);
            context.0.insert(id.clone());
        }
        (self.versions.keys().cloned().collect(), context)
    }

    /// The concurrent versions, ascending by number.
    pub fn versions(&self) -> impl Iterator<Item = ExplicitVersion<I>> {
        self.versions.iter().map(|(id, past)| ExplicitVersion { id: id.clone(), past: past.clone() })
    }

    /// Takes a version in, unless it has been replaced here, and drops what it replaces.
    pub fn insert(&mut self, version: ExplicitVersion<I>) {
        let ExplicitVersion { id, past } = version;
        if !self.has_seen(&id) {
            self.versions.retain(|held, _| !past.contains(held));
            self.versions.insert(id, past);
        }
    }

    /// Takes in what another register holds. Merging commutes, associates and is idempotent.
    pub fn merge(&mut self, other: &Self) {
        other.versions().for_each(|version| self.insert(version));
    }

    fn has_seen(&self, id: &I) -> bool {
        self.versions.iter().any(|(held, past)| held == id || past.contains(id))
    }
}

#[cfg(test)]
mod tests;
