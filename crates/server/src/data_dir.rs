//! The data directory: its lock, the node's identity, and the small states that are replaced whole.
//!
//! ```text
//! LOCK            held while a node runs on the directory
//! identity.toml   who the node is, how often it has been started, and whether it may have lost acknowledged writes
//! cluster.state   the cluster, the layout, the keyspaces and the cluster's secret, where the other members were last reached
//! clock.ceiling   no timestamp above it has been minted
//! lsm/, sled/     the store, by the engine it was made with
//! ```
//!
//! A file is replaced by writing a new one beside it, syncing it, renaming it, and syncing the directory: after a
//! crash there is the old state or the new one. The binary ones carry a checksum.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kvorum_node::control::SavedState;
use kvorum_node::{ClusterId, NodeId};
use kvorum_vclock::Timestamp;
use kvorum_wire::v1;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::doubt::Lossy;
use crate::peer::control_codec::{saved_state_from_wire, saved_state_to_wire};

const FORMAT: u32 = 1;
const CHECKSUM: usize = 16;

/// Why a directory cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// It cannot be created, read or written.
    /// The cause follows as its source.
    #[error("cannot {what} {path} (check the path, its permissions and the free space)")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A running node holds it.
    #[error("the data directory {0} is in use by another kvnode; stop that one, or choose another --data-dir")]
    Locked(PathBuf),
    /// It holds something else.
    #[error("the directory {0} is not empty and holds no Kvorum data; choose another --data-dir")]
    Foreign(PathBuf),
    /// A newer version made it.
    #[error("the data directory {path} has format {format}, this version knows {FORMAT}; use a newer kvnode")]
    Format {
        /// The directory.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A file in it is damaged.
    #[error("{path} is damaged: {why}; restore it from a copy, or start this node anew with an empty --data-dir")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It was made for another engine.
    #[error("the data in {path} was written with --engine {made}; run it with that, or choose another --data-dir")]
    Engine {
        /// The directory.
        path: PathBuf,
        /// The engine that made it.
        made: String,
    },
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    format: u32,
    node: String,
    /// The engine its data was written with.
    pub engine: String,
    /// How often it has been started.
    pub boot: u64,
    /// The id of its store, which the store's directory carries too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Why it may have lost acknowledged writes, if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<String>,
    /// The boot of the machine that the last process ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What that process could lose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lossy: Option<Lossy>,
    /// It made everything durable before it ended.
    #[serde(default)]
    pub stopped_cleanly: bool,
    /// Set in the node that founds its cluster, for as long as there is no layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub founding: Option<FoundingIdentity>,
}

/// What the founder of a cluster has decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundingIdentity {
    cluster: String,
    /// How many nodes it waits for.
    pub nodes: u32,
    /// Q.
    pub partitions: u32,
    /// As `--replication` takes it.
    pub replication: String,
    /// The largest key and value together, in bytes.
    pub pair_bytes: u32,
}

impl Identity {
    /// Becomes another node, whose data is lost: one that was last seen in that boot.
    pub fn take_over(&mut self, node: NodeId, boot: u64) {
        (self.node, self.boot, self.founding) = (node.to_string(), boot, None);
        self.in_doubt = Some("it took the place of a node whose data directory is lost".to_owned());
    }

    /// The node's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId(u64::from_str_radix(&self.node, 16).expect("checked when it was read"))
    }
}

impl FoundingIdentity {
    /// What a founder decides.
    #[must_use]
    pub fn new(cluster: ClusterId, nodes: u32, partitions: u32, replication: String, pair_bytes: u32) -> Self {
        Self { cluster: cluster.to_string(), nodes, partitions, replication, pair_bytes }
    }

    /// The cluster it founds.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        ClusterId(u64::from_str_radix(&self.cluster, 16).expect("checked when it was read"))
    }
}

/// A locked data directory.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held for as long as this lives; the operating system lets go of it when the process ends, however it ends.
    _lock: File,
    /// Held while the identity is read and written again.
    changing_identity: Mutex<()>,
}

