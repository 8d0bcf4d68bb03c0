//! [`Requirement`]: which answers an operation needs, and whether it has them or still can.
//!
//! It owns the arithmetic of quorums: plain functions of sets of replicas. Who is asked, and when,
//! is decided by [`Write`](crate::Write) and [`Read`](crate::Read).

use crate::{Error, Level, ReplicaSet};

#[cfg(test)]
mod tests;

/// Some replicas of which a number must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuorumSet {
    /// The replicas whose answers count here.
    pub members: ReplicaSet,
    /// How many of them must answer, from 1 to the number of members.
    pub need: u8,
}

impl QuorumSet {
    /// How many of the given replicas count here.
    pub(crate) const fn count(&self, replicas: ReplicaSet) -> usize {
        self.members.intersection(replicas).len()
    }

    /// Whether the given replicas are enough here.
    pub(crate) const fn is_met(&self, replicas: ReplicaSet) -> bool {
        self.count(replicas) >= self.need as usize
    }
}

/// What an operation needs: one to 16 [`QuorumSet`]s, every one of which must be met.
///
/// One set says "R of N". Several say "a majority in each data centre", or, while replicas move
/// from one layout to another, "W of the old replicas and W of the new ones", where a replica in
/// both counts in both. Every set needs at least one answer, so nothing is met by silence.
///
/// Two operations are sure to meet in at least one replica when they share a set of N members of
/// which one needs R and the other W, with R + W > N (Gifford, "Weighted Voting for Replicated
/// Data", 1979; Dynamo, section 4.5).
///
/// ```
/// use kvorum_quorum::{Level, ReplicaSet, Requirement};
///
/// // Three replicas in data centre 0, two in data centre 1.
/// let each = Requirement::resolve(Level::EachQuorum, &[0, 0, 0, 1, 1], 0)?;
/// assert_eq!(each.minimum(), 4);
/// assert!(!each.is_met(ReplicaSet::first(4)));
/// assert!(each.is_met([0, 2, 3, 4].into_iter().collect()));
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The first `len` are in use; the others stay `UNUSED`, so that equal requirements compare
    /// equal.
    sets: [QuorumSet; Requirement::MAX_SETS],
    len: u8,
}

const UNUSED: QuorumSet = QuorumSet { members: ReplicaSet::EMPTY, need: 0 };

impl Requirement {
    /// How many sets a requirement can hold. They lie inside it, so that a decision allocates
    /// nothing.
    const MAX_SETS: usize = 16;

    /// What `level` means for replicas in these data centres.
    ///
    /// `centres` holds the data centre's number of each replica, in the order of the replica list;
    /// `local` is the number of the coordinator's own. A majority of n is n / 2 + 1. Only
    /// [`Level::LocalQuorum`] and [`Level::EachQuorum`] look at the numbers.
    ///
    /// # Errors
    ///
    /// - [`Error::TooFewReplicas`]: the level needs more replicas than there are; every level but
    ///   `local_quorum` needs at least one.
    /// - [`Error::NoLocalReplica`]: `local_quorum`, and no replica is in the data centre `local`.
    /// - [`Error::TooManyReplicas`]: more than 64 replicas.
    /// - [`Error::TooManySets`]: `each_quorum` over more than 16 data centres.
    pub fn resolve(level: Level, centres: &[u8], local: u8) -> Result<Requirement, Error> {
        let have = centres.len();
        if have > ReplicaSet::POSITIONS {
            return Err(Error::TooManyReplicas { have });
        }
        let need = match level {
            Level::One => 1,
            Level::Two => 2,
            Level::Three => 3,
            Level::Number(number) => usize::from(number.get()),
            Level::Quorum => majority(have),
            Level::All => have.max(1),
            Level::LocalQuorum => {
                let members = replicas_in(local, centres);
                if members.is_empty() {
                    return Err(Error::NoLocalReplica);
                }
                return Requirement::from_sets(&[quorum_of(members)]);
            }
            Level::EachQuorum if have > 0 => return Requirement::quorum_in_each(centres),
            Level::EachQuorum => 1,
        };
        if need > have {
            return Err(Error::TooFewReplicas { level, need, have });
        }
        Requirement::from_sets(&[QuorumSet { members: ReplicaSet::first(have), need: narrow(need) }])
    }

