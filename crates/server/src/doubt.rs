//! What a node's own directory and machine tell of acknowledged writes that may be lost, when a process starts. What its
//! peers remember is compared by the control part.
//!
//! - The store is not the one that belongs to the identity: its directory was deleted, is new, or was copied from elsewhere. A
//!   marker in it carries an id that stands in `identity.toml` too.
//! - Engine `memory`: every process starts with nothing.
//! - Less durable than `always`, and not stopped cleanly: what was acknowledged may not have reached the disk. A process that was killed
//!   has lost nothing that it had handed to the operating system, so that needs the machine to have gone down; only sled with
//!   durability `never` keeps records in the process for a while.

use std::fs;
use std::path::Path;

use crate::data_dir::{DataDirError, Identity, replace_in};
use crate::engine::{Durability, EngineKind};

/// The marker's name, in the directory of the store.
const MARKER: &str = "STORE-ID";
/// What the kernel calls this boot of the machine.
const MACHINE: &str = "/proc/sys/kernel/random/boot_id";

/// The circumstances of a start.
pub(crate) struct Circumstances<'a> {
    pub(crate) engine: EngineKind,
    pub(crate) durability: Durability,
    /// Where the engine keeps its data.
    pub(crate) store: &'a Path,
    /// A layout was adopted: the node may have held data.
    pub(crate) has_layout: bool,
    /// For a store that is new.
    pub(crate) new_id: u64,
    /// This boot of the machine, if it tells.
    pub(crate) machine: Option<String>,
}

/// This boot of the machine.
pub(crate) fn machine() -> Option<String> {
    fs::read_to_string(MACHINE).ok().map(|id| id.trim().to_owned())
}

/// Judges what an earlier process has left, and notes in the identity what the next one will want to know. The identity must be
/// saved, and then [`mark_store`] called.
pub(crate) fn judge(identity: &mut Identity, circumstances: &Circumstances<'_>) {
    let Circumstances { engine, durability, store, has_layout, new_id, machine } = circumstances;
    let why = cause(identity, circumstances);
    if identity.in_doubt.is_none() && *has_layout {
        identity.in_doubt = why;
    }
    if *engine != EngineKind::Memory && marker(store) != identity.store || identity.store.is_none() {
        identity.store = Some(format!("{new_id:016x}"));
    }
    identity.machine.clone_from(machine);
    identity.lossy = match (engine, durability) {
        (EngineKind::Lsm, Durability::Always) => None,
        (EngineKind::Sled, Durability::Never) => Some(Lossy::Process),
        (EngineKind::Lsm | EngineKind::Sled | EngineKind::Memory, _) => Some(Lossy::Machine),
    };
    identity.stopped_cleanly = false;
}

/// What an unclean end may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lossy {
    /// Acknowledged writes, if the machine goes down.
    Machine,
    /// Acknowledged writes, if the process does.
    Process,
}

fn cause(identity: &Identity, circumstances: &Circumstances<'_>) -> Option<String> {
    let Circumstances { engine, store, machine, .. } = circumstances;
    if *engine == EngineKind::Memory {
        return Some("engine memory keeps nothing over a restart".to_owned());
    }
    match (&identity.store, marker(store)) {
        (Some(mine), Some(there)) if *mine == there => {}
        (Some(_), Some(_)) => return Some("its store is not the one that it wrote to".to_owned()),
        (Some(_), None) => return Some("its store is gone".to_owned()),
        // A store of an earlier version has no marker yet.
        (None, _) if store.is_dir() => {}
        (None, _) => return Some("its store is gone".to_owned()),
    }
    let went_down = identity.machine.is_none() || identity.machine != *machine;
    match identity.lossy {
        Some(Lossy::Process) if !identity.stopped_cleanly => {
            Some("durability never, and it was not stopped cleanly".to_owned())
        }
        Some(Lossy::Machine) if !identity.stopped_cleanly && went_down => {
            Some("its machine went down, and its durability is less than always".to_owned())
        }
        _ => None,
    }
}

fn marker(store: &Path) -> Option<String> {
    fs::read_to_string(store.join(MARKER)).ok().map(|id| id.trim().to_owned())
}

/// Puts the marker of the identity into the store's directory.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn mark_store(identity: &Identity, store: &Path) -> Result<(), DataDirError> {
    let Some(id) = identity.store.as_ref().filter(|id| marker(store).as_ref() != Some(id)) else { return Ok(()) };
    let io = |what| move |source| DataDirError::Io { what, path: store.to_owned(), source };
    fs::create_dir_all(store).map_err(io("create"))?;
    replace_in(store, MARKER, format!("{id}\n").as_bytes()).map_err(io("write"))
}

