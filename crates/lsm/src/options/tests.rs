use std::fmt::Debug;

use super::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A default as the documentation writes it.
fn shown(name: &str, value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    match text.parse::<u64>() {
        Ok(bytes) if name.contains("bytes") => match bytes {
            GIB.. => format!("{} GiB", bytes >> 30),
            MIB.. => format!("{} MiB", bytes >> 20),
            _ => format!("{} KiB", bytes >> 10),
        },
        _ => text.replace("ms", " ms"),
    }
}

macro_rules! fields {
    ($($field:ident,)*) => {{
        // Names all fields: one that is missing here does not compile.
        let Options { $($field,)* } = Options::default();
        [$((stringify!($field), shown(stringify!($field), &$field)),)*]
    }};
}

#[test]
fn the_documentation_states_the_defaults() {
    let fields = fields!(
        memtable_bytes,
        memtables,
        cache_bytes,
        block_bytes,
        restart_interval,
        compression,
        bottom_compression,
        uncompressed_levels,
        filter_bits,
        level_base_bytes,
        level_multiplier,
        target_file_bytes,
        l0_compact,
        l0_slow,
        l0_stop,
        debt_slow_bytes,
        debt_stop_bytes,
        compaction_bytes_per_second,
        durability,
        sync_interval,
        workers,
    );
    let table: Vec<(&str, &str)> = include_str!("../options.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `"))
        .map(|row| {
            let mut cells = row.split('|').map(str::trim);
            (cells.next().unwrap().trim_end_matches('`'), cells.next().unwrap())
        })
        .collect();
    let fields: Vec<_> = fields.iter().map(|(name, shown)| (*name, shown.as_str())).collect();
    assert_eq!(table, fields);
}

#[test]
fn each_limit_is_checked_and_named() {
    assert!(Options::default().validate().is_ok());
    let options = Options::default;
    let wrong = [
        (options().memtable_bytes(4095), "memtable_bytes"),
        (options().memtables(1), "memtables"),
        (options().block_bytes(255), "block_bytes"),
        (options().block_bytes((1 << 20) + 1), "block_bytes"),
        (options().restart_interval(0), "restart_interval"),
        (options().restart_interval(257), "restart_interval"),
        (options().uncompressed_levels(8), "uncompressed_levels"),
        (options().filter_bits(21), "filter_bits"),
        (options().level_base_bytes(0), "level_base_bytes"),
        (options().level_multiplier(1), "level_multiplier"),
        (options().target_file_bytes(0), "target_file_bytes"),
        (options().l0_compact(0), "l0_compact"),
        (options().l0_slow(3), "l0_slow"),
        (options().l0_stop(12), "l0_stop"),
        (options().debt_slow_bytes(64 * GIB), "debt_stop_bytes"),
        (options().compaction_bytes_per_second(Some(1)), "compaction_bytes_per_second"),
        (options().sync_interval(Duration::ZERO), "sync_interval"),
        (options().workers(0), "workers"),
    ];
    for (options, field) in wrong {
        let error = options.validate().unwrap_err();
        assert!(matches!(error, Error::Option { name, .. } if name == field), "{field}: {error}");
        assert!(error.to_string().starts_with(&format!("option {field} must be ")), "{error}");
    }
}

#[test]
fn levels_follow_the_last_one() {
    let targets = |bytes| Options::default().level_targets(bytes);
    let of = |base: usize, sizes: &[u64]| {
        let mut bytes = [0; LEVELS];
        bytes[base..].copy_from_slice(sizes);
        LevelTargets { base, bytes }
    };
    assert_eq!(targets(0), of(6, &[256 * MIB]));
    assert_eq!(targets(GIB), of(6, &[GIB]));
    assert_eq!(targets(2 * GIB), of(5, &[256 * MIB, 2 * GIB]));
    assert_eq!(targets(10 * GIB), of(5, &[GIB, 10 * GIB]));
    assert_eq!(targets(50 * GIB), of(4, &[512 * MIB, 5 * GIB, 50 * GIB]));
    assert_eq!(targets(u64::MAX).base, 1);
}

#[test]
fn upper_levels_stay_a_small_part_of_the_data() {
    let options = Options::default();
    for step in 0..400 {
        let last = (10f64.powf(6.0 + f64::from(step) / 40.0)) as u64;
        let targets = options.level_targets(last);
        let upper: u64 = targets.bytes[..LAST_LEVEL].iter().sum();
        assert!(upper as f64 <= last as f64 * 0.26, "{targets:?}");
        for level in targets.base + 1..LEVELS {
            assert!(
                targets.bytes[level] <= targets.bytes[level - 1] * options.level_multiplier + options.level_multiplier
            );
        }
        assert!(targets.base == 1 || targets.bytes[targets.base] <= 4 * options.level_base_bytes.max(last / 4));
    }
}

