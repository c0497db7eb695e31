//! `lipsyncd bench`: live streams on a running daemon, and what their viewers would see.

mod args;
mod progress;

pub(super) use args::Args;

use super::CommandError;
use super::stderr;
use super::stdout::say;
use crate::load::{Capacity, Crowd, CrowdError, Report, Search, Speech, Step, plot};

/// Misses below this carry: one frame in a thousand.
const CARRIED_BELOW_PERCENT: f64 = 0.1;

/// Runs the load; its line of JSON is written whatever becomes of it.
///
/// # Errors
/// Bad input before the run; what went wrong in it, after the line.
pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let speech = args.speech()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::failed)?;
    match runtime.block_on(measure(args, speech)) {
        Ok(report) => tell(args, &report),
        Err(error) => {
            let error = command_error(error);
            say(Report::json_of_failure(&args.target, &error.to_string()))?;
            Err(error)
        }
    }
}

async fn measure(args: &Args, speech: Speech) -> Result<Report, CrowdError> {
    let mut crowd = Crowd::gather(args.options(), speech).await?;
    if args.find_capacity { search(args, &mut crowd).await } else { one_run(args, &mut crowd, args.streams()).await }
}

async fn one_run(args: &Args, crowd: &mut Crowd, streams: usize) -> Result<Report, CrowdError> {
    let bar = progress::Bar::new(args.seconds, streams);
    let report = crowd.run(streams, |progress| bar.show(progress)).await?;
    bar.finish();
    Ok(report)
}

/// Tries numbers of streams until the most is known; gives the report of the largest run that was carried, or
/// else of the first.
async fn search(args: &Args, crowd: &mut Crowd) -> Result<Report, CrowdError> {
    let mut search = Search::new(args.streams());
    let mut steps = Vec::new();
    let mut best = None;
    while let Step::Try(streams) = search.step() {
        let report = one_run(args, crowd, streams).await?;
        let step = report.step(CARRIED_BELOW_PERCENT);
        let verdict = if step.carried { "carried" } else { "not carried" };
        let (held, missed) = (step.held, step.miss_percent);
        stderr::say(format_args!("{streams} streams: {held} held, {missed:.3} % missed: {verdict}"));
        steps.push(step);
        search.note(step.carried);
        if step.carried || best.is_none() {
            best = Some(report);
        }
        crowd.settle().await;
    }
    let mut report = match best {
        Some(report) => report,
        None => one_run(args, crowd, args.streams()).await?,
    };
    let capacity = Capacity { streams: search.carried(), below_miss_percent: CARRIED_BELOW_PERCENT, steps };
    report.capacity = Some(capacity);
    Ok(report)
}

/// Writes the picture and the line.
fn tell(args: &Args, report: &Report) -> Result<(), CommandError> {
    let drawn = args.plot.as_deref().map_or(Ok(()), |path| plot::draw(report, path).map_err(CommandError::failed));
    say(report.json())?;
    drawn?;
    match &report.error {
        Some(error) => Err(CommandError::failed(error.clone())),
        None => Ok(()),
    }
}

fn command_error(error: CrowdError) -> CommandError {
    match error {
        CrowdError::Client(error) => CommandError::of_daemon(error),
        other => CommandError::failed(other),
    }
}
