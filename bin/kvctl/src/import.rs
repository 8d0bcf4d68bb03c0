//! `kvctl import`: a file of pairs, many puts in flight. How a line is written is in `format.rs`.
//!
//! Lines are stored in any order, but those of one key one after the other, so that the last wins. A
//! put that fails for now, or is in doubt, is tried again: the same pair once more does no harm.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kvorum_client::{Bytes, Client, Error, Level, PutOptions};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::args::ImportArgs;
use crate::exit::{Exit, Failure, verdict};
use crate::format::{BadLine, Format, Pair};
use crate::lines::Lines;
use crate::output::quoted;
use crate::progress::{Progress, Summary, print_summary};
use crate::target::Target;

/// Puts in flight, and the bytes of their keys and values.
const MAX_IN_FLIGHT: usize = 256;
const MAX_BYTES_IN_FLIGHT: usize = 8 * 1024 * 1024;
/// Lines are handed from the reading thread in groups of so many, or of so many bytes.
const GROUP_LINES: usize = 128;
const GROUP_BYTES: u64 = 256 * 1024;
/// Before a put that failed or is in doubt is tried again, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One line read.
struct Entry {
    number: u64,
    length: u64,
    pair: Result<Pair, BadLine>,
}

/// What became of one put.
struct Done {
    number: u64,
    key: Bytes,
    size: usize,
    result: Result<(), Error>,
}

struct Import<'a> {
    target: &'a Target,
    level: Option<Level>,
    name: String,
    progress: Progress,
    puts: JoinSet<Done>,
    /// The keys of these puts.
    keys: HashSet<Bytes>,
    bytes: usize,
    bad_lines: u64,
    expired: u64,
    /// The first line that could not be stored, its key, and why.
    stopped: Option<(u64, Bytes, Error)>,
}

#[derive(Debug, Serialize)]
struct JsonImported {
    imported: u64,
    bytes: u64,
    seconds: f64,
    bad_lines: u64,
    expired: u64,
}

pub(crate) async fn run(target: &Target, args: ImportArgs) -> Result<(), Failure> {
    let format = Format::of(args.format, Some(&args.file));
    let name = if args.file == Path::new("-") { "standard input".to_owned() } else { args.file.display().to_string() };
    let unreadable = |error: &io::Error| {
        Failure::other(format!("cannot read {name}: {error}; is the name right, and the permission there?"))
    };
    let (input, length) = open(&args.file).map_err(|error| unreadable(&error))?;
    let mut import = Import {
        target,
        level: args.write,
        name: name.clone(),
        progress: Progress::new(length),
        puts: JoinSet::new(),
        keys: HashSet::new(),
        bytes: 0,
        bad_lines: 0,
        expired: 0,
        stopped: None,
    };
    let mut entries = read(input, format, args.from_line);
    let mut unread = None;
    while let Some(group) = entries.recv().await {
        match group {
            Ok(group) => import.take(group).await,
            Err(error) => unread = Some(error),
        }
        if import.stopped.is_some() {
            break;
        }
    }
    // The reading thread ends with the next group it has.
    drop(entries);
    while import.settle_one().await {}
    import.progress.clear();
    import.finish(unread.map(|error| unreadable(&error)))
}

