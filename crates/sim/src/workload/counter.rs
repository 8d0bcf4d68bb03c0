//! A counter through siblings: each client counts its own increments, a value holds what its writer knew of everybody's,
//! and whoever reads siblings merges them by taking the larger count of each client. So no increment that a client was
//! told of is lost, however many write at once, if the store keeps concurrent writes as siblings and drops none.
//!
//! It is the state of one client and decides what to write; a store and its contexts belong to the caller.

use std::collections::BTreeMap;

/// What a value of the counter holds: how often each client has incremented, as far as its writer knew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<u64, u64>);

impl Counts {
    /// The merge of all siblings that a read found.
    pub fn merge<'a>(siblings: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut merged = Self::default();
        for Self(counts) in siblings {
            for (client, count) in counts {
                let known = merged.0.entry(*client).or_default();
                *known = (*known).max(*count);
            }
        }
        merged
    }

    /// The value of the counter.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// One client of the counter.
#[derive(Clone, Debug)]
pub struct Counter {
    client: u64,
    /// How often it tried, and how often it was told that it had succeeded.
    tried: u64,
    acknowledged: u64,
}

impl Counter {
    /// A client that has not counted yet. Its number must be its own.
    #[must_use]
    pub fn new(client: u64) -> Self {
        Self { client, tried: 0, acknowledged: 0 }
    }

    /// What to write after a read found these siblings, under the context of that read.
    ///
    /// An increment whose outcome is not known is made good by the next: the client's own count rises above both.
    pub fn increment<'a>(&mut self, siblings: impl IntoIterator<Item = &'a Counts>) -> Counts {
        let mut counts = Counts::merge(siblings);
        self.tried += 1;
        counts.0.insert(self.client, self.tried);
        counts
    }

    /// The last increment was acknowledged, and with it all before.
    pub fn acknowledged(&mut self) {
        self.acknowledged = self.tried;
    }

    /// Whether a last read, after all clients have ended, agrees with what this one was told: at least the increments
    /// that were acknowledged, at most those that were tried.
    #[must_use]
    pub fn agrees(&self, last: &Counts) -> bool {
        let counted = last.0.get(&self.client).copied().unwrap_or(0);
        (self.acknowledged..=self.tried).contains(&counted)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kvorum_history::causality::ExplicitRegister;

    use super::*;
    use crate::random::{Purpose, Random};

    /// Three clients count at three replicas that tell each other now and then; what a store without siblings would do
    /// is to keep only one of the versions it holds.
    fn count(seed: u64, keeps_siblings: bool) -> bool {
        let mut random = Random::stream(seed, Purpose::Client);
        let mut replicas = vec![ExplicitRegister::<u64>::default(); 3];
        let mut values: BTreeMap<u64, Counts> = BTreeMap::new();
        let mut clients: Vec<Counter> = (0..3).map(Counter::new).collect();
        for id in 0..60 {
            let (client, replica) = (random.index(3), random.index(3));
            let (siblings, context) = replicas[replica].read();
            let seen: Vec<&Counts> = siblings.iter().map(|id| &values[id]).collect();
            let seen = if keeps_siblings { &seen[..] } else { &seen[..seen.len().min(1)] };
            let counts = clients[client].increment(seen.iter().copied());
            values.insert(id, counts);
            replicas[replica].write(id, &context);
            if random.permille(800) {
                clients[client].acknowledged();
            }
            let (from, to) = (random.index(3), random.index(3));
            let told = replicas[from].clone();
            replicas[to].merge(&told);
        }
        let all = replicas.iter().skip(1).fold(replicas[0].clone(), |mut all, replica| {
            all.merge(replica);
            all
        });
        let last = Counts::merge(all.read().0.iter().map(|id| &values[id]));
        assert!(last.total() <= 60);
        clients.iter().all(|client| client.agrees(&last))
    }

    #[test]
    fn no_increment_is_lost_where_siblings_are_kept() {
        assert!((0..200).all(|seed| count(seed, true)));
    }

    #[test]
    fn some_are_lost_where_only_one_sibling_is_read() {
        assert!(!(0..200).all(|seed| count(seed, false)));
    }

    #[test]
    fn a_client_counts_on_whatever_the_last_outcome_was() {
        let mut counter = Counter::new(7);
        let first = counter.increment([]);
        let second = counter.increment([&first, &Counts::default()]);
        assert_eq!((first.total(), second.total()), (1, 2));
        assert!(counter.agrees(&Counts::default()), "nothing was acknowledged");
        counter.acknowledged();
        assert!(counter.agrees(&second) && !counter.agrees(&first));
    }
}
