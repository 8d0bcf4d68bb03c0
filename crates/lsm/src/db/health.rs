//! Owns whether the database still takes writes. The first failure decides, for ever: after a write or a sync has failed nobody knows
//! what is on the disk, and going on could acknowledge what is lost.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

#[derive(Default)]
pub(crate) struct Health {
    poison: OnceLock<Arc<str>>,
}

impl Health {
    /// Fails if something failed before.
    pub(crate) fn check(&self) -> Result<()> {
        self.poison.get().map_or(Ok(()), |why| Err(Error::Poisoned(why.clone())))
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    /// Remembers the first failure.
    pub(crate) fn poison(&self, error: &Error) {
        self.poison.get_or_init(|| match error {
            Error::Poisoned(why) => why.clone(),
            error => error.to_string().into(),
        });
    }
}
