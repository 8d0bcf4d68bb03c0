//! Tenure: the rule by which an actor mints dots. It is told of every dot when it is minted and asks about the state
//! that it is minted upon; it keeps no state of the store itself.
//!
//! A context names, for each actor, one dot, and stands for all earlier dots of that actor on the key. So a record
//! that holds a dot must have absorbed, that is hold or have superseded, every earlier dot of the same actor on the
//! key (the prefix rule). An actor that forgets breaks it: a coordinator that restarts, and whose last write reached
//! other replicas but not its own disk, mints a later dot upon a state without the earlier one, and a context with the
//! later dot then erases a write that nobody saw. Therefore an actor is one tenure, with a new id at every start of a
//! process and whenever state may have been lost.
//!
//! Sources: Preguiça, Baquero, Almeida, Fonte, Gonçalves, "Dotted Version Vectors: Logical Clocks for Optimistic
//! Replication" (2010), for dots and what a context stands for; issue 679 of Riak's `riak_kv` for the trace above and
//! per-key actor epochs, the cure.

use core::fmt;
use std::collections::BTreeMap;

/// Watches the dots that each actor mints on each key, and remembers the last of each pair.
///
/// ```
/// use kvorum_history::tenure::{Rule, Tenures};
///
/// let mut tenures = Tenures::default();
/// tenures.minted(&"a1", &"cart", 5, |_| unreachable!("there is no earlier dot"));
/// tenures.minted(&"a1", &"cart", 8, |earlier| *earlier == 5);
/// assert!(tenures.broken().is_empty());
/// // The process restarts as the same actor, and has lost both.
/// tenures.minted(&"a1", &"cart", 9, |_| false);
/// assert_eq!(tenures.broken()[0].rule, Rule::Prefix);
/// ```
#[derive(Clone, Debug)]
pub struct Tenures<A, K, T> {
    last: BTreeMap<A, BTreeMap<K, T>>,
    broken: Vec<Broken<A, K, T>>,
}

/// A dot that should not have been minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken<A, K, T> {
    /// Which rule it breaks.
    pub rule: Rule,
    /// Whose dot it is.
    pub actor: A,
    /// On which key.
    pub key: K,
    /// The actor's latest dot on the key before.
    pub earlier: T,
    /// The dot minted.
    pub time: T,
}

/// A rule for minting dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// An actor's dots on a key increase strictly: a dot names one write.
    Increasing,
    /// The state that a dot is minted upon has absorbed the actor's earlier dots on the key.
    Prefix,
}

impl<A, K, T> Default for Tenures<A, K, T> {
    fn default() -> Self {
        Self { last: BTreeMap::new(), broken: Vec::new() }
    }
}

impl<A: Ord + Clone, K: Ord + Clone, T: Ord + Clone> Tenures<A, K, T> {
    /// A coordinator mints the dot (`actor`, `time`) on a key. `has_absorbed` tells whether the state that it is minted
    /// upon holds or has superseded the earlier dot it is asked about; it is asked if there is an earlier one. That is
    /// enough: what has absorbed the last dot has, by the same rule, absorbed those before it.
    ///
    /// O(log(actors) + log(keys)) and one call of `has_absorbed` at most.
    pub fn minted(&mut self, actor: &A, key: &K, time: T, has_absorbed: impl FnOnce(&T) -> bool) {
        if !self.last.contains_key(actor) {
            self.last.insert(actor.clone(), BTreeMap::new());
        }
        let keys = self.last.get_mut(actor).expect("it was put there just now");
        let Some(earlier) = keys.get_mut(key) else {
            keys.insert(key.clone(), time);
            return;
        };
        let rule =
            if time <= *earlier { Some(Rule::Increasing) } else { (!has_absorbed(earlier)).then_some(Rule::Prefix) };
        if let Some(rule) = rule {
            let (actor, key) = (actor.clone(), key.clone());
            self.broken.push(Broken { rule, actor, key, earlier: earlier.clone(), time: time.clone() });
        }
        if time > *earlier {
            *earlier = time;
        }
    }

    /// The dots that break a rule, in the order in which they were minted.
    #[must_use]
    pub fn broken(&self) -> &[Broken<A, K, T>] {
        &self.broken
    }
}

impl<A: fmt::Debug, K: fmt::Debug, T: fmt::Debug> fmt::Display for Broken<A, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, actor, key, earlier, time } = self;
        writeln!(f, "actor {actor:?} minted a dot on {key:?}")?;
        writeln!(f, "  at          {time:?}")?;
        writeln!(f, "  and before  {earlier:?}")?;
        f.write_str(match rule {
            Rule::Increasing => "  which is not earlier",
            Rule::Prefix => "  which the state under it had not absorbed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_that_increase_upon_a_state_that_has_absorbed_the_last_are_fine() {
        let mut tenures = Tenures::default();
        for time in 1..5 {
            tenures.minted(&'a', &"k", time, |earlier| *earlier == time - 1);
        }
        tenures.minted(&'b', &"k", 1, |_| false);
        tenures.minted(&'a', &"l", 1, |_| false);
        assert_eq!(tenures.broken(), [], "another actor and another key start anew");
    }

    #[test]
    fn a_dot_upon_a_state_without_the_earlier_one_breaks_the_prefix_rule() {
        let mut tenures = Tenures::default();
        tenures.minted(&'a', &"k", 1, |_| true);
        tenures.minted(&'a', &"k", 2, |_| false);
        let broken = Broken { rule: Rule::Prefix, actor: 'a', key: "k", earlier: 1, time: 2 };
        assert_eq!(tenures.broken(), [broken]);
        assert_eq!(
            tenures.broken()[0].to_string(),
            "actor 'a' minted a dot on \"k\"\n  at          2\n  and before  1\n  which the state under it had not absorbed"
        );
    }

    #[test]
    fn a_dot_that_repeats_or_goes_back_is_found_and_the_largest_stays_the_last() {
        let mut tenures = Tenures::default();
        for time in [5, 5, 3, 4, 6] {
            tenures.minted(&'a', &"k", time, |earlier| *earlier == 5);
        }
        let times: Vec<_> = tenures.broken().iter().map(|broken| (broken.rule, broken.earlier, broken.time)).collect();
        assert_eq!(times, [5, 3, 4].map(|time| (Rule::Increasing, 5, time)));
    }

    /// Coordinators with a disk that may lose the last write before a restart: with a new actor at each start the
    /// rules hold, with one actor for ever they do not.
    #[test]
    fn a_new_actor_at_every_start_keeps_the_prefix_rule_and_an_old_one_breaks_it() {
        for new_at_every_start in [true, false] {
            let mut tenures = Tenures::default();
            let (mut state, mut actor) = (Vec::new(), 0);
            for time in 0..40_u64 {
                if time % 5 == 4 {
                    // The state on disk lacks the last dot, which is at another replica by now.
                    state.pop();
                    actor += u64::from(new_at_every_start);
                }
                tenures.minted(&actor, &"k", time, |earlier| state.contains(&(actor, *earlier)));
                state.push((actor, time));
            }
            assert_eq!(tenures.broken().len(), if new_at_every_start { 0 } else { 8 });
        }
    }
}
