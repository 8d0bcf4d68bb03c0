#![doc = include_str!("../README.md")]
#![expect(missing_docs, reason = "generated from the .proto files, whose comments are the documentation")]

/// Protocol version 1, package `kvorum.v1`.
#[allow(clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("kvorum.v1");
}

/// The compiled descriptors of all files, for gRPC server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The version peers name in their metadata; nodes of another one are refused.
pub const PEER_PROTOCOL: u32 = 5;
