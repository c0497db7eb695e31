//! A GPU without memory for one more avatar, and one without memory pools.

use std::path::Path;

use lipsyncd::rpc::client::ClientError;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::common::program::Program;
use crate::common::talk::{Heard, connect, under_way};
use crate::common::{TINY, avatars_dir, within};
use crate::serving::{client, synthesize};
use crate::stand_in::StandIn;
use crate::unusable::{onnxruntime, run_with};

/// CUDA_ERROR_OUT_OF_MEMORY.
const OUT_OF_MEMORY: i32 = 2;

/// CUDA_ERROR_NOT_SUPPORTED.
const NOT_SUPPORTED: i32 = 801;

/// The golden avatar as avatar `id` of `folder`.
fn copy_tiny(folder: &Path, id: &str) {
    let mut copy = std::process::Command::new("cp");
    copy.arg("-r").arg(avatars_dir().join(TINY)).arg(folder.join(id));
    assert!(copy.status().unwrap().success());
}

/// How often the memory pool was told to give back what it keeps.
fn trims(driver: &StandIn) -> u64 {
    driver.calls().get("cuMemPoolTrimTo").copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_that_finds_no_memory_is_refused_alone_and_loads_when_there_is_some() {
    let (driver, folder) = (StandIn::new(), tempfile::tempdir().unwrap());
    let kinds = ["cuMemAlloc_v2", "cuMemAllocAsync", "cuMemHostAlloc"];
    kinds.into_iter().chain([TINY]).for_each(|id| copy_tiny(folder.path(), id));
    let mut program = Program::start(folder.path(), &driver.environment(&[]));
    let mut talk = under_way(&mut connect(program.address).await, true, None).await;
    let mut client = client(&program).await;
    // What cannot be had is the avatar's name.
    for kind in kinds {
        let before = trims(&driver);
        driver.tell(kind, OUT_OF_MEMORY);
        let refused = within(client.load(kind)).await.expect_err("there is no memory");
        let ClientError::Refused(status) = &refused else { panic!("{refused}") };
        assert_eq!(status.code(), Code::ResourceExhausted, "{kind}: {refused}");
        assert!(status.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()), "{kind}: {status:?}");
        assert!(refused.to_string().contains(kind), "{refused}");
        // The call that was there goes on meanwhile.
        for _ in 0..10 {
            assert!(matches!(talk.next().await.unwrap(), Heard::Frame(_)), "{kind}");
        }
        driver.take_back(kind);
        // What the pool keeps is given back at once, and again before the next load, when others may have given way.
        let trimmed = trims(&driver);
        assert!(trimmed > before, "{kind}");
        within(client.load(kind)).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(trims(&driver), trimmed + 1, "{kind}");
        assert_eq!(synthesize(&mut client, kind, 20).await.len(), 20);
    }
    assert!(matches!(talk.next().await.unwrap(), Heard::Frame(_)));
    drop(talk);
    assert_eq!(program.stop(), Some(0));
}

/// As some virtual GPUs are.
#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_without_memory_pools_serves_too() {
    let driver = StandIn::new();
    for function in ["cuDeviceGetDefaultMemPool", "cuMemPoolSetAttribute", "cuMemAllocAsync", "cuMemPoolTrimTo"] {
        driver.tell(function, NOT_SUPPORTED);
    }
    let mut program = Program::start(&avatars_dir(), &driver.environment(&[]));
    let mut client = client(&program).await;
    within(client.load(TINY)).await.unwrap();
    assert_eq!(synthesize(&mut client, TINY, 20).await.len(), 20);
    assert!(program.metric("lipsyncd_device_memory_bytes") > 0.0, "{}", program.page());
    assert_eq!(program.stop(), Some(0));
}

#[test]
fn to_bench_and_check_a_full_gpu_is_a_failure_and_a_faulty_bundle_bad_input() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), onnxruntime());
    [TINY, "faulty"].into_iter().for_each(|id| copy_tiny(folder.path(), id));
    let path = |id: &str| folder.path().join(id).to_str().unwrap().to_owned();
    std::fs::write(folder.path().join("faulty/generator.onnx"), "no network").unwrap();
    for command in ["bench", "check"] {
        for (id, code) in [(TINY, 1), ("faulty", 2)] {
            let driver = StandIn::new();
            driver.tell("cuMemAlloc_v2", OUT_OF_MEMORY);
            let arguments = ["engine", command, "--avatar", &path(id), "--gpu-engine", "native", "--jpeg", "splice"];
            let output = run_with(&arguments, &driver, &[("LIPSYNCD_ONNXRUNTIME", &runtime)]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command} {id}: {said}");
            assert_eq!(said.contains("cuMemAlloc"), code == 1, "{command} {id}: {said}");
        }
    }
}
