//! Reads over random sets that overlap, with time passing, step by step judged by the oracle.

use super::judge::{Call, judge, sends, stand_ins};
use super::*;
use crate::oracle::Step;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_a_read_is_judged_right(
        sets in oracle::any_sets(6, 3),
        down in oracle::some_of(6, 0..=6),
        stand_ins_left in 0usize..=3,
        events in proptest::collection::vec(proptest::option::weighted(0.75, oracle::any_input(6)), 0..=24),
    ) {
        let case = Case { sets: &sets, n: 6, down: &down, stand_ins: stand_ins_left };
        let (mut read, effects) = start(&case, Some(EACH));
        judge(&case, &[], &Call::Heard(None), &effects);
        let mut history: Vec<Step> = vec![(None, effects)];
        let (mut now, mut awaited): (_, Vec<usize>) = (START, read.asked().iter().collect());
        for event in events {
            let mut effects = Vec::new();
            if let Some(input) = event {
                read.handle(now, input, &mut effects);
                judge(&case, &history, &Call::Heard(Some(input)), &effects);
            } else {
                let Some(due) = read.next_timeout() else { break };
                now = now.max(due);
                read.handle_timeout(now, &mut HedgeBudget::new(0, 0), &mut effects);
                let call = if due == DEADLINE { Call::Over } else { Call::Late(awaited) };
                judge(&case, &history, &call, &effects);
                awaited = read.asked().iter().collect();
            }
            history.push((event, effects));
        }
        let all: Vec<Effect> = history.into_iter().flat_map(|(_, effects)| effects).collect();
        prop_assert_eq!(set(&sends(&all)), read.asked());
        prop_assert_eq!(read.asked().len(), sends(&all).len());
        prop_assert!(stand_ins(&all).len() <= stand_ins_left);
        let ends = all.iter().filter(|effect| matches!(effect, Effect::Done(_))).count();
        prop_assert_eq!(ends, usize::from(read.outcome().is_some()));
        prop_assert!(ends == 0 || matches!(all.last(), Some(Effect::Done(_))));
    }

    #[test]
    fn a_read_that_is_waited_for_ends_by_its_deadline_and_hedges_early_at_most_once(
        sets in oracle::any_sets(6, 3),
        down in oracle::some_of(6, 0..=4),
        stand_ins in 0usize..=3,
        (early, late) in (0u64..60, 1u64..60),
        errors in proptest::collection::vec(0usize..6, 0..=3),
    ) {
        let case = Case { sets: &sets, n: 6, down: &down, stand_ins };
        let hedge = Hedge { early: Duration::from_millis(early), late: Duration::from_millis(late) };
        let (mut read, mut effects) = start(&case, Some(hedge));
        for replica in errors {
            read.handle(START, Input::Error { replica }, &mut effects);
        }
        // As many hedges as the budget allows: at most one of them is paid for.
        let (mut budget, mut woken) = (HedgeBudget::new(0, 9), 0);
        while let Some(due) = read.next_timeout() {
            prop_assert!(due <= DEADLINE && woken < 40);
            read.handle_timeout(due, &mut budget, &mut effects);
            woken += 1;
        }
        let left = core::iter::from_fn(|| budget.take().then_some(())).count();
        prop_assert!(left >= 8);
        prop_assert!(read.outcome().is_some());
        prop_assert!(read.hedged().difference(read.asked()).is_empty());
    }
}
