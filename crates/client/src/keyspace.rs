//! Owns keyspaces as their operators see them: what one is, how it is made, altered and dropped. How a change is asked for
//! is in `keyspace/change.rs`.

mod change;

use core::time::Duration;

use kvorum_wire::v1;
use kvorum_wire::v1::admin_client::AdminClient;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::convert::millis;
use crate::error::Error;
use crate::{Client, Consistency, Level, admin, consistency, level};

/// All keyspaces, as one node knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyspaces {
    /// In the order in which they were made.
    pub keyspaces: Vec<Keyspace>,
    /// Rises with every change.
    pub version: u64,
}

/// A keyspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// Never used for another keyspace, not even after a drop.
    pub id: u32,
    /// What becomes of concurrent versions: `lww` or `causal`. It never changes.
    pub mode: String,
    /// Replicas per data centre: `3`, or `dc1=3,dc2=2`.
    pub replication: String,
    /// R of requests that name none; absent: a majority.
    pub read: Option<Level>,
    /// W of requests that name none; absent: a majority.
    pub write: Option<Level>,
    /// The least R a request may name; at least 1.
    pub min_read: u32,
    /// The least W a request may name; at least 1.
    pub min_write: u32,
    /// How long values live that name no lifetime; absent: for ever.
    pub ttl: Option<Duration>,
    /// Whose answers count for requests that do not say.
    pub consistency: Consistency,
}

/// A keyspace to be made. What is not set is left to the cluster.
///
/// ```
/// use std::time::Duration;
/// use kvorum_client::{Level, NewKeyspace};
///
/// let carts = NewKeyspace::new("carts").mode("causal").write(Level::All).ttl(Duration::from_secs(86_400));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct NewKeyspace {
    keyspace: v1::Keyspace,
}

impl NewKeyspace {
    /// A keyspace of this name: 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first.
    pub fn new(name: impl Into<String>) -> NewKeyspace {
        NewKeyspace { keyspace: v1::Keyspace { name: name.into(), ..v1::Keyspace::default() } }
    }

    /// `lww`, which it is unless set, or `causal`.
    pub fn mode(mut self, mode: impl Into<String>) -> NewKeyspace {
        self.keyspace.mode = mode.into();
        self
    }

    /// Replicas per data centre: `3`, or `dc1=3,dc2=2`. Nodes of this version refuse all but the cluster's own.
    pub fn replication(mut self, replication: impl Into<String>) -> NewKeyspace {
        self.keyspace.replication = replication.into();
        self
    }

    /// R of requests that name none.
    pub fn read(mut self, read: impl Into<Option<Level>>) -> NewKeyspace {
        self.keyspace.read = read.into().map(level::to_wire);
        self
    }

    /// W of requests that name none.
    pub fn write(mut self, write: impl Into<Option<Level>>) -> NewKeyspace {
        self.keyspace.write = write.into().map(level::to_wire);
        self
    }

    /// The least R a request may name.
    pub fn min_read(mut self, min_read: u32) -> NewKeyspace {
        self.keyspace.min_read = min_read;
        self
    }

    /// The least W a request may name.
    pub fn min_write(mut self, min_write: u32) -> NewKeyspace {
        self.keyspace.min_write = min_write;
        self
    }

    /// How long values live that name no lifetime; rounded up to a millisecond.
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> NewKeyspace {
        self.keyspace.ttl_ms = ttl.into().map(millis);
        self
    }

    /// Whose answers count for requests that do not say; [`Consistency::Sloppy`] unless set.
    pub fn consistency(mut self, consistency: impl Into<Option<Consistency>>) -> NewKeyspace {
        self.keyspace.consistency = consistency::to_wire(consistency.into());
        self
    }
}

/// What to alter of a keyspace. What is not set stays as it is.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct KeyspaceAlteration {
    keyspace: v1::Keyspace,
    fields: Vec<String>,
}

impl KeyspaceAlteration {
    /// Nothing yet.
    pub fn new() -> KeyspaceAlteration {
        KeyspaceAlteration::default()
    }

    /// Whether there is nothing to alter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// R of requests that name none; `None`: a majority.
    pub fn read(mut self, read: impl Into<Option<Level>>) -> KeyspaceAlteration {
        self.keyspace.read = read.into().map(level::to_wire);
        self.field("read")
    }

    /// W of requests that name none; `None`: a majority.
    pub fn write(mut self, write: impl Into<Option<Level>>) -> KeyspaceAlteration {
        self.keyspace.write = write.into().map(level::to_wire);
        self.field("write")
    }

