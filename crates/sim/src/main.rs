//! The command line: replays one seed, or searches many. Everything of interest is in the library.
#![forbid(unsafe_code)]

use std::fmt::Arguments;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kvorum_node::{Consistency, Mode};
use kvorum_sim::{MOST_NODES, Report, Sabotage, Scenario, SimConfig, Stats, TraceSink, World, run, shrink};

/// How many runs may go into making a bad one smaller.
const SHRINK_TRIES: u32 = 200;

/// Runs a simulated Kvorum cluster through faults, and says whether it broke a promise.
#[derive(Debug, Parser)]
#[command(
    name = "kvorum-sim",
    version,
    after_help = "Examples:
  kvorum-sim --seed 42                    one run, its counts and its speed
  kvorum-sim --seed 42 --trace            the same, and everything that is delivered and wanted
  kvorum-sim --seeds 0..1000              searches; each bad seed is told with the least run that shows it
  kvorum-sim --seeds 0..10000000 --minutes 60
  kvorum-sim --seed 7 --nodes 100         a hundred nodes
  kvorum-sim --seeds 0..500 --sabotage overwrite

Exit codes: 0 nothing found, 1 a violation or a panic, 2 usage."
)]
struct Options {
    /// Replay this seed
    #[arg(long, value_name = "SEED", conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Search these seeds, the last one left out
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    seeds: Option<Range<u64>>,
    /// End the search after so many minutes of real time, wherever it is
    #[arg(long, value_name = "MINUTES", requires = "seeds", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: Option<u64>,
    /// How many nodes, instead of what the seed draws
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=MOST_NODES as i64))]
    nodes: Option<u8>,
    /// How many replicas of each key, instead of what the seed draws
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    replication: Option<u8>,
    /// What becomes of concurrent versions: lww or causal
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Whose answers count for clients: strict or sloppy, instead of what the seed draws
    #[arg(long, value_name = "WHOSE", value_parser = parse_consistency)]
    consistency: Option<Consistency>,
    /// How long faults go on, in virtual milliseconds
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    ticks: Option<u64>,
    /// Of the fault schedule only these, by number; none if nothing is named
    #[arg(long, value_name = "ID,...", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = parse_ids)]
    only_faults: Option<Ids>,
    /// Break the simulated shell on purpose, to see it found out
    #[arg(long, value_name = "LIE", value_enum)]
    sabotage: Option<Sabotage>,
    /// Let this happen besides what the seed draws
    #[arg(long, value_name = "WHAT", value_enum)]
    scenario: Option<Scenario>,
    /// Print everything that is delivered and wanted
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Keep the digest of the trace, to compare two runs; a trace that is printed has one
    #[arg(long, requires = "seed")]
    digest: bool,
}

/// Numbers of faults.
#[derive(Clone, Debug)]
struct Ids(Vec<u32>);

fn parse_ids(text: &str) -> Result<Ids, String> {
    let ids = text.split(',').filter(|id| !id.is_empty()).map(str::parse).collect::<Result<_, _>>();
    ids.map(Ids).map_err(|_| format!("`{text}` is no list of faults; write 3,17"))
}

fn parse_consistency(text: &str) -> Result<Consistency, String> {
    let all = [Consistency::Strict, Consistency::Sloppy];
    let named = all.into_iter().find(|consistency| consistency.to_string() == text);
    named.ok_or_else(|| format!("`{text}` is neither strict nor sloppy"))
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed
        .filter(|range: &Range<u64>| !range.is_empty())
        .ok_or_else(|| format!("`{text}` is no range of seeds; write 0..100"))
}

