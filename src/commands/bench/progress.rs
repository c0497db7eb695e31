//! How far a run is: a bar on a terminal, nothing in a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::load::Progress;

/// The bar counts tenths of a second.
const STEPS_PER_S: f64 = 10.0;

/// The bar of one run.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(seconds: f64, streams: usize) -> Self {
        let steps = (seconds * STEPS_PER_S).ceil() as u64;
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        // The template is a constant of this program; if it were wrong the default bar is good enough.
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(format!("{streams} streams"));
        Self(bar)
    }

    pub(super) fn show(&self, Progress { at_s, frames, miss_percent }: Progress) {
        self.0.set_position((at_s * STEPS_PER_S) as u64);
        self.0.set_message(format!("{at_s:.0} s, {frames} frames, {miss_percent:.2} % missed"));
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
