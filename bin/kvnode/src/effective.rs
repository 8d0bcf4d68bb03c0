//! From settings to a valid configuration: every value is parsed here, once, and what may not be is refused with the
//! place it came from and what is allowed.

use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use bytesize::ByteSize;
use kvorum_ring::{MAX_WEIGHT, Partitions, Replication};
use kvorum_server::Config;
use kvorum_server::config::{FoundingConfig, PAIR_BYTES_RANGE};
use kvorum_server::engine::{Durability, EngineKind};
use kvorum_server::memory::MIN_MEMORY;
use tracing_subscriber::EnvFilter;

use crate::layers::{Settings, Value};
use crate::settings::Setting;

/// What is logged, and how.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) filter: EnvFilter,
    pub(crate) json: bool,
}

/// The configuration of a node.
pub(crate) fn config(settings: &Settings) -> Result<Config> {
    let engines = [("lsm", EngineKind::Lsm), ("sled", EngineKind::Sled), ("memory", EngineKind::Memory)];
    let durabilities =
        [("always", Durability::Always), ("interval", Durability::Interval), ("never", Durability::Never)];
    let advertise = parse_given(settings, "advertise", host_and_port)?;
    let peer_advertise = parse_given(settings, "peer-advertise", host_and_port)?;
    Ok(Config {
        name: parse(settings, "name", word)?,
        data_dir: parse(settings, "data-dir", |text| (!text.is_empty()).then(|| text.into()))?,
        listen: listen(settings, "listen", "advertise", advertise.as_ref())?,
        peer_listen: listen(settings, "peer-listen", "peer-advertise", peer_advertise.as_ref())?,
        http_listen: address(settings, "http-listen")?,
        advertise,
        peer_advertise,
        cluster_key_file: parse_given(settings, "cluster-key-file", |text| (!text.is_empty()).then(|| text.into()))?,
        seeds: seeds(settings)?,
        dc: parse(settings, "dc", word)?,
        rack: parse(settings, "rack", word)?,
        weight: parse(settings, "weight", |text| number(text).filter(|weight| *weight <= MAX_WEIGHT))?,
        engine: parse(settings, "engine", |text| one_of(&engines, text))?,
        durability: parse(settings, "durability", |text| one_of(&durabilities, text))?,
        founding: FoundingConfig {
            nodes: parse(settings, "initial-nodes", |text| number(text).filter(|nodes| *nodes > 0))?,
            partitions: parse(settings, "partitions", |text| Partitions::new(number(text)?).ok())?,
            replication: parse(settings, "replication", |text| text.parse::<Replication>().ok())?,
            pair_bytes: parse(settings, "max-pair", |text| {
                size(text).and_then(|bytes| u32::try_from(bytes).ok()).filter(|bytes| PAIR_BYTES_RANGE.contains(bytes))
            })?,
        },
        memory: parse(settings, "memory", |text| size(text).filter(|bytes| *bytes >= MIN_MEMORY))?,
        hint_bytes: parse(settings, "hint-bytes", size)?,
        hint_age: parse(settings, "hint-age", |text| humantime::parse_duration(text).ok())?,
        shards: parse(settings, "shards", |text| number(text).filter(|shards| (1..=256).contains(shards)))?,
    })
}

/// The log of a node.
pub(crate) fn log(settings: &Settings) -> Result<Log> {
    Ok(Log {
        filter: parse(settings, "log", filter)?,
        json: parse(settings, "log-format", |text| one_of(&[("text", false), ("json", true)], text))?,
    })
}

/// The value that holds, parsed.
fn parse<T>(settings: &Settings, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let value = value(settings, key)?;
    parse(&value.text).ok_or_else(|| value.refused())
}

/// The value that was given, parsed.
fn parse_given<T>(settings: &Settings, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
    let Some(value) = settings.given(setting(key)) else { return Ok(None) };
    parse(&value.text).map(Some).ok_or_else(|| value.refused())
}

fn value<'a>(settings: &'a Settings, key: &str) -> Result<Value<'a>> {
    let setting = setting(key);
    let value = settings.value(setting);
    value.ok_or_else(|| {
        anyhow!("{key} has no default, for this machine does not tell {}; give --{key}", setting.fallback.words())
    })
}

fn setting(key: &str) -> &'static Setting {
    Setting::find(key).expect("it is in the table")
}

/// An address to listen on; one that stands for all of the machine's needs another to be found by.
fn listen(settings: &Settings, key: &str, advertise: &str, advertised: Option<&String>) -> Result<SocketAddr> {
    let address = address(settings, key)?;
    if address.ip().is_unspecified() && advertised.is_none() {
        let place = value(settings, key)?.place();
        bail!(
            "{place}: `{address}` is every address of this machine: set --{advertise} HOST:PORT, the one others should use"
        );
    }
    Ok(address)
}

fn address(settings: &Settings, key: &str) -> Result<SocketAddr> {
    let value = value(settings, key)?;
    let text = host_and_port(&value.text).ok_or_else(|| value.refused())?;
    let unknown = |why: &dyn Display| {
        anyhow!("{}: `{text}` has no address here: {why}; use an address of this machine", value.place())
    };
    let mut found = text.to_socket_addrs().map_err(|error| unknown(&error))?;
    found.next().ok_or_else(|| unknown(&"the name is known without one"))
}

fn seeds(settings: &Settings) -> Result<Vec<String>> {
    let Some(value) = settings.given(setting("seeds")) else { return Ok(Vec::new()) };
    let seeds: Option<Vec<String>> = value.elements().map(host_and_port).collect();
    seeds.ok_or_else(|| value.refused())
}

fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let well_formed = !host.is_empty() && !host.contains(char::is_whitespace) && number::<u16>(port).is_some();
    well_formed.then(|| text.to_owned())
}

/// It stands in lines and lists between blanks, commas and equals signs.
fn word(text: &str) -> Option<String> {
    let is_apart = |c: char| c.is_whitespace() || c.is_control() || c == ',' || c == '=';
    (1..=255).contains(&text.len()).then_some(text).filter(|text| !text.contains(is_apart)).map(ToOwned::to_owned)
}

/// Digits alone: the parser would also take a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn size(text: &str) -> Option<u64> {
    text.parse::<ByteSize>().ok().map(|size| size.0)
}

fn one_of<T: Copy>(choices: &[(&str, T)], text: &str) -> Option<T> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
}

/// A bare word would be the name of a module, and nothing else would be logged: more likely it is a level misspelt.
fn filter(text: &str) -> Option<EnvFilter> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let is_level = |part: &str| LEVELS.contains(&part.trim().to_lowercase().as_str());
    let is_told = |part: &str| is_level(part) || part.contains(['=', '[', ']', '{', '}']);
    text.split(',').all(is_told).then(|| EnvFilter::try_new(text).ok())?
}

#[cfg(test)]
mod tests;
