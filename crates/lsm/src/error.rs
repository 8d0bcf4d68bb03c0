//! Owns what can go wrong, and what each failure means for what was stored.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused. Nothing was acknowledged; a failed write or sync also poisons the database.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "sync", ...
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// Stored bytes are not what was written. Nothing read is wrong: the bad part is not shown.
    #[error("{} is damaged at byte {offset}: {what}", file.display())]
    Corruption {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// An earlier write or sync failed, so nothing more is taken in. Open the database again.
    #[error("the database takes no writes since an earlier failure: {0}")]
    Poisoned(Arc<str>),
    /// Another process, or another handle of this one, has it open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A setting is outside its limits. Nothing was opened.
    #[error("option {name} must {must}")]
    Option {
        /// The field of [`Options`](crate::Options).
        name: &'static str,
        /// What must hold, as in "option l0_stop must be more than l0_slow".
        must: &'static str,
    },
    /// The caller asked for something that cannot be. Nothing changed.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn corruption(file: &std::path::Path, offset: u64, what: &'static str) -> Self {
        Self::Corruption { file: file.to_owned(), offset, what }
    }
}

/// What operations give.
pub type Result<T, E = Error> = core::result::Result<T, E>;
