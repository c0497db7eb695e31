//! A GPU whose context dies: whoever has work there is told, the daemon's engine says that it is broken, and nothing hangs. In a
//! process of its own, since nothing else can use the GPU there afterwards.
#![allow(unsafe_code)] // It launches a kernel that is meant to fault.

use std::time::Duration;

use lipsyncd::backend::BackendError;
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::cuda::{Context, Driver, Grid, Module, Priority, Severity, Stream};
use lipsyncd::session::{Event, SessionOptions};

use crate::common::cuda::cuda_backend;
use crate::common::speech::speech;
use crate::common::{JPEG, bundle, engine, load, open, within};

/// Writes where nothing is.
const STRAY: &[u8] = b"
.version 7.0
.target sm_75
.address_size 64
.visible .entry stray()
{
    .reg .b64 %at;
    .reg .b32 %value;
    mov.u64 %at, 64;
    mov.u32 %value, 1;
    st.global.u32 [%at], %value;
    ret;
}
\0";

/// Kills the primary context, which the backend works in.
fn kill_the_context() {
    let context = Context::open(&Driver::load().unwrap(), 0).unwrap();
    // SAFETY: a whole PTX text with its terminating zero.
    let module = unsafe { Module::load(&context, STRAY) }.unwrap();
    let stray = module.function(c"stray").unwrap();
    let stream = Stream::new(&context, Priority::Normal).unwrap();
    let grid = Grid { blocks: [1; 3], threads: [1; 3], shared_bytes: 0 };
    // SAFETY: the kernel takes no arguments; what it writes to does not exist, which the hardware finds.
    unsafe { stray.launch(&stream, grid, &mut []) }.unwrap();
    let error = stream.synchronize().unwrap_err();
    assert_eq!(error.severity(), Severity::Lost, "{error}");
    println!("the driver says: {error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an NVIDIA GPU"]
async fn a_dead_context_ends_its_sessions_and_is_reported() {
    let backend = cuda_backend(Precision::Fp16);
    let avatar = load(&backend, &bundle());
    let engine = engine(&backend, 2, 8, 4);
    let (mut intake, mut reader) = open(&engine, &avatar, SessionOptions::new(JPEG, 16_000));
    let sound = speech(5, 16_000, 16_000);
    let speaking = tokio::spawn(async move { while intake.push(&sound).await.is_ok() {} });
    for _ in 0..10 {
        assert!(matches!(within(reader.next()).await, Some(Ok(Event::Frame(_)))));
    }
    assert!(!engine.is_broken());
    tokio::task::spawn_blocking(kill_the_context).await.unwrap();
    let failure = loop {
        match within(reader.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the session ended without a word"),
        }
    };
    println!("the session was told: {failure}");
    assert!(failure.is_passing() && failure.to_string().contains("connect again"), "{failure}");
    tokio::time::timeout(Duration::from_secs(2), engine.broken()).await.expect("the engine does not know");
    println!("lost: {}", within(backend.health().broken()).await);
    // Nothing is placed on it any more, and what is loaded there is not said to be faulty.
    assert_eq!(backend.memory().map(|memory| memory.free_bytes), Some(0));
    let refusal = backend.load(&bundle()).err();
    assert!(matches!(refusal, Some(BackendError::DeviceLost { .. })), "{refusal:?}");
    speaking.abort();
    // What is left belongs to a context that is no more.
    lipsyncd::cuda::leave(0);
}
