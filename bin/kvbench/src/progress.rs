//! Owns the live line on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that changes; nothing where that is no terminal.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// `length` is how many steps there are, where that is known.
    pub(crate) fn new(length: Option<u64>) -> Progress {
        let template = match length {
            Some(_) => "{bar:24} {percent:>3}%  {msg}  {eta} left",
            None => "{spinner} {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates are well-formed");
        Progress(length.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style))
    }

    pub(crate) fn say(&self, message: String) {
        self.0.set_message(message);
    }

    pub(crate) fn reached(&self, position: u64) {
        self.0.set_position(position);
    }

    /// A line above it, also where there is no terminal.
    pub(crate) fn complain(&self, message: &str) {
        self.0.suspend(|| crate::exit::complain(message));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// `850us`, `12.3ms`, `4.56s`: three digits, or a little more.
pub(crate) fn latency(micros: f64) -> String {
    match micros {
        ..10.0 => format!("{micros:.1}us"),
        ..1000.0 => format!("{micros:.0}us"),
        ..10_000.0 => format!("{:.2}ms", micros / 1e3),
        ..1_000_000.0 => format!("{:.1}ms", micros / 1e3),
        _ => format!("{:.2}s", micros / 1e6),
    }
}

/// A whole number in groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many per second.
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_the_unit_that_suits_them() {
        for (micros, text) in [
            (0.0, "0.0us"),
            (9.94, "9.9us"),
            (10.0, "10us"),
            (999.4, "999us"),
            (1234.0, "1.23ms"),
            (12_345.0, "12.3ms"),
            (4_560_000.0, "4.56s"),
        ] {
            assert_eq!(latency(micros), text);
        }
    }

    #[test]
    fn numbers_are_grouped_from_the_right() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
