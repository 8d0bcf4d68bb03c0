//! The data of dropped keyspaces: it is taken out of the store once the catalog no longer has them, on a thread that
//! may wait for a disk.
//!
//! A number that the catalog has given away and no longer has belongs to a dropped keyspace, for ever. So there is
//! nothing to remember: after a crash in between, the next start finds the same numbers and does it again, which is
//! cheap where nothing is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kvorum_node::{Catalog, KeyspaceId};
use tokio::task::JoinSet;

use crate::engine::Engine;

/// When it is done once more. Writes that were on their way when the keyspace was dropped - in a shard's log, or from
/// a member that had not learned of it yet - have arrived by then. What a member that was away for longer still sends
/// stays hidden, for its number is never used again, and goes at the next start.
const AGAIN: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub(crate) struct DroppedData {
    engine: Arc<dyn Engine>,
    /// Of the catalog that was last looked at.
    version: u64,
    gone: BTreeSet<KeyspaceId>,
    /// They end with this: what they have not done is done at the next start, and the store must be let go.
    tasks: JoinSet<()>,
}

impl DroppedData {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, version: 0, gone: BTreeSet::new(), tasks: JoinSet::new() }
    }

    /// Looks for keyspaces that a catalog no longer has, and begins to remove their data.
    pub(crate) fn look(&mut self, catalog: &Catalog) {
        if catalog.version() == self.version {
            return;
        }
        self.version = catalog.version();
        let given_away = (1..catalog.next_id()).map(KeyspaceId);
        let missing = given_away.filter(|id| catalog.by_id(*id).is_none());
        let dropped: Vec<KeyspaceId> = missing.filter(|id| self.gone.insert(*id)).collect();
        if dropped.is_empty() {
            return;
        }
        self.tasks.spawn(remove_twice(Arc::clone(&self.engine), dropped.into(), AGAIN));
    }
}

async fn remove_twice(engine: Arc<dyn Engine>, dropped: Arc<[KeyspaceId]>, again: Duration) {
    for pause in [Duration::ZERO, again] {
        tokio::time::sleep(pause).await;
        let (engine, dropped) = (Arc::clone(&engine), Arc::clone(&dropped));
        // It can fail only by a panic, which has been told.
        let _ = tokio::task::spawn_blocking(move || remove(&*engine, &dropped)).await;
    }
}

fn remove(engine: &dyn Engine, dropped: &[KeyspaceId]) {
    for keyspace in dropped {
        match engine.drop_keyspace(*keyspace) {
            Ok(true) => tracing::info!(id = keyspace.0, "removed the data of a dropped keyspace"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(
                    id = keyspace.0,
                    "cannot remove the data of a dropped keyspace: {error}; it is hidden, and removed when this node is next started"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kvorum_node::{ActorId, CatalogChange, Charter, LogSeq, Mode, NodeId, Record, Secret, ShardIndex, StoredKey};
    use kvorum_ring::PartitionId;
    use kvorum_vclock::{Dot, Timestamp};

    use super::*;
    use crate::engine::{Batch, MemoryEngine};

    fn key(keyspace: KeyspaceId) -> StoredKey {
        StoredKey::new(keyspace, PartitionId(1), b"key")
    }

    fn store(engine: &dyn Engine, keyspace: KeyspaceId) {
        let record = Record::lww(Dot { time: Timestamp::from_bits(1), actor: ActorId(1) }, Some(b"value"), None);
        engine.submit(Batch { shard: ShardIndex(0), seq: LogSeq(1), changes: vec![(key(keyspace), Some(record))] });
    }

    async fn until_gone(engine: &dyn Engine, keyspace: KeyspaceId) {
        let gone = async {
            while engine.get(&key(keyspace)).unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it is removed");
    }

    fn catalog() -> Catalog {
        let founded = Catalog::found(Charter { founder: NodeId(1), secret: Secret([1; 32]) });
        let create =
            |name: &str| CatalogChange::Create { name: name.into(), mode: Mode::Lww, settings: Default::default() };
        founded.changed(&create("first")).unwrap().0.changed(&create("second")).unwrap().0
    }

    #[tokio::test]
    async fn what_a_catalog_no_longer_has_is_removed_also_by_the_next_process() {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let [default, first, second] = [1, 2, 3].map(KeyspaceId);
        for keyspace in [default, first, second] {
            store(&*engine, keyspace);
        }
        let mut before = DroppedData::new(Arc::clone(&engine));
        before.look(&Catalog::default());
        before.look(&catalog());
        let dropped = catalog().changed(&CatalogChange::Drop { name: "first".into() }).unwrap().0;
        before.look(&dropped);
        until_gone(&*engine, first).await;
        // The process dies, and something is left.
        store(&*engine, first);
        let mut after = DroppedData::new(Arc::clone(&engine));
        after.look(&dropped);
        until_gone(&*engine, first).await;
        assert!([default, second].iter().all(|keyspace| engine.get(&key(*keyspace)).unwrap().is_some()));
    }

    #[tokio::test]
    async fn what_arrives_late_is_removed_as_well() {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let keyspace = KeyspaceId(2);
        store(&*engine, keyspace);
        let removal = tokio::spawn(remove_twice(Arc::clone(&engine), [keyspace].into(), Duration::from_secs(1)));
        until_gone(&*engine, keyspace).await;
        store(&*engine, keyspace);
        removal.await.unwrap();
        assert_eq!(engine.get(&key(keyspace)), Ok(None));
    }
}
