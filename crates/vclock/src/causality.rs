//! Owns the four answers to "which came first?". Does not own any comparison: see `VClock::compare`, `Context::compare`
//! and `Siblings::compare`.

/// How one version relates to another in the partial order of causality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Causality {
    /// Both have seen exactly the same events.
    Equal,
    /// The left side is an ancestor of the right: everything it has seen, the right has seen too, and more.
    Before,
    /// The left side is a descendant of the right.
    After,
    /// Each side has seen something the other has not: a conflict.
    Concurrent,
}

impl Causality {
    /// The answer to the same question with the two sides exchanged.
    ///
    /// ```
    /// use kvorum_vclock::Causality;
    /// assert_eq!(Causality::Before.reverse(), Causality::After);
    /// assert_eq!(Causality::Concurrent.reverse(), Causality::Concurrent);
    /// ```
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::Before => Self::After,
            Self::After => Self::Before,
            Self::Equal => Self::Equal,
            Self::Concurrent => Self::Concurrent,
        }
    }

    /// The answer, once it is known which sides have seen something that the other has not.
    pub(crate) const fn of(left_ahead: bool, right_ahead: bool) -> Self {
        match (left_ahead, right_ahead) {
            (false, false) => Self::Equal,
            (false, true) => Self::Before,
            (true, false) => Self::After,
            (true, true) => Self::Concurrent,
        }
    }
}
