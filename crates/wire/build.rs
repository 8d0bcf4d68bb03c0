//! Compiles the .proto files, in Rust alone: no `protoc` is needed.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/kvorum/v1/kv.proto", "proto/kvorum/v1/admin.proto", "proto/kvorum/v1/peer.proto"];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".") // Decoded bytes are slices of the receive buffer, not copies.
        .compile_fds(descriptors)?;
    Ok(())
}
