//! What pruning costs: an overwritten version may stand again; no write is ever lost.

use super::histories::steps;
use super::oracle::{Step, World};
use super::*;

/// The price, in the smallest story: a replica that forgot what it had overwritten gets it back from one that was away.
#[test]
fn a_pruned_record_shows_an_overwritten_version_again() {
    let mut away = Siblings::new();
    away.put(&Context::new(), dot("a", 1), "old").unwrap();
    let mut record = away.clone();
    record.put(&away.context(), dot("b", 2), "new").unwrap();
    assert_eq!(alive(&merged(&record, &away)), ["new"]);
    assert_eq!(record.prune(0), 1);
    assert_eq!(alive(&merged(&record, &away)), ["old", "new"]);
}

/// The same for contexts: the write replaces less than its writer had seen.
#[test]
fn a_pruned_context_leaves_an_overwritten_version_standing() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("a", 1), "old").unwrap();
    record.put(&Context::new(), dot("b", 2), "newer").unwrap();
    let mut context = record.context();
    assert_eq!(context.prune(1), 1);
    record.put(&context, dot("c", 3), "new").unwrap();
    assert_eq!(alive(&record), ["old", "new"]);
}

/// A discard that is pruned does not take the later dots of its actor with it, and a context made of those still covers
/// what was discarded: the record had absorbed it.
#[test]
fn a_discard_below_a_live_dot_of_its_actor_can_be_pruned() {
    let mut away = Siblings::new();
    away.put(&Context::new(), dot("a", 1), "old").unwrap();
    let mut record = away.clone();
    record.put(&away.context(), dot("a", 2), "new").unwrap();
    assert_eq!(record.prune(0), 1);
    assert_eq!(alive(&merged(&record, &away)), ["old", "new"], "it may return");
    let mut settled = away.clone();
    settled.put(&record.context(), dot("b", 3), "newest").unwrap();
    settled.merge(&record);
    settled.merge(&away);
    assert_eq!(alive(&settled), ["newest"], "and the next write with a context replaces it for good");
}

fn steps_that_prune() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => steps(),
        3 => (0_usize..3, 0_usize..3).prop_map(|(replica, keep)| Step::PruneRecord { replica, keep }),
        2 => (0_usize..3, 0_usize..3).prop_map(|(client, keep)| Step::PruneContext { client, keep }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever was pruned when: each replica shows every write it received that no other received write had seen, and
    /// nothing else but writes it received. So a write can go nowhere without one that saw it.
    #[test]
    fn pruning_loses_no_write(steps in prop::collection::vec(steps_that_prune(), 0..60)) {
        let mut world = World::new(3, 3);
        for step in steps {
            world.step(step);
            prop_assert_eq!(world.check_nothing_lost(), Ok::<(), String>(()));
        }
        // Nor does it when all that was ever sent arrives everywhere.
        let states: Vec<_> = world.replicas.iter().chain(&world.messages).cloned().collect();
        for place in 0..world.replicas.len() {
            states.iter().for_each(|state| world.replicas[place].absorb(state));
        }
        prop_assert_eq!(world.check_nothing_lost(), Ok::<(), String>(()));
        let records: Vec<_> = world.replicas.iter().map(|replica| &replica.record).collect();
        prop_assert!(records.iter().all(|record| *record == records[0]), "replicas that have exchanged all agree");
    }

    #[test]
    fn pruning_drops_the_oldest_discards_and_no_value(record in records(), keep in 0_usize..6) {
        let mut pruned = record.clone();
        let count = pruned.prune(keep);
        let mut discards: Vec<_> = record.discards().map(|(actor, time)| (time, *actor)).collect();
        discards.sort_unstable();
        let mut left: Vec<_> = discards.split_off(count).into_iter().map(|(time, actor)| (actor, time)).collect();
        left.sort_unstable();
        prop_assert_eq!(pruned.discards().map(|(actor, time)| (*actor, time)).collect::<Vec<_>>(), left);
        prop_assert_eq!(pruned.discards().count(), keep.min(record.discards().count()));
        prop_assert_eq!(alive(&pruned), alive(&record));
        prop_assert!(pruned.is_canonical());
    }
}

/// The check is able to fail: a context that covers more than its writer has seen loses a write.
#[test]
fn the_oracle_complains_when_a_context_covers_too_much() {
    let mut world = World::new(2, 2);
    world.step(Step::Write { client: 0, replica: 0, gap: 0, tombstone: false });
    world.clients[1].context = Context::from_iter([(0, t(1))]);
    world.step(Step::Write { client: 1, replica: 1, gap: 0, tombstone: false });
    let sender = world.replicas[1].clone();
    world.replicas[0].absorb(&sender);
    let error = world.check_nothing_lost().expect_err("the first write is gone");
    assert!(error.starts_with("alive are {1}, must be {0, 1}"), "{error}");
}

/// Thirty thousand tenures write one key; record and context stay within their bound and the last write survives.
#[test]
fn a_pruned_record_stays_bounded_under_ever_new_actors() {
    let mut record = Siblings::new();
    for write in 1_u64..30_000 {
        let mut context = record.context();
        context.prune(16);
        record.put(&context, Dot { actor: write * 7_919 % 30_011, time: t(write) }, write).unwrap();
        record.prune(16);
        assert!(record.discards().count() <= 16);
        assert_eq!(alive(&record), [write]);
    }
}
