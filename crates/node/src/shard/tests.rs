//! How a shard behaves, told by inputs and checked by effects. One file for each behaviour, named like the file it
//! tests; `bench` holds a single shard, `random` several that talk to each other, `lost_log` all of it with a log that fails.

mod attempt;
mod bench;
mod causal;
mod centres;
mod expired;
mod failure;
mod fitness;
mod forward;
mod get;
mod hints;
mod keyspaces;
mod limits;
mod lost_log;
mod pull;
mod pull_sources;
mod pulls;
mod put;
mod random;
mod regressions;
mod remint;
mod repair;
mod replica;
mod scan;
mod sloppy;
mod why;
mod why_hints;
