//! What an avatar looks like while nothing is heard: computed once by drawing it, then kept.
//!
//! A frame whose context is exactly silent depends on its pose alone. The first time one is drawn its strip is kept, and every
//! such frame after that is spliced from it: the same bytes without a network. At another quality than the avatar's own, where the
//! background would have to be encoded for it again, the whole frame is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::LoadedAvatar;
use crate::backend::{BackendError, FrameFormat};
use crate::batch::PooledBuf;
use crate::picture::template::{KeptStrip, SpliceError};

mod claims;

pub use claims::Claim;
use claims::Claims;

/// Forms in which silent pictures are kept after the sessions that wanted them; of more, those used longest ago are given up.
const ALBUMS: usize = 4;

/// An avatar's silent feature and pictures.
#[derive(Default)]
pub struct Silence {
    feature: OnceLock<Box<[f32]>>,
    albums: Mutex<Albums>,
    /// Of all albums that there are.
    bytes: Arc<AtomicU64>,
}

#[derive(Default)]
struct Albums {
    /// Every one that somebody has: a form is kept once, however many sessions show it.
    all: Vec<Weak<Album>>,
    /// Kept though nobody may have them; used last comes last.
    recent: Vec<Arc<Album>>,
}

/// Silent pictures in one form, by pose.
pub struct Album {
    format: FrameFormat,
    pictures: Box<[OnceLock<Kept>]>,
    bytes: AtomicU64,
    /// Those of the avatar's albums together.
    bytes_of_all: Arc<AtomicU64>,
    /// Those on each pose's picture, and in the last place those on the silent feature.
    claims: Box<[Claims]>,
}

/// One silent picture.
enum Kept {
    /// Of a whole frame that is spliced from a template of the avatar's.
    Strip(KeptStrip),
    /// As it is sent.
    Whole(Box<[u8]>),
}

impl Silence {
    /// The feature of a window in which nothing is heard, 512 floats, once it is known.
    pub fn feature(&self) -> Option<&[f32]> {
        self.feature.get().map(|feature| &**feature)
    }

    /// Keeps it; the first word counts. Allocates, once.
    pub fn keep_feature(&self, feature: &[f32]) {
        if self.feature().is_some() || self.feature.set(feature.into()).is_err() {
            return;
        }
        // Speech computes it, too, whoever has the right to.
        let held: Vec<_> = self.albums().all.iter().filter_map(Weak::upgrade).collect();
        held.iter().filter_map(|album| album.claims.last()).for_each(Claims::tell);
    }

    /// The pictures in `format`, of an avatar with so many `poses`.
    pub fn album(&self, format: FrameFormat, poses: usize) -> Arc<Album> {
        let mut albums = self.albums();
        let Albums { all, recent } = &mut *albums;
        all.retain(|album| album.strong_count() > 0);
        let held = all.iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        let album = held.iter().find(|album| album.format == format).map_or_else(
            || {
                let album = Arc::new(Album::new(format, poses, Arc::clone(&self.bytes)));
                all.push(Arc::downgrade(&album));
                album
            },
            Arc::clone,
        );
        recent.retain(|other| !Arc::ptr_eq(other, &album));
        recent.push(Arc::clone(&album));
        let given_up = (recent.len() > ALBUMS).then(|| recent.remove(0));
        // An album may have hundreds of megabytes, and whoever is the last to hold it frees them: not under the lock.
        drop(albums);
        drop((held, given_up));
        album
    }

    /// Bytes kept, those of sessions' forms included that are given up with them.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Nothing that can panic leaves the albums half changed.
    fn albums(&self) -> MutexGuard<'_, Albums> {
        self.albums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Album {
    fn new(format: FrameFormat, poses: usize, bytes_of_all: Arc<AtomicU64>) -> Self {
        let pictures = std::iter::repeat_with(OnceLock::new).take(poses).collect();
        let claims = std::iter::repeat_with(Claims::default).take(poses + 1).collect();
        Self { format, pictures, bytes: AtomicU64::new(0), bytes_of_all, claims }
    }

    fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_of_all.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the picture of `pose` is there.
    #[must_use]
    pub fn has(&self, pose: usize) -> bool {
        self.pictures.get(pose).is_some_and(|picture| picture.get().is_some())
    }

    /// Poses whose pictures are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pictures.iter().filter(|picture| picture.get().is_some()).count()
    }

