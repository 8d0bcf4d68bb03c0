//! Owns which connections the clients use: those of one client library, or a number of their own.

use kvorum_client::{Client, Config, Route};
use serde::{Serialize, Serializer};

use crate::args::Target;
use crate::exit::Failure;

/// How clients share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// All share one connection to each node; a request goes to a replica of its key.
    PerNode,
    /// They share so many, each to one of the endpoints.
    Number(usize),
    /// Each has its own, to one of the endpoints.
    Own,
}

impl Sharing {
    /// "sharing 8 connections".
    pub(crate) fn text(self) -> String {
        match self {
            Sharing::PerNode => "sharing one connection to each node".into(),
            Sharing::Number(1) => "sharing one connection".into(),
            Sharing::Number(number) => format!("sharing {number} connections"),
            Sharing::Own => "each with its own connection".into(),
        }
    }
}

impl Serialize for Sharing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Sharing::PerNode => serializer.serialize_str("per-node"),
            Sharing::Number(number) => serializer.serialize_u64(*number as u64),
            Sharing::Own => serializer.serialize_str("own"),
        }
    }
}

/// For each of `clients` what it calls. All connections are open when this returns. Without patience a refusal is final:
/// an open loop counts them.
pub(crate) async fn open(
    target: &Target,
    sharing: Sharing,
    clients: usize,
    patient: bool,
) -> Result<Vec<Client>, Failure> {
    let endpoints = &target.endpoints;
    let settings = |config: Config| {
        let config = config.timeout(target.timeout).keyspace(target.keyspace.clone());
        let config = config.retry_indeterminate(target.retry);
        if patient { config } else { config.retry_reserve(0) }
    };
    let connect = async |config| {
        let connected = Client::connect(settings(config)).await;
        connected.map_err(|error| Failure::of(&format!("connect to {}", endpoints.join(",")), &error))
    };
    let connections = match sharing {
        Sharing::PerNode => {
            let shared = connect(Config::new(endpoints)).await?;
            return Ok(vec![shared; clients]);
        }
        Sharing::Number(number) => number.min(clients),
        Sharing::Own => clients,
    };
    let mut opened = Vec::with_capacity(connections);
    for endpoint in endpoints.iter().cycle().take(connections) {
        opened.push(connect(Config::new([endpoint]).route(Route::Endpoints)).await?);
    }
    Ok(opened.iter().cycle().take(clients).cloned().collect())
}
