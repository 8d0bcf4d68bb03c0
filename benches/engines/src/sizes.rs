//! Owns how much is done: two sets of sizes, and what the command line changes of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::data::PAIR;
use crate::engines::Memory;

/// How much is done. The data are some four times the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sizes {
    pub(crate) keys: u64,
    pub(crate) cache_bytes: u64,
    pub(crate) buffer_bytes: u64,
    /// Keys and values that are in the log only when a process is killed. Memtables hold twice that then.
    pub(crate) log_bytes: u64,
    /// How long synced puts go on.
    pub(crate) sync_seconds: f64,
    /// How long each kind of reads goes on.
    pub(crate) read_seconds: f64,
    /// How long reads during a fill go on.
    pub(crate) mixed_seconds: f64,
    /// After so long, phases end that are measured by count.
    pub(crate) limit_seconds: f64,
    /// Every so many keys one is read back after writes.
    pub(crate) check_every: u64,
}

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Sizes")]
pub(crate) struct SizeArgs {
    /// Small data and short phases: all of it within five minutes
    #[arg(long)]
    pub(crate) short: bool,
    /// How many keys are loaded or written [default: 2000000, short: 250000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..=1 << 40))]
    pub(crate) keys: Option<u64>,
    /// The cache in KiB [default: 65536, short: 8192]
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u64).range(256..=1 << 40))]
    pub(crate) cache_kib: Option<u64>,
    /// Each of three memtables in KiB [default: 32768, short: 8192]
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u64).range(64..=1 << 40))]
    pub(crate) buffer_kib: Option<u64>,
    /// Data in the log at a crash, in KiB [default: 131072, short: 16384]
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u64).range(64..=1 << 40))]
    pub(crate) log_kib: Option<u64>,
    /// The length of phases that are measured by time [default: 5, reads during a fill 10; short: 1, synced puts 2, reads
    /// during a fill 2]
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) seconds: Option<f64>,
    /// After so long, phases end that are measured by count [default: 120, short: 4]
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) limit: Option<f64>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds from 0.001 to 86400".into()),
    }
}

impl SizeArgs {
    pub(crate) fn sizes(&self) -> Sizes {
        let preset = if self.short { Sizes::short() } else { Sizes::full() };
        let kib = |given: Option<u64>, preset| given.map_or(preset, |kib| kib << 10);
        Sizes {
            keys: self.keys.unwrap_or(preset.keys),
            cache_bytes: kib(self.cache_kib, preset.cache_bytes),
            buffer_bytes: kib(self.buffer_kib, preset.buffer_bytes),
            log_bytes: kib(self.log_kib, preset.log_bytes),
            sync_seconds: self.seconds.unwrap_or(preset.sync_seconds),
            read_seconds: self.seconds.unwrap_or(preset.read_seconds),
            mixed_seconds: self.seconds.unwrap_or(preset.mixed_seconds),
            limit_seconds: self.limit.unwrap_or(preset.limit_seconds),
            check_every: preset.check_every,
        }
    }

    /// The arguments that say the same to another process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Self { short, keys, cache_kib, buffer_kib, log_kib, seconds, limit } = self;
        let counts = [("keys", keys), ("cache-kib", cache_kib), ("buffer-kib", buffer_kib), ("log-kib", log_kib)];
        let counts = counts.into_iter().filter_map(|(name, count)| count.map(|count| format!("--{name}={count}")));
        let times = [("seconds", seconds), ("limit", limit)];
        let times = times.into_iter().filter_map(|(name, time)| time.map(|time| format!("--{name}={time}")));
        short.then(|| "--short".to_owned()).into_iter().chain(counts).chain(times).collect()
    }
}

impl Sizes {
    fn full() -> Self {
        Self {
            keys: 2_000_000,
            cache_bytes: 64 << 20,
            buffer_bytes: 32 << 20,
            log_bytes: 128 << 20,
            sync_seconds: 5.0,
            read_seconds: 5.0,
            mixed_seconds: 10.0,
            limit_seconds: 120.0,
            check_every: 1,
        }
    }

    fn short() -> Self {
        Self {
            keys: 250_000,
            cache_bytes: 8 << 20,
            buffer_bytes: 8 << 20,
            log_bytes: 16 << 20,
            sync_seconds: 2.0,
            read_seconds: 1.0,
            mixed_seconds: 2.0,
            limit_seconds: 4.0,
            check_every: 16,
        }
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory { cache_bytes: self.cache_bytes, buffer_bytes: self.buffer_bytes }
    }

    /// For recovery: all that is written stays in memtables and the log.
    pub(crate) fn log_memory(&self) -> Memory {
        Memory { cache_bytes: self.cache_bytes, buffer_bytes: 2 * self.log_bytes }
    }

    /// Keys and values of so many bytes go into the log.
    pub(crate) fn log_keys(&self) -> u64 {
        self.log_bytes.div_ceil(PAIR)
    }

    /// So many keys have data of half the cache.
    pub(crate) fn hot_keys(&self) -> u64 {
        (self.cache_bytes / 2 / PAIR).clamp(1, self.keys)
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.limit_seconds)
    }

    /// No process takes longer if it is in order: some seven phases, a load, the check of what was written, and the waits between.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs_f64(60.0 + 4.0 * self.limit_seconds + 8.0 * (self.read_seconds + self.mixed_seconds))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sizes: SizeArgs,
    }

    #[test]
    fn the_data_are_some_four_times_the_cache() {
        for sizes in [Sizes::full(), Sizes::short()] {
            let ratio = (sizes.keys * PAIR) as f64 / sizes.cache_bytes as f64;
            assert!((4.0..4.5).contains(&ratio), "{ratio}");
            assert!(sizes.log_keys() * PAIR >= sizes.log_bytes);
        }
    }

    #[test]
    fn arguments_say_the_same_again() {
        let lines: [&[&str]; 3] =
            [&["x"], &["x", "--short"], &["x", "--keys=5000", "--seconds=0.25", "--log-kib=512", "--limit=9"]];
        for line in lines {
            let first = Line::try_parse_from(line).unwrap().sizes;
            let again = std::iter::once("x".to_owned()).chain(first.arguments());
            assert_eq!(Line::try_parse_from(again).unwrap().sizes, first);
        }
        assert!(Line::try_parse_from(["x", "--seconds=-1"]).is_err());
        assert!(Line::try_parse_from(["x", "--seconds=nan"]).is_err());
    }
}
