//! The version history of the Dynamo paper (SOSP 2007, section 4.4, figure 3): D1, D2, then D3 and D4 beside each other, and D5
//! which reconciles them; once with vector clocks, once with sibling sets.

use kvorum_vclock::{Causality, Context, Dot, Siblings, Timestamp, VClock};

fn written_by(server: &'static str, past: &VClock<&'static str>) -> VClock<&'static str> {
    let mut clock = past.clone();
    clock.increment(server).expect("far from the largest counter");
    clock
}

#[test]
fn vector_clocks_tell_ancestors_from_conflicts_and_print_as_in_the_figure() {
    let d1 = written_by("Sx", &VClock::new());
    let d2 = written_by("Sx", &d1);
    let d3 = written_by("Sy", &d2);
    let d4 = written_by("Sz", &d2);
    // The client has read D3 and D4; its context is the merged clock.
    let mut both = d3.clone();
    both.merge(&d4);
    let d5 = written_by("Sx", &both);

    let printed = [&d1, &d2, &d3, &d4, &both, &d5].map(ToString::to_string);
    assert_eq!(
        printed,
        [
            "([Sx,1])",
            "([Sx,2])",
            "([Sx,2],[Sy,1])",
            "([Sx,2],[Sz,1])",
            "([Sx,2],[Sy,1],[Sz,1])",
            "([Sx,3],[Sy,1],[Sz,1])",
        ]
    );
    assert_eq!(VClock::<&str>::new().to_string(), "()");

    assert_eq!(d1.compare(&d2), Causality::Before, "D2 overwrites D1");
    assert_eq!(d2.compare(&d3), Causality::Before);
    assert_eq!(d2.compare(&d4), Causality::Before);
    assert_eq!(d3.compare(&d4), Causality::Concurrent, "neither overwrites the other");
    for ancestor in [&d1, &d2, &d3, &d4] {
        assert_eq!(d5.compare(ancestor), Causality::After);
    }
}

#[test]
fn sibling_sets_keep_the_conflict_until_a_client_reconciles_it() {
    let time = Timestamp::from_bits;
    let dot = |actor, bits| Dot { actor, time: time(bits) };
    let alive = |record: &Siblings<&str, &'static str>| record.values().map(|(_, value)| *value).collect::<Vec<_>>();

    let mut sx = Siblings::new();
    sx.put(&Context::new(), dot("Sx", 1), "D1").unwrap();
    let seen_d1 = sx.context();
    sx.put(&seen_d1, dot("Sx", 2), "D2").unwrap();
    assert_eq!(alive(&sx), ["D2"]);
    let seen_d2 = sx.context();

    let (mut sy, mut sz) = (sx.clone(), sx.clone());
    sy.put(&seen_d2, dot("Sy", 1), "D3").unwrap();
    sz.put(&seen_d2, dot("Sz", 1), "D4").unwrap();
    assert_eq!(sy.compare(&sz), Causality::Concurrent);
    assert_eq!(sx.compare(&sy), Causality::Before);
    sx.merge(&sy);
    sx.merge(&sz);
    assert_eq!(alive(&sx), ["D3", "D4"], "both are handed to the client");
    let seen_both = sx.context();
    let entries: Vec<_> = seen_both.iter().collect();
    assert_eq!(entries, [(&"Sx", time(2)), (&"Sy", time(1)), (&"Sz", time(1))], "the context is the merged clock");

    sx.put(&seen_both, dot("Sx", 3), "D5").unwrap();
    assert_eq!(alive(&sx), ["D5"]);
    for replica in [&mut sy, &mut sz] {
        assert_eq!(replica.compare(&sx), Causality::Before, "read repair sends it");
        replica.merge(&sx);
        assert_eq!(replica, &sx);
    }
}