impl DataDir {
    /// Opens or creates a directory and locks it.
    ///
    /// # Errors
    /// When it cannot be used, see [`DataDirError`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| DataDirError::Io { what, path, source }
        };
        fs::create_dir_all(path).map_err(io("create", path))?;
        let known = ["LOCK", "identity.toml"];
        let mut entries = fs::read_dir(path).map_err(io("read", path))?.filter_map(Result::ok).peekable();
        let is_empty = entries.peek().is_none();
        if !is_empty && !entries.any(|entry| known.iter().any(|known| entry.file_name() == *known)) {
            return Err(DataDirError::Foreign(path.to_owned()));
        }
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock, changing_identity: Mutex::default() }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(DataDirError::Io { what: "lock", path: lock_path, source }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DataDirError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DataDirError::Io { what: "read", path, source }),
        }
    }

    fn damaged(&self, name: &str, why: impl Into<String>) -> DataDirError {
        DataDirError::Damaged { path: self.path.join(name), why: why.into() }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace_in(&self.path, name, bytes)
    }

    /// The identity found in the directory; none in a new one.
    ///
    /// # Errors
    /// When it is damaged or of another format.
    pub fn identity(&self) -> Result<Option<Identity>, DataDirError> {
        let name = "identity.toml";
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| self.damaged(name, "it is not UTF-8"))?;
        let identity: Identity = toml::from_str(&text).map_err(|error| self.damaged(name, error.message()))?;
        if identity.format != FORMAT {
            return Err(DataDirError::Format { path: self.path.clone(), format: identity.format });
        }
        let hexadecimal = |digits: &str| u64::from_str_radix(digits, 16).is_ok();
        if !hexadecimal(&identity.node)
            || identity.founding.as_ref().is_some_and(|founding| !hexadecimal(&founding.cluster))
        {
            return Err(self.damaged(name, "an id is not hexadecimal"));
        }
        Ok(Some(identity))
    }

    /// The identity of a new node.
    #[must_use]
    pub fn new_identity(node: NodeId, engine: String, founding: Option<FoundingIdentity>) -> Identity {
        Identity {
            format: FORMAT,
            node: node.to_string(),
            engine,
            boot: 0,
            store: None,
            in_doubt: None,
            machine: None,
            lossy: None,
            stopped_cleanly: false,
            founding,
        }
    }

    /// Keeps an identity.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_identity(&self, identity: &Identity) -> Result<(), DataDirError> {
        let name = "identity.toml";
        let text = toml::to_string(identity).expect("an identity is a table of plain values");
        let text = format!("# Who this node is. Do not edit, and do not copy to another node.\n{text}");
        self.replace(name, text.as_bytes()).map_err(|source| DataDirError::Io {
            what: "write",
            path: self.path.join(name),
            source,
        })
    }

    /// Changes the identity on disk.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn change_identity(&self, change: impl FnOnce(&mut Identity)) -> Result<(), DataDirError> {
        let _whole = self.changing_identity.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let missing = || self.damaged("identity.toml", "it is gone");
        let mut identity = self.identity()?.ok_or_else(missing)?;
        change(&mut identity);
        self.save_identity(&identity)
    }

    /// The saved state; the empty one in a new directory.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn state(&self) -> Result<SavedState, DataDirError> {
        let name = "cluster.state";
        let Some(content) = self.checked(name)? else { return Ok(SavedState::default()) };
        let state = v1::SavedState::decode(&content[..]).map_err(|error| self.damaged(name, error.to_string()))?;
        saved_state_from_wire(state).map_err(|bad| self.damaged(name, bad.to_string()))
    }

    /// Keeps a state.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_state(&self, state: &SavedState) -> io::Result<()> {
        self.replace("cluster.state", &sealed(&saved_state_to_wire(state).encode_to_vec()))
    }

    /// The clock's ceiling; zero in a new directory.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn ceiling(&self) -> Result<Timestamp, DataDirError> {
        let name = "clock.ceiling";
        let Some(content) = self.checked(name)? else { return Ok(Timestamp::MIN) };
        let bits = <[u8; 8]>::try_from(&content[..]).map_err(|_| self.damaged(name, "it is not eight bytes long"))?;
        Ok(Timestamp::from_bits(u64::from_be_bytes(bits)))
    }

    /// Keeps a ceiling.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_ceiling(&self, ceiling: Timestamp) -> io::Result<()> {
        self.replace("clock.ceiling", &sealed(&ceiling.to_bits().to_be_bytes()))
    }

    /// Reads a sealed file.
    fn checked(&self, name: &str) -> Result<Option<Vec<u8>>, DataDirError> {
        let Some(mut bytes) = self.read(name)? else { return Ok(None) };
        let content = bytes.split_off(CHECKSUM.min(bytes.len()));
        if bytes != checksum(&content) {
            return Err(self.damaged(name, "its checksum does not fit"));
        }
        Ok(Some(content))
    }
}

