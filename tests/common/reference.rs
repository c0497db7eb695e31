//! What frames must be: made offline, by the library in this process, for every place in the loop at which a sound may begin.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lipsyncd::avatar::{Bundle, LoadedAvatar};
use lipsyncd::backend::Backend;
use lipsyncd::batch::Engine;
use lipsyncd::session::SessionOptions;

use super::{JPEG, TINY, avatars_dir, cpu_backend, engine, perform, templates};

/// A folder of two avatars with the same networks and other pictures: the golden one, and itself from back to front.
pub fn two_avatars(folder: &Path) -> [(String, PathBuf); 2] {
    let copy = |name: &str| {
        let dir = folder.join(name);
        let mut copy = std::process::Command::new("cp");
        assert!(copy.arg("-r").arg(avatars_dir().join(TINY)).arg(&dir).status().unwrap().success());
        (name.to_owned(), dir)
    };
    let avatars = [copy("forth"), copy("back")];
    let frames = avatars[1].1.join("frames");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&frames).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pictures: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for (file, picture) in files.iter().zip(pictures.iter().rev()) {
        std::fs::write(file, picture).unwrap();
    }
    avatars
}

/// Frames of every sound at every place of the loop, and the silent picture of every pose, of one avatar.
pub struct Reference {
    pub avatar: Arc<LoadedAvatar>,
    /// Places after which the loop begins anew.
    period: u64,
    frames: HashMap<(usize, u64), Vec<Vec<u8>>>,
    silent: Vec<Vec<u8>>,
}

impl Reference {
    /// Makes all frames of `sounds`, at 16 kHz, on the avatar in `dir`.
    pub async fn make(dir: &Path, sounds: &[Vec<f32>]) -> Self {
        let backend: Arc<dyn Backend> = cpu_backend();
        let bundle = Bundle::open(dir).unwrap_or_else(|error| panic!("{error}"));
        let id = TINY.parse().unwrap();
        let avatar = LoadedAvatar::load(id, &bundle, Arc::clone(&backend), &templates(), &|_| {});
        let avatar = Arc::new(avatar.unwrap_or_else(|error| panic!("{error}")));
        let engine = engine(&backend, 2, 8, 1);
        // There and back again, without the ends twice.
        let period = (2 * avatar.frame_count() as u64 - 2).max(1);
        let mut frames = HashMap::new();
        for (sound, samples) in sounds.iter().enumerate() {
            for start_position in 0..period {
                let options = SessionOptions { start_position, ..SessionOptions::new(JPEG, 16_000) };
                let take = perform(&engine, &avatar, options, samples).await;
                frames.insert((sound, start_position), take.frames.into_iter().map(|frame| frame.data).collect());
            }
        }
        let silent = silent(&engine, &avatar).await;
        Self { avatar, period, frames, silent }
    }

    /// The frames of `sound` where its first stands at `position` of the loop.
    pub fn frames(&self, sound: usize, position: u64) -> &[Vec<u8>] {
        &self.frames[&(sound, position % self.period)]
    }

    /// The avatar with its mouth shut at `position` of the loop.
    pub fn silent(&self, position: u64) -> &[u8] {
        &self.silent[self.avatar.frame_at(position)]
    }
}

/// The silent picture of every pose, drawn by the networks for a session that is given its context.
async fn silent(engine: &Engine, avatar: &Arc<LoadedAvatar>) -> Vec<Vec<u8>> {
    perform(engine, avatar, SessionOptions::new(JPEG, 16_000), &[0.0; 32_000]).await;
    let feature = avatar.silence().feature().expect("silence has been heard");
    let context: Vec<f32> = std::iter::repeat_n(feature, avatar.context().rows()).flatten().copied().collect();
    let options = SessionOptions {
        max_frames: Some(avatar.frame_count()),
        fixed_context: Some(context.into()),
        ..SessionOptions::new(JPEG, 16_000)
    };
    perform(engine, avatar, options, &[]).await.frames.into_iter().map(|frame| frame.data).collect()
}
