//! gRPC: our own `lipsync.v1`, the compatible `monolithic` service, health and reflection.
//!
//! | file | gives |
//! | --- | --- |
//! | [`daemon`] | what every call shares: engine, avatars, admission, the stop signal |
//! | [`doors`] | places: of all, of one client, of whole files |
//! | [`status`] | errors to status codes, in one place |
//! | `frames` | a finished frame as a message |
//! | `frame_codec`, `uncopied` | that message to the socket without a copy of its JPEG |
//! | `lipsync` | `lipsync.v1.LipSync`: the calls about avatars, and the way into the three below |
//! | `calls` | what several calls have in common |
//! | `looks` | the bundles' files, looked at for those calls |
//! | `backgrounds` | the avatar's own frames, for clients that keep them and take patches |
//! | `synthesize` | whole audio in, a stream of frames out |
//! | `converse` | live audio in, live frames out |
//! | `monolithic` | `monolithic.MonolithicService`, as existing clients know it |
//! | `front` | the way that every call comes in by |
//! | `deadline`, `activity`, `lease` | how long a call may last, before its answer, within it, and unread |
//! | `uploads` | requests as they come in, in bounded memory |
//! | [`client`] | the other end, for `synth --server` and `bench` |
//! | [`server`] | the listening server, from start to drained |
//! | `accept`, `linger`, `heard_out` | its connections from their beginning to their end, and what comes of calls that are over |
//! | `traffic` | whether a stop still has somebody to wait for |
//! | `lost` | when it ends after the loss of a device |
//!
//! The generated types stay inside this module.

pub mod client;
pub mod daemon;
pub mod doors;
pub mod server;
pub mod status;

mod accept;
mod activity;
mod backgrounds;
mod calls;
mod converse;
mod deadline;
mod frame_codec;
mod frames;
mod front;
mod heard_out;
mod lease;
mod linger;
mod lipsync;
mod looks;
mod lost;
mod monolithic;
mod synthesize;
mod traffic;
mod uncopied;
mod uploads;

pub use daemon::{Daemon, DaemonOptions};
pub use doors::DoorOptions;
pub use frame_codec::FrameCodec;
pub use lost::{LAST_WORDS, lost};
pub use server::{ServerError, ServerOptions, run};
pub use status::RpcError;

/// The generated messages and services.
#[allow(clippy::pedantic, clippy::nursery)] // Generated code follows its generator's habits.
mod proto {
    pub(super) mod lipsync {
        tonic::include_proto!("lipsync.v1");
    }
    pub(super) mod monolithic {
        tonic::include_proto!("monolithic");
    }
    pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
