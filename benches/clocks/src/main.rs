//! Owns the measuring by turns and the table. Does not own the operations.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use clocks::{Operation, Run, Subject, context_bytes, operations};

/// kvorum-vclock beside other crates with vector clocks: the same operations on the same data, by turns in one run.
#[derive(Debug, Parser)]
struct Args {
    /// How often each operation of each crate has its turn.
    #[arg(long, default_value_t = 301)]
    rounds: usize,
    /// About how long a turn lasts, in microseconds: short, so that most turns are disturbed by nothing.
    #[arg(long, default_value_t = 200)]
    turn_us: u64,
    /// Only operations whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.rounds > 0 && args.turn_us > 0, "at least one round, and a microsecond");
    println!(
        "Nanoseconds for one operation: medians of {} turns, about {} us each. In brackets: how many times",
        args.rounds, args.turn_us
    );
    println!("as long as kvorum-vclock in the same round, the median of that. Clocks and records of three actors.\n");
    println!(
        "{:<34}{:>14}  {:<16}{:>18}{:>18}",
        "",
        Subject::Kvorum.name(),
        "bar",
        Subject::Vclock.name(),
        Subject::Crdts.name()
    );
    for operation in operations().iter().filter(|operation| operation.name.contains(&args.only)) {
        println!("{}", row(operation, &measure(operation, &args)));
    }
    let (own, other) = context_bytes();
    println!(
        "\nBytes of a context whose times lie within an hour: {own}; the same as a crdts clock by postcard: {other}."
    );
    Ok(())
}

/// Nanoseconds for each subject, round by round.
fn measure(operation: &Operation, args: &Args) -> Vec<(Subject, Vec<f64>)> {
    let turn = Duration::from_micros(args.turn_us);
    let mut measured: Vec<_> =
        operation.runs.iter().map(|(subject, run)| (*subject, *run, times_for(*run, turn), vec![])).collect();
    for round in 0..args.rounds {
        // Another one begins each time.
        for place in 0..measured.len() {
            let count = measured.len();
            let (_, run, times, nanoseconds) = &mut measured[(round + place) % count];
            nanoseconds.push(run(*times).as_secs_f64() * 1e9 / *times as f64);
        }
    }
    measured.into_iter().map(|(subject, _, _, nanoseconds)| (subject, nanoseconds)).collect()
}

/// How often an operation has to be repeated to last that long. Warms up on the way.
fn times_for(run: Run, turn: Duration) -> u64 {
    let mut times = 64;
    while run(times) < turn {
        times *= 2;
    }
    times
}

fn row(operation: &Operation, measured: &[(Subject, Vec<f64>)]) -> String {
    let of = |subject| measured.iter().find(|(measured, _)| *measured == subject).map(|(_, nanoseconds)| nanoseconds);
    let own = of(Subject::Kvorum).map_or(&[][..], Vec::as_slice);
    let other = |subject| {
        of(subject).map_or("-".to_owned(), |theirs| {
            let ratios = theirs.iter().zip(own).map(|(theirs, own)| theirs / own).collect();
            format!("{:.1} ({:.1}x)", median(theirs.clone()), median(ratios))
        })
    };
    let own_ns = median(own.to_vec());
    let bar = operation.bar_ns.map_or(String::new(), |bar| {
        let verdict = if own_ns <= bar { "met" } else { "missed" };
        format!("<= {bar:.0} {verdict}")
    });
    format!(
        "{:<34}{:>14.1}  {:<16}{:>18}{:>18}",
        operation.name,
        own_ns,
        bar,
        other(Subject::Vclock),
        other(Subject::Crdts)
    )
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_the_bar_and_the_median_ratio() {
        let operation = Operation { name: "it", bar_ns: Some(30.0), runs: vec![] };
        let row =
            row(&operation, &[(Subject::Kvorum, vec![10.0, 20.0, 40.0]), (Subject::Crdts, vec![30.0, 20.0, 200.0])]);
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words, ["it", "20.0", "<=", "30", "met", "-", "30.0", "(3.0x)"]);
    }

    #[test]
    fn every_operation_runs_for_every_subject() {
        for operation in operations() {
            assert_eq!(operation.runs[0].0, Subject::Kvorum, "{}", operation.name);
            for (subject, run) in operation.runs {
                assert!(run(130) > Duration::ZERO, "{} of {}", operation.name, subject.name());
            }
        }
        let (own, other) = context_bytes();
        assert!(own < other);
    }
}
