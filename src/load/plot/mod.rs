//! Pictures of the results, as PNG: drawn here, so that they need no font or library of the machine.

mod canvas;
mod chart;
mod scale;

use std::path::Path;

use self::canvas::{BLUE, Canvas, GREEN, ORANGE, RED};
use self::chart::{Area, Chart, Mark};
use super::quantiles::Times;
use super::report::{Capacity, Report};

const WIDTH_PX: usize = 1200;
const PANEL_PX: usize = 340;

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; name a PNG file in a folder that can be written")]
pub struct PlotError {
    path: std::path::PathBuf,
    source: png::EncodingError,
}

/// Draws `report` into `path`: the search when there was one, the run otherwise.
///
/// # Errors
/// [`PlotError`] when the file cannot be written.
pub fn draw(report: &Report, path: &Path) -> Result<(), PlotError> {
    let canvas = match &report.capacity {
        Some(capacity) => search_picture(capacity),
        None => run_picture(report),
    };
    canvas.save(path).map_err(|source| PlotError { path: path.to_owned(), source })
}

/// Frames by their delay, first frames by theirs, and both over time.
fn run_picture(report: &Report) -> Canvas {
    let mut canvas = Canvas::new(WIDTH_PX, 3 * PANEL_PX);
    let budget = Mark::vertical(report.budget_ms(), "budget", RED);
    Chart::new("frames by delay after their sound was sent", "ms", "percent of frames")
        .bars(shares(&report.tally.delay), BLUE)
        .mark(budget)
        .draw(&mut canvas, panel(0));
    Chart::new("first frames by time since the utterance began", "ms", "percent of utterances")
        .bars(shares(&report.tally.first_frame), GREEN)
        .draw(&mut canvas, panel(1));
    let seconds = || report.tally.seconds.iter().enumerate();
    let worst = seconds().map(|(at, second)| (at as f64, second.worst_delay_ms)).collect();
    let frames = seconds().map(|(at, second)| (at as f64, second.frames as f64)).collect();
    Chart::new("second by second: worst delay, ms (orange), frames (blue)", "seconds", "ms, frames")
        .line(frames, BLUE)
        .line(worst, ORANGE)
        .mark(Mark::horizontal(report.budget_ms(), "budget", RED))
        .draw(&mut canvas, panel(2));
    canvas
}

/// Misses and frames a second over the number of streams.
fn search_picture(capacity: &Capacity) -> Canvas {
    let mut canvas = Canvas::new(WIDTH_PX, 2 * PANEL_PX);
    let mut steps = capacity.steps.clone();
    steps.sort_by_key(|step| step.streams);
    let of = |value: fn(&super::StepReport) -> f64| steps.iter().map(|s| (s.streams as f64, value(s))).collect();
    let found = || Mark::vertical(capacity.streams as f64, "carried", GREEN);
    Chart::new("misses by streams", "streams", "percent of frames")
        .line(of(|step| step.miss_percent), RED)
        .dots(of(|step| step.miss_percent), RED)
        .mark(found())
        .draw(&mut canvas, panel(0));
    Chart::new("frames a second by streams", "streams", "frames/s")
        .line(of(super::StepReport::frames_per_second), BLUE)
        .dots(of(super::StepReport::frames_per_second), BLUE)
        .mark(found())
        .draw(&mut canvas, panel(1));
    canvas
}

fn panel(number: usize) -> Area {
    Area { left: 0, top: number * PANEL_PX, width: WIDTH_PX, height: PANEL_PX }
}

/// Percent of the recorded times in each of about sixty equal steps up to the 99.9th percentile, in ms;
/// what lies beyond is in the last one.
fn shares(times: &Times) -> Vec<(f64, f64)> {
    let histogram = times.us();
    if histogram.is_empty() {
        return Vec::new();
    }
    let step_ms = scale::nice_step(histogram.value_at_quantile(0.999) as f64 / 1e3 / 60.0);
    let mut shares: Vec<(f64, f64)> = Vec::new();
    for recorded in histogram.iter_recorded() {
        let at = ((recorded.value_iterated_to() as f64 / 1e3 / step_ms) as usize).min(60);
        while shares.len() <= at {
            shares.push((shares.len() as f64 * step_ms, 0.0));
        }
        shares[at].1 += 100.0 * recorded.count_at_value() as f64 / histogram.len() as f64;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_of_it_in_the_right_places() {
        assert!(shares(&Times::default()).is_empty());
        let mut times = Times::default();
        for seconds in [0.0, 0.01, 0.01, 0.02, 3000.0] {
            times.record(seconds);
        }
        let shares = shares(&times);
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        assert!((sum - 100.0).abs() < 1e-9);
        assert_eq!((shares[0].1, shares.last().unwrap().1), (80.0, 20.0), "one giant makes the steps wide");
    }
}
