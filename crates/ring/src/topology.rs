//! Owns the choice of one partition's replicas and fallbacks along a walk: factors, data centres,
//! racks. It does not know where the walk comes from, and holds no table.

use core::mem;
use std::collections::{BTreeMap, BTreeSet};

use crate::{Member, Replication};

/// The most fallbacks a partition has. A write that finds more nodes than this down, beside its
/// replicas, has graver trouble than placement can mend, and the list costs memory for every
/// partition.
pub const MAX_FALLBACKS: usize = 8;

/// Where members stand, and how many copies are wanted there. Members go by their index.
///
/// The choice is that of Cassandra's `NetworkTopologyStrategy`: in each data centre the first
/// member met of every rack, and where there are fewer racks than copies, the first others to make
/// up the number. Since it is known beforehand how many others that will be, one pass decides each
/// member for good when it is met, and the row comes out in the order of the walk.
#[derive(Debug)]
pub(crate) struct Topology {
    /// Per member.
    homes: Vec<Home>,
    /// Per data centre.
    quotas: Vec<Quota>,
    /// How many racks there are, in all data centres.
    racks: usize,
}

#[derive(Debug, Clone, Copy)]
struct Home {
    /// Index of the data centre.
    centre: usize,
    /// Index of the rack among those of all data centres.
    rack: usize,
}

/// What a data centre still takes of one partition.
#[derive(Debug, Clone, Copy)]
struct Quota {
    copies: usize,
    /// How many of the copies may go to a rack that has one already.
    rack_repeats: usize,
}

impl Quota {
    /// Whether the member that is met now, in a rack touched or not, becomes a replica.
    fn take(&mut self, rack_touched: &mut bool) -> bool {
        if self.copies == 0 || (*rack_touched && self.rack_repeats == 0) {
            return false;
        }
        if mem::replace(rack_touched, true) {
            self.rack_repeats -= 1;
        }
        self.copies -= 1;
        true
    }
}

/// The members chosen for one partition, by index, in the order of the walk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) replicas: Vec<usize>,
    pub(crate) fallbacks: Vec<usize>,
}

impl Topology {
    /// The topology of these members, all of which can hold data.
    pub(crate) fn new<I>(holders: &[&Member<I>], replication: &Replication) -> Self {
        let mut centres: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
        for member in holders {
            let (members, racks) = centres.entry(&member.dc).or_default();
            *members += 1;
            racks.insert(&member.rack);
        }

        let mut quotas = Vec::with_capacity(centres.len());
        let mut places = BTreeMap::new();
        for (centre, (dc, (members, racks))) in centres.into_iter().enumerate() {
            let copies = usize::from(replication.factor(dc)).min(members);
            quotas.push(Quota { copies, rack_repeats: copies.saturating_sub(racks.len()) });
            for rack in racks {
                let rack_index = places.len();
                places.insert((dc, rack), Home { centre, rack: rack_index });
            }
        }
        let homes = holders.iter().map(|member| places[&(member.dc.as_str(), member.rack.as_str())]).collect();
        Topology { homes, quotas, racks: places.len() }
    }

    /// Goes along a walk that meets every member once, as far as needed.
    pub(crate) fn place(&self, walk: impl Iterator<Item = usize>) -> Placed {
        let mut quotas = self.quotas.clone();
        let mut touched = vec![false; self.racks];
        let mut missing: usize = quotas.iter().map(|quota| quota.copies).sum();
        let mut placed = Placed { replicas: Vec::with_capacity(missing), fallbacks: Vec::new() };
        for member in walk {
            let Home { centre, rack } = self.homes[member];
            if quotas[centre].take(&mut touched[rack]) {
                placed.replicas.push(member);
                missing -= 1;
            } else if placed.fallbacks.len() < MAX_FALLBACKS {
                placed.fallbacks.push(member);
            }
            if missing == 0 && placed.fallbacks.len() == MAX_FALLBACKS {
                break;
            }
        }
        assert!(missing == 0, "a walk over every member fills quotas that were cut to the members there are");
        placed
    }
}

#[cfg(test)]
mod tests;
