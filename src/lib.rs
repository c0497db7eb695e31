//! lipsyncd turns speech into the frames of a talking avatar, live.
//!
//! # The journey of one chunk of speech
//! | stage | in | out |
//! | --- | --- | --- |
//! | [`rpc`] | gRPC messages | PCM of a session |
//! | [`session`] | PCM | mel windows and contexts, in bounded histories |
//! | [`audio`] | samples | mel frames `[T, 80]`, windows `[1, 80, 16]` |
//! | [`batch`] | waiting windows and frames | slots full of one network's work |
//! | [`backend`] | a staged slot | features `[N, 512]`, pictures `[N, 3, 320, 320]`, JPEGs |
//! | [`picture`] | the generator's picture | the avatar's frame with it pasted in, encoded |
//! | [`rpc`] | frames in order | gRPC messages |
//!
//! # The plumbing
//! [`avatar`] reads bundles and keeps them loaded, [`onnxruntime`] finds and drives the CPU engine, [`cuda`] the GPU,
//! [`media`] writes video files, [`config`] and [`telemetry`] are what operators touch, [`commands`] what
//! they type; [`load`] plays many viewers at once. [`machine`] says what memory there is, [`paths`] where caches lie, and [`chain`] makes one
//! sentence of an error and its causes.
//!
//! # Words
//! An *avatar* is one character: pictures in a loop, a face *box* in each, two networks. The *crop* is the
//! box as the generator sees it. A *mel window* is 16 mel frames; the audio encoder makes a *feature* of
//! it; a frame's *context* is the 16 features around it. A *session* is one viewer; a *slot* is the
//! buffers of one batch in flight; a *lane* is the thread and the share of the device that carries it.
//!
//! A *mel* spectrogram is `[T, 80]`, 80 mel frames a second. A *strip* is the part of a frame under the box, rounded out to macroblocks; a frame's
//! *template* is its background as a JPEG that a strip is spliced into; a *patch* is the strip as a client gets it alone. A *plan* is a network
//! as TensorRT has built it for one kind of GPU. A *tick* is one frame's time of a call with idle frames.

// Generated code names its codec by a path that holds in tests, too.
extern crate self as lipsyncd;

pub mod rpc;
pub mod session;

pub mod audio;
pub mod backend;
pub mod batch;
pub mod picture;

pub mod avatar;
mod bounded;
pub mod chain;
pub mod commands;
pub mod config;
mod crew;
pub mod cuda;
pub mod load;
pub mod machine;
pub mod media;
pub mod onnxruntime;
pub mod paths;
pub mod telemetry;
mod zeroed;
