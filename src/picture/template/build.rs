//! Templates from the cache, or from the frames: in parallel, once.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::cache::{CacheError, Parts, assemble};
use super::key::{CacheKey, ContentDigest};
use super::mapped::MappedFile;
use super::margin::collect_margin;
use super::plan::TemplatePlan;
use super::set::{Store, TemplateSet};
use super::sweep;
use crate::media::AtomicFile;
use crate::picture::image::{Image, ImageError};
use crate::picture::jpeg::{JpegEncoder, JpegError};

/// Why templates could not be built. `E` is the frames' own error.
#[derive(Debug, thiserror::Error)]
pub enum BuildError<E: Error + 'static> {
    /// A frame could not be read.
    #[error("frame {frame} of the avatar could not be read: {source}")]
    Frame {
        /// The frame.
        frame: usize,
        /// Why.
        source: E,
    },
    /// A frame has another size than the plan says.
    #[error("frame {frame} of the avatar has {got:?} pixels, the others have {expected:?}")]
    Size {
        /// The frame.
        frame: usize,
        /// Width and height of the plan.
        expected: (usize, usize),
        /// Width and height of the frame.
        got: (usize, usize),
    },
    /// As many digests as frames are needed.
    #[error("{got} digests were given for {expected} frames")]
    Digests {
        /// Frames of the plan.
        expected: usize,
        /// Digests given.
        got: usize,
    },
    /// A frame could not be encoded.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    /// A strip lies outside its frame.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What was built does not pass its own validation.
    #[error("fresh templates are unusable: {0}")]
    Unusable(#[source] CacheError),
}

/// One frame as it is read.
pub struct Source {
    /// Its pixels.
    pub image: Image,
    /// Bytes of its owner's that are to be kept with the template, as [`TemplateSet::beside`] gives them back.
    pub beside: Vec<u8>,
}

impl From<Image> for Source {
    fn from(image: Image) -> Self {
        Self { image, beside: Vec::new() }
    }
}

/// What to load or build.
#[derive(Debug)]
pub struct Job<'a> {
    /// Sizes and settings.
    pub plan: TemplatePlan,
    /// One digest per frame, as [`super::content_digest`] makes them.
    pub contents: &'a [ContentDigest],
    /// The folder of cache files; made when missing. `None` keeps the templates in memory.
    pub cache_dir: Option<&'a Path>,
    /// Threads that build.
    pub threads: NonZero<usize>,
}

/// Where templates came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the cache, memory-mapped.
    Cache,
    /// Built from the frames.
    Built,
}

/// Loaded templates.
#[derive(Debug)]
pub struct Loaded {
    /// The templates.
    pub set: TemplateSet,
    /// From the cache or the frames.
    pub origin: Origin,
    /// Why an existing cache file was not used, or the new one not written: worth a line in the log, no failure.
    pub cache_problem: Option<CacheError>,
}

/// Maps the templates from the cache, or builds them and writes the cache. A damaged cache file is replaced.
///
/// `frame` decodes one frame; it is called from several threads, each frame once. `progress` gets the number of frames
/// done, in order, from any thread; it is not called when the cache serves.
///
/// # Errors
/// [`BuildError`], for the first frame that fails; the cache's own problems are in [`Loaded::cache_problem`].
pub fn load_or_build<E: Error + Send + 'static, S: Into<Source>>(
    job: Job<'_>,
    frame: impl Fn(usize) -> Result<S, E> + Sync,
    progress: impl Fn(usize) + Sync,
) -> Result<Loaded, BuildError<E>> {
    let (expected, got) = (job.plan.layouts().len(), job.contents.len());
    if expected != got {
        return Err(BuildError::Digests { expected, got });
    }
    let key = CacheKey::new(&job.plan, job.contents)?;
    let path = job.cache_dir.map(|dir| file_of(dir, &key));
    let mut cache_problem = None;
    if let Some(path) = path.as_deref().filter(|path| path.exists()) {
        match open(path, &job.plan, &key) {
            Ok(set) => {
                sweep::touch(path);
                return Ok(Loaded { set, origin: Origin::Cache, cache_problem: None });
            }
            Err(error) => cache_problem = Some(error),
        }
    }
    let parts = build(&job.plan, job.threads, frame, progress)?;
    let bytes = assemble(&key, parts).map_err(BuildError::Unusable)?;
    if let Some(path) = &path {
        match write(path, &bytes).and_then(|()| open(path, &job.plan, &key)) {
            // Mapped pages can be dropped when memory is short; those just built cannot.
            Ok(set) => return Ok(Loaded { set, origin: Origin::Built, cache_problem }),
            Err(error) => cache_problem = Some(error),
        }
    }
    let set = TemplateSet::new(job.plan, &key, Store::Memory(bytes)).map_err(BuildError::Unusable)?;
    Ok(Loaded { set, origin: Origin::Built, cache_problem })
}

