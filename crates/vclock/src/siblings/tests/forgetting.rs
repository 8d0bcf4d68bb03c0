//! What is forgotten below a stable time stays forgotten, and nothing that was overwritten or deleted returns.

use super::histories::steps;
use super::oracle::{Step, World};
use super::*;

/// A stable value is overwritten. All replicas hold the value, so it is old knowledge; that it is gone is new.
#[test]
fn a_discard_stays_until_the_write_that_raised_it_is_stable() {
    let mut other = Siblings::new();
    other.put(&Context::new(), dot("a", 1), "old").unwrap();
    let mut record = other.clone();
    let stable = t(1);
    record.put(&other.context(), dot("b", 2), "new").unwrap();

    assert_eq!(record.forget(stable, |_, _| false), 0, "the discard is at the stable time, its writer is not");
    other.merge(&record);
    assert_eq!(alive(&other), ["new"]);

    let stable = t(2);
    for record in [&mut record, &mut other] {
        assert_eq!(record.forget(stable, |_, _| false), 1);
        assert_eq!(record.context().iter().collect::<Vec<_>>(), [(&"b", t(2))], "contexts get shorter with it");
    }
    assert_eq!(record, other);
}

/// Why a context has no such method: what it covers may be stable and alive.
#[test]
fn a_context_without_its_stable_entries_would_leave_the_value_standing() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("a", 1), "old").unwrap();
    let stable = t(1);
    let forgetful: Context<_> =
        record.context().iter().filter(|(_, time)| *time > stable).map(|(a, t)| (*a, t)).collect();
    let mut settled = record.clone();
    settled.put(&forgetful, dot("b", 2), "new").unwrap();
    assert_eq!(alive(&settled), ["old", "new"]);
    record.put(&record.context(), dot("b", 2), "new").unwrap();
    assert_eq!(alive(&record), ["new"]);
}

#[test]
fn a_deleted_key_leaves_nothing_once_the_delete_is_stable() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("a", 1), Some("value")).unwrap();
    record.put(&record.context(), dot("b", 2), None).unwrap();
    assert_eq!(record.forget(t(2), |_, value| value.is_none()), 2);
    assert_eq!(record, Siblings::new());
}

fn steps_that_forget() -> impl Strategy<Value = Step> {
    let n = || 0_usize..3;
    prop_oneof![
        12 => steps(),
        6 => (n(), n()).prop_map(|(one, other)| Step::Exchange { one, other }),
        3 => (0_u64..60).prop_map(|up_to| Step::Settle { up_to }),
        4 => n().prop_map(|replica| Step::ForgetStable { replica }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Replicas forget at different times, with whatever time is stable by then: each still shows exactly the writes it
    /// received that no received write had seen, but for tombstones at or below the stable time.
    #[test]
    fn what_is_stable_is_forgotten_without_harm(steps in prop::collection::vec(steps_that_forget(), 0..80)) {
        let mut world = World::new(3, 3);
        for step in steps {
            world.step(step);
            prop_assert_eq!(world.check_all(), Ok::<(), String>(()));
        }
        let states = world.replicas.clone();
        for place in 0..world.replicas.len() {
            states.iter().for_each(|state| world.replicas[place].absorb(state));
        }
        prop_assert_eq!(world.check_all(), Ok::<(), String>(()));
    }

    #[test]
    fn forgetting_drops_exactly_what_is_stable_and_absent(record in records(), stable in 0_u64..12) {
        // Even times play the tombstones.
        let absent = |dot: &Dot<u64>| dot.time <= t(stable) && dot.time.to_bits().is_multiple_of(2);
        let mut forgotten = record.clone();
        let count = forgotten.forget(t(stable), |dot, _| dot.time.to_bits().is_multiple_of(2));
        let dots: Vec<_> = record.values().map(|(dot, _)| dot).filter(|dot| !absent(dot)).collect();
        prop_assert_eq!(forgotten.values().map(|(dot, _)| dot).collect::<Vec<_>>(), dots);
        let is_settled = forgotten.values().all(|(dot, _)| dot.time <= t(stable));
        let discards: Vec<_> = record.discards().filter(|(_, time)| !is_settled || *time > t(stable)).collect();
        prop_assert_eq!(forgotten.discards().collect::<Vec<_>>(), discards);
        let size = |record: &Siblings<u64, Vec<u8>>| record.len() + record.discards().count();
        prop_assert_eq!(size(&record) - size(&forgotten), count);
        prop_assert!(forgotten.is_canonical());
    }
}

/// The check is able to fail: this is what forgetting did when it looked at the discard's own time alone.
#[test]
fn the_oracle_complains_when_a_discard_is_forgotten_too_early() {
    let history = |too_early: bool| {
        let mut world = World::new(2, 1);
        for step in [
            Step::Write { client: 0, replica: 0, gap: 0, tombstone: false },
            Step::Exchange { one: 0, other: 1 },
            Step::Settle { up_to: 1 },
            Step::Read { client: 0, replica: 0 },
            Step::Write { client: 0, replica: 0, gap: 0, tombstone: false },
            Step::ForgetStable { replica: 0 },
        ] {
            world.step(step);
        }
        assert_eq!(world.stable, 1);
        if too_early {
            assert_eq!(world.replicas[0].record.prune(0), 1);
        }
        world.step(Step::Exchange { one: 0, other: 1 });
        world.check_all()
    };
    assert_eq!(history(false), Ok(()));
    assert!(history(true).is_err());
}