    /// The requirement that every one of these sets is met. Sets may overlap.
    ///
    /// # Errors
    ///
    /// - [`Error::NoSets`], [`Error::TooManySets`]: not 1 to 16 sets.
    /// - [`Error::InvalidSet`]: a set needs no answer, or more than it has members.
    pub fn from_sets(sets: &[QuorumSet]) -> Result<Requirement, Error> {
        if sets.is_empty() {
            return Err(Error::NoSets);
        }
        let mut requirement = Requirement { sets: [UNUSED; Self::MAX_SETS], len: 0 };
        for &set in sets {
            requirement.push(set)?;
        }
        Ok(requirement)
    }

    /// The sets, in the order given; at least one.
    pub fn sets(&self) -> &[QuorumSet] {
        &self.sets[..usize::from(self.len)]
    }

    /// Whether these answers are enough in every set.
    pub fn is_met(&self, answered: ReplicaSet) -> bool {
        self.sets().iter().all(|set| set.is_met(answered))
    }

    /// Whether these answers would be enough if every replica in `open` answered too.
    pub fn is_possible(&self, answered: ReplicaSet, open: ReplicaSet) -> bool {
        self.is_met(answered.union(open))
    }

    /// How many more answers are needed at least; 0 exactly when the requirement is met.
    ///
    /// Exact for one set, for sets that do not overlap, and for any two sets. Three or more that
    /// overlap may need more than this, never fewer; an answer may then sharpen the figure upwards.
    pub fn missing(&self, answered: ReplicaSet) -> usize {
        // The largest gap first. The answers that close it lie in its set, so they can also close
        // at most as much of the next gap as the two sets have in common; whatever is left needs
        // further answers outside all sets taken so far.
        let mut left = self.sets;
        let mut counted = ReplicaSet::EMPTY;
        let mut missing = 0;
        loop {
            let gap = |set: &QuorumSet| usize::from(set.need).saturating_sub(set.count(answered));
            let Some(widest) = left.iter_mut().max_by_key(|set| gap(set)).filter(|set| gap(set) > 0) else {
                return missing;
            };
            let unanswered = widest.members.difference(answered);
            missing += gap(widest).saturating_sub(unanswered.intersection(counted).len());
            counted = counted.union(unanswered);
            *widest = UNUSED;
        }
    }

    /// How many answers the operation needs at least, from 1 to 64:
    /// [`missing`](Requirement::missing) of none.
    pub fn minimum(&self) -> usize {
        self.missing(ReplicaSet::EMPTY)
    }

    /// A majority in every data centre, in the order of their first replicas.
    fn quorum_in_each(centres: &[u8]) -> Result<Requirement, Error> {
        let mut requirement = Requirement { sets: [UNUSED; Self::MAX_SETS], len: 0 };
        let mut rest = ReplicaSet::first(centres.len());
        while let Some(position) = rest.lowest() {
            let members = replicas_in(centres[position], centres);
            requirement.push(quorum_of(members))?;
            rest = rest.difference(members);
        }
        Ok(requirement)
    }

    fn push(&mut self, set: QuorumSet) -> Result<(), Error> {
        let (need, have) = (usize::from(set.need), set.members.len());
        if need == 0 || need > have {
            return Err(Error::InvalidSet { need, have });
        }
        *self.sets.get_mut(usize::from(self.len)).ok_or(Error::TooManySets)? = set;
        self.len += 1;
        Ok(())
    }
}

/// The replicas in one data centre.
fn replicas_in(centre: u8, centres: &[u8]) -> ReplicaSet {
    centres.iter().enumerate().filter(|&(_, &of)| of == centre).map(|(position, _)| position).collect()
}

fn quorum_of(members: ReplicaSet) -> QuorumSet {
    QuorumSet { members, need: narrow(majority(members.len())) }
}

/// The smallest number of `n` such that any two choices of that many share one (Thomas, "A Majority
/// Consensus Approach to Concurrency Control", 1979).
const fn majority(n: usize) -> usize {
    n / 2 + 1
}

fn narrow(need: usize) -> u8 {
    assert!(need <= ReplicaSet::POSITIONS, "a set never needs more answers than there are positions");
    need as u8
}
