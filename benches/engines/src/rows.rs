//! Owns what follows from the runs: medians over the rounds, ratios within them, and which bars are met.

use serde::Serialize;

use crate::engines::Name;
use crate::figures::{FIGURES, Figure, PUTS, Workload};
use crate::measured::Measured;
use crate::report::Entry;
use crate::workloads::PACE;

/// A figure of an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: Workload,
    pub(crate) figure: &'static str,
    pub(crate) engine: Name,
    /// Over the rounds.
    pub(crate) median: f64,
    /// What kvorum-lsm's figure is as a multiple of this one.
    pub(crate) ratio: Option<Ratio>,
    pub(crate) peak_bytes: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) cpu_us_per_operation: f64,
    /// What to know before comparing.
    pub(crate) notes: Vec<&'static str>,
    /// A phase was cut short by time.
    pub(crate) cut: bool,
    #[serde(skip)]
    pub(crate) digits: usize,
}

/// Ratios of the rounds: what else the machine does changes between rounds and hardly within one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// What is aimed at, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BarRow {
    pub(crate) workload: Workload,
    pub(crate) figure: &'static str,
    pub(crate) engine: Name,
    pub(crate) sign: &'static str,
    pub(crate) bar: f64,
    /// None if either was not measured.
    pub(crate) ratio: Option<f64>,
    /// None also if a database was cut short that is measured by what is in it: one with less in it is another one.
    pub(crate) met: Option<bool>,
}

/// All figures that were measured, in the order of the table of figures.
pub(crate) fn rows(entries: &[Entry], engines: &[Name]) -> Vec<Row> {
    let each = |figure: &'static Figure| engines.iter().filter_map(move |engine| row(entries, figure, *engine));
    FIGURES.iter().flat_map(each).collect()
}

fn row(entries: &[Entry], figure: &'static Figure, engine: Name) -> Option<Row> {
    let measured: Vec<(usize, &Measured)> = of(entries, figure.workload, engine).collect();
    let figures: Vec<f64> = measured.iter().filter_map(|(_, one)| one.figures.get(figure.name).copied()).collect();
    let over = |value: fn(&Measured) -> f64| median(measured.iter().map(|(_, one)| value(one)).collect());
    Some(Row {
        workload: figure.workload,
        figure: figure.name,
        engine,
        median: median(figures)?,
        ratio: if engine == Name::Lsm { None } else { ratio(entries, figure, engine) },
        peak_bytes: over(|one| one.peak_bytes as f64)?,
        cpu_seconds: over(|one| one.cpu_seconds)?,
        cpu_us_per_operation: over(|one| one.cpu_seconds * 1e6 / one.operations.max(1) as f64)?,
        notes: notes(figure.workload, engine, measured.iter().map(|(_, one)| *one)),
        cut: measured.iter().any(|(_, one)| one.cut),
        digits: figure.digits,
    })
}

/// What every round measured, with the number of the round.
fn of(entries: &[Entry], workload: Workload, engine: Name) -> impl Iterator<Item = (usize, &Measured)> {
    let entries = entries.iter().filter(move |entry| entry.engine == engine);
    entries.filter_map(move |entry| {
        let run = entry.outcome.run()?;
        let measured = run.measured.iter().find(|one| one.workload == workload)?;
        Some((entry.round, measured))
    })
}

fn ratio(entries: &[Entry], figure: &Figure, engine: Name) -> Option<Ratio> {
    let mut ratios = Vec::new();
    for (round, other) in of(entries, figure.workload, engine) {
        let ours = of(entries, figure.workload, Name::Lsm).find(|(ours, _)| *ours == round);
        let ours = ours.and_then(|(_, ours)| ours.figures.get(figure.name));
        if let (Some(ours), Some(theirs)) = (ours, other.figures.get(figure.name)) {
            ratios.push(ours / theirs);
        }
    }
    ratios.retain(|ratio| ratio.is_finite());
    ratios.sort_by(f64::total_cmp);
    Some(Ratio { least: *ratios.first()?, most: *ratios.last()?, median: median(ratios)? })
}

