//! Writes over random sets that overlap, with time passing, step by step judged by the oracle.

use super::judge::{Hour, judge, judge_start, stand_ins};
use super::*;
use crate::oracle::Step;
use proptest::prelude::*;

/// What the clock says to this write.
fn hour(now: Duration, reached_at: Option<Duration>) -> Hour {
    let over = reached_at.map_or(DEADLINE, |at| (at + SETTLE).min(DEADLINE));
    if now >= over {
        Hour::Over
    } else if now >= COVER {
        Hour::Covering
    } else {
        Hour::Early
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_at_any_time_is_judged_right(
        sets in oracle::any_sets(6, 3),
        down in oracle::some_of(6, 0..=4),
        stand_ins_left in 0usize..=3,
        punctual in any::<bool>(),
        events in proptest::collection::vec((0u64..12, oracle::any_input(6)), 0..=24),
    ) {
        let case = Case { sets: &sets, n: 6, down: &down, stand_ins: stand_ins_left };
        let (mut write, effects) = start(&case);
        judge_start(&case, &effects);
        let mut history: Vec<Step> = vec![(None, effects)];
        let (mut now, mut reached_at) = (START, None);
        for (wait, input) in events {
            let next = now + Duration::from_millis(wait);
            // A punctual caller looks at its timers, the other one only at its mail.
            while let Some(due) = write.next_timeout().filter(|&due| punctual && due <= next) {
                now = now.max(due);
                let mut effects = Vec::new();
                write.handle_timeout(now, &mut effects);
                judge(&case, &history, None, hour(now, reached_at), &effects);
                prop_assert!(!effects.is_empty(), "woken for nothing at {now:?} after {history:?}");
                history.push((None, effects));
            }
            now = next;
            let mut effects = Vec::new();
            write.handle(now, input, &mut effects);
            judge(&case, &history, Some(input), hour(now, reached_at), &effects);
            if effects.contains(&Effect::Done(Outcome::Reached)) {
                reached_at = Some(now);
                prop_assert_eq!(write.is_sloppy(), !write.requirement().is_met(write.answered()));
            }
            history.push((Some(input), effects));
        }
        let all: Vec<Effect> = history.into_iter().flat_map(|(_, effects)| effects).collect();
        prop_assert!(stand_ins(&all).len() <= stand_ins_left);
        prop_assert_eq!(all.iter().filter(|effect| matches!(effect, Effect::Done(_))).count(), usize::from(write.outcome().is_some()));
    }

    #[test]
    fn a_write_that_is_waited_for_settles_by_its_deadline(
        sets in oracle::any_sets(6, 3),
        down in oracle::some_of(6, 0..=4),
        stand_ins in 0usize..=3,
        inputs in proptest::collection::vec(oracle::any_input(6), 0..=8),
    ) {
        let (mut write, mut effects) = start(&Case { sets: &sets, n: 6, down: &down, stand_ins });
        for input in inputs {
            write.handle(EARLY, input, &mut effects);
        }
        let mut woken = 0;
        while let Some(due) = write.next_timeout() {
            prop_assert!(due <= DEADLINE && woken < 4);
            write.handle_timeout(due, &mut effects);
            woken += 1;
        }
        prop_assert!(write.is_settled());
    }
}
