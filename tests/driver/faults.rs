//! GPUs that are lost: calls are told to come again, health says so, and the process ends by itself.

use std::net::TcpStream;
use std::time::Duration;

use lipsyncd::rpc::LAST_WORDS;
use lipsyncd::rpc::client::ClientError;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::common::program::Program;
use crate::common::server::wav;
use crate::common::talk::{RATE_HZ, Talk, connect, under_way};
use crate::common::{TINY, avatars_dir, eventually, within};
use crate::serving::client;
use crate::stand_in::StandIn;
use crate::two::{LONG, OnTwo, read};
use crate::unusable::run;

/// CUDA_ERROR_ILLEGAL_ADDRESS, after which nothing works in a context.
const ILLEGAL_ADDRESS: i32 = 700;

/// A daemon that would drain for ever.
pub fn start(driver: &StandIn) -> Program {
    Program::start(&avatars_dir(), &driver.environment(&[("LIPSYNCD_DRAIN_SECONDS", "3600")]))
}

/// What a call is told whose device is gone: it is to come again, since the device is lost or, where the end has begun by then, for that.
pub fn assert_farewell(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(hint.is_some_and(|delay| !delay.is_zero()), "{status:?}");
    let said = status.message();
    assert!(said.contains("is lost") || said.contains("the daemon is stopping"), "{status:?}");
}

pub fn gone<T>(ended: Result<T, ClientError>) -> Status {
    match ended {
        Err(ClientError::Gone(status)) => status,
        other => panic!("not gone: {:?}", other.err()),
    }
}

pub async fn ends_with_1(program: &mut Program) {
    assert_eq!(ending(program).await, Some(1));
}

/// The exit code.
pub async fn ending(program: &mut Program) -> Option<i32> {
    let ended = async {
        loop {
            match program.ended() {
                None => tokio::time::sleep(Duration::from_millis(20)).await,
                Some(code) => return code,
            }
        }
    };
    within(ended).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sticky_error_ends_all_calls_then_the_process() {
    let driver = StandIn::new();
    let mut program = start(&driver);
    let mut live = under_way(&mut connect(program.address).await, true, None).await;
    let mut idle = Talk::open(&mut connect(program.address).await, false, None).await.unwrap();
    let mut client = client(&program).await;
    let sound = wav(&vec![0.1; 60 * RATE_HZ as usize], RATE_HZ);
    let mut whole = within(client.synthesize(TINY, sound, 0, 0)).await.unwrap();
    within(whole.next()).await.unwrap();
    let channel = Endpoint::from_shared(format!("http://{}", program.address)).unwrap().connect().await.unwrap();
    let service = HealthCheckRequest { service: "lipsync.v1.LipSync".to_owned() };
    let mut health = within(HealthClient::new(channel).watch(service)).await.unwrap().into_inner();
    let serving = |status: ServingStatus| status as i32;
    assert_eq!(within(health.message()).await.unwrap().unwrap().status, serving(ServingStatus::Serving));
    assert_eq!(program.ended(), None);

    driver.tell("lost", ILLEGAL_ADDRESS);
    assert_eq!(within(health.message()).await.unwrap().unwrap().status, serving(ServingStatus::NotServing));
    assert_farewell(&live.end().await);
    assert_farewell(&idle.end().await);
    let end = loop {
        match within(whole.next()).await {
            Ok(frame) => assert!(frame.is_some(), "it ended as if it were complete"),
            Err(error) => break Err::<(), _>(error),
        }
    };
    assert_farewell(&gone(end));
    ends_with_1(&mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_gpu_that_is_lost_is_noticed_when_it_is_next_asked() {
    for asked in ["figures", "metrics", "a load"] {
        let driver = StandIn::new();
        let mut program = start(&driver);
        let mut client = client(&program).await;
        driver.tell("lost", ILLEGAL_ADDRESS);
        match asked {
            "figures" => drop(within(client.stats()).await.unwrap()),
            "metrics" => drop(program.page()),
            _ => assert_farewell(&gone(within(client.load(TINY)).await)),
        }
        ends_with_1(&mut program).await;
    }
}

/// How a daemon ends, and its log, that preloads an avatar where `function` is told `number`.
pub fn preload(function: &str, number: i32) -> (Option<i32>, String) {
    let driver = StandIn::new();
    driver.tell(function, number);
    let output = run("serve", &driver, &[("LIPSYNCD_PRELOAD", TINY)]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("on GPU 0, stand-in 0") && !log.contains("listening"), "{log}");
    (output.status.code(), log)
}

#[test]
fn a_gpu_that_is_lost_before_the_daemon_serves_ends_the_start() {
    // By what the lanes are opened with, then the avatar's pictures, then the first frames.
    for function in ["cuMemAlloc_v2", "cuMemAllocAsync", "cuMemcpyDtoHAsync_v2"] {
        let (code, log) = preload(function, ILLEGAL_ADDRESS);
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("the GPU is lost") && log.contains(function.trim_end_matches("_v2")), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_two_gpus_is_lost_what_the_other_carries_is_finished_first() {
    let driver = StandIn::new();
    let OnTwo { mut program, calls: [first, second], .. } = OnTwo::start(&driver).await;
    driver.tell("lost.1", ILLEGAL_ADDRESS);
    let (frames, end) = read(second).await;
    assert!(frames < LONG);
    assert_farewell(&gone(end.map_or(Ok(()), Err)));
    eventually("nobody new is let in", || TcpStream::connect(program.address).is_err()).await;
    tokio::time::sleep(2 * LAST_WORDS).await;
    assert_eq!(program.ended(), None, "a call is not over");
    assert!(matches!(read(first).await, (LONG, None)));
    ends_with_1(&mut program).await;
}
