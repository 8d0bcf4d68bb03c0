//! Owns who suspects whom, as all members say: an index over their records. What follows from it is `judgement.rs`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::member::Incarnation;
use crate::record::Suspicion;
use crate::watch::SLACK;

/// A member's suspicion against another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Charge<I> {
    pub(crate) witness: I,
    pub(crate) incarnation: Incarnation,
    pub(crate) heartbeat: u64,
}

impl<I> Charge<I> {
    /// Whether it speaks of this life, and no later counter has contradicted it.
    pub(crate) fn holds(&self, incarnation: Incarnation, heartbeat: u64) -> bool {
        self.incarnation == incarnation && heartbeat <= self.heartbeat.saturating_add(SLACK)
    }
}

/// All charges, by whom they are against.
#[derive(Clone, Debug)]
pub(crate) struct Charges<I> {
    against: BTreeMap<I, Vec<Charge<I>>>,
}

impl<I: Ord + Clone> Charges<I> {
    pub(crate) fn new() -> Self {
        Self { against: BTreeMap::new() }
    }

    /// Puts what a member now says in place of what it said before. True if that differs.
    pub(crate) fn replace<'a>(
        &mut self,
        witness: &I,
        before: impl Iterator<Item = &'a Suspicion<I>>,
        after: impl Iterator<Item = &'a Suspicion<I>>,
    ) -> bool
    where
        I: 'a,
    {
        let (before, after): (Vec<_>, Vec<_>) = (before.collect(), after.collect());
        if before == after {
            return false;
        }
        for suspicion in before {
            if let Some(charges) = self.against.get_mut(&suspicion.target) {
                charges.retain(|charge| charge.witness != *witness);
                if charges.is_empty() {
                    self.against.remove(&suspicion.target);
                }
            }
        }
        for Suspicion { target, incarnation, heartbeat } in after {
            let charges = self.against.entry(target.clone()).or_default();
            // Each member has one voice against each other, however often it repeats itself: that about the latest life.
            let charge = Charge { witness: witness.clone(), incarnation: *incarnation, heartbeat: *heartbeat };
            match charges.iter_mut().find(|it| it.witness == *witness) {
                Some(held) if (held.incarnation, held.heartbeat) < (*incarnation, *heartbeat) => *held = charge,
                Some(_) => {}
                None => charges.push(charge),
            }
        }
        true
    }

    pub(crate) fn against(&self, target: &I) -> &[Charge<I>] {
        self.against.get(target).map_or(&[], Vec::as_slice)
    }

    /// Everybody who is suspected by anybody.
    pub(crate) fn targets(&self) -> impl ExactSizeIterator<Item = (&I, &[Charge<I>])> {
        self.against.iter().map(|(target, charges)| (target, charges.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn suspicion(target: char, incarnation: u64, heartbeat: u64) -> Suspicion<char> {
        Suspicion { target, incarnation: Incarnation(incarnation), heartbeat }
    }

    #[test]
    fn a_member_has_one_voice_against_each_other() {
        let mut charges = Charges::new();
        let said = [suspicion('x', 1, 9), suspicion('x', 2, 3), suspicion('x', 2, 1), suspicion('y', 1, 1)];
        assert!(charges.replace(&'a', [].iter(), said.iter()));
        let latest = Charge { witness: 'a', incarnation: Incarnation(2), heartbeat: 3 };
        assert!(charges.against(&'x').iter().eq([&latest]));
        assert!(!charges.replace(&'a', said.iter(), said.iter()));
        let other = [suspicion('x', 2, 4)];
        assert!(charges.replace(&'b', [].iter(), other.iter()));
        assert_eq!(
            charges.targets().map(|(target, it)| (*target, it.len())).collect::<vec::Vec<_>>(),
            [('x', 2), ('y', 1)]
        );
        assert!(charges.replace(&'a', said.iter(), [].iter()));
        assert_eq!(charges.against(&'x').len(), 1);
        assert!(charges.against(&'y').is_empty());
    }

    #[test]
    fn a_counter_well_above_the_one_it_names_contradicts_a_charge() {
        let charge = Charge { witness: 'a', incarnation: Incarnation(2), heartbeat: 10 };
        assert!(charge.holds(Incarnation(2), 10) && charge.holds(Incarnation(2), 14));
        assert!(!charge.holds(Incarnation(2), 15));
        assert!(!charge.holds(Incarnation(1), 10) && !charge.holds(Incarnation(3), 10));
        let forgotten = Charge { heartbeat: u64::MAX, ..charge };
        assert!(forgotten.holds(Incarnation(2), u64::MAX));
    }
}
