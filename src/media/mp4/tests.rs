use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

/// A file that a fork of another test still holds open for writing cannot be run, so tests that write a program and run
/// it take turns.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn take_turns() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lipsyncd-mp4-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn start(program: &OsStr, target: &Path) -> Result<Mp4Writer, Mp4Error> {
    Mp4Writer::create_with(program, target, 25, Path::new("sound.wav"))
}

/// A stand-in for ffmpeg that does what `script` says.
#[cfg(unix)]
fn stand_in(dir: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = dir.join("stand-in");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn a_missing_ffmpeg_is_explained() {
    let path = Path::new("talk.mp4");
    let error = start(OsStr::new("/nonexistent/ffmpeg"), path).unwrap_err();
    let text = error.to_string();
    for part in ["talk.mp4", "apt-get install ffmpeg", ".avi"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
#[cfg(unix)]
fn a_failure_carries_its_last_words_and_leaves_nothing() {
    let _turn = take_turns();
    let dir = folder("fails");
    let program = stand_in(&dir, "echo first >&2; echo 'Unknown encoder libx264' >&2; exit 3");
    let target = dir.join("out.mp4");
    let mut writer = start(program.as_os_str(), &target).unwrap();
    std::fs::write(dir.join("out.mp4.part"), b"half").unwrap();
    let frame = vec![0; 1 << 20];
    let error = loop {
        if let Err(error) = writer.write_frame(&frame) {
            break error;
        }
    };
    assert!(error.to_string().contains("Unknown encoder libx264"), "{error}");
    drop(writer);
    assert!(!target.exists() && !dir.join("out.mp4.part").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[cfg(unix)]
fn a_drop_ends_the_process_and_removes_the_part() {
    let _turn = take_turns();
    let dir = folder("drop");
    let program = stand_in(&dir, "exec sleep 600");
    let target = dir.join("out.mp4");
    let writer = start(program.as_os_str(), &target).unwrap();
    std::fs::write(dir.join("out.mp4.part"), b"half").unwrap();
    drop(writer);
    assert!(!target.exists() && !dir.join("out.mp4.part").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[cfg(unix)]
fn success_gives_the_file_its_name() {
    let _turn = take_turns();
    let dir = folder("works");
    // The last argument is `file:PART`.
    let program = stand_in(&dir, r#"for last in "$@"; do :; done; cat > "${last#file:}""#);
    let target = dir.join("out.mp4");
    let mut writer = start(program.as_os_str(), &target).unwrap();
    writer.write_frame(b"one").unwrap();
    writer.write_frame(b"two").unwrap();
    writer.finish().unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"onetwo");
    assert!(!dir.join("out.mp4.part").exists());
    std::fs::remove_dir_all(dir).unwrap();
}
