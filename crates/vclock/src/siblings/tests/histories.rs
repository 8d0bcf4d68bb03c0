//! Random histories, held against the oracle.

use super::oracle::{Step, World};
use super::*;

/// The same story, told to the oracle: the check over histories must be able to fail.
#[test]
fn the_oracle_complains_when_the_prefix_rule_is_broken() {
    let history = |fresh| {
        let mut world = World::new(2, 2);
        let blind = |replica| Step::Write { client: 0, replica, gap: 0, tombstone: false };
        for step in [
            blind(0),
            Step::Send { replica: 0 },
            blind(0),
            Step::Send { replica: 0 },
            Step::Restart { message: 0, replica: 0, fresh },
            blind(0),
            Step::Read { client: 1, replica: 0 },
            Step::Write { client: 1, replica: 0, gap: 0, tombstone: false },
            Step::Deliver { message: 1, replica: 0 },
        ] {
            world.step(step);
        }
        world.check_all()
    };
    assert_eq!(history(true), Ok(()));
    assert!(history(false).is_err());
}

/// What replicas and clients can do without forgetting anything: reads, writes, messages that are late, lost or doubled, and
/// restarts.
pub(super) fn steps() -> impl Strategy<Value = Step> {
    let n = || 0_usize..3;
    let m = || 0_usize..64;
    prop_oneof![
        4 => (n(), n()).prop_map(|(client, replica)| Step::Read { client, replica }),
        6 => (n(), n(), 0_u64..3, any::<bool>())
            .prop_map(|(client, replica, gap, tombstone)| Step::Write { client, replica, gap, tombstone }),
        1 => n().prop_map(|client| Step::Forget { client }),
        4 => n().prop_map(|replica| Step::Send { replica }),
        6 => (m(), n()).prop_map(|(message, replica)| Step::Deliver { message, replica }),
        1 => (m(), n()).prop_map(|(message, replica)| Step::Restart { message, replica, fresh: true }),
    ]
}

proptest! {
    #[test]
    fn alive_are_exactly_the_maximal_writes_in_random_histories(
        steps in prop::collection::vec(steps(), 0..60),
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut world = World::new(3, 3);
        for step in steps {
            world.step(step);
            prop_assert_eq!(world.check_all(), Ok::<(), String>(()));
        }
        // Everything that was ever sent, merged in any order, is one and the same record.
        let states: Vec<_> = world.replicas.iter().chain(&world.messages).cloned().collect();
        let mut forward = states[0].clone();
        states.iter().for_each(|state| forward.absorb(state));
        let mut shuffled = states[order[0] % states.len()].clone();
        for place in order.iter().filter(|place| **place < states.len()) {
            shuffled.absorb(&states[*place]);
        }
        for state in states.iter().skip(order.len()) {
            shuffled.absorb(state);
        }
        prop_assert_eq!(world.check(&forward), Ok::<(), String>(()));
        prop_assert_eq!(forward.record, shuffled.record);
    }
}
