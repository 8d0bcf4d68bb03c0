//! Owns the memory of forgotten members, so that an old record of one does not bring it back. Whom
//! to forget is `gossip/round.rs`.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::member::Incarnation;

/// A death certificate (Demers et al. 1987, section 2) for each forgotten member.
///
/// Members do not forget at the same moment, and one may never. Therefore a certificate is renewed
/// while somebody still spreads the old record, and who forgot a member that was down still
/// testifies against it: otherwise the first to forget would leave the others a witness short, and
/// the member `suspect` there for ever.
#[derive(Clone, Debug)]
pub(crate) struct ZombieGuard<I> {
    certificates: BTreeMap<I, Certificate>,
    /// How long a certificate lasts.
    lifetime: Duration,
}

#[derive(Clone, Debug)]
struct Certificate {
    incarnation: Incarnation,
    /// It was down. Otherwise it left, which its record says by itself.
    down: bool,
    expires: Duration,
}

impl<I: Ord> ZombieGuard<I> {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { certificates: BTreeMap::new(), lifetime }
    }

    /// From now on refuses `id` up to this incarnation.
    pub(crate) fn bury(&mut self, id: I, incarnation: Incarnation, down: bool, now: Duration) {
        let certificate = Certificate { incarnation, down, expires: now.saturating_add(self.lifetime) };
        self.certificates.insert(id, certificate);
    }

    /// Whether a record of `id` is that of a zombie. If it lives after all, it hears the testimony
    /// against it and comes back with a higher incarnation.
    pub(crate) fn refuses(&mut self, id: &I, incarnation: Incarnation, now: Duration) -> bool {
        match self.certificates.get_mut(id) {
            Some(certificate) if incarnation <= certificate.incarnation => {
                certificate.expires = now.saturating_add(self.lifetime);
                true
            }
            _ => false,
        }
    }

    /// It lives again, as a member.
    pub(crate) fn release(&mut self, id: &I) {
        self.certificates.remove(id);
    }

    /// Drops the certificates that have expired. True if there were any.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        let before = self.certificates.len();
        self.certificates.retain(|_, it| it.expires > now);
        self.certificates.len() < before
    }

    /// Those that were down when they were forgotten.
    pub(crate) fn down(&self) -> impl Iterator<Item = (&I, Incarnation)> {
        let down = self.certificates.iter().filter(|(_, it)| it.down);
        down.map(|(id, it)| (id, it.incarnation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_old_record_is_refused_until_nobody_has_repeated_it_for_a_lifetime() {
        let mut guard = ZombieGuard::new(HOUR);
        guard.bury('x', Incarnation(3), true, HOUR);
        assert!(!guard.expire(HOUR * 2 - Duration::from_nanos(1)));
        assert!(guard.refuses(&'x', Incarnation(3), HOUR * 3 / 2));
        assert!(!guard.expire(HOUR * 2), "renewed half an hour ago");
        assert!(guard.refuses(&'x', Incarnation(2), HOUR * 3 / 2));
        assert!(guard.expire(HOUR * 5 / 2));
        assert!(!guard.refuses(&'x', Incarnation(3), HOUR * 5 / 2));
    }

    #[test]
    fn a_new_life_is_not_refused() {
        let mut guard = ZombieGuard::new(HOUR);
        guard.bury('x', Incarnation(3), true, HOUR);
        assert!(!guard.refuses(&'x', Incarnation(4), HOUR));
        assert!(!guard.refuses(&'y', Incarnation(0), HOUR));
        guard.release(&'x');
        assert!(!guard.refuses(&'x', Incarnation(1), HOUR));
    }

    #[test]
    fn only_those_that_were_down_are_testified_against() {
        let mut guard = ZombieGuard::new(HOUR);
        guard.bury('x', Incarnation(3), true, HOUR);
        guard.bury('y', Incarnation(5), false, HOUR);
        assert!(guard.down().eq([(&'x', Incarnation(3))]));
    }
}