/// Replaces a file of a directory; after a crash there is the old one or the new.
pub(crate) fn replace_in(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, beside) = (directory.join(name), directory.join(format!("{name}.new")));
    let mut file = create_private(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    File::open(directory)?.sync_all()
}

/// Creates or empties a file that nobody but the node's own user may read: `cluster.state` holds the cluster's secret.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        // An older version may have left one behind that everybody may read.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&blake3::hash(content).as_bytes()[..CHECKSUM]);
    sum
}

fn sealed(content: &[u8]) -> Vec<u8> {
    [&checksum(content)[..], content].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kvorum_node::{Catalog, Charter, Secret};

    use super::*;

    #[test]
    fn a_second_process_is_refused_and_a_foreign_directory_too() {
        let temp = tempfile::tempdir().unwrap();
        let first = DataDir::open(temp.path()).unwrap();
        assert!(matches!(DataDir::open(temp.path()), Err(DataDirError::Locked(_))));
        drop(first);
        DataDir::open(temp.path()).unwrap();
        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(DataDir::open(foreign.path()), Err(DataDirError::Foreign(_))));
    }

    #[test]
    fn what_is_saved_is_found_again() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        assert_eq!(dir.identity().unwrap(), None);
        let founding = FoundingIdentity::new(ClusterId(7), 3, 64, "3".to_owned(), 10_240);
        let identity = DataDir::new_identity(NodeId(0xab), "lsm".to_owned(), Some(founding));
        dir.save_identity(&identity).unwrap();
        assert_eq!(dir.identity().unwrap(), Some(identity.clone()));
        assert_eq!((identity.node(), identity.founding.unwrap().cluster()), (NodeId(0xab), ClusterId(7)));

        assert_eq!(dir.ceiling().unwrap(), Timestamp::MIN);
        dir.save_ceiling(Timestamp::from_bits(99)).unwrap();
        assert_eq!(dir.ceiling().unwrap(), Timestamp::from_bits(99));

        let state = SavedState {
            cluster: Some(ClusterId(7)),
            known: [(NodeId(1), "p:1".into())].into(),
            ..SavedState::default()
        };
        assert_eq!(dir.state().unwrap(), SavedState::default());
        dir.save_state(&state).unwrap();
        assert_eq!(dir.state().unwrap(), state);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_what_holds_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        // Left behind by a crash, for everybody to read.
        fs::write(temp.path().join("cluster.state.new"), "x").unwrap();
        let charter = Charter { founder: NodeId(1), secret: Secret([9; 32]) };
        let state = SavedState { catalog: Some(Arc::new(Catalog::found(charter))), ..SavedState::default() };
        for _ in 0..2 {
            dir.save_state(&state).unwrap();
            let mode = fs::metadata(temp.path().join("cluster.state")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(dir.state().unwrap(), state);
    }

    #[test]
    fn any_flipped_or_missing_byte_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        dir.save_ceiling(Timestamp::from_bits(99)).unwrap();
        let path = temp.path().join("clock.ceiling");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(matches!(dir.ceiling(), Err(DataDirError::Damaged { .. })));
            fs::write(&path, &whole[..at]).unwrap();
            assert!(matches!(dir.ceiling(), Err(DataDirError::Damaged { .. })));
        }
    }
}
