//! The end of the process, when the driver takes itself down: whoever calls it from then on may crash, or wait for ever.

use std::process::Command;

use crate::common::program::Program;
use crate::common::talk::{connect, under_way};
use crate::common::{TINY, avatars_dir, root};
use crate::stand_in::StandIn;

/// What was asked of `driver` once it had begun to take itself down.
fn late(driver: &StandIn) -> Vec<String> {
    let calls = driver.calls();
    assert!(calls["cuDevicePrimaryCtxRetain"] > 0, "{calls:?}");
    calls.into_keys().filter(|name| name.starts_with("after the end")).collect()
}

#[test]
fn commands_let_go_of_the_gpu_before_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let (avatar, sound) = (avatars_dir().join(TINY), root().join("tests/golden/audio/speech_s16.wav"));
    let (avatar, sound, out) = (avatar.to_str().unwrap(), sound.to_str().unwrap(), folder.path().to_str().unwrap());
    let on_gpu = ["--gpu-engine", "native", "--jpeg", "splice", "--avatar", avatar];
    let bench = ["engine", "bench", "--batches", "1", "--contexts", "1", "--seconds", "0.1", "--sessions", "4"];
    let synth = ["synth", "--backend", "cuda", "--max-batch", "4", "--slots", "2", "--audio", sound, "--out", out];
    for command in [vec!["doctor"], [&bench[..], &on_gpu].concat(), [&synth[..], &on_gpu].concat()] {
        let driver = StandIn::new();
        let mut program = Command::new(env!("CARGO_BIN_EXE_lipsyncd"));
        let output = program.args(&command).envs(driver.environment(&[])).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        assert_eq!(late(&driver), [""; 0], "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_lets_go_of_the_gpu_before_it_ends() {
    let driver = StandIn::new();
    let environment = driver.environment(&[("LIPSYNCD_PRELOAD", TINY), ("LIPSYNCD_DRAIN_SECONDS", "0")]);
    let mut program = Program::start(&avatars_dir(), &environment);
    let mut talk = under_way(&mut connect(program.address).await, true, None).await;
    program.page();
    assert_eq!(program.stop(), Some(0));
    talk.end().await;
    assert_eq!(late(&driver), [""; 0]);
}