/// Whether templates of `plan` for these contents lie in `dir`; whether they are sound shows when they are loaded.
pub fn is_cached(plan: &TemplatePlan, contents: &[ContentDigest], dir: &Path) -> bool {
    CacheKey::new(plan, contents).is_ok_and(|key| file_of(dir, &key).exists())
}

fn file_of(dir: &Path, key: &CacheKey) -> PathBuf {
    dir.join(format!("{}.{}", key.hex(), sweep::EXTENSION))
}

fn open(path: &Path, plan: &TemplatePlan, key: &CacheKey) -> Result<TemplateSet, CacheError> {
    let file = MappedFile::open(path).map_err(CacheError::Read)?;
    TemplateSet::new(plan.clone(), key, Store::Mapped(file))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let write = || {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = AtomicFile::create(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    write().map_err(CacheError::Write)?;
    sweep::sweep(path);
    Ok(())
}

/// Encodes every frame; threads take the next one as they get free.
fn build<E: Error + Send + 'static, S: Into<Source>>(
    plan: &TemplatePlan,
    threads: NonZero<usize>,
    frame: impl Fn(usize) -> Result<S, E> + Sync,
    progress: impl Fn(usize) + Sync,
) -> Result<Vec<Parts>, BuildError<E>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(0);
    let work = || {
        let mut encoder = JpegEncoder::new(plan.settings())?;
        let mut built = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= plan.layouts().len() {
                break;
            }
            let parts = build_one(plan, index, &frame, &mut encoder);
            built.push((index, parts.inspect_err(|_| failed.store(true, Ordering::Relaxed))?));
            // Counted under a lock, so that the reports come in order; a panic in one has nothing to spoil here.
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += 1;
            progress(*done);
        }
        Ok::<_, BuildError<E>>(built)
    };
    let results = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    let mut frames: Vec<(usize, Parts)> = results.into_iter().flatten().collect();
    frames.sort_unstable_by_key(|(index, _)| *index);
    Ok(frames.into_iter().map(|(_, parts)| parts).collect())
}

fn build_one<E: Error + 'static, S: Into<Source>>(
    plan: &TemplatePlan,
    index: usize,
    frame: impl Fn(usize) -> Result<S, E>,
    encoder: &mut JpegEncoder,
) -> Result<Parts, BuildError<E>> {
    let Source { image, beside } = frame(index).map_err(|source| BuildError::Frame { frame: index, source })?.into();
    let (expected, got) = (plan.frame_px(), (image.width_px(), image.height_px()));
    if expected != got {
        return Err(BuildError::Size { frame: index, expected, got });
    }
    let layout = &plan.layouts()[index];
    let mut jpeg = Vec::new();
    encoder.encode_to_vec(image.view(), &mut jpeg)?;
    jpeg.shrink_to_fit();
    let mut margin = Vec::with_capacity(layout.margin_len());
    collect_margin(image.view(), layout, &mut margin)?;
    Ok(Parts { jpeg, margin, beside })
}

#[cfg(test)]
mod tests;
