//! Templates from the cache, or from the frames: in parallel, once.

use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::cache::{Assembly, CacheError, Parts};
use super::key::{CacheKey, ContentDigest};
use super::mapped::MappedFile;
use super::margin::collect_margin;
use super::plan::TemplatePlan;
use super::set::{Store, TemplateSet};
use super::sweep;
use crate::crew;
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
    /// Threads that build, the calling one included.
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
    pub cache_problem: Option<CacheProblem>,
}

/// What became of a cache file.
#[derive(Debug)]
pub enum CacheProblem {
    /// It could not be used, and has been written anew.
    Replaced {
        /// The file.
        path: PathBuf,
        /// What was wrong with the old one.
        source: CacheError,
    },
    /// There is none: the templates are in memory alone.
    Missing {
        /// The file.
        path: PathBuf,
        /// Why it could not be written, or not be read again.
        source: CacheError,
    },
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
    let mut old = None;
    if let Some(path) = path.as_deref().filter(|path| path.exists()) {
        match open(path, &job.plan, &key) {
            Ok(set) => {
                sweep::touch(path);
                return Ok(Loaded { set, origin: Origin::Cache, cache_problem: None });
            }
            Err(error) => old = Some(error),
        }
    }
    let bytes = build(&job.plan, &key, job.threads, frame, progress)?;
    let mut cache_problem = None;
    if let Some(path) = path {
        match write(&path, &bytes).and_then(|()| open(&path, &job.plan, &key)) {
            // Mapped pages can be dropped when memory is short; those just built cannot.
            Ok(set) => {
                let cache_problem = old.map(|source| CacheProblem::Replaced { path, source });
                return Ok(Loaded { set, origin: Origin::Built, cache_problem });
            }
            Err(source) => cache_problem = Some(CacheProblem::Missing { path, source }),
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
    AtomicFile::put(path, &[bytes]).map_err(CacheError::Write)?;
    sweep::sweep(path);
    Ok(())
}

/// The bytes of a cache file: every frame encoded; threads take the next one as they get free.
fn build<E: Error + Send + 'static, S: Into<Source>>(
    plan: &TemplatePlan,
    key: &CacheKey,
    threads: NonZero<usize>,
    frame: impl Fn(usize) -> Result<S, E> + Sync,
    progress: impl Fn(usize) + Sync,
) -> Result<Vec<u8>, BuildError<E>> {
    let count = plan.layouts().len();
    let assembly = Assembly::new(key, count).map_err(BuildError::Unusable)?;
    let queue = Mutex::new(InOrder { assembly, early: BTreeMap::new(), done: 0 });
    let one = |builder: &mut Builder<'_>, index: usize| {
        let parts = builder.build(index, &frame)?;
        // Counted under the lock, so that the reports come in order; a panic in one has nothing to spoil here.
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.add(index, parts).map_err(BuildError::Unusable)?;
        progress(queue.done);
        Ok::<_, BuildError<E>>(())
    };
    crew::in_turn(threads, count, || Ok(Builder::new(plan)?), one)?;
    Ok(queue.into_inner().unwrap_or_else(PoisonError::into_inner).assembly.finish())
}

/// Frames that are done, put together in their order.
struct InOrder {
    assembly: Assembly,
    /// Those that are done before one that comes before them.
    early: BTreeMap<usize, Parts>,
    done: usize,
}

impl InOrder {
    fn add(&mut self, index: usize, parts: Parts) -> Result<(), CacheError> {
        self.done += 1;
        self.early.insert(index, parts);
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() == self.assembly.len()) {
            self.assembly.push(&first.remove())?;
        }
        Ok(())
    }
}

/// One thread's encoder.
struct Builder<'a> {
    plan: &'a TemplatePlan,
    encoder: JpegEncoder,
    /// Room for the longest JPEG.
    jpeg: Vec<u8>,
}

impl<'a> Builder<'a> {
    fn new(plan: &'a TemplatePlan) -> Result<Self, JpegError> {
        let (width_px, height_px) = plan.frame_px();
        let jpeg = vec![0; JpegEncoder::max_len(width_px, height_px)];
        Ok(Self { plan, encoder: JpegEncoder::new(plan.settings())?, jpeg })
    }

    fn build<E: Error + 'static, S: Into<Source>>(
        &mut self,
        index: usize,
        frame: impl Fn(usize) -> Result<S, E>,
    ) -> Result<Parts, BuildError<E>> {
        let Source { image, beside } =
            frame(index).map_err(|source| BuildError::Frame { frame: index, source })?.into();
        let (expected, got) = (self.plan.frame_px(), (image.width_px(), image.height_px()));
        if expected != got {
            return Err(BuildError::Size { frame: index, expected, got });
        }
        let layout = &self.plan.layouts()[index];
        let len = self.encoder.encode(image.view(), &mut self.jpeg)?;
        let mut margin = Vec::with_capacity(layout.margin_len());
        collect_margin(image.view(), layout, &mut margin)?;
        Ok(Parts { jpeg: self.jpeg[..len].to_vec(), margin, beside })
    }
}

#[cfg(test)]
mod tests;
