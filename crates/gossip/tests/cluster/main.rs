//! Whole clusters in virtual time: what they guarantee, and that the guarantees rest on what they are said to rest on.

mod forgetting;
mod life;
mod network;
mod partitions;
mod scale;
mod suspicion;
