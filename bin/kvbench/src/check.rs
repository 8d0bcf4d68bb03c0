//! Owns the command `check`: reads a recorded history, and tells whether it is linearizable and where it is not. The
//! format and the verdict are `kvorum-history`'s.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use kvorum_history::jsonl::{self, KeyHistory, Line, Object, Recording};
use kvorum_history::linearizability::{Stuck, Undecided, Unexplained};
use serde::Serialize;

use crate::args::{CheckArgs, Model, Output};
use crate::exit::{self, Exit, Failure};
use crate::progress::grouped;

/// How many operations of a prefix are shown: the first and the last.
const FIRST: usize = 6;
const LAST: usize = 24;

/// Not linearizable; the code is told in the interface beside those of [`Exit`].
const NOT_LINEARIZABLE: u8 = 1;

pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    match judge(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_LINEARIZABLE),
        Err(failure) => exit::report(Err(failure)),
    }
}

fn judge(args: &CheckArgs) -> Result<bool, Failure> {
    let recording = read(args)?;
    let mut verdict = Verdict::default();
    for key in recording.keys() {
        match (&verdict.first, key.is_linearizable()) {
            (_, Ok(true)) => {}
            (None, Ok(false)) => {
                verdict.stuck += 1;
                match key.check() {
                    Err(Unexplained::Stuck(stuck)) => verdict.first = Some((key, stuck)),
                    _ => unreachable!("a key that has no order is stuck somewhere"),
                }
            }
            (Some(_), Ok(false)) => verdict.stuck += 1,
            (_, Err(undecided)) => verdict.undecided.push((key, undecided)),
        }
    }
    if let (None, Some((key, undecided))) = (&verdict.first, verdict.undecided.first()) {
        return Err(Failure::new(Exit::Other, format!("cannot judge key {}: {undecided}", key.key())));
    }
    let text = match args.output {
        Output::Text => text(&recording, &verdict),
        Output::Json => json(&recording, &verdict),
    };
    exit::print(&text)?;
    Ok(verdict.first.is_none())
}

/// What was found, over all keys.
#[derive(Default)]
struct Verdict<'a> {
    /// The first key that has no order.
    first: Option<(&'a KeyHistory, Stuck)>,
    /// How many have none.
    stuck: usize,
    undecided: Vec<(&'a KeyHistory, Undecided)>,
}

fn read(args: &CheckArgs) -> Result<Recording, Failure> {
    let object = match args.model {
        Model::Register => Object::Register,
        Model::Set => Object::Set,
        Model::String => Object::String,
    };
    let name = args.history.display();
    let source: Box<dyn BufRead> = if args.history.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.history);
        let file = file.map_err(|error| Failure::new(Exit::Usage, format!("cannot read {name}: {error}")))?;
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let advice = "see kvbench check --help for the format";
    jsonl::read(source, object)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {name}: {error}; {advice}")))
}

fn text(recording: &Recording, verdict: &Verdict<'_>) -> String {
    let count =
        |number: usize, one: &str, more: &str| format!("{} {}", grouped(number as u64), plural(number, one, more));
    let mut text = format!(
        "{}, {}, {}, {} of unknown outcome, {} failed\n",
        count(recording.operations(), "operation", "operations"),
        count(recording.keys().len(), "key", "keys"),
        count(recording.processes(), "process", "processes"),
        grouped(recording.unknown() as u64),
        grouped(recording.failed() as u64),
    );
    let Some((key, stuck)) = &verdict.first else {
        text.push_str("linearizable\n");
        return text;
    };
    let keys = count(verdict.stuck, "key has", "keys have");
    put(&mut text, format_args!("not linearizable: {keys} no explanation\n"));
    if let Some((other, undecided)) = verdict.undecided.first() {
        let more = verdict.undecided.len();
        put(&mut text, format_args!("and {more} could not be decided, such as {}: {undecided}\n", other.key()));
    }
    let last = key.line(stuck.call);
    let end = last.completed.expect("a stuck call has returned");
    put(
        &mut text,
        format_args!(
            "\nkey {}: everything before line {end} has an explanation, and nothing explains that line:\n",
            key.key()
        ),
    );
    let (asked, outcome) = (brief(&last.asked), brief(&last.outcome));
    put(&mut text, format_args!("process {} {asked} -> {outcome}\n", last.process));
    if !stuck.is_shortest {
        text.push_str("(a shorter beginning may have none either: that could not be decided)\n");
    }
    text.push_str("\nThe operations on that key up to there, with the lines on which they begin and end:\n");
    prefix(&mut text, key, stuck, end);
    text.push_str("\nAn order that explains what came before:\n");
    let order: Vec<_> = stuck.linearized.iter().map(|call| key.line(*call)).collect();
    shortened(&mut text, &order, "operations", |text, line| {
        put(text, format_args!("  {:>8}  {}{}\n", line.invoked, brief(&line.asked), came(line, end)));
    });
    text
}

