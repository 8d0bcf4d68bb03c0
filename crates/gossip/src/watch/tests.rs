//! How long a watch waits.

use super::*;

const ROUND: u64 = 200_000;

fn patience(health: u64) -> Patience {
    Patience::new(&Config::default(), ROUND, health)
}

/// A watch that has heard its member this often, at this interval, and when it did last.
fn regular(times: u64, interval: u64) -> (Watch, u64) {
    let mut watch = Watch::new(0, 0);
    for time in 1..=times {
        watch.hear(time, &patience(1), time * interval);
    }
    (watch, times * interval)
}

#[test]
fn a_regular_member_is_suspicious_after_nine_rounds_of_silence() {
    let (watch, last) = regular(50, ROUND);
    let rounds = (watch.due(&patience(1)) - last) as f64 / ROUND as f64;
    assert!((9.0..9.5).contains(&rounds), "{rounds}");
    assert_eq!(Watch::new(0, 7).due(&patience(1)) - 7, watch.due(&patience(1)) - last, "a new watch waits as long");
}

#[test]
fn patience_follows_the_intervals_seen_within_bounds() {
    let wait = |interval| {
        let (watch, last) = regular(100, interval);
        watch.due(&patience(1)) - last
    };
    assert!(wait(ROUND * 3 / 2) > wait(ROUND) * 13 / 10);
    assert_eq!(wait(ROUND * 100), 10_000_000, "the ceiling");
    assert_eq!(wait(1), wait(ROUND), "nobody is expected more often than once a round");
    let low = Config { phi: 0.5, ..Config::default() };
    assert_eq!(Patience::new(&low, ROUND, 1).wait(ROUND), 1_600_000, "the floor");
    assert_eq!(patience(3).wait(ROUND), patience(1).wait(ROUND) * 3, "who doubts itself waits longer");
}

#[test]
fn old_intervals_are_forgotten() {
    let (mut watch, mut now) = regular(100, ROUND * 4);
    let slow = watch.wait(&patience(1));
    for counter in 101..=100 + WINDOW as u64 {
        now += ROUND;
        assert_eq!(watch.hear(counter, &patience(1), now), Some(ROUND));
    }
    assert!(slow > 3 * patience(1).wait(ROUND));
    assert_eq!(watch.wait(&patience(1)), patience(1).wait(ROUND));
}

#[test]
fn only_a_counter_that_rises_is_a_sign_of_life() {
    let (mut watch, last) = regular(10, ROUND);
    let due = watch.due(&patience(1));
    assert_eq!(watch.hear(10, &patience(1), last + 5 * ROUND), None);
    assert_eq!(watch.hear(9, &patience(1), last + 5 * ROUND), None);
    assert!(!watch.hear_say(10 + SLACK, true, last + 5 * ROUND), "it may have been read before the silence began");
    assert_eq!(watch.due(&patience(1)), due);
    assert!(watch.hear_say(11 + SLACK, false, last + 5 * ROUND));
    assert_eq!(watch.due(&patience(1)), due + 5 * ROUND);
}

#[test]
fn who_was_wrong_waits_twice_as_long_and_forgets_it_slowly() {
    let (mut watch, mut now) = regular(10, ROUND);
    let usual = watch.wait(&patience(1));
    let mut counter = 10;
    for wrong in 1..=10 {
        counter += SLACK + 1;
        assert!(watch.hear_say(counter, true, now));
        assert_eq!(watch.wait(&patience(1)), usual << wrong.min(MAX_BACKOFF));
    }
    for _ in 0..CALM {
        (counter, now) = (counter + 1, now + ROUND);
        watch.hear(counter, &patience(1), now);
    }
    assert_eq!(watch.wait(&patience(1)), usual << (MAX_BACKOFF - 1));
}

#[test]
fn failed_requests_and_the_suspicions_of_others_shorten_the_wait_until_it_is_heard() {
    let (mut watch, last) = regular(10, ROUND);
    let wait = watch.wait(&patience(1));
    assert!(watch.failed(last) && !watch.failed(last + ROUND), "the first failure counts");
    assert_eq!(watch.due(&patience(1)), last + wait / 4);
    watch.answered();
    watch.call(3, last);
    assert_eq!(watch.due(&patience(1)), last + wait / 2);
    assert!(watch.failed(last + ROUND));
    watch.hear(11, &patience(1), last + ROUND);
    assert_eq!(watch.due(&patience(1)), last + ROUND + watch.wait(&patience(1)));
}

#[test]
fn an_own_pause_is_held_against_nobody() {
    let (mut watch, last) = regular(10, ROUND);
    let due = watch.due(&patience(1));
    watch.excuse(30 * ROUND, last + 30 * ROUND);
    assert_eq!(watch.due(&patience(1)), due + 30 * ROUND);
    assert_eq!(watch.hear(11, &patience(1), last + 31 * ROUND), Some(ROUND), "nor taken for an interval");
    watch.excuse(u64::MAX, last + 40 * ROUND);
    assert_eq!(watch.due(&patience(1)), last + 40 * ROUND + watch.wait(&patience(1)), "there is no credit");
}
