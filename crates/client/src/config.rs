//! Owns what a client is told when it is made, and what is wrong with it. Options of one call are
//! in `options.rs`.

use core::time::Duration;

use crate::Error;

/// How many retries a client makes that it has not earned.
const DEFAULT_RETRY_RESERVE: u16 = 64;
/// How long a call may take unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wire counts milliseconds.
pub(crate) const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// What a client needs to know. Made by [`Config::new`], changed by its methods.
///
/// ```
/// use std::time::Duration;
/// use kvorum_client::{Config, Route};
///
/// let config = Config::new(["127.0.0.1:7400", "127.0.0.1:7410"])
///     .route(Route::Endpoints)
///     .timeout(Duration::from_millis(500));
/// # let _ = config;
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) endpoints: Vec<String>,
    pub(crate) route: Route,
    pub(crate) retry: Retry,
    pub(crate) retry_indeterminate: bool,
    pub(crate) retry_reserve: u16,
    pub(crate) timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) keyspace: String,
    pub(crate) dc: Option<String>,
}

/// Which nodes a request may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// To a replica of its key that is up: no node has to forward it. The client learns the
    /// topology from any endpoint and refreshes it every 30 seconds and when a session breaks. Other
    /// nodes and the endpoints are where it turns when the replicas fail it.
    #[default]
    Replicas,
    /// Only to the given endpoints, in turn: one call begins at the first, the next at the second,
    /// and so on.
    Endpoints,
}

/// How long a call goes on with what is safe to try again.
///
/// However long that is, all calls of a client together make no more retries than 64 and a tenth of their number, so that
/// a cluster in trouble is not kept there by those who ask it. Beyond that a call returns its last error at once.
/// Connections that could not be made are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// Until its timeout, with growing, jittered pauses: rides over a restart of the cluster.
    #[default]
    UntilTimeout,
    /// Every node once: for somebody who waits in front of a screen. Only an overloaded node is
    /// asked again, after a pause, and a write in doubt asked for again under [`Config::retry_indeterminate`].
    OnceAround,
}

impl Config {
    /// A client of the cluster to which these nodes belong: `HOST:PORT` each, at least one. The
    /// other settings are as their methods describe.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Config {
        Config {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            route: Route::default(),
            retry: Retry::default(),
            retry_indeterminate: false,
            retry_reserve: DEFAULT_RETRY_RESERVE,
            timeout: DEFAULT_TIMEOUT,
            connections: 1,
            keyspace: String::new(),
            dc: None,
        }
    }

    /// Which nodes are used; [`Route::Replicas`] by default.
    #[must_use]
    pub fn route(mut self, route: Route) -> Config {
        self.route = route;
        self
    }

    /// How long is tried again; [`Retry::UntilTimeout`] by default.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Config {
        self.retry = retry;
        self
    }

    /// Whether a put or delete is tried again when it may or may not be applied: when the node says so, leaves it without
    /// an answer, or the connection breaks. Off by default: then that is an [`Error::Indeterminate`].
    ///
    /// Each write then carries a random id, the same in every try, by which the nodes see to it that it takes effect at
    /// most once, and not after a later write that it did not know of. Where they cannot tell, the call ends with
    /// [`Error::Indeterminate`] all the same, at its timeout at the latest; so it does while the node that was asked first
    /// is down, unless its peers have the write. Each write costs its coordinator a read more. A node older than such ids
    /// ignores them: leave it off with those.
    #[must_use]
    pub fn retry_indeterminate(mut self, retry_indeterminate: bool) -> Config {
        self.retry_indeterminate = retry_indeterminate;
        self
    }

    /// How many retries all calls together may make before each has to be earned by ten calls; 64 by default. A node that
    /// stops answering makes one retry of each call under way with it.
    #[must_use]
    pub fn retry_reserve(mut self, retry_reserve: u16) -> Config {
        self.retry_reserve = retry_reserve;
        self
    }

    /// The time a call has, retries included, unless its options say otherwise: 5 seconds by
    /// default. From 1 ms to 2^32 - 1 ms.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Config {
        self.timeout = timeout;
        self
    }

    /// Connections to each node, 1 by default; each carries one session. More help only where one
    /// connection's thread on the node is the bottleneck.
    #[must_use]
    pub fn connections_per_node(mut self, connections: usize) -> Config {
        self.connections = connections;
        self
    }

    /// The keyspace of all calls; the cluster's `default` unless set.
    #[must_use]
    pub fn keyspace(mut self, keyspace: impl Into<String>) -> Config {
        self.keyspace = keyspace.into();
        self
    }

    /// The data centre this client stands in: with [`Route::Replicas`], replicas there are preferred.
    #[must_use]
    pub fn dc(mut self, dc: impl Into<String>) -> Config {
        self.dc = Some(dc.into());
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.endpoints.is_empty() {
            return Err(Error::Config("there is no endpoint".into()));
        }
        if self.connections == 0 {
            return Err(Error::Config("a node needs at least one connection".into()));
        }
        check_timeout(self.timeout)?;
        self.endpoints.iter().try_for_each(|one| check_endpoint(one))
    }
}

/// That a timeout can be said on the wire, in whole milliseconds.
pub(crate) fn check_timeout(timeout: Duration) -> Result<(), Error> {
    if (1..=u128::from(u32::MAX)).contains(&timeout.as_millis()) {
        Ok(())
    } else {
        Err(Error::Config(format!("a timeout lasts from 1 ms to {} ms, not {timeout:?}", u32::MAX)))
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let well_formed = endpoint.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty()
            && (bracketed || !host.contains(':'))
            && !host.contains(|c: char| c == '/' || c == '@' || c.is_whitespace())
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if well_formed { Ok(()) } else { Err(Error::Config(format!("`{endpoint}` is not HOST:PORT"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for good in ["127.0.0.1:7400", "localhost:1", "[::1]:7400", "n1.example.org:65535"] {
            assert!(Config::new([good]).check().is_ok(), "{good}");
        }
        for bad in [
            "",
            ":",
            ":7400",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "host:x",
            "http://host:1",
            "::1:7400",
            "a b:1",
            "user@host:1",
        ] {
            assert!(matches!(Config::new([bad]).check(), Err(Error::Config(_))), "{bad}");
        }
        assert!(Config::new(Vec::<String>::new()).check().is_err());
    }

    #[test]
    fn a_timeout_that_the_wire_cannot_say_is_refused() {
        let with = |timeout| Config::new(["h:1"]).timeout(timeout).check();
        assert!(with(Duration::ZERO).is_err());
        assert!(with(Duration::from_micros(999)).is_err());
        assert!(with(Duration::from_millis(1)).is_ok());
        assert!(with(Duration::from_millis(u64::from(u32::MAX))).is_ok());
        assert!(with(Duration::from_millis(u64::from(u32::MAX) + 1)).is_err());
    }
}
