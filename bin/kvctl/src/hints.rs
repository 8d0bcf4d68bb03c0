//! `kvctl hints`.

use kvorum_client::{HintQueue, Hints, Unanswered};
use serde::Serialize;

use crate::exit::{Exit, Failure, complain};
use crate::output::{Align, Cell, Table, age, print, print_json, quoted, size};
use crate::target::Target;

#[derive(Debug, Serialize)]
struct JsonHints {
    hints: Vec<JsonQueue>,
}

#[derive(Debug, Serialize)]
struct JsonQueue {
    holder: String,
    target: String,
    count: u64,
    bytes: u64,
    oldest_age_ms: u64,
    /// How many of them are never dropped, since a write counted them.
    owed: u64,
}

pub(crate) async fn run(target: &Target) -> Result<(), Failure> {
    let hints = target.client.hints().await;
    let what = format!("list the members through {}", target.endpoints);
    let hints = hints.map_err(|error| Failure::of(&what, &error))?;
    for member in &hints.unanswered {
        complain(&missing(member));
    }
    let failure = unheard(&hints.unanswered);
    let shown = if target.wants_json() { print_json(&json(hints)) } else { print(text(&hints).as_bytes()) };
    shown.and(failure.map_or(Ok(()), Err))
}

fn json(hints: Hints) -> JsonHints {
    let queue = |queue: HintQueue| JsonQueue {
        holder: queue.holder,
        target: queue.target,
        count: queue.count,
        bytes: queue.bytes,
        oldest_age_ms: age_ms(queue.oldest_age),
        owed: queue.owed,
    };
    JsonHints { hints: hints.queues.into_iter().map(queue).collect() }
}

fn age_ms(age: std::time::Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

fn text(hints: &Hints) -> String {
    if hints.queues.is_empty() {
        let none = match (hints.answered, hints.unanswered.len()) {
            (0, _) => "",
            (_, 0) => "no hints are kept\n",
            _ => "no hints are kept by the members that answered\n",
        };
        return none.to_owned();
    }
    let mut table = Table::new([
        ("HOLDER", Align::Left),
        ("TARGET", Align::Left),
        ("COUNT", Align::Right),
        ("BYTES", Align::Right),
        ("OLDEST", Align::Right),
    ]);
    for queue in &hints.queues {
        table.row([
            Cell::from(&queue.holder),
            Cell::from(&queue.target),
            Cell::from(queue.count),
            Cell::from(size(queue.bytes)),
            Cell::from(age(age_ms(queue.oldest_age))),
        ]);
    }
    table.render(false)
}

/// What is not in the table, and why.
fn missing(member: &Unanswered) -> String {
    let Unanswered { name, state, error } = member;
    format!("note: the hints of {}, which is {state}, are not shown: {error}", quoted(name.as_bytes()))
}

/// A member that is down is known to be; one that is up should have answered.
fn unheard(unanswered: &[Unanswered]) -> Option<Failure> {
    let up = unanswered.iter().filter(|member| member.state == "up");
    let names: Vec<String> = up.map(|member| quoted(member.name.as_bytes())).collect();
    let message = || format!("cannot get the hints of {}; see kvctl status, and try again", names.join(", "));
    (!names.is_empty()).then(|| Failure::new(Exit::Unavailable, message()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kvorum_client::Error;

    use super::*;

    fn hints(queues: Vec<HintQueue>, answered: usize, unanswered: &[(&str, &str)]) -> Hints {
        let member = |&(name, state): &(&str, &str)| Unanswered {
            name: name.into(),
            state: state.into(),
            error: Error::TimedOut { endpoint: "a:1".into(), message: "no word from it".into() },
        };
        Hints { queues, answered, unanswered: unanswered.iter().map(member).collect() }
    }

    fn queues() -> Vec<HintQueue> {
        let queue = |holder: &str, count: u64, oldest_age| HintQueue {
            holder: holder.into(),
            target: "n3".into(),
            count,
            bytes: count * 1000,
            owed: 1,
            oldest_age,
        };
        vec![queue("n1", 12, Duration::from_millis(2100)), queue("long-name", 3456, Duration::from_secs(300))]
    }

    #[test]
    fn people_see_aligned_text() {
        let expected = concat!(
            "HOLDER     TARGET  COUNT    BYTES  OLDEST\n",
            "n1         n3         12  12.0 kB   2.1 s\n",
            "long-name  n3       3456   3.5 MB   5 min\n",
        );
        assert_eq!(text(&hints(queues(), 2, &[("n3", "down")])), expected);
    }

    #[test]
    fn that_there_are_none_is_said_only_of_those_that_answered() {
        assert_eq!(text(&hints(Vec::new(), 3, &[])), "no hints are kept\n");
        let some = text(&hints(Vec::new(), 2, &[("n3", "down")]));
        assert_eq!(some, "no hints are kept by the members that answered\n");
        assert_eq!(text(&hints(Vec::new(), 0, &[("n3", "up")])), "", "nobody knows");
    }

    #[test]
    fn the_json_is_that_of_the_contract() {
        let text = serde_json::to_string(&json(hints(queues(), 2, &[("n3", "down")]))).unwrap();
        let expected = concat!(
            r#"{"hints":[{"holder":"n1","target":"n3","count":12,"bytes":12000,"oldest_age_ms":2100,"owed":1},"#,
            r#"{"holder":"long-name","target":"n3","count":3456,"bytes":3456000,"oldest_age_ms":300000,"owed":1}]}"#
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::to_string(&json(hints(Vec::new(), 3, &[]))).unwrap(), r#"{"hints":[]}"#);
    }

    #[test]
    fn who_did_not_answer_is_named_and_a_failure_if_it_is_up() {
        let hints = hints(queues(), 2, &[("n3", "down"), ("n4", "up"), ("n5", "suspect"), ("n6", "up")]);
        let told = missing(&hints.unanswered[0]);
        assert!(
            told.starts_with("note: the hints of `n3`, which is down, are not shown: no answer from a:1"),
            "{told}"
        );
        assert!(unheard(&hints.unanswered[..1]).is_none());
        let Some(Failure::Said(exit, message)) = unheard(&hints.unanswered) else { panic!("n4 is up") };
        assert_eq!((exit, exit as u8), (Exit::Unavailable, 3));
        assert_eq!(message, "cannot get the hints of `n4`, `n6`; see kvctl status, and try again");
    }
}
