//! The log, and the spans of sessions and batches.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

#[cfg(feature = "otlp")]
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use super::filter::{self, FilterError};
use super::lines::{self, Stderr};
use crate::config::{LogFormat, OtlpEndpoint};

/// Longest that the last spans are waited for when the program ends.
#[cfg(feature = "otlp")]
const FLUSH: std::time::Duration = std::time::Duration::from_secs(3);

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What is logged, how, and where spans go.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions<'a> {
    /// `tracing`'s filter, such as `info` or `lipsyncd=debug,warn`. Spans of calls go to the collector whatever it says; those of batches
    /// where it lets them through.
    pub filter: &'a str,
    /// How lines look.
    pub format: LogFormat,
    /// The collector of spans.
    pub otlp: Option<&'a OtlpEndpoint>,
}

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The filter cannot be used.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// This build has no exporter.
    #[cfg(not(feature = "otlp"))]
    #[error("otlp = \"{0}\" was asked for, but this build has no exporter; build with the feature `otlp`, or unset it")]
    NotBuilt(OtlpEndpoint),
    /// The exporter cannot be made.
    #[cfg(feature = "otlp")]
    #[error("otlp: {endpoint}: {source}")]
    Exporter {
        /// The collector's address.
        endpoint: OtlpEndpoint,
        /// The exporter's reason.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// The exporter, if there is one. [`Self::flush`] it before the program ends.
#[must_use]
pub struct Traces {
    #[cfg(feature = "otlp")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Traces {
    /// Sends what is left, for at most 3 s. Blocks; the runtime the log was started in must still run.
    pub fn flush(self) {
        #[cfg(feature = "otlp")]
        if let Some(provider) = self.provider {
            // A collector that does not answer has been complained of already.
            let _ = provider.shutdown_with_timeout(FLUSH);
        }
    }
}

/// Sends `tracing` events that pass the filter to stderr, so that stdout stays a command's own, and spans to
/// the collector. With a collector it must be called within a `tokio` runtime. A thread writes the lines, or loses them where nobody reads:
/// [`lines::flush`] waits for it before the program ends.
///
/// # Errors
/// [`StartError`], naming the key.
pub fn start(options: LogOptions) -> Result<Traces, StartError> {
    let filter = filter::read(options.filter)?;
    #[cfg_attr(not(feature = "otlp"), allow(unused_mut))] // One layer, without it.
    let mut layers = vec![layer(options.format, Stderr).with_filter(filter).boxed()];
    let traces = exporter(&options, &mut layers)?;
    let LogOptions { format, .. } = options;
    let say_lost = move |lost| {
        says(format, io::stderr, || {
            tracing::warn!(lost, "lines of this log were lost: nobody read them, as stderr is full")
        });
    };
    if let Err(error) = lines::start(say_lost) {
        says(format, io::stderr, || tracing::warn!("the log is written as it comes, as it has no thread: {error}"));
    }
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(traces)
}

/// Says on stderr what the program ends of, whatever the filter is: an error in the form of the log's lines where those are JSON.
pub fn last_words(format: LogFormat, error: &dyn Display) {
    match format {
        // As one line; nobody may be there to read it.
        LogFormat::Text => drop(Stderr.write_all(format!("lipsyncd: {error}\n").as_bytes())),
        LogFormat::Json => says(format, Stderr, || tracing::error!("{error}")),
    }
}

/// Writes what is logged in `event` to `writer`, whatever the filter is.
fn says(format: LogFormat, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static, event: impl FnOnce()) {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer(format, writer)), event);
}

/// The log's lines.
fn layer(format: LogFormat, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) -> BoxedLayer {
    let lines = fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        // One level of keys: what a session's lines have in common is under `span`.
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    }
}

#[cfg(feature = "otlp")]
fn exporter(options: &LogOptions, layers: &mut Vec<BoxedLayer>) -> Result<Traces, StartError> {
    let Some(endpoint) = options.otlp else { return Ok(Traces { provider: None }) };
    let (layer, provider) =
        super::otlp::layer(endpoint).map_err(|source| StartError::Exporter { endpoint: endpoint.clone(), source })?;
    let filter = super::otlp::spans_of_calls().or(filter::read(options.filter)?).and(super::otlp::ours());
    layers.push(layer.with_filter(filter).boxed());
    Ok(Traces { provider: Some(provider) })
}

#[cfg(not(feature = "otlp"))]
fn exporter(options: &LogOptions, _layers: &mut Vec<BoxedLayer>) -> Result<Traces, StartError> {
    match options.otlp {
        Some(endpoint) => Err(StartError::NotBuilt(endpoint.clone())),
        None => Ok(Traces {}),
    }
}
