//! Owns the client as its users see it: what they call, turned into requests. How a request finds
//! its node, and what is tried again, is in `route.rs` and `perform.rs`.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use kvorum_wire::v1;
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::config::{SHORTEST_TIMEOUT, check_timeout};
use crate::convert::millis;
use crate::failures::{Failures, unreachable};
use crate::options::Ttl;
use crate::perform::perform;
use crate::refresh::{keep_fresh, refresh};
use crate::route::{Routes, Target};
use crate::{
    Config, DeleteOptions, Error, GetOptions, Got, PutOptions, Ring, Route, Scan, ScanOptions, Status, Why, Written,
    admin, consistency, level,
};

const ANSWERS_FIT: &str = "an answer to something else is an error already";

/// A client of one cluster. Clones share its sessions; calls of many tasks travel together.
///
/// A call whose future is dropped is given up: a write may then be applied or not.
#[derive(Debug, Clone)]
pub struct Client {
    core: Arc<Core>,
    /// Lives in the clones, not in the core, which the task itself holds now and then.
    _refreshing: Option<Arc<Refreshing>>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) routes: Routes,
    pub(crate) budget: Budget,
}

impl Core {
    fn new(config: Config) -> Result<Core, Error> {
        config.check()?;
        let routes = Routes::new(&config)?;
        let budget = Budget::full(config.retry_reserve);
        Ok(Core { config, routes, budget })
    }
}