#[test]
fn filters_of_upper_levels_get_more_bits_within_the_same_memory() {
    let options = Options::default();
    let rate = |bits: f64| (-bits * std::f64::consts::LN_2.powi(2)).exp();
    for last in [100 * MIB, 5 * GIB, 100 * GIB, 10 << 40] {
        let targets = options.level_targets(last);
        let bits = options.level_filter_bits(&targets);
        assert!(bits[targets.base..].windows(2).all(|pair| pair[0] >= pair[1]), "{bits:?}");
        let keys = |level: usize| match level {
            0 => 4.0 * options.memtable_bytes as f64,
            _ => targets.bytes[level] as f64,
        };
        let used: Vec<usize> = [0].into_iter().chain(targets.base..LEVELS).collect();
        let spent: f64 = used.iter().map(|level| keys(*level) * f64::from(bits[*level])).sum();
        let total: f64 = used.iter().map(|level| keys(*level)).sum();
        assert!((9.4..=10.6).contains(&(spent / total)), "{bits:?}: {} bits per key", spent / total);
        let runs = |level: &usize| if *level == 0 { 4.0 } else { 1.0 };
        let reads: f64 = used.iter().map(|level| runs(level) * rate(f64::from(bits[*level]))).sum();
        let even: f64 = used.iter().map(|level| runs(level) * rate(10.0)).sum();
        assert!(reads < even, "{bits:?}: {reads} against {even}");
    }
    assert_eq!(options.clone().filter_bits(0).level_filter_bits(&options.level_targets(GIB)), [0; LEVELS]);
    assert_eq!(options.clone().filter_bits(20).level_filter_bits(&options.level_targets(GIB)), [20; LEVELS]);
}

#[test]
fn the_newest_levels_are_not_compressed_and_the_last_has_its_own() {
    let options = Options::default().bottom_compression(Compression::None).uncompressed_levels(2);
    let targets = options.level_targets(50 * GIB);
    let found: Vec<_> = [0, 4, 5, 6].map(|level| options.level_compression(level, &targets)).to_vec();
    assert_eq!(found, [Compression::None, Compression::None, Compression::Lz4, Compression::None]);
    let options = Options::default();
    let targets = options.level_targets(0);
    assert_eq!(options.level_compression(LAST_LEVEL, &targets), Compression::Lz4);
}

fn delay(pace: Pace) -> f64 {
    match pace {
        Pace::Free => 0.0,
        Pace::Delay(delay) => delay.as_secs_f64(),
        Pace::Wait => f64::INFINITY,
    }
}

#[test]
fn writers_slow_down_smoothly_and_settle_at_the_speed_of_the_background() {
    let options = Options::default();
    let drained = 10_000_000;
    let write = 100_000;
    let states: [Box<dyn Fn(usize) -> Pressure>; 3] = [
        Box::new(|at| Pressure { l0_tables: 12 + at * 24 / 1000, ..Pressure::default() }),
        Box::new(|at| Pressure { debt_bytes: (16 * 1000 + 48 * at as u64) * GIB / 1000, ..Pressure::default() }),
        Box::new(|at| Pressure { memtable_bytes: (2000 + at) * (64 << 20) / 1000, ..Pressure::default() }),
    ];
    for (which, state) in states.iter().enumerate() {
        let at = |at| delay(options.pace(&state(at), drained, write));
        assert_eq!((at(0), at(1000)), (0.0, f64::INFINITY));
        assert!((at(500) / 0.01 - 1.0).abs() < 0.01, "half-way a write takes its share of the background's time");
        for step in 0..999 {
            assert!(at(step) <= at(step + 1), "more pressure never means less delay");
            // Tables come in steps; the two others show that there is no jump.
            assert!(which == 0 || step > 980 || at(step + 1) < at(step) * 1.1 + 0.0001, "no cliff at {step}");
        }
        assert!(at(999) <= 1.0);
    }
    assert_eq!(options.pace(&Pressure { l0_tables: 12, memtable_bytes: 128 << 20, debt_bytes: 0 }, 0, 1), Pace::Free);
}

#[test]
fn a_token_bucket_keeps_the_rate_and_lets_a_burst_pass() {
    let mut bucket = TokenBucket::new(Some(1_000_000));
    let mut now = Duration::from_secs(10);
    assert_eq!(bucket.take(now, 100_000), Duration::ZERO, "what 100 ms earn passes at once");
    let start = now;
    for _ in 0..1000 {
        now += bucket.take(now, 12_345);
    }
    let rate = 12_345_000.0 / (now - start).as_secs_f64();
    assert!((rate / 1e6 - 1.0).abs() < 0.01, "{rate}");
    now += Duration::from_secs(3600);
    assert_eq!(bucket.take(now, 200_000), Duration::from_millis(100), "a long pause earns no more than a short one");
    assert_eq!(TokenBucket::new(None).take(now, u64::MAX), Duration::ZERO);
    let mut bucket = TokenBucket::new(Some(1));
    assert!(bucket.take(now, u64::MAX) > now && bucket.take(now, u64::MAX) > now, "no overflow");
}
