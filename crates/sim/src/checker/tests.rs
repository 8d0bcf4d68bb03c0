use super::*;
use crate::history::OpId;

/// Writes histories down: times in milliseconds.
#[derive(Default)]
struct Script(History);

impl Script {
    fn write(&mut self, action: Action, from: u64, to: u64, outcome: Outcome) -> OpId {
        let id = self.0.begin(0, 0, 7, action, Duration::from_millis(from));
        if outcome != Outcome::Pending {
            self.0.end(id, outcome, Duration::from_millis(to));
        }
        id
    }

    fn put(&mut self, from: u64, to: u64) -> OpId {
        self.write(Action::Put, from, to, Outcome::Written)
    }

    fn read(&mut self, from: u64, to: u64, outcome: Outcome) {
        self.write(Action::Get, from, to, outcome);
    }

    fn verdict(&self) -> Vec<Reason> {
        durability(&self.0).into_iter().map(|lost| lost.reason).collect()
    }
}

fn superseded_by(script: &Script, id: OpId) -> Vec<Reason> {
    vec![Reason::Superseded(script.0.operations()[id.0])]
}

#[test]
fn the_last_acknowledged_write_may_be_read_and_no_earlier_one() {
    let mut script = Script::default();
    let (old, new) = (script.put(0, 10), script.put(20, 30));
    script.read(40, 50, Outcome::Read(Some(new)));
    assert_eq!(script.verdict(), []);
    script.read(40, 50, Outcome::Read(Some(old)));
    assert_eq!(script.verdict(), superseded_by(&script, new));
}

#[test]
fn absence_after_an_acknowledged_put_is_a_loss() {
    let mut script = Script::default();
    script.read(0, 5, Outcome::Read(None));
    let put = script.put(10, 20);
    script.read(15, 25, Outcome::Read(None));
    assert_eq!(script.verdict(), [], "before it, and concurrently with it, nothing may be there");
    script.read(21, 25, Outcome::Read(None));
    assert_eq!(script.verdict(), superseded_by(&script, put));
}

#[test]
fn absence_may_come_from_a_delete_that_is_not_superseded() {
    let mut script = Script::default();
    script.put(0, 10);
    script.write(Action::Delete, 20, 30, Outcome::Written);
    script.read(40, 50, Outcome::Read(None));
    assert_eq!(script.verdict(), []);
    let again = script.put(60, 70);
    script.read(80, 90, Outcome::Read(None));
    assert_eq!(script.verdict(), superseded_by(&script, again));
}

#[test]
fn a_put_lost_to_an_acknowledged_delete_must_stay_away() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    let delete = script.write(Action::Delete, 20, 30, Outcome::Written);
    script.read(40, 50, Outcome::Read(Some(put)));
    assert_eq!(script.verdict(), superseded_by(&script, delete));
}

#[test]
fn an_open_write_may_win_over_everything_at_any_later_time() {
    for outcome in [Outcome::Indeterminate, Outcome::Pending] {
        for action in [Action::Put, Action::Delete] {
            let mut script = Script::default();
            let open = script.write(action, 0, 10, outcome);
            script.put(20, 30);
            script.read(40, 50, Outcome::Read((action == Action::Put).then_some(open)));
            assert_eq!(script.verdict(), [], "{action:?} {outcome:?}");
        }
    }
}

#[test]
fn a_later_read_need_not_see_the_open_write_that_an_earlier_one_saw() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    let open = script.write(Action::Put, 20, 30, Outcome::Indeterminate);
    script.read(40, 50, Outcome::Read(Some(open)));
    script.read(60, 70, Outcome::Read(Some(put)));
    assert_eq!(script.verdict(), []);
}

#[test]
fn concurrent_writes_may_win_in_either_order() {
    let mut script = Script::default();
    let (a, b) = (script.put(0, 20), script.put(10, 30));
    script.read(40, 50, Outcome::Read(Some(a)));
    script.read(40, 50, Outcome::Read(Some(b)));
    assert_eq!(script.verdict(), []);
}

#[test]
fn the_superseding_write_is_found_behind_one_that_ended_later_but_began_earlier() {
    let mut script = Script::default();
    let old = script.put(0, 10);
    let new = script.put(20, 30);
    script.put(5, 40);
    script.read(50, 60, Outcome::Read(Some(old)));
    assert_eq!(script.verdict(), superseded_by(&script, new));
}