    /// Whether there is none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Album {
    fn drop(&mut self) {
        self.bytes_of_all.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

impl LoadedAvatar {
    /// Keeps `frame`, a silent picture of `pose` in the album's form. Allocates, once a pose and form.
    pub(crate) fn keep_silent(&self, album: &Album, pose: usize, frame: &[u8]) {
        let Some(place) = album.pictures.get(pose).filter(|place| place.get().is_none()) else { return };
        let strip = match (album.format, self.strip_layout(pose)) {
            // What surrounds a strip lies ready at the avatar's own quality alone, and whoever shows it must not wait for more.
            (FrameFormat::Jpeg(quality), Some(layout)) if self.keeps_backgrounds(quality) => {
                KeptStrip::cut(frame, layout).ok().map(Kept::Strip)
            }
            _ => None,
        };
        let kept = strip.unwrap_or_else(|| Kept::Whole(frame.into()));
        let bytes = match &kept {
            Kept::Strip(strip) => strip.len(),
            Kept::Whole(bytes) => bytes.len(),
        };
        if place.set(kept).is_ok() {
            album.add_bytes(bytes as u64);
            // Speech draws some, too, whoever has the right to.
            album.claims.get(pose).into_iter().for_each(Claims::tell);
        }
    }

    /// Writes the silent picture of `pose` again, which is a copy and no more; false when it is not there.
    ///
    /// # Errors
    /// [`BackendError`] when it does not fit what it was cut from.
    pub(crate) fn draw_silent(&self, album: &Album, pose: usize, out: &mut PooledBuf) -> Result<bool, BackendError> {
        match (album.pictures.get(pose).and_then(OnceLock::get), self.templates()) {
            (None, _) => return Ok(false),
            (Some(Kept::Whole(bytes)), _) => put_whole(bytes, out)?,
            (Some(Kept::Strip(strip)), Some(set)) => {
                let template = set.template(pose).ok_or(BackendError::Unloaded)?;
                out.fill(|buffer| strip.splice(&template, buffer))?;
            }
            (Some(Kept::Strip(_)), None) => return Err(BackendError::Unloaded),
        }
        Ok(true)
    }
}

/// Writes a kept picture as it is: of another quality than the avatar's own it may be longer than the pool's buffers.
fn put_whole(bytes: &[u8], out: &mut PooledBuf) -> Result<(), SpliceError> {
    out.make_room(bytes.len());
    out.fill(|buffer| {
        let room = SpliceError::Buffer { len: buffer.len() };
        buffer.get_mut(..bytes.len()).ok_or(room)?.copy_from_slice(bytes);
        Ok(bytes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BufferPool;
    use crate::picture::Quality;

    #[test]
    fn a_form_is_kept_once_while_it_is_shown_and_four_are_after_that() {
        let silence = Silence::default();
        let form = |quality| silence.album(FrameFormat::Jpeg(Quality::new(quality).unwrap()), 1);
        let shown: Vec<_> = (1..=ALBUMS as u32 + 2).map(form).collect();
        for (album, quality) in shown.iter().zip(1..) {
            assert!(Arc::ptr_eq(album, &form(quality)), "another album of quality {quality}");
            album.add_bytes(7);
        }
        assert_eq!(silence.bytes(), 7 * (ALBUMS as u64 + 2), "what sessions have counts, too");
        drop(shown);
        assert_eq!(silence.bytes(), 7 * ALBUMS as u64);
        let bytes = |quality| form(quality).bytes.load(Ordering::Relaxed);
        assert_eq!((bytes(3), bytes(1)), (7, 0), "those used longest ago are given up");
    }

    #[test]
    fn a_kept_picture_finds_room_in_a_buffer_that_is_shorter() {
        let pool = BufferPool::new(4);
        for picture in [&b"longer than the buffer"[..], b"fit"] {
            let mut out = pool.take();
            put_whole(picture, &mut out).unwrap();
            assert_eq!(&*out, picture);
        }
    }
}
