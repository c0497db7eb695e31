//! The avatar's pictures and their crops, decoded and cut once, on all cores.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Bundle, FaceBox};
use crate::picture::{CropError, DecodeError, GeneratorGeometry, Image, Rect, cut_crop, decode_file};

/// Why a frame cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FrameStoreError {
    /// The picture is damaged.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The picture is not of the size its header said.
    #[error("{path}: the picture is {got:?} pixels, its header said {expected:?}; replace the frame")]
    Size {
        /// The frame.
        path: PathBuf,
        /// Width and height it decoded to.
        got: (usize, usize),
        /// Width and height of the bundle's frames.
        expected: (usize, usize),
    },
    /// The box cannot be cut from the frame.
    #[error("{path}: box {index}: {source}")]
    Crop {
        /// The frame.
        path: PathBuf,
        /// Its number.
        index: usize,
        /// What is wrong with the box.
        source: CropError,
    },
}

struct StoredFrame {
    picture: Image,
    crop: Image,
}

/// Every picture of an avatar with its crop and box, as bytes.
pub struct FrameStore {
    frames: Vec<StoredFrame>,
    boxes: Vec<Rect>,
    size_px: (usize, usize),
}

impl FrameStore {
    /// Decodes and cuts every frame of `bundle`, one worker per core.
    ///
    /// # Errors
    /// That of the first faulty frame met.
    pub fn load(
        bundle: &Bundle,
        geometry: &GeneratorGeometry,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, FrameStoreError> {
        let boxes: Vec<Rect> = bundle.boxes.iter().map(rect).collect();
        let size_px = (bundle.frame_size.width as usize, bundle.frame_size.height as usize);
        let count = bundle.frames.len();
        let loaded = Mutex::new((0..count).map(|_| None).collect::<Vec<Option<StoredFrame>>>());
        let failed = Mutex::new(None);
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let worker = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return;
                }
                match load_one(bundle, index, boxes[index], size_px, geometry) {
                    Ok(frame) => lock(&loaded)[index] = Some(frame),
                    Err(error) => {
                        next.store(count, Ordering::Relaxed);
                        lock(&failed).get_or_insert(error);
                        return;
                    }
                }
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get()).min(count);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(worker);
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let frames = loaded.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect();
        Ok(Self { frames, boxes, size_px })
    }

    /// Number of pictures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no picture; a checked bundle has one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Width and height of every picture.
    #[must_use]
    pub fn size_px(&self) -> (usize, usize) {
        self.size_px
    }

    /// Picture `index`.
    #[must_use]
    pub fn frame(&self, index: usize) -> &Image {
        &self.frames[index].picture
    }

    /// The crop of picture `index`.
    #[must_use]
    pub fn crop(&self, index: usize) -> &[u8] {
        self.frames[index].crop.data()
    }

    /// Every picture's box.
    #[must_use]
    pub fn boxes(&self) -> &[Rect] {
        &self.boxes
    }

    /// Bytes of the pictures and crops.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.frames.iter().map(|frame| (frame.picture.data().len() + frame.crop.data().len()) as u64).sum()
    }
}

/// Bytes that loading `bundle` will hold, for admission before the work.
#[must_use]
pub fn predicted_bytes(bundle: &Bundle) -> u64 {
    let picture = u64::from(bundle.frame_size.width) * u64::from(bundle.frame_size.height) * 3;
    let side = u64::from(bundle.manifest.generator.crop_px());
    bundle.frames.len() as u64 * (picture + side * side * 3)
}

fn load_one(
    bundle: &Bundle,
    index: usize,
    area: Rect,
    expected: (usize, usize),
    geometry: &GeneratorGeometry,
) -> Result<StoredFrame, FrameStoreError> {
    let path = &bundle.frames[index];
    let picture = decode_file(path)?;
    let got = (picture.width_px(), picture.height_px());
    if got != expected {
        return Err(FrameStoreError::Size { path: path.clone(), got, expected });
    }
    let crop = cut_crop(picture.view(), area, geometry).map_err(|source| FrameStoreError::Crop {
        path: path.clone(),
        index,
        source,
    })?;
    Ok(StoredFrame { picture, crop })
}

fn rect(face: &FaceBox) -> Rect {
    Rect::new(face.x0 as usize, face.y0 as usize, face.x1 as usize, face.y1 as usize)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
