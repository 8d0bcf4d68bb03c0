//! Owns the memory of forgotten members, so that an old record of one does not bring it back. Whom to forget is
//! `gossip/round.rs`.

use alloc::collections::BTreeMap;

use crate::member::Incarnation;

/// A death certificate (Demers et al. 1987, section 2) for each forgotten member.
///
/// Members do not forget at the same moment, and one may never. Therefore a certificate is renewed while somebody still
/// spreads the old record; and who is told of a dead member as if it lived, or is contacted by it, testifies against it,
/// so that the one who does not know better learns it, be it the member itself.
#[derive(Clone, Debug)]
pub(crate) struct ZombieGuard<I> {
    certificates: BTreeMap<I, Certificate>,
    /// How long a certificate lasts, in microseconds.
    lifetime: u64,
}

#[derive(Clone, Debug)]
struct Certificate {
    incarnation: Incarnation,
    /// It was down. Otherwise it left, which its record says by itself.
    down: bool,
    /// This node testifies against it.
    accused: bool,
    expires: u64,
}

impl<I: Ord> ZombieGuard<I> {
    pub(crate) fn new(lifetime: u64) -> Self {
        Self { certificates: BTreeMap::new(), lifetime }
    }

    /// From now on refuses `id` up to this incarnation.
    pub(crate) fn bury(&mut self, id: I, incarnation: Incarnation, down: bool, now: u64) {
        let expires = now.saturating_add(self.lifetime);
        self.certificates.insert(id, Certificate { incarnation, down, accused: false, expires });
    }

    /// Whether a record of `id` is that of a zombie. If it lives after all, it comes back with a higher incarnation.
    pub(crate) fn refuses(&mut self, id: &I, incarnation: Incarnation, now: u64) -> bool {
        match self.certificates.get_mut(id) {
            Some(certificate) if incarnation <= certificate.incarnation => {
                certificate.expires = now.saturating_add(self.lifetime);
                true
            }
            _ => false,
        }
    }

    /// Testifies against a forgotten member that was down. True if that is new.
    pub(crate) fn accuse(&mut self, id: &I) -> bool {
        let certificate = self.certificates.get_mut(id).filter(|it| it.down && !it.accused);
        certificate.map(|it| it.accused = true).is_some()
    }

    /// It lives again, as a member. True if there was a testimony against it.
    pub(crate) fn release(&mut self, id: &I) -> bool {
        self.certificates.remove(id).is_some_and(|it| it.accused)
    }

    /// Drops the certificates that have expired. True if there was a testimony among them.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        let before = self.accused().count();
        self.certificates.retain(|_, it| it.expires > now);
        self.accused().count() < before
    }

    /// Those against whom this node testifies.
    pub(crate) fn accused(&self) -> impl Iterator<Item = (&I, Incarnation)> {
        let accused = self.certificates.iter().filter(|(_, it)| it.accused);
        accused.map(|(id, it)| (id, it.incarnation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000;

    #[test]
    fn an_old_record_is_refused_until_nobody_has_repeated_it_for_a_lifetime() {
        let mut guard = ZombieGuard::new(HOUR);
        guard.bury('x', Incarnation(3), true, HOUR);
        guard.expire(HOUR * 2 - 1);
        assert!(guard.refuses(&'x', Incarnation(3), HOUR * 3 / 2));
        guard.expire(HOUR * 2);
        assert!(guard.refuses(&'x', Incarnation(2), HOUR * 3 / 2), "renewed half an hour ago");
        guard.expire(HOUR * 5 / 2);
        assert!(!guard.refuses(&'x', Incarnation(3), HOUR * 5 / 2));
    }

    #[test]
    fn a_new_life_is_not_refused() {
        let mut guard = ZombieGuard::new(HOUR);
        guard.bury('x', Incarnation(3), true, HOUR);
        assert!(!guard.refuses(&'x', Incarnation(4), HOUR));
        assert!(!guard.refuses(&'y', Incarnation(0), HOUR));
        assert!(!guard.release(&'x'), "nobody testified");
        assert!(!guard.refuses(&'x', Incarnation(1), HOUR));
    }

    #[test]
    fn it_testifies_when_asked_to_and_only_against_those_that_were_down() {
        let mut guard = ZombieGuard::new(HOUR);
        guard.bury('x', Incarnation(3), true, HOUR);
        guard.bury('y', Incarnation(5), false, HOUR);
        assert_eq!(guard.accused().count(), 0);
        assert!(guard.accuse(&'x') && !guard.accuse(&'x') && !guard.accuse(&'y') && !guard.accuse(&'z'));
        assert!(guard.accused().eq([(&'x', Incarnation(3))]));
        assert!(!guard.expire(HOUR) && guard.expire(HOUR * 2));
        guard.bury('x', Incarnation(3), true, HOUR);
        guard.accuse(&'x');
        assert!(guard.release(&'x'));
    }
}
