use super::*;
use crate::contradiction::script::{PUT, Script, WRITTEN, put_until};
use crate::{Action, Moment, OpId, Outcome};

fn verdict(script: &Script) -> Vec<Reason<u8>> {
    stale_reads(&script.0, |_| true).into_iter().map(|stale| stale.reason).collect()
}

fn lost(script: &Script, id: OpId) -> Vec<Reason<u8>> {
    vec![Reason::Lost(script.0.operations()[id.0].clone())]
}

const EXPIRED: [Reason<u8>; 1] = [Reason::Impossible(Impossible::Expired)];

#[test]
fn the_last_acknowledged_write_may_be_read_and_no_earlier_one() {
    let mut script = Script::default();
    let (old, new) = (script.put(0, 10), script.put(20, 30));
    script.read(40, 50, &[new]);
    assert_eq!(verdict(&script), []);
    script.read(40, 50, &[old]);
    assert_eq!(verdict(&script), lost(&script, new));
}

#[test]
fn absence_after_an_acknowledged_put_is_a_loss() {
    let mut script = Script::default();
    script.read(0, 5, &[]);
    let put = script.put(10, 20);
    script.read(15, 25, &[]);
    assert_eq!(verdict(&script), [], "before it, and concurrently with it, nothing may be there");
    script.read(21, 25, &[]);
    assert_eq!(verdict(&script), lost(&script, put));
}

#[test]
fn absence_may_come_from_a_delete_that_is_not_superseded() {
    let mut script = Script::default();
    script.put(0, 10);
    script.write(Action::Delete, 20, 30, WRITTEN);
    script.read(40, 50, &[]);
    assert_eq!(verdict(&script), []);
    let again = script.put(60, 70);
    script.read(80, 90, &[]);
    assert_eq!(verdict(&script), lost(&script, again));
}

#[test]
fn a_put_lost_to_an_acknowledged_delete_must_stay_away() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    let delete = script.write(Action::Delete, 20, 30, WRITTEN);
    script.read(40, 50, &[put]);
    assert_eq!(verdict(&script), [Reason::Resurrected(script.0.operations()[delete.0].clone())]);
}

#[test]
fn an_open_write_may_win_over_everything_at_any_later_time() {
    for outcome in [Outcome::Indeterminate, Outcome::Pending] {
        for action in [PUT, Action::Delete] {
            let mut script = Script::default();
            let open = script.write(action, 0, 10, outcome.clone());
            script.put(20, 30);
            let seen = if action == PUT { vec![open] } else { vec![] };
            script.read(40, 50, &seen);
            assert_eq!(verdict(&script), [], "{action:?} {outcome:?}");
        }
    }
}

#[test]
fn a_later_read_need_not_see_the_open_write_that_an_earlier_one_saw() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    let open = script.write(PUT, 20, 30, Outcome::Indeterminate);
    script.read(40, 50, &[open]);
    script.read(60, 70, &[put]);
    assert_eq!(verdict(&script), []);
}

#[test]
fn concurrent_writes_may_win_in_either_order() {
    let mut script = Script::default();
    let (a, b) = (script.put(0, 20), script.put(10, 30));
    script.read(40, 50, &[a]);
    script.read(40, 50, &[b]);
    assert_eq!(verdict(&script), []);
}

#[test]
fn the_superseding_write_is_found_behind_one_that_ended_later_but_began_earlier() {
    let mut script = Script::default();
    let old = script.put(0, 10);
    let new = script.put(20, 30);
    script.put(5, 40);
    script.read(50, 60, &[old]);
    assert_eq!(verdict(&script), lost(&script, new));
}

#[test]
fn touching_intervals_count_as_concurrent() {
    let mut script = Script::default();
    let old = script.put(0, 10);
    script.put(10, 20);
    script.read(30, 40, &[old]);
    assert_eq!(verdict(&script), [], "one began as the other ended");
    let mut script = Script::default();
    let old = script.put(0, 10);
    script.put(11, 20);
    script.read(20, 30, &[old]);
    assert_eq!(verdict(&script), [], "the read began as the write ended");
}

#[test]
fn values_from_the_future_from_nowhere_and_of_rejected_writes_are_found() {
    let mut script = Script::default();
    let rejected = script.write(PUT, 0, 1, Outcome::Rejected);
    script.read(10, 20, &[rejected]);
    script.write(Action::Get, 10, 20, Outcome::ReadUnknown);
    let later = script.put(30, 40);
    script.read(10, 20, &[later]);
    script.read(50, 60, &[OpId(99)]);
    let impossible = [Impossible::Rejected, Impossible::Unknown, Impossible::NotWrittenYet, Impossible::Unknown];
    assert_eq!(verdict(&script), impossible.map(Reason::Impossible));
}

