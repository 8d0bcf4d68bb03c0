use super::*;
use crate::contradiction::script::{PUT, Script, WRITTEN, put_until, written};
use crate::{Action, OpId, Outcome, Version};

fn verdict(script: &Script, order: Order) -> Vec<Reason<u8>> {
    lost_writes(&script.0, Moment(0), order).into_iter().map(|lost| lost.reason).collect()
}

fn lost(script: &Script, id: OpId) -> Vec<Reason<u8>> {
    vec![Reason::Lost(script.0.operations()[id.0].clone())]
}

fn resurrected(script: &Script, id: OpId) -> Vec<Reason<u8>> {
    vec![Reason::Resurrected(script.0.operations()[id.0].clone())]
}

#[test]
fn only_the_reads_of_the_calm_are_judged() {
    let mut script = Script::default();
    script.put(0, 10);
    script.read(20, 30, &[]);
    script.read(40, 50, &[]);
    let found = lost_writes(&script.0, Moment(40), Order::RealTime);
    assert_eq!(found.iter().map(|lost| lost.read.id).collect::<Vec<_>>(), [OpId(2)]);
}

#[test]
fn by_versions_a_later_write_may_lose_to_an_earlier_one_of_larger_version() {
    let mut script = Script::default();
    let earlier = script.write(PUT, 0, 10, written(2));
    let later = script.write(PUT, 20, 30, written(1));
    script.read(40, 50, &[earlier]);
    assert_eq!(verdict(&script, Order::Versions), []);
    assert_eq!(verdict(&script, Order::RealTime), lost(&script, later));
    let mut script = Script::default();
    let earlier = script.write(PUT, 0, 10, written(2));
    let later = script.write(PUT, 20, 30, written(1));
    script.read(40, 50, &[later]);
    assert_eq!(verdict(&script, Order::Versions), lost(&script, earlier));
    assert_eq!(verdict(&script, Order::RealTime), []);
}

#[test]
fn a_write_that_was_acknowledged_during_the_read_supersedes_nothing() {
    for order in [Order::RealTime, Order::Versions] {
        let mut script = Script::default();
        let old = script.write(PUT, 0, 10, written(1));
        script.write(PUT, 20, 30, written(2));
        script.read(30, 40, &[old]);
        assert_eq!(verdict(&script, order), [], "{order:?}");
    }
}

#[test]
fn a_value_older_than_an_acknowledged_delete_is_resurrected() {
    for order in [Order::RealTime, Order::Versions] {
        let mut script = Script::default();
        let put = script.write(PUT, 0, 10, written(1));
        let delete = script.write(Action::Delete, 20, 30, written(2));
        script.read(40, 50, &[put]);
        assert_eq!(verdict(&script, order), resurrected(&script, delete), "{order:?}");
    }
}

#[test]
fn by_versions_a_put_stays_if_its_delete_has_a_smaller_version() {
    let mut script = Script::default();
    let put = script.write(PUT, 0, 10, written(5));
    script.write(Action::Delete, 20, 30, written(4));
    script.read(40, 50, &[put]);
    assert_eq!(verdict(&script, Order::Versions), []);
    script.read(40, 50, &[]);
    assert_eq!(verdict(&script, Order::Versions), lost(&script, put));
}

#[test]
fn an_open_write_may_win_or_not_whatever_the_order() {
    for order in [Order::RealTime, Order::Versions] {
        for open in [Outcome::Pending, Outcome::Indeterminate] {
            let mut script = Script::default();
            let put = script.write(PUT, 20, 30, open.clone());
            let acknowledged = script.write(PUT, 40, 50, written(9));
            script.read(60, 70, &[put]);
            script.read(60, 70, &[acknowledged]);
            assert_eq!(verdict(&script, order), []);
            script.write(Action::Delete, 0, 10, open);
            script.read(60, 70, &[]);
            assert_eq!(verdict(&script, order), []);
        }
    }
}

#[test]
fn by_versions_an_expired_put_explains_absence_up_to_its_version() {
    let mut script = Script::default();
    script.write(PUT, 0, 10, written(1));
    script.write(put_until(50, 60), 0, 10, written(2));
    script.read(60, 70, &[]);
    assert_eq!(verdict(&script, Order::Versions), []);
    let newer = script.write(PUT, 0, 10, written(3));
    script.read(60, 70, &[]);
    assert_eq!(verdict(&script, Order::Versions), [lost(&script, newer), lost(&script, newer)].concat());
}

#[test]
fn a_pair_with_a_write_without_a_version_is_ordered_by_real_time() {
    let mut script = Script::default();
    let versioned = script.write(PUT, 0, 10, written(9));
    let later = script.write(PUT, 20, 30, WRITTEN);
    script.read(40, 50, &[later]);
    assert_eq!(verdict(&script, Order::Versions), []);
    script.read(40, 50, &[versioned]);
    assert_eq!(verdict(&script, Order::Versions), lost(&script, later));
    let mut script = Script::default();
    let delete = script.write(Action::Delete, 0, 10, WRITTEN);
    script.write(PUT, 5, 30, written(1));
    script.read(40, 50, &[]);
    assert_eq!(verdict(&script, Order::Versions), [], "the delete is concurrent with the put");
    let last = script.write(PUT, 32, 35, written(2));
    script.read(40, 50, &[]);
    assert_eq!(verdict(&script, Order::Versions), [lost(&script, last), lost(&script, last)].concat());
    assert!(delete < last);
}

#[test]
fn by_versions_an_open_write_counts_as_the_version_it_was_seen_as() {
    let mut script = Script::default();
    let open = script.write(PUT, 0, 10, Outcome::Indeterminate);
    let acknowledged = script.write(PUT, 20, 30, written(9));
    let newer = script.read(40, 50, &[open]);
    script.0.saw(newer, Version(10));
    assert_eq!(verdict(&script, Order::Versions), []);
    let older = script.read(40, 50, &[open]);
    script.0.saw(older, Version(8));
    assert_eq!(verdict(&script, Order::Versions), lost(&script, acknowledged));
    assert_eq!(verdict(&script, Order::RealTime), [], "the open write may have come after it");
    // Of a write that was minted twice, the first version may still be about.
    let before = script.read(40, 50, &[acknowledged]);
    script.0.saw(before, Version(3));
    assert_eq!(verdict(&script, Order::Versions), lost(&script, acknowledged));
}

#[test]
fn by_versions_an_open_write_may_come_after_those_whose_version_nobody_knows() {
    let mut script = Script::default();
    let open = script.write(PUT, 0, 10, Outcome::Indeterminate);
    script.write(PUT, 20, 30, WRITTEN);
    let read = script.read(40, 50, &[open]);
    script.0.saw(read, Version(1));
    assert_eq!(verdict(&script, Order::Versions), []);
}
