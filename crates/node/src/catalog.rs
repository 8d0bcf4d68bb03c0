//! The catalog: the keyspaces of the cluster and the secret its nodes share. Every node holds the whole of it; its
//! version rises with every change, and the higher version wins. Who may change it, and how it spreads, is decided in
//! `control/catalog.rs`; here is what a change means.

mod settings;
#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use kvorum_quorum::Level;

use crate::{Consistency, KeyspaceId, NodeId};

/// The keyspace that exists from the start.
pub const DEFAULT_KEYSPACE: KeyspaceId = KeyspaceId(1);
/// Its name.
pub const DEFAULT_KEYSPACE_NAME: &str = "default";
/// The longest name of a keyspace, in bytes.
pub const KEYSPACE_NAME_BYTES: usize = 64;
/// How many numbers a cluster can give to its keyspaces in all its life.
const MAX_KEYSPACE_ID: u32 = 1 << 20;
/// How many keyspaces there may be at a time.
pub const MAX_KEYSPACES: usize = 1000;

/// What becomes of concurrent versions of a key. A keyspace keeps its mode for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The last writer wins, by (hybrid timestamp, actor).
    #[default]
    Lww,
    /// They are kept as siblings until a write that has seen them replaces them.
    Causal,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lww => "lww",
            Self::Causal => "causal",
        })
    }
}

impl FromStr for Mode {
    type Err = CatalogError;

    fn from_str(name: &str) -> Result<Self, CatalogError> {
        match name {
            "lww" => Ok(Self::Lww),
            "causal" => Ok(Self::Causal),
            _ => Err(CatalogError::UnknownMode { name: name.to_owned() }),
        }
    }
}

/// A keyspace: how its keys are read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Carried in stored keys, contexts and messages; never used again for another keyspace.
    pub id: KeyspaceId,
    /// What clients call it.
    pub name: Arc<str>,
    /// What becomes of concurrent versions.
    pub mode: Mode,
    /// Its settings, which may change.
    pub settings: Settings,
}

/// The part of a keyspace that may be altered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// R of requests that name none; a majority when absent.
    pub read: Option<Level>,
    /// W of requests that name none; a majority when absent.
    pub write: Option<Level>,
    /// The least R a request may use; 0 is as good as 1.
    pub min_read: u8,
    /// The least W a request may use; 0 is as good as 1.
    pub min_write: u8,
    /// How long values live that name no lifetime, in milliseconds; for ever when absent.
    pub ttl_ms: Option<u64>,
    /// Whose answers count for requests that do not say.
    pub consistency: Consistency,
}

/// What the members of a cluster share, so that a context which one of them has signed is known to the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The keyspaces and the secret, at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    version: u64,
    charter: Option<Charter>,
    /// Ids below it have been given away.
    next_id: u32,
    /// In ascending order of their ids.
    keyspaces: Vec<Keyspace>,
    /// Their places in the order of their names: every request names one, and there may be many.
    by_name: Vec<u16>,
}

/// What the founder lays down once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charter {
    /// Who decides about changes.
    pub founder: NodeId,
    /// The cluster's secret.
    pub secret: Secret,
}

/// A change that an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogChange {
    /// A new keyspace. If one of that name, mode and settings exists, nothing changes.
    Create {
        /// Its name.
        name: Arc<str>,
        /// Its mode.
        mode: Mode,
        /// Its settings.
        settings: Settings,
    },
    /// Other settings. Each that is given replaces the one there is.
    Alter {
        /// Of which keyspace.
        name: Arc<str>,
        /// What to change.
        alteration: Alteration,
    },
    /// Removes a keyspace with its data.
    Drop {
        /// Which.
        name: Arc<str>,
    },
}

/// The settings to replace; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alteration {
    /// The new R of requests that name none.
    pub read: Option<Option<Level>>,
    /// The new W of requests that name none.
    pub write: Option<Option<Level>>,
    /// The new least R.
    pub min_read: Option<u8>,
    /// The new least W.
    pub min_write: Option<u8>,
    /// The new lifetime of values that name none.
    pub ttl_ms: Option<Option<u64>>,
    /// Whose answers count for requests that do not say.
    pub consistency: Option<Consistency>,
}

