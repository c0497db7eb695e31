//! A daemon that starts, watched: until its engines run, a GPU that hangs holds the very thread that could say so.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use crate::cuda::{GLANCE, hang, leave};
use crate::telemetry;

/// Ends the process, with exit code 1, where the driver or a GPU does not come back; until this is dropped.
pub(super) struct StartWatch(#[expect(dead_code, reason = "its end is what tells the thread")] Sender<()>);

impl StartWatch {
    /// Watches from a thread of its own.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn begin() -> io::Result<Self> {
        let (watch, over) = channel();
        let look = move || {
            while over.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
                if let Some(hang) = hang() {
                    tracing::error!("ending before it served: {hang}");
                    telemetry::flush();
                    leave(1);
                }
            }
        };
        std::thread::Builder::new().name("gpu-start".to_owned()).spawn(look)?;
        Ok(Self(watch))
    }
}
