//! The frames are those of the sound: however it comes in, whatever is in flight, and whatever is kept instead of drawn.

mod chunking;
#[path = "../common/mod.rs"]
mod common;
mod neighbours;
mod picture_cache;
mod silence;
mod timeline;