#[cfg(test)]
mod tests {
    use kvorum_node::NodeId;

    use super::*;
    use crate::data_dir::DataDir;

    struct Node {
        place: tempfile::TempDir,
        identity: Identity,
        engine: EngineKind,
        durability: Durability,
        machine: Option<String>,
    }

    impl Node {
        fn new(engine: EngineKind, durability: Durability) -> Self {
            let identity = DataDir::new_identity(NodeId(1), engine.to_string(), None);
            let machine = Some("first".to_owned());
            Self { place: tempfile::tempdir().unwrap(), identity, engine, durability, machine }
        }

        /// Starts once more; gives why it is in doubt.
        fn start(&mut self, has_layout: bool, new_id: u64) -> Option<String> {
            let store = self.place.path().join("lsm");
            let (engine, durability, machine) = (self.engine, self.durability, self.machine.clone());
            let circumstances = Circumstances { engine, durability, store: &store, has_layout, new_id, machine };
            judge(&mut self.identity, &circumstances);
            if engine != EngineKind::Memory {
                mark_store(&self.identity, &store).unwrap();
            }
            self.identity.in_doubt.clone()
        }
    }

    #[test]
    fn a_store_that_stays_where_it_is_raises_no_doubt() {
        let mut node = Node::new(EngineKind::Lsm, Durability::Always);
        assert_eq!(node.start(false, 1), None);
        for new_id in 2..4 {
            node.machine = Some(format!("boot {new_id}"));
            assert_eq!(node.start(true, new_id), None);
            assert_eq!(node.identity.store.as_deref(), Some("0000000000000001"));
        }
    }

    #[test]
    fn a_store_that_is_gone_or_another_raises_doubt_until_that_ends() {
        let mut node = Node::new(EngineKind::Lsm, Durability::Always);
        node.start(false, 1);
        let store = node.place.path().join("lsm");
        fs::remove_dir_all(&store).unwrap();
        assert_eq!(node.start(true, 2).as_deref(), Some("its store is gone"));
        assert_eq!(node.start(true, 3).as_deref(), Some("its store is gone"), "the mark stays");
        node.identity.in_doubt = None;
        assert_eq!(node.start(true, 4), None);
        fs::write(store.join(MARKER), "77").unwrap();
        assert_eq!(node.start(true, 5).as_deref(), Some("its store is not the one that it wrote to"));
    }

    #[test]
    fn nothing_is_lost_before_there_is_a_layout() {
        let mut node = Node::new(EngineKind::Lsm, Durability::Always);
        node.start(false, 1);
        fs::remove_dir_all(node.place.path().join("lsm")).unwrap();
        assert_eq!(node.start(false, 2), None);
    }

    #[test]
    fn a_store_of_an_earlier_version_is_marked_without_doubt() {
        let mut node = Node::new(EngineKind::Lsm, Durability::Always);
        fs::create_dir(node.place.path().join("lsm")).unwrap();
        assert_eq!(node.start(true, 9), None);
        assert_eq!(marker(&node.place.path().join("lsm")).as_deref(), Some("0000000000000009"));
    }

    #[test]
    fn with_less_than_always_an_unclean_end_of_the_machine_raises_doubt() {
        for (engine, durability) in [
            (EngineKind::Lsm, Durability::Interval),
            (EngineKind::Lsm, Durability::Never),
            (EngineKind::Sled, Durability::Always),
        ] {
            let mut node = Node::new(engine, durability);
            node.start(false, 1);
            assert_eq!(node.start(true, 2), None, "{engine}: a process was killed");
            node.identity.stopped_cleanly = true;
            node.machine = Some("second".to_owned());
            assert_eq!(node.start(true, 3), None, "{engine}: it was stopped before");
            node.machine = Some("third".to_owned());
            assert!(node.start(true, 4).unwrap().starts_with("its machine went down"));
        }
        let mut node = Node::new(EngineKind::Sled, Durability::Never);
        node.start(false, 1);
        assert!(node.start(true, 2).unwrap().starts_with("durability never"));
    }

    #[test]
    fn what_counts_is_how_the_process_before_wrote() {
        let mut node = Node::new(EngineKind::Lsm, Durability::Never);
        node.start(false, 1);
        (node.durability, node.machine) = (Durability::Always, Some("second".to_owned()));
        assert!(node.start(true, 2).is_some());
    }

    #[test]
    fn engine_memory_is_in_doubt_from_its_second_start_on() {
        let mut node = Node::new(EngineKind::Memory, Durability::Always);
        assert_eq!(node.start(false, 1), None);
        assert!(node.start(true, 2).unwrap().contains("keeps nothing"));
    }
}