/// Why a change is refused, or received parts are no catalog. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// There is no such mode.
    #[error("there is no mode `{name}`; use lww or causal")]
    UnknownMode {
        /// What was given.
        name: String,
    },
    /// The name does not fit.
    #[error(
        "`{name}` is no name for a keyspace: it has 1 to {KEYSPACE_NAME_BYTES} letters, digits, `-`, `_` or `.`, a letter or digit first"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Another keyspace has the name.
    #[error("the keyspace `{name}` exists already, with other settings; see `kvctl keyspace show {name}`")]
    Exists {
        /// The name.
        name: String,
    },
    /// No keyspace has the name.
    #[error("there is no keyspace `{name}`; see `kvctl keyspace list`")]
    Missing {
        /// The name.
        name: String,
    },
    /// The default keyspace stays.
    #[error("the keyspace `{DEFAULT_KEYSPACE_NAME}` cannot be dropped")]
    Permanent,
    /// There are as many as there may be.
    #[error("there are {MAX_KEYSPACES} keyspaces already; drop one first")]
    TooMany,
    /// All ids have been given away.
    #[error("no keyspace ids are left")]
    IdsExhausted,
    /// A lifetime of nothing.
    #[error("a lifetime is at least one millisecond; leave it out for values that live for ever")]
    NoLifetime,
    /// A minimum that no request can reach.
    #[error("min_{kind} {minimum} is more than the {replicas} replicas there are; ask for less")]
    MinimumTooHigh {
        /// `r` or `w`.
        kind: &'static str,
        /// The minimum.
        minimum: u8,
        /// How many replicas a partition has.
        replicas: usize,
    },
    /// A default level that the replicas cannot meet.
    #[error("the default {kind} cannot be met: {why}; choose a lower one")]
    LevelUnmet {
        /// `r` or `w`.
        kind: &'static str,
        /// Why not.
        why: String,
    },
    /// Requests that name no level would be refused.
    #[error(
        "the default {kind} `{level}` is {answers} of {replicas} replicas, below min_{kind} {minimum}: choose a higher level, or a lower minimum"
    )]
    DefaultTooLow {
        /// `r` or `w`.
        kind: &'static str,
        /// The default.
        level: Level,
        /// How many replicas must answer at that level.
        answers: usize,
        /// How many there are.
        replicas: usize,
        /// The minimum.
        minimum: u8,
    },
    /// Parts that do not fit together.
    #[error("the keyspaces do not fit together: {what}")]
    Unfit {
        /// What is wrong.
        what: &'static str,
    },
}

impl Default for Catalog {
    fn default() -> Self {
        let default = Keyspace {
            id: DEFAULT_KEYSPACE,
            name: DEFAULT_KEYSPACE_NAME.into(),
            mode: Mode::Lww,
            settings: Settings::default(),
        };
        Self { version: 0, charter: None, next_id: DEFAULT_KEYSPACE.0 + 1, keyspaces: vec![default], by_name: vec![0] }
    }
}

impl Catalog {
    /// The first catalog of a cluster that is being founded.
    #[must_use]
    pub fn found(charter: Charter) -> Self {
        Self { version: 1, charter: Some(charter), ..Self::default() }
    }

