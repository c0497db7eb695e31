//! Who is let in, over real sockets: as many live streams as the machine was measured to carry, so many of one client,
//! so many whole files; and what those are told who are not.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::gpu::NamedGpu;
use common::{
    JPEG, TINY, avatars_dir, cpu_backend, daemon_options, engine, eventually, load, perform, templates, within,
};
use lipsyncd::avatar::{EvictPolicy, Registry, ResidencyLimits};
use lipsyncd::backend::Backend;
use lipsyncd::batch::{AdmissionLimits, rehearse};
use lipsyncd::rpc::client::{Client, ClientError, ClientOptions, ConversationOptions, Listener, Speaker};
use lipsyncd::rpc::{self, Daemon, DaemonOptions, DoorOptions, ServerOptions};
use lipsyncd::session::{Pace, SessionOptions};
use lipsyncd::telemetry::WorkClass;
use tokio::net::TcpListener;
use tonic::Code;
use tonic_types::StatusExt as _;

struct TestServer {
    address: SocketAddr,
    daemon: Arc<Daemon>,
}

impl TestServer {
    async fn start(options: DaemonOptions) -> Self {
        Self::on(cpu_backend(), options).await
    }

    async fn on(backend: Arc<dyn Backend>, options: DaemonOptions) -> Self {
        let limits = ResidencyLimits { max_resident_bytes: None, evict: EvictPolicy::default() };
        let registry = Arc::new(Registry::new(avatars_dir(), [Arc::clone(&backend)], limits, templates()));
        let daemon = Arc::new(Daemon::new(engine(&backend, 2, 8, 1), registry, options));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = ServerOptions { max_message_bytes: 16 << 20, drain: Duration::ZERO, keepalive: None };
        tokio::spawn(rpc::run(Arc::clone(&daemon), listener, options, std::future::pending()));
        Self { address, daemon }
    }

    async fn client(&self) -> Client {
        let options = ClientOptions { max_message_bytes: 16 << 20, stream_window_bytes: None };
        Client::connect(&format!("http://{}", self.address), options).await.unwrap()
    }
}

async fn talk(client: &mut Client) -> Result<(Speaker, Listener), ClientError> {
    let options = ConversationOptions { avatar: TINY, sample_rate_hz: 16_000, start_position: 0, idle_frames: false };
    let (speaker, listener, _) = within(client.converse(options)).await?;
    Ok((speaker, listener))
}

/// The sentence of a refusal for lack of room, which must hint at when to come again.
fn refusal<T>(result: Result<T, ClientError>) -> String {
    let Err(error) = result else { panic!("let in") };
    assert!(error.is_full(), "{error}");
    let ClientError::Refused(status) = error else { panic!("{error}") };
    let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(hint.is_some_and(|delay| !delay.is_zero()), "{status:?}");
    status.message().to_owned()
}

