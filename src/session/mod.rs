//! One viewer: speech in, frames out, in order and in bounded memory.
//!
//! ```text
//! Intake ──samples──▶ resample ▶ mel ──▶ mel history ──windows──▶ (encoder) ──▶ feature history
//!                                                                                   │ contexts
//! FrameReader ◀── events ◀── outbox ◀────────────── (generator ▶ composite ▶ encode) ◀─┘
//! ```
//!
//! | file | gives |
//! | --- | --- |
//! | [`options`] | what a session is opened with |
//! | `mel_history` | its last mel frames, and which of them are silent |
//! | `feature_history` | its last features, and which of them are of silent windows |
//! | [`utterance`] | the counters and histories of one utterance: no locks, no threads |
//! | [`core`](mod@core) | the state both ends and the lanes share |
//! | [`intake`] | the writing end |
//! | [`reader`] | the reading end |
//! | `sound_clock` | when the sound of a live utterance would have come at its own pace |
//! | `schedule` | what is queued, and when it is due |
//! | [`feed`] | with idle frames: what stands at each tick of the call, and when it is due; pure |
//! | [`closing`] | how a mouth opens and closes between speech and silence |
//! | `ticks` | what is handed over at each tick |
//! | `silent_ticks` | has the silent pictures drawn that are shown next and missing |
//! | `lane_end` | what lanes do with a session |
//! | `picture` | a finished frame, drawn or the silent one that is kept |
//! | [`first`] | where the time to an utterance's first frame goes |
//! | [`times`] | where its time goes |
//!
//! Nothing is dropped when one side is slow: the outbox bounds the frames made ahead of the reader, the
//! feature history bounds the windows encoded ahead of the frames, the mel history bounds the samples
//! taken ahead of the windows, and [`Intake::room`] waits.

pub mod closing;
pub mod core;
pub mod feed;
pub mod first;
pub mod intake;
pub mod options;
pub mod reader;
pub mod times;
pub mod utterance;

mod feature_history;
mod lane_end;
mod mel_history;
mod picture;
mod schedule;
mod silent_ticks;
mod sound_clock;
mod ticks;

pub use core::SessionCore;
pub use first::FirstFrameTimes;
pub use intake::{Intake, SessionEnded};
pub use options::{IdleFrames, Pace, PictureOverride, SessionOptions};
pub use reader::{Cut, Event, FrameReader, OutFrame, SessionError};
pub use times::SessionTimes;