    /// Puts a catalog together from received or stored parts.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn from_parts(
        version: u64,
        charter: Option<Charter>,
        next_id: u32,
        keyspaces: Vec<Keyspace>,
    ) -> Result<Self, CatalogError> {
        let unfit = |what| Err(CatalogError::Unfit { what });
        if keyspaces.len() > MAX_KEYSPACES {
            return Err(CatalogError::TooMany);
        }
        if next_id > MAX_KEYSPACE_ID {
            return unfit("more numbers were given away than there are");
        }
        if !keyspaces.is_sorted_by(|a, b| a.id < b.id) {
            return unfit("their ids do not ascend");
        }
        if keyspaces.last().is_some_and(|last| last.id.0 >= next_id) {
            return unfit("an id was not given away yet");
        }
        let by_name = in_order_of_names(&keyspaces);
        let names = by_name.iter().map(|place| &*keyspaces[usize::from(*place)].name);
        if !names.is_sorted_by(|a, b| a < b) {
            return unfit("two have one name");
        }
        if !keyspaces.first().is_some_and(|first| first.id == DEFAULT_KEYSPACE && *first.name == *DEFAULT_KEYSPACE_NAME)
        {
            return unfit("the default one is missing");
        }
        keyspaces.iter().try_for_each(|keyspace| check_name(&keyspace.name))?;
        Ok(Self { version, charter, next_id, keyspaces, by_name })
    }

    /// Rises with every change; 0 before the cluster's own is known.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What the founder laid down; none before the cluster's own catalog is known.
    #[must_use]
    pub fn charter(&self) -> Option<&Charter> {
        self.charter.as_ref()
    }

    /// Ids below it have been given away: one that no keyspace has belongs to a dropped one.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        self.next_id
    }

    /// The keyspaces, in ascending order of their ids.
    #[must_use]
    pub fn keyspaces(&self) -> &[Keyspace] {
        &self.keyspaces
    }

    /// Looks a keyspace up by name; the empty name is the default one.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Keyspace> {
        let name = if name.is_empty() { DEFAULT_KEYSPACE_NAME } else { name };
        Some(&self.keyspaces[self.place_of(name).ok()?])
    }

    /// Looks a keyspace up by id.
    #[must_use]
    pub fn by_id(&self, id: KeyspaceId) -> Option<&Keyspace> {
        let found = self.keyspaces.binary_search_by_key(&id, |keyspace| keyspace.id).ok()?;
        Some(&self.keyspaces[found])
    }

    /// The catalog after a change, at the next version, with the keyspace it was about; the same one if there is
    /// nothing to change.
    ///
    /// # Errors
    /// When the change cannot be made.
    pub fn changed(&self, change: &CatalogChange) -> Result<(Self, Keyspace), CatalogError> {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        match change {
            CatalogChange::Create { name, mode, settings } => {
                check_name(name)?;
                check_lifetime(settings.ttl_ms)?;
                if let Some(there) = self.by_name(name) {
                    return if (there.mode, &there.settings) == (*mode, settings) {
                        Ok((self.clone(), there.clone()))
                    } else {
                        Err(CatalogError::Exists { name: name.to_string() })
                    };
                }
                if self.keyspaces.len() >= MAX_KEYSPACES {
                    return Err(CatalogError::TooMany);
                }
                let id = KeyspaceId(self.next_id);
                next.next_id = self.next_id + 1;
                if next.next_id > MAX_KEYSPACE_ID {
                    return Err(CatalogError::IdsExhausted);
                }
                let keyspace = Keyspace { id, name: Arc::clone(name), mode: *mode, settings: *settings };
                next.keyspaces.push(keyspace.clone());
                next.by_name = in_order_of_names(&next.keyspaces);
                Ok((next, keyspace))
            }
            CatalogChange::Alter { name, alteration } => {
                check_lifetime(alteration.ttl_ms.flatten())?;
                let keyspace = &mut next.keyspaces[self.place_of(name)?];
                let Alteration { read, write, min_read, min_write, ttl_ms, consistency } = *alteration;
                let before = keyspace.settings;
                keyspace.settings = Settings {
                    read: read.unwrap_or(before.read),
                    write: write.unwrap_or(before.write),
                    min_read: min_read.unwrap_or(before.min_read),
                    min_write: min_write.unwrap_or(before.min_write),
                    ttl_ms: ttl_ms.unwrap_or(before.ttl_ms),
                    consistency: consistency.unwrap_or(before.consistency),
                };
                let keyspace = keyspace.clone();
                Ok(if keyspace.settings == before { (self.clone(), keyspace) } else { (next, keyspace) })
            }
            CatalogChange::Drop { name } => {
                let place = self.place_of(name)?;
                if self.keyspaces[place].id == DEFAULT_KEYSPACE {
                    return Err(CatalogError::Permanent);
                }
                let keyspace = next.keyspaces.remove(place);
                next.by_name = in_order_of_names(&next.keyspaces);
                Ok((next, keyspace))
            }
        }
    }

    fn place_of(&self, name: &str) -> Result<usize, CatalogError> {
        let name_at = |place: &u16| &*self.keyspaces[usize::from(*place)].name;
        let found = self.by_name.binary_search_by(|place| name_at(place).cmp(name));
        let place = found.map_err(|_| CatalogError::Missing { name: shown(name) })?;
        Ok(usize::from(self.by_name[place]))
    }
}

fn in_order_of_names(keyspaces: &[Keyspace]) -> Vec<u16> {
    let mut order: Vec<u16> = (0..).take(keyspaces.len()).collect();
    order.sort_unstable_by(|a, b| keyspaces[usize::from(*a)].name.cmp(&keyspaces[usize::from(*b)].name));
    order
}

fn check_name(name: &str) -> Result<(), CatalogError> {
    let fits = name.len() <= KEYSPACE_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(()) } else { Err(CatalogError::BadName { name: shown(name) }) }
}

/// A name in a message: what was given may be far longer than a name.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(KEYSPACE_NAME_BYTES + 1).collect();
    if cut.len() < name.len() { format!("{cut}...") } else { cut }
}

fn check_lifetime(ttl_ms: Option<u64>) -> Result<(), CatalogError> {
    if ttl_ms == Some(0) { Err(CatalogError::NoLifetime) } else { Ok(()) }
}