/// Opens calls until one is refused; gives the refusal's sentence.
async fn fill(client: &mut Client, talks: &mut Vec<(Speaker, Listener)>) -> String {
    loop {
        match talk(client).await {
            Ok(open) => talks.push(open),
            Err(error) => return refusal::<()>(Err(error)),
        }
        assert!(talks.len() < 100, "nobody is refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_measures_and_is_counted_nowhere() {
    let backend = cpu_backend();
    let engine = engine(&backend, 2, 8, 1);
    let avatar = load(&backend, &common::bundle());
    assert_eq!(engine.frames_per_second(&avatar), None);
    rehearse(&engine, &avatar, JPEG).await.unwrap();
    assert!(engine.frames_per_second(&avatar).unwrap() > 1.0);
    let device = engine.device_recorder();
    assert_eq!([WorkClass::Frame, WorkClass::Window].map(|class| device.items(class)), [0, 0]);
    assert_eq!((device.batches(), device.sessions()), (0, 0));
    let usage = avatar.usage();
    assert_eq!((usage.frames, usage.requests), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_long_in_beginning_is_waited_for() {
    let device = NamedGpu::new(cpu_backend(), 0, 2, 1);
    let backend: Arc<dyn Backend> = Arc::clone(&device) as _;
    let engine = engine(&backend, 2, 8, 1);
    let avatar = load(&backend, &common::bundle());
    let held = device.hold();
    let mut rehearsal = std::pin::pin!(rehearse(&engine, &avatar, JPEG));
    tokio::time::timeout(Duration::from_secs(4), &mut rehearsal).await.expect_err("nothing has been drawn");
    drop(held);
    within(rehearsal).await.unwrap();
    assert!(engine.frames_per_second(&avatar).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_batch_of_its_size_is_no_measure() {
    let backend = cpu_backend();
    let engine = engine(&backend, 1, 8, 1);
    let avatar = load(&backend, &common::bundle());
    let sound = common::speech::speech(5, 640, 16_000);
    for is_measured in [false, true] {
        perform(&engine, &avatar, SessionOptions::new(JPEG, 16_000), &sound).await;
        engine.rest().await;
        assert_eq!(engine.frames_per_second(&avatar).is_some(), is_measured);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_beyond_the_measured_capacity_is_refused_and_the_next_after_an_end_is_not() {
    // As much of the machine as eight streams take by a measurement of this machine; the daemon makes its own, and what it
    // then says it carries must be what it lets in.
    let (backend, bundle) = (cpu_backend(), common::bundle());
    let trial = engine(&backend, 2, 8, 1);
    let avatar = load(&backend, &bundle);
    rehearse(&trial, &avatar, JPEG).await.unwrap();
    let stream = f64::from(avatar.fps()) / trial.frames_per_second(&avatar).unwrap();
    let admission = Some(AdmissionLimits { utilisation: 8.0 * stream, expected_speech: 1.0 });
    let server = TestServer::start(DaemonOptions { admission, ..daemon_options(1000) }).await;
    let mut client = server.client().await;
    let mut talks = Vec::new();
    let sentence = fill(&mut client, &mut talks).await;
    let carried = || server.daemon.capacity_streams(&server.daemon.registry().all_loaded()[0]).unwrap();
    assert_eq!(talks.len(), carried() as usize, "{}: {sentence}", carried());
    assert!(sentence.contains(&format!("{} live streams", talks.len())), "{sentence}");
    let mut whole = client.synthesize(TINY, wav(16_000), 0, 0).await.expect("whole files take what is left");
    assert!(within(whole.next()).await.unwrap().is_some());
    drop(whole);
    eventually("it has gone", || server.daemon.sessions() == talks.len()).await;
    let open = talks.len();
    drop(talks.pop());
    eventually("it has gone", || server.daemon.sessions() < open).await;
    // The whole file's frames were measured as well: what is carried may be more or less than it was.
    fill(&mut client, &mut talks).await;
    assert_eq!(talks.len(), (carried() as usize).max(open - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_measured_while_it_was_slow_is_measured_again_when_nobody_is_on_it() {
    let device = NamedGpu::new(cpu_backend(), 0, 2, 1);
    let admission = Some(AdmissionLimits { utilisation: 0.95, expected_speech: 1.0 });
    let server = TestServer::on(Arc::clone(&device) as _, DaemonOptions { admission, ..daemon_options(1000) }).await;
    // A stream would take seven lanes of the two.
    device.slow_down(Duration::from_millis(300));
    server.daemon.load(TINY, None).await.unwrap();
    device.slow_down(Duration::ZERO);
    let mut client = server.client().await;
    let sentence = refusal(talk(&mut client).await);
    assert!(sentence.contains("is measured again"), "{sentence}");
    let carried = || server.daemon.capacity_streams(&server.daemon.registry().all_loaded()[0]).unwrap();
    eventually("it is measured again", || carried() >= 1.0).await;
    talk(&mut client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_measured_while_it_was_slow_is_measured_again_beside_a_call_that_is_open() {
    let device = NamedGpu::new(cpu_backend(), 0, 2, 1);
    // Of streams that take eight lanes or more of the two there is room for one.
    let admission = Some(AdmissionLimits { utilisation: 8.0, expected_speech: 1.0 });
    let server = TestServer::on(Arc::clone(&device) as _, DaemonOptions { admission, ..daemon_options(1000) }).await;
    device.slow_down(Duration::from_millis(300));
    server.daemon.load(TINY, None).await.unwrap();
    device.slow_down(Duration::ZERO);
    let mut client = server.client().await;
    let _first = talk(&mut client).await.unwrap();
    let sentence = refusal(talk(&mut client).await);
    assert!(sentence.contains("1 live streams"), "{sentence}");
    // Nobody speaks, so that no batch of theirs says what the device carries.
    within(async {
        while talk(&mut client).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_come_at_once_those_without_room_make_no_session() {
    const MANY: usize = 24;
    let (backend, bundle) = (cpu_backend(), common::bundle());
    let engine = engine(&backend, 2, 8, 1);
    let avatar = load(&backend, &bundle);
    rehearse(&engine, &avatar, JPEG).await.unwrap();
    // Whatever of it was in flight has been measured, too.
    engine.rest().await;
    let stream = f64::from(avatar.fps()) / engine.frames_per_second(&avatar).unwrap();
    let limits = AdmissionLimits { utilisation: 5.5 * stream, expected_speech: 1.0 };
    let pace = Pace::Live { budget: Duration::from_millis(150) };
    let options = SessionOptions { pace, ..SessionOptions::new(JPEG, 16_000) };
    let barrier = Barrier::new(MANY);
    let come = || {
        barrier.wait();
        engine.open_live_session(Arc::clone(&avatar), options.clone(), Some(limits))
    };
    for open in [5, 10] {
        let ends: Vec<_> = std::thread::scope(|scope| {
            let threads = std::array::from_fn::<_, MANY, _>(|_| scope.spawn(come));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ends.iter().filter(|ends| ends.is_ok()).count(), 5, "there was room for five and a half");
        assert_eq!(engine.device_recorder().sessions(), open);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_sessions_however_many_connections_it_makes() {
    let all = daemon_options(1000);
    let doors = DoorOptions { max_sessions_per_client: Some(2), ..all.doors };
    let server = TestServer::start(DaemonOptions { doors, ..all }).await;
    let (mut one, mut other) = (server.client().await, server.client().await);
    let first = talk(&mut one).await.unwrap();
    let _second = talk(&mut other).await.unwrap();
    let sentence = refusal(talk(&mut other).await);
    assert!(sentence.contains("max_sessions_per_client"), "{sentence}");
    drop(first);
    eventually("its place is free", || server.daemon.sessions() == 1).await;
    talk(&mut one).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_files_beyond_those_drawn_and_waiting_are_refused() {
    let all = daemon_options(1000);
    let doors = DoorOptions { max_synth: 1, max_queued_synth: 0, ..all.doors };
    let server = TestServer::start(DaemonOptions { doors, ..all }).await;
    let mut client = server.client().await;
    // Far more frames than anybody buffers, and nobody reads them.
    let sound = wav(60 * 16_000);
    let unread = client.synthesize(TINY, sound.clone(), 0, 0).await.unwrap();
    let sentence = refusal(client.synthesize(TINY, sound, 0, 0).await.map(|_| ()));
    assert!(sentence.contains("max_queued_synth"), "{sentence}");
    let live = talk(&mut client).await.unwrap();
    drop((unread, live));
    eventually("all have gone", || server.daemon.sessions() == 0).await;
    let mut frames = client.synthesize(TINY, wav(16_000), 0, 0).await.unwrap();
    let mut count = 0;
    while within(frames.next()).await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_read_only_where_there_is_a_place_to_draw_it_in() {
    let server = TestServer::start(daemon_options(1)).await;
    let mut client = server.client().await;
    let live = talk(&mut client).await.unwrap();
    let no_sound = b"RIFF".to_vec();
    let sentence = refusal(client.synthesize(TINY, no_sound.clone(), 0, 0).await.map(|_| ()));
    assert!(sentence.contains("max_sessions"), "{sentence}");
    drop(live);
    eventually("its place is free", || server.daemon.sessions() == 0).await;
    let Err(ClientError::Refused(status)) = client.synthesize(TINY, no_sound, 0, 0).await else { panic!("let in") };
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().starts_with("audio: "), "{status}");
    eventually("it holds no place", || server.daemon.sessions() == 0).await;
}

/// A WAV file of 32-bit float speech at 16 kHz.
fn wav(samples: usize) -> Vec<u8> {
    let data: Vec<u8> =
        common::speech::speech(5, samples, 16_000).into_iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let bytes = u32::try_from(data.len()).unwrap();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x03\0\x01\0\x80\x3e\0\0\0\xfa\0\0\x04\0\x20\0data");
    file.extend(bytes.to_le_bytes());
    file.extend(data);
    file
}