#[test]
fn touching_intervals_count_as_concurrent() {
    let mut script = Script::default();
    let old = script.put(0, 10);
    script.put(10, 20);
    script.read(30, 40, Outcome::Read(Some(old)));
    assert_eq!(script.verdict(), [], "one began as the other ended");
    let mut script = Script::default();
    let old = script.put(0, 10);
    script.put(11, 20);
    script.read(20, 30, Outcome::Read(Some(old)));
    assert_eq!(script.verdict(), [], "the read began as the write ended");
}

#[test]
fn values_from_the_future_from_nowhere_and_of_rejected_writes_are_found() {
    let mut script = Script::default();
    let rejected = script.write(Action::Put, 0, 1, Outcome::Rejected);
    script.read(10, 20, Outcome::Read(Some(rejected)));
    script.read(10, 20, Outcome::ReadUnknown);
    let later = script.put(30, 40);
    script.read(10, 20, Outcome::Read(Some(later)));
    assert_eq!(script.verdict(), [Reason::Rejected, Reason::Unknown, Reason::NotWrittenYet]);
}

#[test]
fn a_rejected_delete_explains_no_absence() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    script.write(Action::Delete, 20, 30, Outcome::Rejected);
    script.read(40, 50, Outcome::Read(None));
    assert_eq!(script.verdict(), superseded_by(&script, put));
}

#[test]
fn failed_reads_and_other_keys_say_nothing() {
    let mut script = Script::default();
    script.put(0, 10);
    script.read(20, 30, Outcome::Failed);
    let other = script.0.begin(0, 0, 8, Action::Get, Duration::from_millis(20));
    script.0.end(other, Outcome::Read(None), Duration::from_millis(30));
    assert_eq!(script.verdict(), []);
}

#[test]
fn a_value_of_another_key_is_found() {
    let mut script = Script::default();
    let put = script.put(0, 10);
    let other = script.0.begin(0, 0, 8, Action::Get, Duration::from_millis(20));
    script.0.end(other, Outcome::Read(Some(put)), Duration::from_millis(30));
    assert_eq!(script.verdict(), [Reason::NotWrittenYet]);
}

/// The rule word by word, over all pairs.
fn naive(history: &History) -> usize {
    let operations = history.operations();
    let legal = |write: &Operation, read: &Operation| {
        let supersedes = |x: &&Operation| {
            x.action != Action::Get
                && x.key == read.key
                && x.outcome == Outcome::Written
                && write.completed < Some(x.invoked)
                && x.completed < Some(read.invoked)
        };
        write.action != Action::Get
            && write.key == read.key
            && Some(write.invoked) <= read.completed
            && write.outcome != Outcome::Rejected
            && (write.is_open_write() || !operations.iter().any(|x| supersedes(&x)))
    };
    let initial = |read: &Operation| {
        !operations.iter().any(|x| {
            x.action != Action::Get
                && x.key == read.key
                && x.outcome == Outcome::Written
                && x.completed < Some(read.invoked)
        })
    };
    let bad = |read: &&Operation| match read.outcome {
        Outcome::Read(Some(id)) => !legal(&operations[id.0], read),
        Outcome::Read(None) => {
            !initial(read) && !operations.iter().any(|w| w.action == Action::Delete && legal(w, read))
        }
        _ => false,
    };
    operations.iter().filter(bad).count()
}

#[test]
fn the_verdict_is_that_of_the_rule_taken_word_by_word() {
    use crate::random::{Purpose, Random};
    let mut random = Random::stream(5, Purpose::Client);
    let mut violations = 0;
    for _ in 0..2000 {
        let mut history = History::default();
        let mut puts = Vec::new();
        for _ in 0..8 {
            let from = random.below(12);
            let to = Duration::from_millis(from + random.below(4));
            let key = random.index(2);
            let action = [Action::Put, Action::Delete, Action::Get][random.index(3)];
            let id = history.begin(0, 0, key, action, Duration::from_millis(from));
            let outcome = match action {
                Action::Get => {
                    Outcome::Read((random.below(3) > 0 && !puts.is_empty()).then(|| puts[random.index(puts.len())]))
                }
                _ => [Outcome::Written, Outcome::Written, Outcome::Indeterminate, Outcome::Rejected, Outcome::Pending]
                    [random.index(5)],
            };
            if action == Action::Put {
                puts.push(id);
            }
            if outcome != Outcome::Pending {
                history.end(id, outcome, to);
            }
        }
        let found = durability(&history).len();
        assert_eq!(found, naive(&history), "{history:#?}");
        violations += found;
    }
    assert!(violations > 100, "the histories are bad often enough to tell: {violations}");
}
