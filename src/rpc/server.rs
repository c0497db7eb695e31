//! The listening server, from start to drained.
//!
//! Order of the end: health says NOT_SERVING and new sessions are refused; sessions between utterances
//! end, and requests that are not whole; running utterances and answers are given `drain` to finish; what still runs then is cut off.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::accept::connections;
use super::daemon::Daemon;
use super::front::Front;
use super::linger::LINGER;
use super::lipsync::LipSyncService;
use super::monolithic::Monolithic;
use super::proto::DESCRIPTORS;
use super::proto::lipsync::lip_sync_server::LipSyncServer;
use super::proto::monolithic::monolithic_service_server::MonolithicServiceServer;
use super::traffic::Traffic;
use super::uncopied::Uncopied;

/// Calls one connection may have open; more wait in the client.
const STREAMS_PER_CONNECTION: u32 = 1024;

/// Bytes of one call that may have come and not been taken: eight seconds of 16-bit speech at 16 kHz.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// Bytes of all calls of one connection: as many as all of them may have, so that calls which are held back do not hold back those beside
/// them, which are other people's behind a proxy.
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_PER_CONNECTION * STREAM_WINDOW_BYTES;

/// How the server listens and ends.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// Largest message taken or sent.
    pub max_message_bytes: usize,
    /// Time that running calls get to end.
    pub drain: Duration,
    /// A connection that has been silent for so long is asked whether it is still there, and closed when it has not answered in
    /// half of that; `None` asks nobody.
    pub keepalive: Option<Duration>,
}

/// Why the server ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket or the protocol failed.
    #[error("the gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
    /// The reflection service could not be made of the built-in descriptors.
    #[error("the built-in protocol descriptors are damaged; build the program again")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// Serves on `listener` until `shutdown` completes, then drains.
///
/// # Errors
/// [`ServerError`].
pub async fn run(
    daemon: Arc<Daemon>,
    listener: TcpListener,
    options: ServerOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let (mut health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<LipSyncServer<LipSyncService>>().await;
    health.set_serving::<MonolithicServiceServer<Monolithic>>().await;
    let services = services(&daemon, options.max_message_bytes)?.add_service(health_service).prepare();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let traffic = Traffic::new();
    let front = Front::new(services, Arc::clone(&daemon), options.max_message_bytes, traffic.clone());
    let incoming = connections(listener, daemon.stopping().clone(), traffic.clone());
    let serving = Server::builder()
        .http2_keepalive_interval(options.keepalive)
        .http2_keepalive_timeout(options.keepalive.map(|interval| interval / 2))
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        // Calls that were cancelled before they were looked at: with more, the connection ends, and all calls of it. A proxy that loses a client
        // with many, or deadlines that pass together, are no attack.
        .http2_max_pending_accept_reset_streams(Some(STREAMS_PER_CONNECTION as usize))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .serve_with_incoming_shutdown(front, incoming, async {
            // A dropped sender also means that it is time to end.
            let _ = stopped.await;
        });
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => return Ok(result?),
        () = shutdown => {}
    }
    refuse(&mut health).await;
    daemon.stop();
    let _ = stop.send(());
    tracing::info!("stopping: running calls have {:?} to end", options.drain);
    tokio::select! {
        // First, so that connections are told of the end however little time there is.
        biased;
        result = &mut serving => result?,
        // Clients that are not there, or do not speak the protocol, never say that they have understood.
        () = traffic.quiet(LINGER) => tracing::debug!("connections without a call, whose clients did not close them, were cut off"),
        () = tokio::time::sleep(options.drain) => match traffic.calls() {
            0 => {}
            calls => tracing::warn!(calls, "calls still running after {:?} were cut off", options.drain),
        },
    }
    Ok(())
}

/// All but health.
fn services(daemon: &Arc<Daemon>, max_message_bytes: usize) -> Result<Routes, ServerError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let lipsync = LipSyncServer::new(LipSyncService { daemon: Arc::clone(daemon) })
        .max_decoding_message_size(max_message_bytes)
        .max_encoding_message_size(max_message_bytes);
    let monolithic = MonolithicServiceServer::new(Monolithic { daemon: Arc::clone(daemon) })
        .max_decoding_message_size(max_message_bytes)
        .max_encoding_message_size(max_message_bytes);
    Ok(Routes::new(reflection().build_v1()?)
        // Older clients, Python's among them, still ask by this name.
        .add_service(reflection().build_v1alpha()?)
        .add_service(Uncopied::new(lipsync, max_message_bytes))
        .add_service(monolithic))
}

/// Load balancers look here first. Whoever watches is told, and the watch then ends: it would otherwise hold
/// the server up for all of `drain`.
async fn refuse(health: &mut HealthReporter) {
    let services = [
        <LipSyncServer<LipSyncService> as NamedService>::NAME,
        <MonolithicServiceServer<Monolithic> as NamedService>::NAME,
        "",
    ];
    for service in services {
        health.set_service_status(service, ServingStatus::NotServing).await;
        // Ends the watches; the status is set anew for those who only ask.
        health.clear_service_status(service).await;
        health.set_service_status(service, ServingStatus::NotServing).await;
    }
}
