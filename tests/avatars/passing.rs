//! A system that fails while a bundle is looked at: `failing_disk.c` stands before libc.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use lipsyncd::rpc::client::{Client, ClientError, ClientOptions};
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::common::program::Program;
use super::common::{TINY, avatars_dir, c, root, within};

/// What stands before libc, and the file that makes it fail.
struct Failing {
    folder: TempDir,
    library: PathBuf,
}

impl Failing {
    /// Nothing fails yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("failing_disk.so");
        c::compile(&root().join("tests/avatars/failing_disk.c"), &library, &["-ldl"])
            .unwrap_or_else(|said| panic!("{said}"));
        Self { folder, library }
    }

    fn armed(&self) -> PathBuf {
        self.folder.path().join("armed")
    }

    fn arm(&self) {
        fs::write(self.armed(), "").unwrap();
    }

    fn disarm(&self) {
        fs::remove_file(self.armed()).unwrap();
    }

    fn check(&self, at: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lipsyncd"));
        command.args(["avatar", "check", "--quick"]).arg(avatars_dir().join(TINY));
        command.env("LD_PRELOAD", &self.library).env("FAIL_AT", at).env("FAIL_WHILE", self.armed()).output().unwrap()
    }
}

#[test]
fn a_failure_of_the_system_is_no_fault_of_the_bundle_whatever_it_strikes() {
    let failing = Failing::new();
    let sound = failing.check("");
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    failing.arm();
    let frame = fs::read_dir(avatars_dir().join(TINY).join("frames")).unwrap().next().unwrap().unwrap().file_name();
    for at in [TINY, "avatar.toml", "frames", frame.to_str().unwrap(), "boxes.json", "generator.onnx"] {
        let output = failing.check(&format!("/{at}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{at}: {said}");
        assert!(said.contains("; try again, and look to the disk and to the process's limits"), "{at}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_is_had_as_soon_as_the_system_reads_it_again() {
    let failing = Failing::new();
    failing.arm();
    let (library, armed) = (failing.library.display().to_string(), failing.armed().display().to_string());
    let environment = [("LD_PRELOAD", &*library), ("FAIL_AT", "/frames"), ("FAIL_WHILE", &armed)];
    let program = Program::start(&avatars_dir(), &environment);
    let options = ClientOptions { max_message_bytes: 16 << 20, stream_window_bytes: None };
    let mut client = Client::connect(&format!("http://{}", program.address), options).await.unwrap();
    assert_eq!(within(client.avatar(TINY)).await.unwrap().fps, 0, "of a bundle with faults only those are told");
    let refused = within(client.load(TINY)).await.unwrap_err();
    let ClientError::Gone(status) = &refused else { panic!("{refused}") };
    assert_eq!(status.code(), Code::Unavailable, "{refused}");
    assert!(status.get_details_retry_info().is_some(), "{refused}");
    failing.disarm();
    assert_eq!(within(client.avatar(TINY)).await.unwrap().fps, 25);
    within(client.load(TINY)).await.unwrap();
}