/// Ends the task that keeps the topology fresh when dropped.
#[derive(Debug)]
struct Refreshing(AbortHandle);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// A client that has reached a node: with [`Route::Replicas`] it knows the topology, with
    /// [`Route::Endpoints`] it has a session with one endpoint.
    ///
    /// # Errors
    /// [`Error::Config`], or when no endpoint can be reached [`Error::Connect`] with the reason of
    /// each. Every endpoint is tried once.
    pub async fn connect(config: Config) -> Result<Client, Error> {
        let core = Core::new(config)?;
        match core.config.route {
            Route::Replicas => refresh(&core).await?,
            Route::Endpoints => reach_one(&core.routes).await?,
        }
        Ok(Client::of(core))
    }

    /// A client that connects when it is first used. It must be made within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Config`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn lazy(config: Config) -> Result<Client, Error> {
        Core::new(config).map(Client::of)
    }

    fn of(core: Core) -> Client {
        let core = Arc::new(core);
        let refreshing = (core.config.route == Route::Replicas).then(|| {
            let task = tokio::spawn(keep_fresh(Arc::downgrade(&core)));
            Arc::new(Refreshing(task.abort_handle()))
        });
        Client { core, _refreshing: refreshing }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// Any but [`Error::Indeterminate`]; nothing is changed by a read.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Got, Error> {
        self.get_with(key, &GetOptions::new()).await
    }

    /// Reads a key with options of its own.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_with(&self, key: impl Into<Bytes>, options: &GetOptions) -> Result<Got, Error> {
        let timeout = self.timeout_of(options.timeout)?;
        let key = key.into();
        let get = v1::GetRequest {
            keyspace: self.keyspace(),
            key: key.clone(),
            level: options.level.map(level::to_wire),
            timeout_ms: 0,
            consistency: consistency::to_wire(options.consistency),
        };
        match self.perform(Target::Key(&key), Operation::Get(get), timeout).await? {
            Answer::Get(get) => Ok(get.into()),
            _ => unreachable!("{ANSWERS_FIT}"),
        }
    }

    /// Writes a key. It is durable on as many replicas as the level asks for when this returns.
    ///
    /// # Errors
    /// Whether it may be applied all the same: [`Error::outcome`].
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Written, Error> {
        self.put_with(key, value, &PutOptions::new()).await
    }

    /// Writes a key with options of its own.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub async fn put_with(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        options: &PutOptions,
    ) -> Result<Written, Error> {
        let timeout = self.timeout_of(options.timeout)?;
        let key = key.into();
        let put = v1::PutRequest {
            keyspace: self.keyspace(),
            key: key.clone(),
            value: value.into(),
            ttl_ms: options.ttl.map(|ttl| match ttl {
                Ttl::Of(ttl) => millis(ttl).max(1),
                Ttl::Forever => 0,
            }),
            context: options.context.clone(),
            level: options.level.map(level::to_wire),
            timeout_ms: 0,
            consistency: consistency::to_wire(options.consistency),
            attempt: self.attempt()?,
        };
        match self.perform(Target::Key(&key), Operation::Put(put), timeout).await? {
            Answer::Put(put) => Ok(put.into()),
            _ => unreachable!("{ANSWERS_FIT}"),
        }
    }

    /// Deletes a key, whether it exists or not. In a `causal` keyspace the key is read first, and what that read has
    /// seen is deleted.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<Written, Error> {
        self.delete_with(key, &DeleteOptions::new()).await
    }

    /// Deletes a key with options of its own.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub async fn delete_with(&self, key: impl Into<Bytes>, options: &DeleteOptions) -> Result<Written, Error> {
        let begin = Instant::now();
        let timeout = self.timeout_of(options.timeout)?;
        let key = key.into();
        match self.delete_seen(&key, options, options.context.clone(), timeout).await {
            // Where siblings are kept, what is to be deleted must be read first.
            Err(Error::Precondition { .. }) if options.context.is_empty() => {
                let left = || timeout.saturating_sub(begin.elapsed()).max(SHORTEST_TIMEOUT);
                let read = GetOptions::new().consistency(options.consistency).timeout(left());
                let seen = self.get_with(key.clone(), &read).await?;
                self.delete_seen(&key, options, seen.context, left()).await
            }
            result => result,
        }
    }

    async fn delete_seen(
        &self,
        key: &Bytes,
        options: &DeleteOptions,
        context: Bytes,
        timeout: Duration,
    ) -> Result<Written, Error> {
        let delete = v1::DeleteRequest {
            keyspace: self.keyspace(),
            key: key.clone(),
            level: options.level.map(level::to_wire),
            timeout_ms: 0,
            context,
            consistency: consistency::to_wire(options.consistency),
            attempt: self.attempt()?,
        };
        match self.perform(Target::Key(key), Operation::Delete(delete), timeout).await? {
            Answer::Delete(delete) => Ok(delete.into()),
            _ => unreachable!("{ANSWERS_FIT}"),
        }
    }

    /// Reads many keys, page by page.
    #[must_use]
    pub fn scan(&self, options: ScanOptions) -> Scan {
        Scan::new(self.clone(), options)
    }

    /// The cluster as one of the endpoints sees it.
    ///
    /// # Errors
    /// As [`Client::get`]. Every endpoint is asked once.
    pub async fn status(&self) -> Result<Status, Error> {
        let core = &self.core;
        admin::status(&core.routes, core.config.timeout).await.map(Status::from)
    }

    /// Where a key lives or, without a key, the balance of the layout.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn ring(&self, key: Option<&[u8]>) -> Result<Ring, Error> {
        let core = &self.core;
        admin::ring(&core.routes, core.config.timeout, key).await.map(Ring::from)
    }

    /// What each replica of a key holds: its versions, tombstones and expired ones included, and its causal past; and the hints
    /// that members keep for it.
    ///
    /// # Errors
    /// As [`Client::status`]. That a replica does not answer is no error but said in its place, and that a member does not tell
    /// which hints it keeps is said in [`Why::silent`].
    pub async fn why(&self, key: impl Into<Bytes>) -> Result<Why, Error> {
        let core = &self.core;
        admin::why(&core.routes, core.config.timeout, self.keyspace(), key.into()).await.map(Why::from)
    }

    pub(crate) async fn page(
        &self,
        target: Target<'_>,
        scan: v1::ScanRequest,
        timeout: Duration,
    ) -> Result<v1::ScanResponse, Error> {
        match self.perform(target, Operation::Scan(scan), timeout).await? {
            Answer::Scan(page) => Ok(page),
            _ => unreachable!("{ANSWERS_FIT}"),
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn keyspace(&self) -> String {
        self.core.config.keyspace.clone()
    }

    pub(crate) fn timeout_of(&self, own: Option<Duration>) -> Result<Duration, Error> {
        own.map_or(Ok(self.core.config.timeout), |own| check_timeout(own).map(|()| own))
    }

    async fn perform(&self, target: Target<'_>, operation: Operation, timeout: Duration) -> Result<Answer, Error> {
        perform(&self.core, target, operation, timeout).await
    }

    /// What a write carries so that it can be asked for again when nobody knows what became of it.
    fn attempt(&self) -> Result<Option<v1::Attempt>, Error> {
        let id = || {
            let why =
                |error| format!("a write that is to be tried again needs a random id, and there is none: {error}");
            getrandom::u64().map_err(|error| Error::Config(why(error)))
        };
        let id = self.core.config.retry_indeterminate.then(id).transpose()?;
        Ok(id.map(|id| v1::Attempt { id, retried_after_ms: None, first_asked: None }))
    }
}

/// Waits for a session with one of the endpoints, tried in turn.
async fn reach_one(routes: &Routes) -> Result<(), Error> {
    let mut failures = Failures::default();
    for node in routes.endpoints() {
        let opened = match node.session() {
            Ok(session) => session.opened().await,
            Err(failure) => Err(failure),
        };
        match opened {
            Ok(()) => return Ok(()),
            Err(failure) => failures.add(unreachable(node.address(), failure)),
        }
    }
    Err(failures.into_error())
}
