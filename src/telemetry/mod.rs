//! What operators see of a running daemon: the log, spans, metrics, and what the service manager is told.
//!
//! | file | gives |
//! | --- | --- |
//! | `log` | `tracing` to stderr, and the spans to a collector when one is named |
//! | `filter` | what is logged |
//! | `lines` | a thread that writes it, so that nobody else waits for its reader |
//! | `otlp` | the exporter of spans (feature `otlp`) |
//! | [`label`] | the words metrics are broken down by |
//! | [`histogram`] | counts by size without a lock |
//! | [`recorder`] | the one place where sessions and calls count what they do |
//! | [`device`] | the same for one device: its batches, stages and lanes |
//! | [`lane`] | what a lane is doing, for its busy time and the watchdog |
//! | [`session`] | a session's state and first frame; a call's span and end |
//! | [`heap`] | an allocator that counts |
//! | [`metrics`] | the Prometheus page and the port it is served on |
//! | [`systemd`] | readiness and the watchdog over `$NOTIFY_SOCKET` |
//!
//! Recording is always on: it is a few atomic additions a batch, allocates nothing and takes no lock.

pub mod device;
pub mod heap;
pub mod histogram;
pub mod label;
pub mod lane;
pub mod metrics;
pub mod recorder;
pub mod session;
pub mod systemd;

mod filter;
mod lines;
mod log;
#[cfg(feature = "otlp")]
mod otlp;

pub use device::{DeviceRecorder, LaneSummary};
pub use filter::FilterError;
pub use label::{CallEnd, CallKind, FirstPart, Refusal, SessionState, Stage, WorkClass};
pub use lane::LaneMeter;
pub use lines::flush;
pub use log::{LogOptions, StartError, Traces, last_words, start};
pub use recorder::Recorder;
pub use session::{CallInfo, CallRecord, Overdue, SessionMeter};
