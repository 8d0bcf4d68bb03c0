//! The settings of a node, wherever they are given: as flags, as variables, or in a file. Here they are layered, and
//! become a valid configuration.

use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use bytesize::ByteSize;
use kvorum_ring::{MAX_WEIGHT, Partitions, Replication};
use kvorum_server::Config;
use kvorum_server::config::{DEFAULT_PAIR_BYTES, FoundingConfig, PAIR_BYTES_RANGE, default_memory, default_shards};
use kvorum_server::engine::{Durability, EngineKind};
use serde::{Deserialize, Serialize};

/// What may be set. What is not set has the default that its help names.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The node's name, unique in the cluster [default: the host name]
    #[arg(long, env = "KVORUM_NAME")]
    pub(crate) name: Option<String>,

    /// Where its data is kept [default: ./kvorum-data]
    #[arg(long, env = "KVORUM_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// gRPC for clients and operators [default: 127.0.0.1:7400]
    #[arg(long, env = "KVORUM_LISTEN", value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// gRPC between nodes [default: 127.0.0.1:7401]
    #[arg(long, env = "KVORUM_PEER_LISTEN", value_name = "HOST:PORT")]
    pub(crate) peer_listen: Option<String>,

    /// /livez and /readyz [default: 127.0.0.1:7402]
    #[arg(long, env = "KVORUM_HTTP_LISTEN", value_name = "HOST:PORT")]
    pub(crate) http_listen: Option<String>,

    /// The address clients should use [default: the listen address]
    #[arg(long, env = "KVORUM_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,

    /// The address other nodes should use [default: the peer listen address]
    #[arg(long, env = "KVORUM_PEER_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) peer_advertise: Option<String>,

    /// Peer addresses of some members; an empty node without seeds founds a cluster
    #[arg(long, env = "KVORUM_SEEDS", value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub(crate) seeds: Option<Vec<String>>,

    /// The data centre it stands in [default: dc1]
    #[arg(long, env = "KVORUM_DC")]
    pub(crate) dc: Option<String>,

    /// The rack it stands in [default: rack1]
    #[arg(long, env = "KVORUM_RACK")]
    pub(crate) rack: Option<String>,

    /// How much it takes, relative to the others; 0 takes no data [default: 1]
    #[arg(long, env = "KVORUM_WEIGHT", value_name = "0..1000")]
    pub(crate) weight: Option<u32>,

    /// What its data is kept in: sled, or memory (keeps nothing over a restart) [default: sled]
    #[arg(long, env = "KVORUM_ENGINE", value_name = "ENGINE")]
    pub(crate) engine: Option<String>,

    /// When a write counts as stored: always (flushed), interval, never [default: always]
    #[arg(long, env = "KVORUM_DURABILITY", value_name = "WHEN")]
    pub(crate) durability: Option<String>,

    /// For the founder: the number of partitions, a power of two up to 65536 [default: 256]
    #[arg(long, env = "KVORUM_PARTITIONS", value_name = "Q")]
    pub(crate) partitions: Option<u32>,

    /// For the founder: replicas per data centre, like 3 or dc1=3,dc2=2 [default: 3]
    #[arg(long, env = "KVORUM_REPLICATION", value_name = "N|DC=N,...")]
    pub(crate) replication: Option<String>,

    /// For the founder: how many nodes share the data; the layout is made when they are present [default: 1]
    #[arg(long, env = "KVORUM_INITIAL_NODES", value_name = "N")]
    pub(crate) initial_nodes: Option<u32>,

    /// For the founder: the largest key and value together, 1KiB to 1MiB [default: 10KiB]
    #[arg(long, env = "KVORUM_MAX_PAIR", value_name = "SIZE")]
    pub(crate) max_pair: Option<String>,

    /// The budget for caches, like 512MiB [default: a quarter of the machine's memory]
    #[arg(long, env = "KVORUM_MEMORY", value_name = "SIZE")]
    pub(crate) memory: Option<String>,

    /// Data shards, each on a thread of its own [default: half the cores, at least 1]
    #[arg(long, env = "KVORUM_SHARDS", value_name = "K")]
    pub(crate) shards: Option<usize>,

    /// What is logged to stderr: error, warn, info, debug, trace, or a filter [default: info]
    #[arg(long, env = "KVORUM_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// How it is logged: text or json [default: text]
    #[arg(long, env = "KVORUM_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