fn notes<'a>(
    workload: Workload,
    engine: Name,
    measured: impl Iterator<Item = &'a Measured> + Clone,
) -> Vec<&'static str> {
    let any = |holds: fn(&Measured) -> bool| measured.clone().any(holds);
    let slow = |one: &Measured| one.figures.get(PUTS).is_some_and(|puts| *puts < 0.98 * f64::from(PACE));
    let lost = any(|one| one.checks.lost > 0);
    [
        (workload.puts_buffered() && engine.less().is_some(), "promises less"),
        (lost, "lost puts"),
        (any(|one| one.cut), "cut by time"),
        (any(|one| !one.settled), "not settled"),
        (workload == Workload::ReadsDuringPacedFill && any(slow), "pace not kept"),
    ]
    .into_iter()
    .filter_map(|(holds, note)| holds.then_some(note))
    .collect()
}

/// All bars of what was measured.
pub(crate) fn bars(rows: &[Row]) -> Vec<BarRow> {
    let mut bars = Vec::new();
    for figure in &FIGURES {
        let Some(bar) = figure.bar else { continue };
        for engine in [Name::Fjall, Name::Rocksdb] {
            let mut of_figure = rows.iter().filter(|row| (row.workload, row.figure) == (figure.workload, figure.name));
            let (Some(limit), Some(row)) = (bar.for_engine(engine), of_figure.find(|row| row.engine == engine)) else {
                continue;
            };
            let ours = rows.iter().find(|ours| ours.engine == Name::Lsm && ours.workload == row.workload);
            let judged = !figure.of_contents() || !(row.cut || ours.is_some_and(|ours| ours.cut));
            let ratio = row.ratio.map(|ratio| ratio.median);
            bars.push(BarRow {
                workload: figure.workload,
                figure: figure.name,
                engine,
                sign: bar.sign(),
                bar: limit,
                ratio,
                met: ratio.filter(|_| judged).map(|ratio| bar.is_met(limit, ratio)),
            });
        }
    }
    bars
}

/// Of an even number, the mean of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::OPS;
    use crate::report::tests::entry;

    #[test]
    fn a_ratio_is_the_median_of_those_of_the_rounds() {
        // The machine was half as fast in the second round: the ratio is hardly touched, though the medians differ.
        let figures = [(1, 1000.0, 1500.0), (2, 500.0, 800.0), (3, 1000.0, 1400.0)];
        let pairs = figures.iter().flat_map(|(round, fjall, lsm)| {
            [entry(*round, Name::Fjall, Workload::Fill1, *fjall), entry(*round, Name::Lsm, Workload::Fill1, *lsm)]
        });
        let entries: Vec<Entry> = pairs.collect();
        let rows = rows(&entries, &[Name::Lsm, Name::Fjall]);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].median, rows[0].ratio), (1400.0, None));
        let ratio = rows[1].ratio.unwrap();
        assert_eq!((rows[1].median, ratio.median, ratio.least, ratio.most), (1000.0, 1.5, 1.4, 1.6));
        let bars = bars(&rows);
        assert_eq!(bars.len(), 1, "RocksDB was not measured");
        assert!(bars[0].met == Some(true) && bars[0].bar == 1.2 && bars[0].figure == OPS);
    }

    #[test]
    fn without_a_partner_in_its_round_a_figure_has_no_ratio() {
        let entries = [entry(1, Name::Lsm, Workload::Get1, 10.0), entry(2, Name::Rocksdb, Workload::Get1, 5.0)];
        let rows = rows(&entries, &[Name::Lsm, Name::Rocksdb]);
        assert_eq!((rows[1].median, rows[1].ratio), (5.0, None));
        assert_eq!(bars(&rows)[0].met, None);
    }

    #[test]
    fn a_database_that_was_cut_short_is_not_judged_by_its_contents() {
        for (workload, judged) in [(Workload::Overwrite, None), (Workload::Fill1, Some(false))] {
            let mut entries = [entry(1, Name::Lsm, workload, 2.0), entry(1, Name::Rocksdb, workload, 4.0)];
            assert!(bars(&rows(&entries, &[Name::Lsm, Name::Rocksdb]))[0].met.is_some());
            entries[1].measured_mut().cut = true;
            assert_eq!(bars(&rows(&entries, &[Name::Lsm, Name::Rocksdb]))[0].met, judged);
        }
    }

    #[test]
    fn doubts_are_noted() {
        let mut entry = entry(1, Name::Redb, Workload::Recover, 1.0);
        entry.measured_mut().cut = true;
        entry.measured_mut().checks.lost = 7;
        assert_eq!(rows(&[entry], &[Name::Redb])[0].notes, ["promises less", "lost puts", "cut by time"]);
    }

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
