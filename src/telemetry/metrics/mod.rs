//! The Prometheus page, in OpenMetrics' text form, and the port it is served on.
//!
//! Figures are read when somebody asks: most live where they are kept anyway (the registry, the queue, the
//! pools), the rest in the [`Recorder`](super::Recorder) and, for each device, its [`DeviceRecorder`](super::DeviceRecorder).

mod avatars;
mod devices;
mod encode;
mod page;
mod process;
mod server;
mod sessions;

pub use page::Page;
pub use server::{BindError, MetricsPort};
