//! Spans to an OpenTelemetry collector over gRPC.
//!
//! A thread of the exporter's own collects closed spans in a bounded queue and sends them together. A
//! collector that is slow or gone costs spans, never frames.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

use crate::config::OtlpEndpoint;

/// Longest that one sending may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A layer that exports spans, and what must be shut down for the last of them to go out. The exporter's own connection has spans too, and
/// exporting those would never end: it is to be filtered by [`ours`].
///
/// # Errors
/// When the exporter refuses the endpoint.
pub(super) fn layer(
    endpoint: &OtlpEndpoint,
) -> Result<(Box<dyn Layer<Registry> + Send + Sync>, SdkTracerProvider), ExporterBuildError> {
    let inner = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.to_string())
        .with_timeout(TIMEOUT)
        .build()?;
    let watched = Watched { inner, endpoint: endpoint.clone(), failing: AtomicBool::new(false) };
    let resource = Resource::builder()
        .with_service_name("lipsyncd")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(watched).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("lipsyncd"))
        .with_location(false)
        .with_threads(false);
    Ok((layer.boxed(), provider))
}

/// What is exported at most: this crate's.
pub(super) fn ours() -> Targets {
    Targets::new().with_target("lipsyncd", LevelFilter::TRACE)
}

/// What is always exported: the spans of calls, and what is said in them at the same level.
pub(super) fn spans_of_calls() -> Targets {
    Targets::new().with_target("lipsyncd", LevelFilter::INFO)
}

/// Says in the log when sending begins to fail and when it works again, once each.
struct Watched<E> {
    inner: E,
    endpoint: OtlpEndpoint,
    failing: AtomicBool,
}

impl<E> fmt::Debug for Watched<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        let endpoint = &self.endpoint;
        match &result {
            Err(error) if !failed_before => {
                tracing::warn!("otlp: {endpoint}: {error}; {spans} spans lost, and more until it answers");
            }
            Ok(()) if failed_before => tracing::info!("otlp: {endpoint} answers again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
