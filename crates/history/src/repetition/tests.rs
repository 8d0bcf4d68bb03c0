//! Values that come back and values that may, and the rule written out beside the checker.

use super::*;
use crate::contradiction::script::{PUT, Random, Script, WRITTEN};
use crate::{Action, Outcome};

fn found(script: &Script, keeps: Keeps) -> Vec<[OpId; 2]> {
    repetitions(&script.0, keeps, |_| true).iter().map(|found| [found.write.id, found.again.id]).collect()
}

/// A write, seen; a later one, seen; and the first again: at the moments from which the reads go.
fn comes_back(between: (u64, u64), again: (u64, u64)) -> (Script, OpId, OpId) {
    let mut script = Script::default();
    let v = script.put(0, 10);
    script.read(20, 30, &[v]);
    let w = script.put(40, 50);
    script.read(between.0, between.1, &[w]);
    let again = script.read(again.0, again.1, &[v]);
    (script, v, again)
}

#[test]
fn a_value_that_comes_back_after_another_was_read_has_taken_effect_twice() {
    let (script, v, again) = comes_back((60, 70), (80, 90));
    assert_eq!(found(&script, Keeps::One), [[v, again]]);
    assert_eq!(found(&script, Keeps::Siblings), [] as [[OpId; 2]; 0], "the second write knew nothing of the first");
    let text = repetitions(&script.0, Keeps::One, |_| true)[0].to_string();
    assert!(text.contains("came back") && text.lines().count() == 5, "{text}");
}

#[test]
fn reads_that_touch_are_concurrent_and_show_nothing() {
    for (between, again) in [((60, 70), (70, 90)), ((60, 70), (65, 90)), ((30, 70), (80, 90))] {
        let (script, ..) = comes_back(between, again);
        assert_eq!(found(&script, Keeps::One), [] as [[OpId; 2]; 0], "{between:?} {again:?}");
    }
}

#[test]
fn a_write_that_began_before_the_first_read_had_ended_may_be_the_older_one() {
    let mut script = Script::default();
    let (v, w) = (script.put(0, 100), script.put(30, 100));
    script.read(20, 30, &[v]);
    script.read(60, 70, &[w]);
    script.read(80, 90, &[v]);
    assert_eq!(found(&script, Keeps::One), [] as [[OpId; 2]; 0]);
}

#[test]
fn of_several_reads_the_best_ones_are_taken_and_each_write_is_told_once() {
    let mut script = Script::default();
    let v = script.put(0, 10);
    script.read(10, 90, &[v]);
    script.read(20, 30, &[v]);
    let w = script.put(40, 200);
    script.read(41, 190, &[w]);
    script.read(50, 60, &[w]);
    let (again, _) = (script.read(61, 70, &[v]), script.read(80, 85, &[v]));
    assert_eq!(found(&script, Keeps::One), [[v, again]]);
    let none = repetitions(&script.0, Keeps::One, |read| read.id != again);
    assert_eq!(none.len(), 1, "the read after it shows it as well");
}

#[test]
fn where_siblings_are_kept_what_a_context_replaced_must_not_come_back() {
    for replaces in [true, false] {
        let mut script = Script::default();
        let v = script.put(0, 10);
        let read = script.read(20, 30, &[v]);
        let context = replaces.then_some(read);
        // Nobody knows whether it was carried out, until it is seen.
        let w = script.add((1, 7), PUT, context, (40, 50), Outcome::Indeterminate);
        let siblings = [w, v];
        script.read(60, 70, &siblings[..if replaces { 1 } else { 2 }]);
        let again = script.read(80, 90, &[v]);
        let expected = if replaces { vec![[v, again]] } else { Vec::new() };
        assert_eq!(found(&script, Keeps::Siblings), expected);
    }
}

/// The rule, word for word.
fn plainly(script: &Script, keeps: Keeps) -> Vec<OpId> {
    let operations = script.0.operations();
    let reads = || operations.iter().filter(|read| read.action == Action::Get);
    let returned = |read: &Operation<u8>, id| matches!(&read.outcome, Outcome::Read(seen) if seen.contains(&id));
    let ended = |a: &Operation<u8>, b: &Operation<u8>| a.completed.is_some_and(|completed| completed < b.invoked);
    let twice = |v: &&Operation<u8>| {
        let replaces = |first: &Operation<u8>, w: &Operation<u8>| match keeps {
            Keeps::One => ended(first, w),
            Keeps::Siblings => w.context == Some(first.id),
        };
        reads().filter(|first| returned(first, v.id)).any(|first| {
            let by = operations.iter().filter(|w| w.is_write() && w.id != v.id && replaces(first, w));
            let mut shown = by.flat_map(|w| reads().filter(|read| returned(read, w.id)));
            shown.any(|between| {
                let later = keeps == Keeps::Siblings || ended(first, between);
                later && reads().any(|again| returned(again, v.id) && ended(between, again))
            })
        })
    };
    operations.iter().filter(|v| v.is_write()).filter(twice).map(|v| v.id).collect()
}

#[test]
fn drawn_histories_are_judged_as_the_rule_says() {
    let mut counts = [0; 2];
    for seed in 0..3000 {
        let mut random = Random(seed);
        let mut script = Script::default();
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for at in 0..12 {
            let from = 10 * at + random.below(10);
            let span = (from, from + 1 + random.below(25));
            if writes.is_empty() || random.chance(35) {
                let context = (!reads.is_empty() && random.chance(50)).then(|| reads[random.index(reads.len())]);
                writes.push(script.add((0, 7), PUT, context, span, WRITTEN));
            } else {
                let seen = writes[random.index(writes.len())];
                reads.push(script.read(span.0, span.1, &[seen]));
            }
        }
        for (keeps, count) in [Keeps::One, Keeps::Siblings].into_iter().zip(&mut counts) {
            let mut judged: Vec<OpId> = found(&script, keeps).iter().map(|found| found[0]).collect();
            judged.sort_unstable();
            assert_eq!(judged, plainly(&script, keeps), "seed {seed}, {keeps:?}");
            *count += judged.len();
        }
    }
    assert!(counts[0] > 300 && counts[1] > 100, "{counts:?}");
}
