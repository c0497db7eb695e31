//! Compiles the protocol (no `protoc`, protox parses the `.proto` files itself) and, where nvcc is found, the CUDA kernels.

#[path = "build/kernels.rs"]
mod kernels;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    protocol()?;
    kernels::build()
}

fn protocol() -> Result<(), Box<dyn std::error::Error>> {
    let protos = ["proto/lipsync/v1/lipsync.proto", "proto/monolithic/monolithic.proto"];
    for proto in protos {
        println!("cargo:rerun-if-changed={proto}");
    }
    let descriptors = protox::compile(protos, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    // Kept for reflection.
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
