//! Owns the report for people: a table of figures, and one of bars.

use std::fmt::Write;

use crate::report::Report;
use crate::rows::{BarRow, Row};

pub(crate) fn text(report: &Report) -> String {
    let mut text = head(report);
    let _ = writeln!(
        text,
        "\n{:<24} {:<23} {:<8} {:>10} {:>11} {:>15} {:>9} {:>8} {:>10}  notes",
        "workload", "figure", "engine", "median", "lsm/engine", "range", "peak MiB", "CPU s", "CPU us/op"
    );
    let mut last = None;
    for row in &report.rows {
        if last.is_some_and(|last| last != (row.workload, row.figure)) {
            text.push('\n');
        }
        last = Some((row.workload, row.figure));
        text.push_str(&line(row));
    }
    if !report.bars.is_empty() {
        let met = report.bars.iter().filter(|bar| bar.met == Some(true)).count();
        let _ = writeln!(text, "\nbars: {met} of {} met", report.bars.len());
        report.bars.iter().for_each(|bar| text.push_str(&bar_line(bar)));
    }
    text
}

fn head(report: &Report) -> String {
    let sizes = &report.sizes;
    let mut text = format!(
        "rounds: {}, in {:.0} s on {} processors: {} keys, cache {} KiB, memtables 3 of {} KiB\n",
        report.rounds,
        report.seconds,
        report.processors,
        sizes.keys,
        sizes.cache_bytes >> 10,
        sizes.buffer_bytes >> 10
    );
    for engine in &report.engines {
        let less = engine.less.map_or(String::new(), |less| format!(" (promises less: {less})"));
        let _ = writeln!(text, "{:<8} {}{less}", engine.name.text(), engine.version);
    }
    text
}

fn line(row: &Row) -> String {
    let digits = row.digits;
    let (ratio, range) = row.ratio.map_or_else(Default::default, |ratio| {
        (format!("{:.2}", ratio.median), format!("{:.2} - {:.2}", ratio.least, ratio.most))
    });
    let line = format!(
        "{:<24} {:<23} {:<8} {:>10.digits$} {ratio:>11} {range:>15} {:>9.0} {:>8.2} {:>10.2}  {}",
        row.workload.text(),
        row.figure,
        row.engine.text(),
        row.median,
        row.peak_bytes / f64::from(1 << 20),
        row.cpu_seconds,
        row.cpu_us_per_operation,
        row.notes.join(", ")
    );
    format!("{}\n", line.trim_end())
}

fn bar_line(bar: &BarRow) -> String {
    let ratio = bar.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let met = match (bar.met, bar.ratio) {
        (Some(true), _) => "met",
        (Some(false), _) => "MISSED",
        (None, Some(_)) => "not judged: cut by time",
        (None, None) => "not measured",
    };
    let (workload, figure, engine) = (bar.workload.text(), bar.figure, bar.engine.text());
    format!("{workload:<24} {figure:<23} lsm/{engine:<8} {} {:>4.2}  is {ratio:>6}  {met}\n", bar.sign, bar.bar)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engines::Name;
    use crate::figures::Workload;
    use crate::report::tests::entry;
    use crate::sizes::SizeArgs;

    #[test]
    fn the_tables_show_medians_ratios_and_bars() {
        let runs = [(Name::Lsm, 1_200.0), (Name::Fjall, 1_000.0), (Name::Rocksdb, 4_000.0), (Name::Redb, 10.0)];
        let runs = runs.map(|(engine, figure)| entry(1, engine, Workload::Fill1, figure)).to_vec();
        let report = Report::new(SizeArgs::default().sizes(), 1, Duration::from_secs(3), runs);
        let text = text(&report);
        let has = |parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(has(&["fill1", "fjall", "1000", "1.20", "1.20 - 1.20", "64", "0.50", "5000.00"]), "{text}");
        assert!(has(&["fill1", "redb", "120.00", "promises less"]), "{text}");
        assert!(has(&["lsm/fjall", ">= 1.20", "met"]) && has(&["lsm/rocksdb", ">= 0.90", "0.30", "MISSED"]), "{text}");
        assert!(has(&["bars: 1 of 2 met"]), "{text}");
    }
}
