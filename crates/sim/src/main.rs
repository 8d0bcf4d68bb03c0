//! The command line: replays one seed, or searches many. Everything of interest is in the library.
#![forbid(unsafe_code)]

use std::fmt::Arguments;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kvorum_sim::{Report, SimConfig, Stats, TraceSink, World, run};

/// Runs a simulated Kvorum cluster through faults, and says whether it lost an acknowledged write.
#[derive(Debug, Parser)]
#[command(
    name = "kvorum-sim",
    version,
    after_help = "Examples:\n  kvorum-sim --seed 42 --trace\n  kvorum-sim --seeds 0..1000"
)]
struct Options {
    /// Replay this seed.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Search these seeds, the last one left out.
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    seeds: Option<Range<u64>>,
    /// How many nodes, instead of what the seed draws.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    nodes: Option<u8>,
    /// How many replicas of each key, instead of what the seed draws.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    replication: Option<u8>,
    /// How long faults go on, in virtual milliseconds.
    #[arg(long)]
    ticks: Option<u64>,
    /// Print everything that is delivered and wanted.
    #[arg(long, requires = "seed")]
    trace: bool,
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
            config.replication = replication.min(config.nodes as u8);
        }
        config.ticks = self.ticks.unwrap_or(config.ticks);
        config
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let clean = match (options.seed, &options.seeds) {
        (Some(seed), _) => replay(options.config(seed), options.trace),
        (None, Some(seeds)) => search(seeds.clone(), &options),
        (None, None) => unreachable!("the parser requires one of them"),
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(config: SimConfig, trace: bool) -> bool {
    let sink = trace.then(|| {
        let mut out = BufWriter::new(std::io::stdout());
        Box::new(move |line: &str| drop(writeln!(out, "{line}"))) as TraceSink
    });
    say(format_args!("{config:?}"));
    let report = World::new(config, sink).run();
    say(format_args!("{}", report.stats));
    say(format_args!(
        "trace     {} lines, digest {:016x}, {:.3} virtual seconds",
        report.trace_lines,
        report.digest,
        report.virtual_time.as_secs_f64()
    ));
    tell(&report)
}

fn search(seeds: Range<u64>, options: &Options) -> bool {
    let (count, began) = (seeds.end - seeds.start, now());
    let (mut total, mut virtual_time, mut bad) = (Stats::default(), Duration::ZERO, Vec::new());
    let mut told = began;
    for (done, seed) in (1..).zip(seeds) {
        let report = run(options.config(seed));
        total.add(&report.stats);
        virtual_time += report.virtual_time;
        if !tell(&report) {
            bad.push(seed);
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
    say(format_args!(
        "total     {count} seeds in {seconds:.1} s, {:.1} virtual minutes, {} events, {:.0} events/s",
        virtual_time.as_secs_f64() / 60.0,
        total.events,
        total.events as f64 / seconds
    ));
    match bad.len() {
        0 => say(format_args!("verdict   nothing found")),
        found => say(format_args!("verdict   {found} bad seeds: {bad:?}")),
    }
    bad.is_empty()
}

/// Prints a line. A reader that has gone away, as `head` does, is no failure of the run.
fn say(line: Arguments<'_>) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn tell(report: &Report) -> bool {
    if !report.violations.is_empty() {
        say(format_args!("seed {}: {}", report.config.seed, report.complaint()));
    }
    report.violations.is_empty()
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "how fast the search goes is told in real time"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
