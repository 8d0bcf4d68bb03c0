//! What becomes of a change of the keyspaces.

use crate::{CatalogError, Keyspace};

/// A change that was made, or had been made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The keyspace it was about, as it now is; a dropped one as it was.
    pub keyspace: Keyspace,
    /// The version of the catalog that has it.
    pub version: u64,
}

/// Why a change was not made, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeError {
    /// Whose fault it is, and whether anything changed.
    pub kind: ChangeErrorKind,
    /// For people: what failed and what to do about it.
    pub message: String,
}

/// The kinds of [`ChangeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeErrorKind {
    /// A name or a setting makes no sense. Nothing changed.
    Invalid,
    /// Another keyspace has the name. Nothing changed.
    Exists,
    /// No keyspace has the name. Nothing changed.
    Missing,
    /// As things are it cannot be done. Nothing changed.
    Refused,
    /// Who decides cannot be asked now. Certainly nothing changed.
    Rejected,
    /// It may or may not have been made.
    Indeterminate,
}

/// What becomes of a change.
pub type ChangeOutcome = Result<Changed, ChangeError>;

impl From<CatalogError> for ChangeError {
    fn from(error: CatalogError) -> Self {
        let kind = match error {
            CatalogError::Exists { .. } => ChangeErrorKind::Exists,
            CatalogError::Missing { .. } => ChangeErrorKind::Missing,
            CatalogError::Permanent | CatalogError::TooMany | CatalogError::IdsExhausted => ChangeErrorKind::Refused,
            _ => ChangeErrorKind::Invalid,
        };
        Self { kind, message: error.to_string() }
    }
}

impl ChangeError {
    pub(super) fn rejected(message: String) -> Self {
        Self { kind: ChangeErrorKind::Rejected, message }
    }

    pub(super) fn indeterminate(message: String) -> Self {
        Self { kind: ChangeErrorKind::Indeterminate, message }
    }
}
