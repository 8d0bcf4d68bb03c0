//! How a shard behaves, told by inputs and checked by effects. One file for each behaviour, named like the file it
//! tests; `bench` holds a single shard, `random` several that talk to each other.

mod bench;
mod causal;
mod failure;
mod fitness;
mod forward;
mod get;
mod keyspaces;
mod limits;
mod put;
mod random;
mod remint;
mod replica;
mod scan;
mod why;