    /// The least R a request may name.
    pub fn min_read(mut self, min_read: u32) -> KeyspaceAlteration {
        self.keyspace.min_read = min_read;
        self.field("min_read")
    }

    /// The least W a request may name.
    pub fn min_write(mut self, min_write: u32) -> KeyspaceAlteration {
        self.keyspace.min_write = min_write;
        self.field("min_write")
    }

    /// How long values live that name no lifetime; `None`: for ever.
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> KeyspaceAlteration {
        self.keyspace.ttl_ms = ttl.into().map(millis);
        self.field("ttl_ms")
    }

    /// Whose answers count for requests that do not say; `None`: as for a new keyspace.
    pub fn consistency(mut self, consistency: impl Into<Option<Consistency>>) -> KeyspaceAlteration {
        self.keyspace.consistency = consistency::to_wire(consistency.into());
        self.field("consistency")
    }

    fn field(mut self, field: &str) -> KeyspaceAlteration {
        self.fields.push(field.to_owned());
        self
    }
}

impl Client {
    /// All keyspaces, as one of the endpoints knows them.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn keyspaces(&self) -> Result<Keyspaces, Error> {
        admin::keyspaces(&self.core().routes, self.core().config.timeout).await.map(Keyspaces::from)
    }

    /// Makes a keyspace; when this returns it can be used through any node that is up. If there is one with this name,
    /// this mode and these settings already, it is that.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it makes no sense or there is another keyspace of this name, [`Error::Rejected`] when
    /// the node that decides about keyspaces is away; whether it may be made all the same: [`Error::outcome`].
    pub async fn create_keyspace(&self, new: &NewKeyspace) -> Result<Keyspace, Error> {
        let call = async |mut node: AdminClient<Channel>, timeout_ms| {
            let keyspace = Some(new.keyspace.clone());
            node.create_keyspace(v1::CreateKeyspaceRequest { keyspace, timeout_ms }).await
        };
        self.change(call).await.map(Keyspace::from)
    }

    /// Alters a keyspace, and returns it as it then is.
    ///
    /// # Errors
    /// As [`Client::create_keyspace`]; [`Error::NotFound`] when there is none of this name.
    pub async fn alter_keyspace(
        &self,
        name: impl Into<String>,
        alteration: &KeyspaceAlteration,
    ) -> Result<Keyspace, Error> {
        let keyspace = v1::Keyspace { name: name.into(), ..alteration.keyspace.clone() };
        let call = async |mut node: AdminClient<Channel>, timeout_ms| {
            let (keyspace, fields) = (Some(keyspace.clone()), alteration.fields.clone());
            node.alter_keyspace(v1::AlterKeyspaceRequest { keyspace, fields, timeout_ms }).await
        };
        self.change(call).await.map(Keyspace::from)
    }

    /// Removes a keyspace with its data.
    ///
    /// # Errors
    /// As [`Client::alter_keyspace`].
    pub async fn drop_keyspace(&self, name: impl Into<String>) -> Result<(), Error> {
        let name = name.into();
        let call = async |mut node: AdminClient<Channel>, timeout_ms| {
            node.drop_keyspace(v1::DropKeyspaceRequest { name: name.clone(), timeout_ms }).await
        };
        self.change(call).await.map(|v1::DropKeyspaceResponse {}| ())
    }

    async fn change<T>(
        &self,
        call: impl AsyncFn(AdminClient<Channel>, u32) -> Result<Response<T>, Status>,
    ) -> Result<T, Error> {
        change::change(&self.core().routes, self.core().config.timeout, call).await
    }
}

impl From<v1::ListKeyspacesResponse> for Keyspaces {
    fn from(list: v1::ListKeyspacesResponse) -> Keyspaces {
        Keyspaces { keyspaces: list.keyspaces.into_iter().map(Keyspace::from).collect(), version: list.version }
    }
}

impl From<v1::Keyspace> for Keyspace {
    fn from(keyspace: v1::Keyspace) -> Keyspace {
        Keyspace {
            read: keyspace.read.and_then(level::from_wire),
            write: keyspace.write.and_then(level::from_wire),
            name: keyspace.name,
            id: keyspace.id,
            mode: keyspace.mode,
            replication: keyspace.replication,
            min_read: keyspace.min_read.max(1),
            min_write: keyspace.min_write.max(1),
            ttl: keyspace.ttl_ms.map(Duration::from_millis),
            consistency: consistency::from_wire(keyspace.consistency),
        }
    }
}

#[cfg(test)]
mod tests;