impl Settings {
    /// Reads a settings file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the settings file {}", path.display()))?;
        // The error names the line and the key; it is several lines long, and must be one.
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            anyhow!("{}:{line}: {}", path.display(), error.message().replace('\n', " "))
        })
    }

    /// These settings, and what they leave open from `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            name: self.name.or(below.name),
            data_dir: self.data_dir.or(below.data_dir),
            listen: self.listen.or(below.listen),
            peer_listen: self.peer_listen.or(below.peer_listen),
            http_listen: self.http_listen.or(below.http_listen),
            advertise: self.advertise.or(below.advertise),
            peer_advertise: self.peer_advertise.or(below.peer_advertise),
            seeds: self.seeds.or(below.seeds),
            dc: self.dc.or(below.dc),
            rack: self.rack.or(below.rack),
            weight: self.weight.or(below.weight),
            engine: self.engine.or(below.engine),
            durability: self.durability.or(below.durability),
            partitions: self.partitions.or(below.partitions),
            replication: self.replication.or(below.replication),
            initial_nodes: self.initial_nodes.or(below.initial_nodes),
            max_pair: self.max_pair.or(below.max_pair),
            memory: self.memory.or(below.memory),
            shards: self.shards.or(below.shards),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
        }
    }

    /// The valid configuration that these settings and the defaults describe.
    pub(crate) fn config(self) -> Result<Config> {
        let engine =
            choose("engine", self.engine.as_deref(), &[("sled", EngineKind::Sled), ("memory", EngineKind::Memory)])?;
        let durabilities =
            [("always", Durability::Always), ("interval", Durability::Interval), ("never", Durability::Never)];
        let weight = self.weight.unwrap_or(1);
        if weight > MAX_WEIGHT {
            bail!("--weight {weight}: at most {MAX_WEIGHT} is allowed");
        }
        let nodes = self.initial_nodes.unwrap_or(1);
        if nodes == 0 {
            bail!("--initial-nodes 0: at least 1 node is needed");
        }
        let shards = self.shards.unwrap_or_else(default_shards);
        if !(1..=256).contains(&shards) {
            bail!("--shards {shards}: 1 to 256 are allowed");
        }
        let name = self
            .name
            .or_else(host_name)
            .ok_or_else(|| anyhow!("this machine has no host name; give the node a --name"))?;
        let seeds = self.seeds.unwrap_or_default();
        let seeds: Vec<String> =
            seeds.into_iter().map(|seed| seed.trim().to_owned()).filter(|seed| !seed.is_empty()).collect();
        for seed in &seeds {
            check_host_and_port("seeds", seed)?;
        }
        for (flag, address) in [("advertise", &self.advertise), ("peer-advertise", &self.peer_advertise)] {
            if let Some(address) = address {
                check_host_and_port(flag, address)?;
            }
        }
        let listen = address("listen", self.listen, 7400)?;
        let peer_listen = address("peer-listen", self.peer_listen, 7401)?;
        for (flag, listen, advertise) in
            [("advertise", listen, &self.advertise), ("peer-advertise", peer_listen, &self.peer_advertise)]
        {
            if listen.ip().is_unspecified() && advertise.is_none() {
                bail!("listening on {listen}, the node needs --{flag} HOST:PORT: the address that others should use");
            }
        }
        Ok(Config {
            name,
            data_dir: self.data_dir.unwrap_or_else(|| "./kvorum-data".into()),
            listen,
            peer_listen,
            http_listen: address("http-listen", self.http_listen, 7402)?,
            advertise: self.advertise,
            peer_advertise: self.peer_advertise,
            seeds,
            dc: self.dc.unwrap_or_else(|| "dc1".to_owned()),
            rack: self.rack.unwrap_or_else(|| "rack1".to_owned()),
            weight,
            engine,
            durability: choose("durability", self.durability.as_deref(), &durabilities)?,
            founding: FoundingConfig {
                nodes,
                partitions: Partitions::new(self.partitions.unwrap_or(256))
                    .map_err(|error| anyhow!("--partitions: {error}"))?,
                replication: parse::<Replication>("replication", self.replication.as_deref().unwrap_or("3"))?,
                pair_bytes: pair_bytes(self.max_pair.as_deref())?,
            },
            memory: self
                .memory
                .map(|size| parse::<ByteSize>("memory", &size))
                .transpose()?
                .map_or_else(default_memory, |size| size.0),
            shards,
        })
    }
}

