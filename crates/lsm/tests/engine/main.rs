//! The whole engine, from outside: against a model, against crashes and faults of the disk, with many threads.

mod bits;
mod crash;
mod decoders;
mod faults;
mod features;
mod lost_ends;
mod model;
mod support;
mod threads;
