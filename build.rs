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
    // By an absolute path: the tests generate clients of their own in crates of their own.
    let codec = "::lipsyncd::rpc::FrameCodec";
    tonic_prost_build::configure().bytes(".").codec_path(codec).compile_fds(descriptors)?;
    Ok(())
}
