//! The port of the page: HTTP/1.1, `/metrics` and `/healthz`, nothing else.
//!
//! Each connection answers one request within a few seconds or is closed, and there are only so many at a
//! time, so that nobody on this port can hold up anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::page::Page;

/// Longest that a request's head may take to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest that a connection may last, answer included.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 32;
/// Pause after the system refuses to accept, as when descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {address}: {source}; set `metrics` to a free address, or leave it out")]
pub struct BindError {
    /// The value of `metrics`.
    pub address: SocketAddr,
    /// The system's reason.
    pub source: std::io::Error,
}

/// The open port; closed when dropped.
#[derive(Debug)]
pub struct MetricsPort {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl MetricsPort {
    /// Serves `page` on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn open(address: SocketAddr, page: Page) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(accept(listener, Arc::new(page)));
        Ok(Self { address, _task: AbortOnDropHandle::new(task) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, page: Arc<Page>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("metrics: a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let page = Arc::clone(&page);
            tokio::spawn(async move {
                // A client that is too slow or speaks something else has only itself to thank.
                let _ = tokio::time::timeout(CONNECTION_TIMEOUT, answer(stream, page)).await;
                drop(place);
            });
        }
    }
}

async fn answer(stream: TcpStream, page: Arc<Page>) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let page = Arc::clone(&page);
        async move { Ok::<_, Infallible>(respond(request.method(), request.uri().path(), &page).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn respond(method: &Method, path: &str, page: &Page) -> Response<Full<Bytes>> {
    if !matches!(path, "/metrics" | "/healthz") {
        return text(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n");
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => {
            page.look().await;
            match page.render() {
                Ok(body) => with_type(StatusCode::OK, OPENMETRICS, body.into()),
                Err(error) => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, &format!("the page could not be written: {error}\n"))
                }
            }
        }
        _ if page.is_serving() => text(StatusCode::OK, "serving\n"),
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    with_type(status, PLAIN, Bytes::copy_from_slice(body.as_bytes()))
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}
