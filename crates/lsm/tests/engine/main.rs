//! The whole engine, from outside: against a model, against crashes and faults of the disk, with many threads.

mod crash;
mod faults;
mod features;
mod model;
mod support;
mod threads;
