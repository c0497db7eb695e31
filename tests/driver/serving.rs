//! A daemon on the stand-in: it serves, and what it asks of the driver while it does.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use lipsyncd::rpc::client::{Client, ClientOptions};

use crate::common::program::Program;
use crate::common::server::wav;
use crate::common::speech::speech;
use crate::common::talk::{Heard, RATE_HZ, Say, Talk, connect, proto};
use crate::common::{TINY, avatars_dir, decode_jpeg, within};
use crate::stand_in::{Calls, StandIn};

/// Samples of a frame.
const FRAME: usize = 640;

pub async fn client(program: &Program) -> Client {
    let options = ClientOptions { max_message_bytes: 16 << 20, stream_window_bytes: None };
    Client::connect(&format!("http://{}", program.address), options).await.unwrap()
}

/// Frames of a whole file of `frames` frames.
pub async fn synthesize(client: &mut Client, avatar: &str, frames: usize) -> Vec<(u64, bytes::Bytes)> {
    let sound = wav(&speech(7, frames * FRAME, RATE_HZ), RATE_HZ);
    let mut stream = within(client.synthesize(avatar, sound, 0, 0)).await.unwrap();
    let mut got = Vec::new();
    while let Some(frame) = within(stream.next()).await.unwrap() {
        got.push(frame);
    }
    got
}

/// Says an utterance of `frames` frames in parts, as a microphone gives them, and hears its frames to the end.
pub async fn utter(talk: &mut Talk, frames: usize) -> usize {
    let mut heard = 0;
    talk.speak(&speech(8, frames * FRAME, RATE_HZ)).await;
    talk.say(Say::EndUtterance(proto::EndUtterance {})).await;
    loop {
        match talk.next().await.unwrap() {
            Heard::Frame(frame) => heard += usize::from(!frame.idle),
            Heard::UtteranceDone(done) => {
                assert_eq!(done.frames, heard as u64);
                return heard;
            }
            Heard::Started(_) => {}
            Heard::Interrupted(cut) => panic!("{cut:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_becomes_ready_and_every_frame_arrives() {
    let driver = StandIn::new();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let more = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("LIPSYNCD_PRELOAD", TINY)];
    let mut program = Program::start(&avatars_dir(), &driver.environment(&more));
    assert!(program.log().contains("on GPU 0, stand-in 0"), "{}", program.log());
    let mut message = [0; 4096];
    while !message.starts_with(b"READY=1") {
        manager.recv(&mut message).unwrap();
    }
    let frames = synthesize(&mut client(&program).await, TINY, 40).await;
    assert_eq!(frames.len(), 40);
    for (index, (number, jpeg)) in (0..).zip(&frames) {
        assert_eq!(*number, index);
        let (width_px, height_px, _) = decode_jpeg(jpeg);
        assert_eq!((width_px, height_px), (270, 203));
    }
    let mut talk = Talk::open(&mut connect(program.address).await, false, None).await.unwrap();
    assert_eq!(utter(&mut talk, 25).await, 25);
    assert_eq!(utter(&mut talk, 3).await, 3);
    drop(talk);
    assert_eq!(program.stop(), Some(0));
}

/// What no frame may cost: calls that wait for all that runs on the GPU, or take or give memory, and those that prepare what is replayed.
const DEAR: [&str; 7] = [
    "cuCtxSynchronize",
    "cuStreamSynchronize",
    "cuMemAlloc",
    "cuMemFree",
    "cuMemHostAlloc",
    "cuMemPoolTrim",
    "cuGraphInstantiate",
];

/// How many more calls of each function there are now, of those that cost much, and of graphs that were launched.
fn since(before: &Calls, now: &Calls) -> (Calls, u64) {
    let more = |name: &String, count: u64| count - before.get(name).copied().unwrap_or(0);
    let made = now.iter().map(|(name, &count)| (name, more(name, count))).filter(|(_, more)| *more > 0);
    let dear = made.clone().filter(|(name, _)| DEAR.iter().any(|dear| name.starts_with(dear)));
    let launched = made.filter(|(name, _)| *name == "cuGraphLaunch").map(|(_, more)| more).sum();
    (dear.map(|(name, more)| (name.clone(), more)).collect(), launched)
}

/// `count` viewers each of whole files, of speech, and of calls as films, at the same time.
async fn viewers(program: &Program, count: usize) {
    let mut all = tokio::task::JoinSet::new();
    for frames in (0..count).map(|number| 20 + number) {
        let mut whole = client(program).await;
        all.spawn(async move { assert_eq!(synthesize(&mut whole, TINY, frames).await.len(), frames) });
        for idle_frames in [false, true] {
            let mut live = connect(program.address).await;
            all.spawn(async move {
                let mut talk = Talk::open(&mut live, idle_frames, None).await.unwrap();
                assert_eq!(utter(&mut talk, frames).await, frames);
            });
        }
    }
    while let Some(ended) = within(all.join_next()).await {
        ended.unwrap();
    }
}

/// Which sizes batches have is left to chance; each is captured once for each lane, and after a while all have been.
#[tokio::test(flavor = "multi_thread")]
async fn in_steady_state_nothing_is_allocated_waited_for_or_captured() {
    let driver = StandIn::new();
    let environment = driver.environment(&[("LIPSYNCD_PRELOAD", TINY), ("LIPSYNCD_UTILISATION_PERCENT", "0")]);
    let mut program = Program::start(&avatars_dir(), &environment);
    let mut before = driver.calls();
    assert!(before["cuMemAlloc_v2"] > 10 && before["cuGraphInstantiateWithFlags"] > 1, "{before:?}");
    for stretch in 0.. {
        for count in [1, 2, 3, 2] {
            viewers(&program, count).await;
        }
        let now = driver.calls();
        let (dear, launched) = since(&before, &now);
        println!("stretch {stretch}: {launched} graphs launched, {dear:?}");
        assert!(launched > 50, "{launched}");
        if dear.is_empty() {
            break;
        }
        assert!(stretch < 12, "it does not come to rest: {dear:?}");
        before = now;
    }
    assert_eq!(program.stop(), Some(0));
}
