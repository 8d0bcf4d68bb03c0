//! Owns what a terminal shows while pairs are carried, and how the end is told. On anything but a
//! terminal it shows nothing.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{print, print_json, size};

/// Pairs carried so far.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    begin: Instant,
    pub(crate) pairs: u64,
    /// Of keys and values.
    pub(crate) bytes: u64,
}

/// How it ended, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) pairs: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

impl Progress {
    /// `length` is that of the input, where it is known.
    pub(crate) fn new(length: Option<u64>) -> Progress {
        let template = match length {
            Some(_) => "{bar:40} {percent:>3}%  {msg}  {eta} left",
            None => "{spinner} {msg}  {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates are well-formed");
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style);
        if length.is_none() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress { bar, begin: Instant::now(), pairs: 0, bytes: 0 }
    }

    /// So much of the input has been read.
    pub(crate) fn read(&self, length: u64) {
        self.bar.inc(length);
    }

    /// A pair of this size has arrived.
    pub(crate) fn arrived(&mut self, bytes: u64) {
        self.pairs += 1;
        self.bytes += bytes;
        if self.pairs.is_multiple_of(256) && !self.bar.is_hidden() {
            self.bar.set_message(format!("{} pairs, {}", self.pairs, size(self.bytes)));
        }
    }

    /// A line on standard error, above the bar.
    pub(crate) fn complain(&self, message: &str) {
        self.bar.suspend(|| crate::exit::complain(message));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    pub(crate) fn summary(&self) -> Summary {
        let milliseconds = self.begin.elapsed().as_millis() as f64;
        Summary { pairs: self.pairs, bytes: self.bytes, seconds: milliseconds / 1000.0 }
    }
}

impl Summary {
    /// "60000 pairs (13.5 MB) in 2.1 s".
    pub(crate) fn text(&self) -> String {
        let noun = if self.pairs == 1 { "pair" } else { "pairs" };
        format!("{} {noun} ({}) in {:.1} s", self.pairs, size(self.bytes), self.seconds)
    }
}

/// One line about the end: on standard output, or on standard error if that carries the data.
pub(crate) fn print_summary(text: &str, json: Option<&impl Serialize>, stdout_is_free: bool) -> Result<(), Failure> {
    match json {
        _ if !stdout_is_free => {
            if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
                // When nobody reads it there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "{text}");
            }
            Ok(())
        }
        Some(json) => print_json(json),
        None => print(format!("{text}\n").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_one_line() {
        let summary = Summary { pairs: 60_000, bytes: 13_465_385, seconds: 2.06 };
        assert_eq!(summary.text(), "60000 pairs (13.5 MB) in 2.1 s");
        let one = Summary { pairs: 1, bytes: 2, seconds: 0.0 };
        assert_eq!(one.text(), "1 pair (2 B) in 0.0 s");
    }
}
