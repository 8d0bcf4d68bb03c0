//! The estimate against sequences whose percentiles are known.

use super::*;

/// Numbers in `[0, 1)` that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Draws one answer, in milliseconds.
type Draw = fn(&mut Numbers) -> f64;

fn uniform(numbers: &mut Numbers) -> f64 {
    10.0 * numbers.next()
}

fn exponential(numbers: &mut Numbers) -> f64 {
    -(1.0 - numbers.next()).ln()
}

/// Nine of ten within 1 to 2 ms, the tenth within 50 to 100.
fn bimodal(numbers: &mut Numbers) -> f64 {
    let slow = numbers.next() < 0.1;
    (1.0 + numbers.next()) * if slow { 50.0 } else { 1.0 }
}

/// Each with its true 95th percentile. Half of the slow tenth of the bimodal one is above 75 ms.
const DISTRIBUTIONS: [(&str, Draw, f64); 3] =
    [("uniform", uniform, 9.5), ("exponential", exponential, 2.995_732), ("bimodal", bimodal, 75.0)];

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn feed(latency: &mut Latency, draw: Draw, numbers: &mut Numbers, samples: usize) {
    for _ in 0..samples {
        latency.sample(ms(draw(numbers)));
    }
}

fn estimate(latency: &Latency) -> f64 {
    latency.p95().as_secs_f64() * 1e3
}

/// The lowest, the mean and the highest of the estimates, as shares of the true percentile, over 100
/// sequences of 2000 samples each, after as many to settle; and the share of the samples above them.
fn observe(draw: Draw, p95: f64, initial: f64) -> (f64, f64, f64, f64) {
    let (mut lowest, mut sum, mut highest, mut above) = (f64::MAX, 0.0, 0.0f64, 0.0);
    for seed in 0..100 {
        let (mut numbers, mut latency) = (Numbers(seed), Latency::new(ms(initial)));
        feed(&mut latency, draw, &mut numbers, 2000);
        for _ in 0..2000 {
            let took = ms(draw(&mut numbers));
            above += if took > latency.p95() { 1.0 } else { 0.0 };
            latency.sample(took);
            let share = estimate(&latency) / p95;
            (lowest, sum, highest) = (lowest.min(share), sum + share, highest.max(share));
        }
    }
    (lowest, sum / 200_000.0, highest, above / 200_000.0)
}

#[test]
fn the_estimate_stays_near_the_true_percentile_wherever_it_began() {
    for (name, draw, p95) in DISTRIBUTIONS {
        for initial in [0.001, 10_000.0] {
            let (lowest, mean, highest, above) = observe(draw, p95, initial);
            std::eprintln!("{name} from {initial} ms: {lowest:.3} {mean:.3} {highest:.3}, above {above:.4}");
            assert!((0.98..1.02).contains(&mean), "{name}: on average {mean} of the true one");
            assert!(lowest > 0.5 && highest < 1.6, "{name}: {lowest} to {highest} of the true one");
            assert!((0.045..0.058).contains(&above), "{name}: {above} of the samples are above");
        }
    }
}

#[test]
fn a_new_constant_level_is_followed_within_200_samples() {
    for (before, after) in
        [(1.0, 2.5), (1.0, 1000.0), (0.001, 60_000.0), (100.0, 30.0), (100.0, 1.0), (60_000.0, 0.001)]
    {
        let mut latency = Latency::new(ms(before));
        for level in [before, after] {
            feed_constant(&mut latency, level, 200);
            let share = estimate(&latency) / level;
            assert!((0.5..2.0).contains(&share), "{before} to {after} ms: {share} of the level");
        }
    }
}

fn feed_constant(latency: &mut Latency, level: f64, samples: usize) {
    for _ in 0..samples {
        latency.sample(ms(level));
    }
}

#[test]
fn a_random_level_that_shifts_is_followed_within_200_samples() {
    for seed in 0..200 {
        let (mut numbers, mut latency) = (Numbers(seed), Latency::new(ms(3.0)));
        feed(&mut latency, exponential, &mut numbers, 1000);
        feed(&mut latency, |numbers| 20.0 * exponential(numbers), &mut numbers, 200);
        let slow = estimate(&latency) / 60.0;
        feed(&mut latency, exponential, &mut numbers, 200);
        let fast = estimate(&latency) / 3.0;
        assert!((0.5..2.0).contains(&slow) && (0.5..3.0).contains(&fast), "seed {seed}: {slow}, then {fast}");
    }
}

#[test]
fn a_peer_gone_silent_is_noticed_at_once_and_forgiven_within_some_hundred_samples() {
    let (mut numbers, mut latency) = (Numbers(1), Latency::new(ms(3.0)));
    feed(&mut latency, exponential, &mut numbers, 1000);
    latency.waited(ms(5000.0));
    assert_eq!(latency.p95(), ms(5000.0));
    feed(&mut latency, exponential, &mut numbers, 300);
    let share = estimate(&latency) / 2.995_732;
    assert!((0.5..2.0).contains(&share), "{share} of the true one");
}

#[test]
fn waiting_never_lowers_the_estimate_and_is_no_sample() {
    let mut latency = Latency::new(ms(10.0));
    let before = latency;
    for waited in [0.0, 9.0, 10.0] {
        latency.waited(ms(waited));
    }
    assert_eq!(latency, before);
}

#[test]
fn without_samples_it_is_what_it_began_with() {
    assert_eq!(Latency::new(ms(7.0)).p95(), ms(7.0));
}

#[test]
fn the_longest_and_the_shortest_durations_are_borne() {
    let mut latency = Latency::new(Duration::MAX);
    for took in [Duration::MAX, Duration::ZERO, Duration::MAX] {
        (0..1000).for_each(|_| latency.sample(took));
        latency.waited(Duration::ZERO);
        assert!(latency.p95() > Duration::ZERO);
    }
    let mut latency = Latency::new(Duration::ZERO);
    (0..1000).for_each(|_| latency.sample(Duration::ZERO));
    assert!(latency.p95() <= Duration::from_nanos(20));
    latency.waited(Duration::MAX);
    assert_eq!(latency.p95(), Duration::from_nanos(u64::MAX));
}

#[test]
fn it_costs_no_more_than_its_documentation_says() {
    assert!(size_of::<Latency>() <= 40);
}
