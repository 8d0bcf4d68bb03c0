//! Owns the tables that people read.

use std::fmt::Write;

use crate::report::{Quantiles, Report, Row};
use crate::scenarios::Part;

/// One column: its heading, its width, and what stands there.
type Column = (&'static str, usize, fn(&Row) -> String);

const WHO: [Column; 3] = [
    ("nodes", 5, |row| row.nodes.to_string()),
    ("loss", 4, |row| format!("{}%", row.loss_percent)),
    ("library", 14, |row| row.variant.text().to_owned()),
];

const TIMES: [Column; 6] = [
    ("mass start", 15, |row| times(&row.starts)),
    ("change", 15, |row| times(&row.changes)),
    ("in periods", 10, |row| periods(row)),
    ("newcomer", 15, |row| times(&row.newcomers)),
    ("both ways", 15, |row| times(&row.both_ways)),
    ("crash", 15, |row| times(&row.crashes)),
];

const COSTS: [Column; 7] = [
    ("msg/s", 7, |row| rest(row, |rest| format!("{:.1}", rest.messages_per_node_second))),
    ("bytes/s", 8, |row| rest(row, |rest| format!("{:.0}", rest.bytes_per_node_second))),
    ("largest", 8, |row| rest(row, |rest| rest.largest_message.to_string())),
    ("ever", 8, |row| row.largest_message.to_string()),
    ("cpu us/s", 9, |row| rest(row, |rest| format!("{:.0}", rest.cpu_us_per_node_second))),
    ("mem/member", 10, |row| rest(row, |rest| format!("{:.0}", rest.bytes_per_member))),
    ("metadata", 8, |row| format!("{:.1}%", row.metadata_known * 100.0)),
];

const MISTAKES: [Column; 6] = [
    ("node-s", 8, |row| format!("{:.0}", row.watched_node_seconds)),
    ("incidents", 10, |row| rate(row, row.mistakes.incidents)),
    ("views", 10, |row| rate(row, row.mistakes.views)),
    ("by healthy", 10, |row| rate(row, row.mistakes.healthy_views)),
    ("unsure", 10, |row| rate(row, row.mistakes.unsure_views)),
    ("of pausing", 10, |row| rate(row, row.mistakes.pausing_views)),
];

const HEALS: [Column; 1] = [("heal", 15, |row| times(&row.heals))];

pub(crate) fn text(report: &Report) -> String {
    let of = |part: Part| report.rows.iter().filter(|row| row.part == part).collect::<Vec<_>>();
    let (life, pauses, heal) = (of(Part::Life), of(Part::Pauses), of(Part::Heal));
    let mut text = String::new();
    let mut add = |title: &str, columns: &[Column], rows: &[&Row]| {
        if !rows.is_empty() {
            let _ = writeln!(text, "{title}\n{}", table(columns, rows));
        }
    };
    add("Times in ms, median / p99, until the last node knows", &TIMES, &life);
    add("At rest: for each node and second; bytes of memory for each member in each node", &COSTS, &life);
    add("At rest: healthy members taken for gone, for 10^6 node-seconds", &MISTAKES, &life);
    add("A tenth of the nodes pauses now and then: members taken for gone, for 10^6 node-seconds", &MISTAKES, &pauses);
    add("After a partition of 30 s: ms until all see all, median / p99", &HEALS, &heal);
    for run in &report.runs {
        if let Some(failed) = &run.failed {
            let cell = &run.cell;
            let _ = writeln!(
                text,
                "{} n={} loss={}% {:?} seed={}: {failed}",
                cell.variant.text(),
                cell.nodes,
                cell.loss_percent,
                cell.part,
                cell.seed
            );
        }
    }
    let errors = report.rows.iter().filter(|row| row.errors > 0);
    for row in errors {
        let name = row.variant.text();
        let _ = writeln!(text, "{name} n={} {:?}: {} errors that it says to ignore", row.nodes, row.part, row.errors);
    }
    text
}

fn table(columns: &[Column], rows: &[&Row]) -> String {
    let columns: Vec<&Column> = WHO.iter().chain(columns).collect();
    let line = |cells: Vec<String>| {
        let cells = columns.iter().zip(cells).map(|((name, width, _), cell)| match *name {
            "library" => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(columns.iter().map(|(name, ..)| (*name).to_owned()).collect());
    for row in rows {
        text += &line(columns.iter().map(|(_, _, cell)| cell(row)).collect());
    }
    text
}

fn times(times: &Quantiles) -> String {
    let one = |time: Option<f64>| time.map_or("never".to_owned(), |time| format!("{time:.0}"));
    if times.count == 0 { "-".to_owned() } else { format!("{} / {}", one(times.median), one(times.p99)) }
}

fn periods(row: &Row) -> String {
    let period = row.variant.period().as_secs_f64() * 1000.0;
    row.changes.median.map_or("-".to_owned(), |time| format!("{:.1}", time / period))
}

fn rest(row: &Row, of: fn(&crate::scenarios::Rest) -> String) -> String {
    row.rest.as_ref().map_or("-".to_owned(), of)
}

fn rate(row: &Row, events: u64) -> String {
    if row.watched_node_seconds == 0.0 {
        return "-".to_owned();
    }
    format!("{:.0}", events as f64 * 1e6 / row.watched_node_seconds)
}