#[test]
fn a_rejected_delete_explains_no_absence() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    script.write(Action::Delete, 20, 30, Outcome::Rejected);
    script.read(40, 50, &[]);
    assert_eq!(verdict(&script), lost(&script, put));
}

#[test]
fn failed_reads_other_keys_and_reads_not_to_be_judged_say_nothing() {
    let mut script = Script::default();
    script.put(0, 10);
    script.write(Action::Get, 20, 30, Outcome::Failed);
    script.add((0, 8), Action::Get, None, (20, 30), Outcome::Read(vec![]));
    assert_eq!(verdict(&script), []);
    script.read(20, 30, &[]);
    assert_eq!(stale_reads(&script.0, |read| read.invoked != Moment(20)), []);
    assert_eq!(verdict(&script).len(), 1);
}

#[test]
fn a_value_of_another_key_is_found() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    script.add((0, 8), Action::Get, None, (20, 30), Outcome::Read(vec![put]));
    assert_eq!(verdict(&script), [Reason::Impossible(Impossible::NotWrittenYet)]);
}

#[test]
fn a_put_may_be_read_until_it_has_certainly_expired() {
    let mut script = Script::default();
    let put = script.write(put_until(50, 60), 0, 10, WRITTEN);
    script.read(60, 70, &[put]);
    assert_eq!(verdict(&script), []);
    script.read(61, 70, &[put]);
    assert_eq!(verdict(&script), EXPIRED);
}

#[test]
fn an_open_put_expires_too() {
    let mut script = Script::default();
    let put = script.write(put_until(50, 60), 0, 10, Outcome::Indeterminate);
    script.read(61, 70, &[put]);
    assert_eq!(verdict(&script), EXPIRED);
}

#[test]
fn a_put_explains_an_absent_key_once_it_may_have_expired() {
    let mut script = Script::default();
    let put = script.write(put_until(50, 60), 0, 10, WRITTEN);
    script.read(40, 50, &[]);
    assert_eq!(verdict(&script), [], "the read ended when it may have expired");
    script.read(40, 49, &[]);
    assert_eq!(verdict(&script), lost(&script, put));
}

#[test]
fn an_expired_put_that_was_superseded_explains_no_absence() {
    let mut script = Script::default();
    script.write(put_until(50, 60), 0, 10, WRITTEN);
    let put = script.put(20, 30);
    script.read(70, 80, &[]);
    assert_eq!(verdict(&script), lost(&script, put));
}

#[test]
fn the_values_of_a_read_of_siblings_are_judged_without_supersession() {
    let mut script = Script::default();
    let (old, new) = (script.put(0, 10), script.put(20, 30));
    script.read(40, 50, &[old, new]);
    assert_eq!(verdict(&script), []);
    let rejected = script.write(PUT, 20, 30, Outcome::Rejected);
    let expired = script.write(put_until(35, 36), 20, 30, WRITTEN);
    script.read(40, 50, &[rejected, old, expired]);
    assert_eq!(verdict(&script), [Impossible::Rejected, Impossible::Expired].map(Reason::Impossible));
}

#[test]
fn a_finding_prints_the_operations_that_show_it() {
    let mut script = Script::default();
    let (old, new) = (script.put(0, 10), script.put(20, 30));
    let read = script.read(40, 50, &[old]);
    let found = stale_reads(&script.0, |_| true);
    assert_eq!(found[0].witnesses(), [read, old, new]);
    assert_eq!(
        found[0].to_string(),
        "the read      #2 get 7 by 0 from 40 to 50: read #0\n  returned    #0 put 7 by 0 from 0 to 10: written\n  \
         and lost    #1 put 7 by 0 from 20 to 30: written"
    );
}

/// N replicas, each with the number of the last write that it took; a write goes to W of them and a read asks R.
#[test]
fn quorums_that_overlap_read_nothing_stale_and_others_do() {
    use crate::contradiction::script::Random;
    for n in 1..=5 {
        for w in 1..=n {
            for r in 1..=n {
                let mut random = Random(7);
                let mut draw = |count: usize| {
                    let mut replicas: Vec<_> = (0..n).collect();
                    (0..n - count).for_each(|_| _ = replicas.remove(random.index(replicas.len())));
                    replicas
                };
                let (mut script, mut replicas) = (Script::default(), vec![None; n]);
                for at in 0..200 {
                    let put = script.put(10 * at, 10 * at + 1);
                    draw(w).into_iter().for_each(|replica| replicas[replica] = Some(put));
                    let seen = draw(r).into_iter().filter_map(|replica| replicas[replica]).max();
                    script.read(10 * at + 2, 10 * at + 3, &Vec::from_iter(seen));
                }
                assert_eq!(stale_reads(&script.0, |_| true).is_empty(), r + w > n, "N {n}, R {r}, W {w}");
            }
        }
    }
}