impl Import<'_> {
    async fn take(&mut self, group: Vec<Entry>) {
        for Entry { number, length, pair } in group {
            self.progress.read(length);
            match pair {
                Ok(pair) => self.begin(number, pair).await,
                Err(BadLine(reason)) => self.bad_line(number, &reason),
            }
            if self.stopped.is_some() {
                return;
            }
        }
    }

    /// Begins a put, as soon as there is room and no earlier put of the key is in flight.
    async fn begin(&mut self, number: u64, pair: Pair) {
        let size = pair.key.len() + pair.value.len();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let ttl = match pair.expires_at_ms {
            Some(expires_at_ms) if expires_at_ms <= now_ms => {
                self.expired += 1;
                return;
            }
            Some(expires_at_ms) => Some(Duration::from_millis(expires_at_ms - now_ms)),
            None => None,
        };
        while self.puts.len() >= MAX_IN_FLIGHT
            || (self.bytes + size > MAX_BYTES_IN_FLIGHT && !self.puts.is_empty())
            || self.keys.contains(&pair.key)
        {
            self.settle_one().await;
            if self.stopped.is_some() {
                return;
            }
        }
        self.bytes += size;
        self.keys.insert(pair.key.clone());
        let client = self.target.client.clone();
        let options = PutOptions::new().level(self.level).ttl(ttl);
        let timeout = self.target.timeout;
        self.puts.spawn(async move {
            let key = pair.key.clone();
            let result = store(&client, pair, options, timeout).await;
            Done { number, key, size, result }
        });
    }

    /// Waits for one put. False when none is in flight.
    async fn settle_one(&mut self) -> bool {
        let Some(done) = self.puts.join_next().await else { return false };
        let Done { number, key, size, result } = match done {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.bytes -= size;
        self.keys.remove(&key);
        match result {
            Ok(()) => self.progress.arrived(size as u64),
            Err(error @ (Error::Invalid { .. } | Error::Precondition { .. })) => {
                self.bad_line(number, &error.to_string());
            }
            Err(error) => {
                if self.stopped.as_ref().is_none_or(|&(earlier, ..)| number < earlier) {
                    self.stopped = Some((number, key, error));
                }
            }
        }
        true
    }

    fn bad_line(&mut self, number: u64, reason: &str) {
        self.bad_lines += 1;
        self.progress.complain(&format!("{} line {number}: {reason}", self.name));
    }

    fn finish(self, unread: Option<Failure>) -> Result<(), Failure> {
        if let Some((number, key, error)) = &self.stopped {
            let (exit, _) = verdict(error);
            let key = quoted(key);
            return Err(Failure::new(
                exit,
                format!(
                    "cannot import line {number} of {} ({key}) through {}: {error}; lines before it are done, \
                     go on with --from-line {number}",
                    self.name, self.target.endpoints
                ),
            ));
        }
        if let Some(failure) = unread {
            return Err(failure);
        }
        let summary = self.progress.summary();
        print_summary(&self.text(&summary), self.json(&summary).as_ref(), true)?;
        if self.bad_lines == 0 {
            return Ok(());
        }
        let lines = if self.bad_lines == 1 { "1 line".into() } else { format!("{} lines", self.bad_lines) };
        let message = format!("cannot import {lines} of {}; correct and import them again", self.name);
        Err(Failure::new(Exit::Refused, message))
    }

    fn text(&self, summary: &Summary) -> String {
        let expired = match self.expired {
            0 => String::new(),
            count => format!(", left away {count} that had expired"),
        };
        format!("imported {}{expired}", summary.text())
    }

    fn json(&self, summary: &Summary) -> Option<JsonImported> {
        self.target.wants_json().then_some(JsonImported {
            imported: summary.pairs,
            bytes: summary.bytes,
            seconds: summary.seconds,
            bad_lines: self.bad_lines,
            expired: self.expired,
        })
    }
}

/// One put, tried again within the timeout even when in doubt. The client's own retries are few for so many puts in flight;
/// these come after growing pauses, so that a cluster in trouble gets fewer of them and not more.
async fn store(client: &Client, pair: Pair, options: PutOptions, timeout: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + timeout;
    let mut left = timeout;
    let mut pause = PAUSE;
    loop {
        let options = options.clone().timeout(left);
        let result = client.put_with(pair.key.clone(), pair.value.clone(), &options).await;
        left = deadline.saturating_duration_since(Instant::now()).saturating_sub(pause);
        match result {
            Err(Error::Indeterminate { .. } | Error::Rejected { .. } | Error::Overloaded { .. })
                if left.as_millis() > 0 =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result.map(|_| ()),
        }
    }
}

type Input = Box<dyn Read + Send>;

/// The input, and its length where it is known.
fn open(file: &Path) -> io::Result<(Input, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

/// Reads and parses on a thread of its own, since files and pipes block.
fn read(input: Input, format: Format, from_line: u64) -> mpsc::Receiver<io::Result<Vec<Entry>>> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let mut group = Vec::new();
        let mut bytes = 0;
        for line in Lines::new(BufReader::with_capacity(128 * 1024, input)) {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    let _ = sender.blocking_send(Ok(std::mem::take(&mut group)));
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            if line.number < from_line {
                continue;
            }
            let pair = match line.text {
                Some(text) => format.parse(&text),
                None => Err(BadLine("it is too long for any pair".into())),
            };
            group.push(Entry { number: line.number, length: line.length, pair });
            bytes += line.length;
            if group.len() >= GROUP_LINES || bytes >= GROUP_BYTES {
                bytes = 0;
                if sender.blocking_send(Ok(std::mem::take(&mut group))).is_err() {
                    return; // The import has stopped.
                }
            }
        }
        let _ = sender.blocking_send(Ok(group));
    });
    receiver
}
