//! Owns what every command works on: the client, and how the nodes and the output were named.

use kvorum_client::{Client, Config, Retry, Route};

use crate::args::{Global, Output};
use crate::exit::Failure;
use crate::output::quoted;

/// The cluster, and how to speak of it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) endpoints: String,
    pub(crate) keyspace: String,
    pub(crate) output: Output,
    pub(crate) timeout: std::time::Duration,
}

impl Target {
    /// Nothing is sent yet. Only the named nodes are used, so that what is said to come from a node
    /// does.
    pub(crate) fn new(global: Global, retry: Retry, retry_indeterminate: bool) -> Result<Target, Failure> {
        let Global { endpoints, keyspace, output, timeout } = global;
        let names = endpoints.join(",");
        let config = Config::new(endpoints).route(Route::Endpoints).retry(retry).timeout(timeout);
        let client = Client::lazy(config.retry_indeterminate(retry_indeterminate).keyspace(keyspace.clone()));
        let client = client.map_err(|error| Failure::of(&format!("use endpoint `{names}`"), &error))?;
        Ok(Target { client, endpoints: names, keyspace, output, timeout })
    }

    /// "get `key` from n1:7400", for errors.
    pub(crate) fn doing(&self, verb: &str, key: &[u8], preposition: &str) -> String {
        format!("{verb} {} {preposition} {}", quoted(key), self.endpoints)
    }

    pub(crate) fn wants_json(&self) -> bool {
        self.output == Output::Json
    }
}
