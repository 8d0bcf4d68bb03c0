//! Two clients write one key through one server by turns, each with the context of its own last answer. With sibling sets
//! there are never more than two siblings. With vector clocks whose actor is the server, there are as many as writes, or
//! writes are lost: that is why Riak gave them up (Almeida et al., DAIS 2014; Riak's documentation of causal contexts).

use kvorum_vclock::{Causality, Context, Dot, Siblings, Timestamp, VClock};

const WRITES_EACH: u64 = 1_000;
const SERVER: &str = "S";

#[test]
fn sibling_sets_hold_two_values_after_a_thousand_writes_each() {
    let mut record = Siblings::new();
    // What each client knows: the server's answer to its last write.
    let mut contexts = [Context::new(), Context::new()];
    for write in 0..WRITES_EACH {
        for (client, context) in contexts.iter_mut().enumerate() {
            let time = Timestamp::from_parts(1 + write, client as u16);
            record.put(context, Dot { time, actor: SERVER }, (client, write)).unwrap();
            *context = record.context();
            assert!(record.len() <= 2);
            assert!(record.values().any(|(_, value)| *value == (client, write)), "the own write stands");
        }
    }
    let values: Vec<_> = record.values().map(|(_, value)| *value).collect();
    assert_eq!(values, [(0, WRITES_EACH - 1), (1, WRITES_EACH - 1)], "exactly the two that have not seen each other");
    assert_eq!(record.discards().count(), 1, "and one discard: nothing else has piled up");
}

/// The same two clients with vector clocks: each writes with the clock of its own last answer, which has not seen what the
/// other wrote since.
fn alternate(mut put: impl FnMut(&VClock<&'static str>, (usize, u64)) -> VClock<&'static str>) {
    let mut contexts = [VClock::new(), VClock::new()];
    for write in 0..WRITES_EACH {
        for (client, context) in contexts.iter_mut().enumerate() {
            *context = put(context, (client, write));
        }
    }
}

/// One clock for all siblings, as Riak had it: a write that does not cover the clock is added, and nothing can ever say which
/// of the siblings its writer had seen.
#[test]
fn one_vector_clock_for_all_siblings_explodes() {
    let mut clock = VClock::new();
    let mut siblings = vec![];
    alternate(|context, value| {
        if !matches!(context.compare(&clock), Causality::Equal | Causality::After) {
            clock.merge(context);
        } else {
            clock = context.clone();
            siblings.clear();
        }
        clock.increment(SERVER).unwrap();
        siblings.push(value);
        clock.clone()
    });
    assert_eq!(siblings.len() as u64, 2 * WRITES_EACH, "no write ever replaced another");
}

/// A clock for each sibling: whatever the server writes later looks like a descendant of all it wrote before, so a blind
/// write erases one that its writer had never seen.
#[test]
fn a_vector_clock_for_each_sibling_loses_writes() {
    let mut counter = 0;
    let mut siblings: Vec<(VClock<&str>, &str)> = vec![];
    let mut put = |context: &VClock<&'static str>, value| {
        counter += 1;
        let mut clock = context.clone();
        clock.observe(SERVER, counter);
        siblings.retain(|(held, _)| held.compare(&clock) == Causality::Concurrent);
        siblings.push((clock, value));
        siblings.iter().map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert_eq!(put(&VClock::new(), "one"), ["one"]);
    assert_eq!(put(&VClock::new(), "two, which has not seen one"), ["two, which has not seen one"]);

    let mut record = Siblings::new();
    record.put(&Context::new(), Dot { time: Timestamp::from_bits(1), actor: SERVER }, "one").unwrap();
    record
        .put(&Context::new(), Dot { time: Timestamp::from_bits(2), actor: SERVER }, "two, which has not seen one")
        .unwrap();
    assert_eq!(record.len(), 2, "a sibling set keeps both");
}
