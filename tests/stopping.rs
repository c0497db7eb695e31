//! How the program ends when it is asked to: in time, whatever it is doing, and at once when it is asked twice.

mod common;

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use common::program::Program;
use common::server::wav;
use common::{TINY, avatars_dir, eventually, within};
use lipsyncd::rpc::client::{Client, ClientError, ClientOptions};
use tokio::task::JoinHandle;

const RATE_HZ: u32 = 16_000;

/// Killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn client(program: &Program) -> Client {
    let options = ClientOptions { max_message_bytes: 16 << 20, stream_window_bytes: Some(65_535) };
    Client::connect(&format!("http://{}", program.address), options).await.unwrap()
}

/// The one file that a load leaves in the template cache `folder`.
fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// A daemon that drains for `drain_seconds`, and calls that wait for a load that takes many minutes, each with what its client was told.
async fn loading(drain_seconds: &str, cache: &Path) -> (Program, Vec<JoinHandle<ClientError>>) {
    let environment = [("LIPSYNCD_TEMPLATE_CACHE", cache.to_str().unwrap()), ("LIPSYNCD_DRAIN_SECONDS", drain_seconds)];
    let mut program = Program::start(&avatars_dir(), &environment);
    within(client(&program).await.load(TINY)).await.unwrap();
    assert_eq!(program.stop(), Some(0));
    // Its checksum now takes long, and its holes no room.
    let templates = only_file(cache);
    OpenOptions::new().write(true).open(&templates).unwrap().set_len(1 << 40).unwrap();
    let program = Program::start(&avatars_dir(), &environment);
    let [mut first, mut second] = [client(&program).await, client(&program).await];
    let load = tokio::spawn(async move { first.load(TINY).await.unwrap_err() });
    eventually("it is being loaded", || program.has_mapped(&templates)).await;
    let sound = wav(&vec![0.1; RATE_HZ as usize], RATE_HZ);
    let speak = tokio::spawn(async move { second.synthesize(TINY, sound, 0, 0).await.map(drop).unwrap_err() });
    (program, vec![load, speak])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_does_not_end_does_not_hold_up_the_end() {
    // Not where files are kept in memory: one of them is read for as long as the program lives.
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut program, calls) = loading("0", cache.path()).await;
    program.ask_to_end();
    eventually("it ends", || program.ended() == Some(Some(0))).await;
    for call in calls {
        within(call).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_for_an_avatar_are_told_of_the_stop_at_once() {
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut program, calls) = loading("3600", cache.path()).await;
    program.ask_to_end();
    for call in calls {
        let told = within(call).await.unwrap().to_string();
        assert!(told.contains("the daemon is stopping; connect again"), "{told}");
    }
    eventually("it ends", || program.ended() == Some(Some(0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_while_it_preloads_it_ends_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = || {
        let mut message = [0; 4096];
        let bytes = manager.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..bytes]).into_owned()
    };
    let cache = tempfile::tempdir().unwrap();
    let environment = [("LIPSYNCD_TEMPLATE_CACHE", cache.path().to_str().unwrap()), ("LIPSYNCD_PRELOAD", TINY)];
    assert_eq!(Program::start(&avatars_dir(), &environment).stop(), Some(0));
    let pipe = only_file(cache.path());
    std::fs::remove_file(&pipe).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_lipsyncd"));
    serve.arg("serve").env("LIPSYNCD_AVATARS", avatars_dir()).env("LIPSYNCD_BACKEND", "cpu").envs(environment);
    let mut program =
        Killed(serve.env("LIPSYNCD_LISTEN", "127.0.0.1:0").env("NOTIFY_SOCKET", &socket).spawn().unwrap());
    // The load never gets further than this pipe, which nobody writes to.
    assert!(next().contains("EXTEND_TIMEOUT_USEC"), "it says that it is starting");
    assert!(Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().unwrap().success());
    while !next().starts_with("STOPPING=1") {}
    let mut status = None;
    eventually("it ends", || {
        status = program.0.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_a_second_time_it_ends_at_once() {
    let mut program = Program::start(&avatars_dir(), &[("LIPSYNCD_DRAIN_SECONDS", "3600")]);
    let mut client = client(&program).await;
    let sound = wav(&vec![0.1; 60 * RATE_HZ as usize], RATE_HZ);
    let mut unread = within(client.synthesize(TINY, sound, 0, 0)).await.unwrap();
    within(unread.next()).await.unwrap();
    program.ask_to_end();
    eventually("its port is closed", || TcpStream::connect(program.address).is_err()).await;
    assert_eq!(program.ended(), None, "a call is running");
    program.ask_to_end();
    eventually("it ends", || program.ended() == Some(Some(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_spoke_do_not_hold_up_the_end() {
    let mut program = Program::start(&avatars_dir(), &[("LIPSYNCD_DRAIN_SECONDS", "3600")]);
    let before = program.holding().descriptors;
    // What a probe of the port does, or a balancer that connects ahead of its clients.
    let silent: Vec<_> = (0..3).map(|_| TcpStream::connect(program.address).unwrap()).collect();
    eventually("they are accepted", || program.holding().descriptors >= before + silent.len()).await;
    program.ask_to_end();
    eventually("it ends", || program.ended() == Some(Some(0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_answer_do_not_hold_up_the_end() {
    let mut program = Program::start(&avatars_dir(), &[("LIPSYNCD_DRAIN_SECONDS", "3600")]);
    // As one that has been suspended since it connected.
    let mut client = TcpStream::connect(program.address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    const SETTINGS: u8 = 4;
    client.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0][..]].concat()).unwrap();
    // Its settings are acknowledged.
    let mut header = [0; 9];
    while (header[3], header[4]) != (SETTINGS, 1) {
        client.read_exact(&mut header).unwrap();
        let len = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        std::io::copy(&mut (&client).take(len.into()), &mut std::io::sink()).unwrap();
    }
    program.ask_to_end();
    eventually("it ends", || program.ended() == Some(Some(0))).await;
    drop(client);
}
