//! Owns a node's doubt about itself: the local health score of Lifeguard (Dadgar et al. 2018, section IV.A).

/// Beyond this a node is not trusted less.
const MAX_SCORE: u32 = 8;
/// Messages that go unanswered say no more than this: those that should answer may be dead.
const MAX_BY_SILENCE: u32 = 2;
/// So many exchanges must have been opened for their answers to mean anything.
const ENOUGH: u32 = 4;

/// How far a node may trust its own impressions. All its waits are multiplied by [`Health::factor`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    score: u32,
    /// Exchanges opened with live members since the last round, and answers since then.
    opened: u32,
    answered: u32,
}

impl Health {
    pub(crate) fn factor(&self) -> u64 {
        u64::from(self.score) + 1
    }

    pub(crate) fn opened(&mut self) {
        self.opened = self.opened.saturating_add(1);
    }

    pub(crate) fn answered(&mut self) {
        self.answered = self.answered.saturating_add(1);
    }

    /// This node is suspected, and lives.
    pub(crate) fn accused(&mut self) {
        self.score = (self.score + 1).min(MAX_SCORE);
    }

    /// A round begins, so many whole intervals after it should have.
    pub(crate) fn round(&mut self, late: u64) {
        let deaf = self.opened >= ENOUGH && self.answered < self.opened / 4;
        if late > 0 {
            self.score = (self.score + late.min(3) as u32).min(MAX_SCORE);
        } else if deaf {
            self.score = self.score.max((self.score + 1).min(MAX_BY_SILENCE));
        } else {
            self.score = self.score.saturating_sub(1);
        }
        (self.opened, self.answered) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_rounds_and_accusations_cost_trust_and_good_rounds_restore_it() {
        let mut health = Health::default();
        assert_eq!(health.factor(), 1);
        health.round(1);
        health.round(100);
        assert_eq!(health.factor(), 5, "one pause counts for at most three");
        (0..20).for_each(|_| health.accused());
        assert_eq!(health.factor(), 9);
        (0..3).for_each(|_| health.round(0));
        assert_eq!(health.factor(), 6);
        (0..30).for_each(|_| health.round(0));
        assert_eq!(health.factor(), 1);
    }

    #[test]
    fn only_a_silence_of_nearly_all_counts_and_not_for_much() {
        let mut health = Health::default();
        let mut round = |opened, answered| {
            (0..opened).for_each(|_| health.opened());
            (0..answered).for_each(|_| health.answered());
            health.round(0);
            health.factor()
        };
        assert_eq!(round(3, 0), 1, "too few to tell");
        assert_eq!(round(8, 2), 1);
        assert_eq!(round(8, 1), 2);
        assert_eq!(round(8, 0), 3);
        assert_eq!(round(8, 0), 3);
        assert_eq!(round(8, 8), 2);
    }
}