impl Options {
    fn config(&self, seed: u64) -> SimConfig {
        let mut config = SimConfig::from_seed(seed);
        if let Some(nodes) = self.nodes {
            config = config.with_nodes(usize::from(nodes));
        }
        if let Some(replication) = self.replication {
            let (replication, nodes) = (replication.min(config.nodes as u8), config.nodes);
            config = config.with_replication(replication, nodes);
        }
        if let Some(mode) = self.mode {
            config = config.with_mode(mode);
        }
        config.only_faults = self.only_faults.as_ref().map(|ids| ids.0.clone());
        // Of a consistency a scenario may make more than it would of the one that is drawn.
        if let Some(consistency) = self.consistency {
            config = config.with_consistency(consistency);
        }
        if let Some(scenario) = self.scenario {
            config = config.with_scenario(scenario);
        }
        config.ticks = self.ticks.unwrap_or(config.ticks);
        config.sabotage = self.sabotage;
        config.traced = self.digest;
        config
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(seed) = options.seed.or(options.seeds.as_ref().map(|seeds| seeds.start))
        && let (Some(replication), nodes) = (options.replication, options.config(seed).nodes)
        && usize::from(replication) > nodes
    {
        eprintln!("kvorum-sim: {nodes} nodes cannot hold {replication} replicas; name more with --nodes");
        return ExitCode::from(2);
    }
    let clean = match (options.seed, &options.seeds) {
        (Some(seed), _) => replay(options.config(seed), &options),
        (None, Some(seeds)) => search(seeds.clone(), &options),
        (None, None) => unreachable!("the parser requires one of them"),
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(config: SimConfig, options: &Options) -> bool {
    let sink = options.trace.then(|| {
        let mut out = BufWriter::new(std::io::stdout());
        Box::new(move |line: &str| drop(writeln!(out, "{line}"))) as TraceSink
    });
    say(format_args!("{config:?}"));
    let began = now();
    let Ok(report) = catch_unwind(AssertUnwindSafe(|| World::new(config, sink).run())) else { return false };
    let seconds = began.elapsed().as_secs_f64();
    say(format_args!("{}", report.stats));
    if report.trace_lines > 0 {
        say(format_args!("trace     {} lines, digest {:016x}", report.trace_lines, report.digest));
    }
    tell_speed(&report.stats, report.virtual_time, seconds);
    let clean = report.violations.is_empty();
    if clean {
        say(format_args!("verdict   nothing found"));
    } else {
        say(format_args!("{}", report.complaint()));
        if !options.trace {
            say(format_args!("\nthe least run that shows it: {}", shrink(report, SHRINK_TRIES).complaint()));
        }
    }
    clean
}

fn search(seeds: Range<u64>, options: &Options) -> bool {
    let (count, began) = (seeds.end - seeds.start, now());
    let (mut total, mut virtual_time, mut bad) = (Stats::default(), Duration::ZERO, Vec::new());
    let (mut told, mut done) = (began, 0);
    let ends = |began: std::time::Duration| options.minutes.is_some_and(|minutes| began.as_secs() >= 60 * minutes);
    for seed in seeds {
        if ends(began.elapsed()) {
            break;
        }
        done += 1;
        // A node that panics is found out too, and the search goes on.
        match catch_unwind(|| run(options.config(seed))) {
            Ok(report) => {
                total.add(&report.stats);
                virtual_time += report.virtual_time;
                if !report.violations.is_empty() {
                    bad.push(seed);
                    tell_least(report);
                }
            }
            Err(_) => bad.push(seed),
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = now();
            eprintln!(
                "{done} of {count} seeds, {} bad, {:.0} virtual minutes",
                bad.len(),
                virtual_time.as_secs_f64() / 60.0
            );
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    say(format_args!("{total}"));
    say(format_args!("total     {done} seeds, {:.1} virtual minutes", virtual_time.as_secs_f64() / 60.0));
    tell_speed(&total, virtual_time, seconds);
    match bad.len() {
        0 => say(format_args!("verdict   nothing found")),
        found => say(format_args!("verdict   {found} bad seeds: {bad:?}")),
    }
    bad.is_empty()
}

/// Tells of a bad seed, by the least run that shows what is wrong with it.
fn tell_least(report: Report) {
    let (seed, config) = (report.config.seed, report.config.replay());
    say(format_args!("seed {seed} is bad: {config}"));
    say(format_args!("the least run that shows it: {}\n", shrink(report, SHRINK_TRIES).complaint()));
}

fn tell_speed(stats: &Stats, virtual_time: Duration, seconds: f64) {
    say(format_args!(
        "speed     {} events in {seconds:.2} s: {:.0} events/s, {:.0} virtual seconds per second",
        stats.events,
        stats.events as f64 / seconds,
        virtual_time.as_secs_f64() / seconds
    ));
}

/// Prints a line. A reader that has gone away, as `head` does, is no failure of the run.
fn say(line: Arguments<'_>) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "how fast the search goes is told in real time"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
