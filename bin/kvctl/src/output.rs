//! Owns how results look: bytes as text, sizes, tables, JSON. What is shown is each command's own
//! matter.

use std::io::{self, IsTerminal, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvorum_client::{Replicas, Version, Written};
use serde::Serialize;

use crate::exit::{Failure, complain};

/// Writes to standard output, all of it.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::writing("standard output", &error))
}

/// One JSON value on a line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| Failure::other(format!("cannot write the result as JSON: {error}")))?;
    line.push(b'\n');
    print(&line)
}

/// Bytes as JSON can carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) is_base64: bool,
}

impl Text {
    pub(crate) fn of(bytes: &[u8]) -> Text {
        match str::from_utf8(bytes) {
            Ok(text) => Text { text: text.into(), is_base64: false },
            Err(_) => Text { text: STANDARD.encode(bytes), is_base64: true },
        }
    }

    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        if self.is_base64 { STANDARD.decode(self.text).ok() } else { Some(self.text.into_bytes()) }
    }

    pub(crate) fn encoding(&self) -> &'static str {
        if self.is_base64 { "base64" } else { "utf8" }
    }
}

/// A key in every JSON object that has one.
#[derive(Debug, Serialize)]
pub(crate) struct JsonKey {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
}

impl JsonKey {
    pub(crate) fn of(key: &[u8]) -> JsonKey {
        let key = Text::of(key);
        JsonKey { key_encoding: key.is_base64.then_some("base64"), key: key.text }
    }
}

/// A value in every JSON object that has one.
#[derive(Debug, Serialize)]
pub(crate) struct JsonValue {
    value: String,
    encoding: &'static str,
    /// Sixteen hexadecimal digits.
    actor: String,
    /// `millis.counter`.
    timestamp: String,
    /// Milliseconds since the Unix epoch.
    expires_at: Option<u64>,
    /// What is left of it, by the clock here.
    expires_in_ms: Option<u64>,
}

impl JsonValue {
    pub(crate) fn of(version: &Version, unix_ms: u64) -> JsonValue {
        let value = Text::of(&version.value);
        JsonValue {
            encoding: value.encoding(),
            value: value.text,
            actor: actor(version.actor),
            timestamp: version.timestamp.to_string(),
            expires_at: version.expires_at_ms,
            expires_in_ms: version.expires_at_ms.map(|at| at.saturating_sub(unix_ms)),
        }
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How many replicas stand behind an answer.
#[derive(Debug, Serialize)]
pub(crate) struct JsonReplicas {
    wanted: u32,
    answered: u32,
    agreed: u32,
    sloppy: bool,
}

impl From<Replicas> for JsonReplicas {
    fn from(replicas: Replicas) -> JsonReplicas {
        let Replicas { wanted, answered, agreed, sloppy } = replicas;
        JsonReplicas { wanted, answered, agreed, sloppy }
    }
}

/// A tenure, as every JSON object has it.
pub(crate) fn actor(actor: u64) -> String {
    format!("{actor:016x}")
}

#[derive(Debug, Serialize)]
struct JsonWritten {
    #[serde(flatten)]
    key: JsonKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
    actor: String,
    timestamp: String,
    /// Milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    replicas: JsonReplicas,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Stored,
    Deleted,
}

/// What is shown of a write.
pub(crate) fn print_written(json: bool, write: Write, key: &[u8], written: &Written) -> Result<(), Failure> {
    if json {
        return print_json(&JsonWritten {
            key: JsonKey::of(key),
            stored: (write == Write::Stored).then_some(true),
            deleted: (write == Write::Deleted).then_some(true),
            actor: actor(written.actor),
            timestamp: written.timestamp.to_string(),
            expires_at: written.expires_at_ms,
            replicas: written.replicas.into(),
        });
    }
    let Replicas { wanted, answered, sloppy, .. } = written.replicas;
    let done = if write == Write::Stored { "stored" } else { "deleted" };
    let stand_in = if sloppy { ", a stand-in among them" } else { "" };
    let noun = if answered == 1 { "replica" } else { "replicas" };
    print(format!("{done} ({answered} {noun}{stand_in}, {wanted} wanted)\n").as_bytes())?;
    note_stand_in(&written.replicas);
    Ok(())
}

/// Tells people when an answer lies outside of what R + W > N promises.
pub(crate) fn note_stand_in(replicas: &Replicas) {
    stand_in_note(replicas).into_iter().for_each(complain);
}

fn stand_in_note(replicas: &Replicas) -> Option<&'static str> {
    replicas.sloppy.then_some("note: a stand-in answered for a replica that is away")
}

/// A key in a sentence: what is not UTF-8 is escaped, and the long is cut.
pub(crate) fn quoted(key: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = match str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => key.escape_ascii().to_string(),
    };
    let cut: String = text.chars().take(LONGEST).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("`{cut}`{dots}")
}

/// Bytes for people: `13.6 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // What would be rounded to 1000.0 belongs to the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span of time for people: `3 ms`, `2.1 s`, `5 min`.
pub(crate) fn age(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..120_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        120_000..7_200_000 => format!("{} min", milliseconds / 60_000),
        _ => format!("{} h", milliseconds / 3_600_000),
    }
}

/// Aligned columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    colour: Option<Colour>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: crate::exit::one_line(&text.to_string()), colour: None }
    }
}

impl Cell {
    pub(crate) fn coloured(text: &str, colour: Colour) -> Cell {
        Cell { colour: Some(colour), ..Cell::from(text) }
    }
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<(&'static str, Align)>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    pub(crate) fn render(&self, in_colour: bool) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].text.chars().count());
            cells.chain([self.columns[column].0.len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let header: Vec<Cell> = self.columns.iter().map(|&(name, _)| Cell::from(name)).collect();
        let mut text = String::new();
        for row in [&header].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, &(_, align)), &width) in row.iter().zip(&self.columns).zip(&widths) {
                let padding = " ".repeat(width - cell.text.chars().count());
                let shown = match cell.colour.filter(|_| in_colour) {
                    Some(colour) => format!("\u{1b}[{}m{}\u{1b}[0m", colour as u8, cell.text),
                    None => cell.text.clone(),
                };
                let (before, after) = if align == Align::Right { (&*padding, "") } else { ("", &*padding) };
                line += &format!("{before}{shown}{after}  ");
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Whether standard output takes colours.
pub(crate) fn takes_colour() -> bool {
    let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && unset("NO_COLOR") && !dumb
}

#[cfg(test)]
mod tests;