fn pair_bytes(given: Option<&str>) -> Result<u32> {
    let Some(text) = given else { return Ok(DEFAULT_PAIR_BYTES) };
    let bytes = parse::<ByteSize>("max-pair", text)?.0;
    let allowed = u32::try_from(bytes).ok().filter(|bytes| PAIR_BYTES_RANGE.contains(bytes));
    allowed.ok_or_else(|| anyhow!("--max-pair {text}: 1KiB to 1MiB are allowed"))
}

fn parse<T: FromStr<Err: Display>>(flag: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| anyhow!("--{flag} {text}: {error}"))
}

/// One of a few words; the first is the default.
pub(crate) fn choose<T: Copy>(flag: &str, text: Option<&str>, choices: &[(&str, T)]) -> Result<T> {
    let text = text.unwrap_or(choices[0].0);
    let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
    chosen.ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        anyhow!("--{flag} {text}: use one of {}", words.join(", "))
    })
}

fn address(flag: &str, given: Option<String>, default_port: u16) -> Result<SocketAddr> {
    let Some(text) = given else { return Ok(SocketAddr::from(([127, 0, 0, 1], default_port))) };
    check_host_and_port(flag, &text)?;
    let mut found = text.to_socket_addrs().map_err(|error| anyhow!("--{flag} {text}: {error}"))?;
    found.next().ok_or_else(|| anyhow!("--{flag} {text}: the name has no address"))
}

fn check_host_and_port(flag: &str, text: &str) -> Result<()> {
    let well_formed = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if well_formed {
        Ok(())
    } else {
        Err(anyhow!("--{flag} {text}: an address is written HOST:PORT, like 127.0.0.1:7400"))
    }
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").map_err(std::io::Error::other));
    name.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file: Settings = toml::from_str("name = 'file'\nweight = 3\nseeds = ['a:1', 'b:2']").unwrap();
        let flags = Settings { name: Some("flag".to_owned()), ..Settings::default() };
        let config = flags.over(file).config().unwrap();
        assert_eq!((config.name.as_str(), config.weight, config.seeds.len()), ("flag", 3, 2));
        assert_eq!(config.listen.to_string(), "127.0.0.1:7400");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_the_allowed_values() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        std::fs::write(&path, "name = 'n1'\nlissten = '127.0.0.1:1'\n").unwrap();
        let error = Settings::read(&path).unwrap_err().to_string();
        assert!(error.contains("node.toml:2: ") && error.contains("lissten") && error.contains("`listen`"), "{error}");
        let complaint = |settings: Settings| settings.config().unwrap_err().to_string();
        let engine = complaint(Settings { engine: Some("rocks".to_owned()), ..Settings::default() });
        assert_eq!(engine, "--engine rocks: use one of sled, memory");
        let listen = complaint(Settings { listen: Some("7400".to_owned()), ..Settings::default() });
        assert!(listen.contains("HOST:PORT"), "{listen}");
        let everywhere = complaint(Settings { listen: Some("0.0.0.0:7400".to_owned()), ..Settings::default() });
        assert!(everywhere.contains("--advertise"), "{everywhere}");
        let partitions = complaint(Settings { partitions: Some(100), ..Settings::default() });
        assert!(partitions.contains("power of two"), "{partitions}");
    }
}
