//! How the program ends when it is asked to: in time, whatever it is doing, and at once when it is asked twice.

mod common;

use std::fs::OpenOptions;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use common::program::Program;
use common::server::wav;
use common::{TINY, avatars_dir, eventually, within};
use lipsyncd::rpc::client::{Client, ClientOptions};

const RATE_HZ: u32 = 16_000;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_does_not_end_does_not_hold_up_the_end() {
    // Not where files are kept in memory: one of them is read for as long as the program lives.
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = cache.path().to_str().unwrap();
    let environment = [("LIPSYNCD_TEMPLATE_CACHE", folder), ("LIPSYNCD_DRAIN_SECONDS", "0")];
    let mut program = Program::start(&avatars_dir(), &environment);
    within(client(&program).await.load(TINY)).await.unwrap();
    assert_eq!(program.stop(), Some(0));
    // Its checksum now takes many minutes, and its holes no room.
    let templates = only_file(cache.path());
    OpenOptions::new().write(true).open(&templates).unwrap().set_len(1 << 40).unwrap();
    let mut program = Program::start(&avatars_dir(), &environment);
    let mut client = client(&program).await;
    let load = tokio::spawn(async move { client.load(TINY).await });
    eventually("it is being loaded", || program.has_mapped(&templates)).await;
    program.ask_to_end();
    eventually("it ends", || program.ended() == Some(Some(0))).await;
    within(load).await.unwrap().unwrap_err();
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
