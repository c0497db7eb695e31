//! What happens to one session happens to no other.

use crate::common::speech::speech;
use crate::common::{JPEG, TINY, avatars_dir, cpu_backend, engine, load, open, perform, try_say};
use lipsyncd::avatar::Bundle;
use lipsyncd::backend::FrameFormat;
use lipsyncd::picture::Quality;
use lipsyncd::session::SessionOptions;

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_cannot_be_drawn_ends_its_own_session_and_no_neighbour_of_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg("-r").arg(avatars_dir().join(TINY)).arg(folder.path()).status().unwrap().success());
    let bundle = Bundle::open(&folder.path().join(TINY)).unwrap();
    let backend = cpu_backend();
    let avatar = load(&backend, &bundle);
    // Templates of a quality that is asked for later are made of the pictures, which are others by then.
    let first = std::fs::read(&bundle.frames[0]).unwrap();
    std::fs::copy(&bundle.frames[1], &bundle.frames[0]).unwrap();
    assert_ne!(std::fs::read(&bundle.frames[0]).unwrap(), first);
    let engine = engine(&backend, 1, 8, 4);
    let sound = speech(51, 40 * 640, 16_000);
    let options = |quality: u32| SessionOptions::new(FrameFormat::Jpeg(Quality::new(quality).unwrap()), 16_000);
    let expected = perform(&engine, &avatar, SessionOptions::new(JPEG, 16_000), &sound).await;
    let talk = async |options: SessionOptions| {
        let (mut intake, mut reader) = open(&engine, &avatar, options);
        try_say(&mut intake, &mut reader, [&*sound]).await
    };
    let (well, badly, well_too) = tokio::join!(
        talk(SessionOptions::new(JPEG, 16_000)),
        talk(options(91)),
        talk(SessionOptions::new(JPEG, 16_000))
    );
    let said = badly.err().expect("there is no such picture any more").to_string();
    for part in ["000000", "has changed since the avatar was loaded"] {
        assert!(said.contains(part), "{said}");
    }
    for neighbour in [well, well_too] {
        assert!(neighbour.unwrap().frames == expected.frames);
    }
}