/// The operations up to the one that is stuck.
fn prefix(text: &mut String, key: &KeyHistory, stuck: &Stuck, end: usize) {
    let lines: Vec<_> = stuck.prefix.iter().map(|call| key.line(*call)).collect();
    let process = lines.iter().map(|line| line.process.to_string().len()).max().unwrap_or(1);
    shortened(text, &lines, "operations", |text, line| {
        let mark = if line.completed == Some(end) { '>' } else { ' ' };
        let completed = match line.completed {
            Some(completed) if completed <= end => completed.to_string(),
            _ => "...".into(),
        };
        put(
            text,
            format_args!(
                "{mark} {:>8} - {completed:<8} process {:<process$}  {}{}\n",
                line.invoked,
                line.process,
                brief(&line.asked),
                came(line, end)
            ),
        );
    });
}

/// What was known by then of how it ended.
fn came(line: &Line, end: usize) -> String {
    match line.completed {
        Some(completed) if completed <= end && line.outcome == "ok" => String::new(),
        Some(completed) if completed <= end => format!(" -> {}", brief(&line.outcome)),
        Some(_) => " (under way)".into(),
        None => " (unknown outcome)".into(),
    }
}

/// All lines, or the first and the last and how many there are between them.
fn shortened(text: &mut String, lines: &[Line], what: &str, mut show: impl FnMut(&mut String, &Line)) {
    let hidden = if lines.len() > FIRST + LAST + 1 { FIRST..lines.len() - LAST } else { 0..0 };
    for (index, line) in lines.iter().enumerate() {
        if !hidden.contains(&index) {
            show(text, line);
        } else if index == hidden.start {
            put(text, format_args!("  ... {} more {what} ...\n", grouped(hidden.len() as u64)));
        }
    }
}

/// A value that is too long for a line loses its middle.
fn brief(text: &str) -> String {
    const MOST: usize = 120;
    let count = text.chars().count();
    if count <= MOST {
        return text.into();
    }
    let begin: String = text.chars().take(MOST / 2).collect();
    let end: String = text.chars().skip(count - MOST / 2).collect();
    format!("{begin} ... {} more ... {end}", grouped((count - 2 * (MOST / 2)) as u64))
}

fn plural<'a>(number: usize, one: &'a str, more: &'a str) -> &'a str {
    if number == 1 { one } else { more }
}

/// The verdict, as programs read it. The names are a contract.
#[derive(Serialize)]
struct Report<'a> {
    linearizable: bool,
    operations: usize,
    keys: usize,
    processes: usize,
    unknown: usize,
    failed: usize,
    /// How many keys have no explanation.
    stuck_keys: usize,
    /// How many could not be decided.
    undecided_keys: usize,
    /// The first key without one.
    stuck: Option<StuckReport<'a>>,
}

#[derive(Serialize)]
struct StuckReport<'a> {
    /// As JSON.
    key: &'a str,
    /// Nothing explains what ends on this line.
    line: usize,
    is_shortest: bool,
    operation: OperationReport,
    prefix: Vec<OperationReport>,
    linearized: Vec<OperationReport>,
}

#[derive(Serialize)]
struct OperationReport {
    process: u64,
    invoked: usize,
    completed: Option<usize>,
    asked: String,
    outcome: String,
}

impl OperationReport {
    /// As far as it was known by then.
    fn new(line: Line, end: usize) -> OperationReport {
        let Line { process, invoked, completed, asked, outcome } = line;
        let completed = completed.filter(|completed| *completed <= end);
        let outcome = if completed.is_some() { outcome } else { "unknown".into() };
        OperationReport { process, invoked, completed, asked, outcome }
    }
}

fn json(recording: &Recording, verdict: &Verdict<'_>) -> String {
    let stuck = verdict.first.as_ref().map(|(key, stuck)| {
        let line = key.line(stuck.call).completed.expect("a stuck call has returned");
        let report = |call: &usize| OperationReport::new(key.line(*call), line);
        StuckReport {
            key: key.key(),
            line,
            is_shortest: stuck.is_shortest,
            operation: report(&stuck.call),
            prefix: stuck.prefix.iter().map(report).collect(),
            linearized: stuck.linearized.iter().map(report).collect(),
        }
    });
    let report = Report {
        linearizable: verdict.first.is_none(),
        operations: recording.operations(),
        keys: recording.keys().len(),
        processes: recording.processes(),
        unknown: recording.unknown(),
        failed: recording.failed(),
        stuck_keys: verdict.stuck,
        undecided_keys: verdict.undecided.len(),
        stuck,
    };
    let mut json = serde_json::to_string_pretty(&report).expect("a report has no keys but strings");
    json.push('\n');
    json
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}
