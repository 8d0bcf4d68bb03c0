//! What an engine counts: a name, what it means, and its numbers. How that is told to whom belongs to `metrics`.

/// One figure, perhaps of several parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is called, without the unit.
    pub name: &'static str,
    /// What it means, without a full stop.
    pub help: &'static str,
    /// What is counted.
    pub unit: Option<Unit>,
    /// How its numbers behave.
    pub kind: FigureKind,
    /// The numbers; with the name and value of the part that each is of, if there are parts.
    pub numbers: Vec<(Option<(&'static str, String)>, Number)>,
}

/// What stands behind a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count.
    Whole(u64),
    /// A measure.
    Real(f64),
}

/// How a figure's numbers behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// They grow from the start of the process on.
    Counter,
    /// They go up and down.
    Gauge,
}

/// What a figure's numbers are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Figure {
    /// A number that grows.
    pub(crate) fn counter(name: &'static str, help: &'static str, number: u64) -> Self {
        Self { name, help, unit: None, kind: FigureKind::Counter, numbers: vec![(None, Number::Whole(number))] }
    }

    /// A number that goes up and down.
    pub(crate) fn gauge(name: &'static str, help: &'static str, number: u64) -> Self {
        Self { kind: FigureKind::Gauge, ..Self::counter(name, help, number) }
    }

    /// The same, of this unit.
    pub(crate) fn of(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// The same, with this measure.
    pub(crate) fn measured(self, number: f64) -> Self {
        Self { numbers: vec![(None, Number::Real(number))], ..self }
    }

    /// The same, with a number for each part.
    pub(crate) fn by(self, part: &'static str, numbers: impl IntoIterator<Item = (String, u64)>) -> Self {
        let numbers = numbers.into_iter().map(|(name, number)| (Some((part, name)), Number::Whole(number)));
        Self { numbers: numbers.collect(), ..self }
    }
}
