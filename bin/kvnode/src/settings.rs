//! The table of settings: what each is called, what it means, what it may be, and what holds when it is not set. Flags,
//! help, errors, and what `kvnode config` prints come from here. How values are layered is in `layers.rs`, how they become
//! a valid configuration in `effective.rs`.

use kvorum_server::config::{default_memory, default_shards};

/// One thing that may be set.
#[derive(Debug)]
pub(crate) struct Setting {
    /// As a file has it. The flag is `--key`, the variable `KVORUM_KEY`.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// What stands for the value in the help.
    pub(crate) placeholder: &'static str,
    pub(crate) meaning: &'static str,
    /// What it may be; "`x` is not ..." makes a sentence of it.
    pub(crate) allowed: &'static str,
    pub(crate) fallback: Fallback,
}

/// How a file writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Number,
    /// Written as a text, and read as a number too.
    TextOrNumber,
    List,
}

/// What holds when it is not set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fallback {
    /// This value.
    Value(&'static str),
    /// What the machine has; in words, and how it is found.
    Machine(&'static str, fn() -> Option<String>),
    /// No value; in words, what that means.
    Open(&'static str),
}

const ADDRESS: &str = "HOST:PORT, such as 127.0.0.1:7400";
const WORD: &str = "a word of at most 255 bytes, without blanks, commas and equals signs";

pub(crate) const SETTINGS: [Setting; 24] = [
    Setting {
        key: "name",
        kind: Kind::Text,
        placeholder: "NAME",
        meaning: "The node's name, unique in the cluster",
        allowed: WORD,
        fallback: Fallback::Machine("the host name", host_name),
    },
    Setting {
        key: "data-dir",
        kind: Kind::Text,
        placeholder: "DIR",
        meaning: "Where its data is kept",
        allowed: "a path",
        fallback: Fallback::Value("./kvorum-data"),
    },
    Setting {
        key: "listen",
        kind: Kind::Text,
        placeholder: "HOST:PORT",
        meaning: "gRPC for clients and operators; port 0 takes a free one",
        allowed: ADDRESS,
        fallback: Fallback::Value("127.0.0.1:7400"),
    },
    Setting {
        key: "peer-listen",
        kind: Kind::Text,
        placeholder: "HOST:PORT",
        meaning: "gRPC between nodes; port 0 takes a free one",
        allowed: ADDRESS,
        fallback: Fallback::Value("127.0.0.1:7401"),
    },
    Setting {
        key: "http-listen",
        kind: Kind::Text,
        placeholder: "HOST:PORT",
        meaning: "/livez, /readyz and /metrics; port 0 takes a free one",
        allowed: ADDRESS,
        fallback: Fallback::Value("127.0.0.1:7402"),
    },
    Setting {
        key: "advertise",
        kind: Kind::Text,
        placeholder: "HOST:PORT",
        meaning: "The address clients should use",
        allowed: ADDRESS,
        fallback: Fallback::Open("the listen address"),
    },
    Setting {
        key: "peer-advertise",
        kind: Kind::Text,
        placeholder: "HOST:PORT",
        meaning: "The address other nodes should use",
        allowed: ADDRESS,
        fallback: Fallback::Open("the peer-listen address"),
    },
    Setting {
        key: "seeds",
        kind: Kind::List,
        placeholder: "HOST:PORT,...",
        meaning: "Peer addresses of some members; an empty node without seeds founds a cluster",
        allowed: "a list of HOST:PORT, such as 10.0.0.1:7401,10.0.0.2:7401",
        fallback: Fallback::Open("none"),
    },
    Setting {
        key: "cluster-key-file",
        kind: Kind::Text,
        placeholder: "FILE",
        meaning: "Holds the key that all members share, so that nobody else can speak to them as a node",
        allowed: "the path of a file with 64 hexadecimal digits, as `openssl rand -hex 32` makes them",
        fallback: Fallback::Open("none: nodes are not authenticated"),
    },
    Setting {
        key: "dc",
        kind: Kind::Text,
        placeholder: "NAME",
        meaning: "The data centre it stands in",
        allowed: WORD,
        fallback: Fallback::Value("dc1"),
    },
    Setting {
        key: "rack",
        kind: Kind::Text,
        placeholder: "NAME",
        meaning: "The rack it stands in",
        allowed: WORD,
        fallback: Fallback::Value("rack1"),
    },
    Setting {
        key: "weight",
        kind: Kind::Number,
        placeholder: "0..1000",
        meaning: "How much it takes, relative to the others; 0 takes no data",
        allowed: "a whole number from 0 to 1000",
        fallback: Fallback::Value("1"),
    },
    Setting {
        key: "engine",
        kind: Kind::Text,
        placeholder: "ENGINE",
        meaning: "What its data is kept in; memory keeps nothing over a restart",
        allowed: "one of lsm, sled, memory",
        fallback: Fallback::Value("lsm"),
    },
    Setting {
        key: "durability",
        kind: Kind::Text,
        placeholder: "WHEN",
        meaning: "When a write counts as stored; always is when the disk has it",
        allowed: "one of always, interval, never",
        fallback: Fallback::Value("always"),
    },
    Setting {
        key: "partitions",
        kind: Kind::Number,
        placeholder: "Q",
        meaning: "For the founder, the number of partitions",
        allowed: "a power of two from 1 to 65536",
        fallback: Fallback::Value("256"),
    },
    Setting {
        key: "replication",
        kind: Kind::TextOrNumber,
        placeholder: "N|DC=N,...",
        meaning: "For the founder, replicas per data centre",
        allowed: "a number of replicas, such as 3, or one for each data centre, such as dc1=3,dc2=2",
        fallback: Fallback::Value("3"),
    },
    Setting {
        key: "initial-nodes",
        kind: Kind::Number,
        placeholder: "N",
        meaning: "For the founder, how many nodes share the data; the layout is made when they are present",
        allowed: "a whole number, at least 1",
        fallback: Fallback::Value("1"),
    },
    Setting {
        key: "max-pair",
        kind: Kind::TextOrNumber,
        placeholder: "SIZE",
        meaning: "For the founder, the largest key and value together",
        allowed: "a size from 1KiB to 1MiB",
        fallback: Fallback::Value("10KiB"),
    },
    Setting {
        key: "memory",
        kind: Kind::TextOrNumber,
        placeholder: "SIZE",
        meaning: "The memory it may use, for memtables and caches together",
        allowed: "a size of at least 64MiB, such as 512MiB",
        fallback: Fallback::Machine("a quarter of the machine's memory", || Some(size(default_memory()))),
    },
    Setting {
        key: "hint-bytes",
        kind: Kind::TextOrNumber,
        placeholder: "SIZE",
        meaning: "How much is kept on disk for nodes that are away",
        allowed: "a size, such as 256MiB",
        fallback: Fallback::Value("1GiB"),
    },
    Setting {
        key: "hint-age",
        kind: Kind::Text,
        placeholder: "DURATION",
        meaning: "How long it is kept, unless the node stood in for one that is away",
        allowed: "a duration, such as 30m or 3h",
        fallback: Fallback::Value("3h"),
    },
    Setting {
        key: "shards",
        kind: Kind::Number,
        placeholder: "K",
        meaning: "Data shards, each on a thread of its own",
        allowed: "a whole number from 1 to 256",
        fallback: Fallback::Machine("half the cores, at least 1", || Some(default_shards().to_string())),
    },
    Setting {
        key: "log",
        kind: Kind::Text,
        placeholder: "FILTER",
        meaning: "What is logged to stderr",
        allowed: "a level (error, warn, info, debug, trace, off) or a filter such as info,kvorum_server=debug",
        fallback: Fallback::Value("info"),
    },
    Setting {
        key: "log-format",
        kind: Kind::Text,
        placeholder: "FORMAT",
        meaning: "How it is logged",
        allowed: "one of text, json",
        fallback: Fallback::Value("text"),
    },
];

impl Setting {
    /// The setting of this key.
    pub(crate) fn find(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("KVORUM_{}", self.key.to_uppercase().replace('-', "_"))
    }
}

impl Fallback {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Fallback::Value(words) | Fallback::Machine(words, _) | Fallback::Open(words) => words,
        }
    }

    pub(crate) fn value(self) -> Option<String> {
        match self {
            Fallback::Value(text) => Some(text.to_owned()),
            Fallback::Machine(_, find) => find(),
            Fallback::Open(_) => None,
        }
    }
}

impl Kind {
    /// "`x` is not ..." makes a sentence of it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::Text => "a text in quotes",
            Kind::Number => "a number without quotes",
            Kind::TextOrNumber => "a text in quotes or a number",
            Kind::List => "a list of texts in quotes, such as [\"10.0.0.1:7401\"]",
        }
    }
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME").map_err(std::io::Error::other));
    name.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Exactly so many bytes, in the largest unit that divides them.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_once_in_the_table_and_names_its_variable() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..index].iter().all(|earlier| earlier.key != setting.key), "{}", setting.key);
        }
        assert_eq!(Setting::find("peer-listen").unwrap().variable(), "KVORUM_PEER_LISTEN");
        assert!(Setting::find("config").is_none(), "that is where settings come from");
    }

    #[test]
    fn a_size_is_exact() {
        assert_eq!([0, 1 << 30, 3 << 20, 5 << 10, 1025].map(size), ["0GiB", "1GiB", "3MiB", "5KiB", "1025B"]);
    }
}
