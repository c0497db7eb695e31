//! Reading an avatar's frames on all cores: decoded, or as templates out of the cache.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Bundle;
use super::frame_store::{FrameStoreError, Pictures, TemplateOptions};
use crate::chain::sentence;
use crate::crew;
use crate::picture::template::{
    CacheError, CacheProblem, ContentDigest, Job, Loaded, Source, TemplatePlan, content_digest, is_cached,
    load_or_build,
};
use crate::picture::{DecodeError, GeneratorGeometry, Image, cut_crop, decode_bytes, decode_file, pack, read_file};

/// Frames whose bytes decide on the restart interval.
const SAMPLES: usize = 3;

/// One load in progress.
pub(super) struct Loader<'a> {
    bundle: &'a Bundle,
    size_px: (usize, usize),
    pub geometry: &'a GeneratorGeometry,
}

impl<'a> Loader<'a> {
    pub fn of(bundle: &'a Bundle) -> Self {
        Self { bundle, size_px: bundle.frame_size.px(), geometry: bundle.recipe.picture_input.geometry() }
    }

    /// Every picture and crop, decoded.
    pub fn pixels(&self, progress: &(dyn Fn(usize) + Sync)) -> Result<(Pictures, Vec<Image>), FrameStoreError> {
        let loaded = self.each(|index| self.picture_and_crop(index, None), progress)?;
        let (images, crops) = loaded.into_iter().unzip();
        Ok((Pictures::Pixels(images), crops))
    }

    /// What is wrong with the pictures, in their order.
    pub fn faults(&self, progress: &(dyn Fn(usize) + Sync)) -> Vec<FrameStoreError> {
        match self.each(|index| Ok(self.picture_and_crop(index, None).err()), progress) {
            Ok(faults) => faults.into_iter().flatten().collect(),
            Err(error) => vec![error],
        }
    }

    /// Templates of every picture, with their packed crops beside them, and what the files were; none where splicing does not pay. What the
    /// cache has is not decoded.
    pub fn templates(
        &self,
        options: &TemplateOptions,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Option<(Pictures, Vec<ContentDigest>)>, FrameStoreError> {
        let candidates = TemplatePlan::candidates(self.size_px, &self.bundle.boxes, options.quality);
        if candidates.is_empty() {
            return Ok(None);
        }
        let files = self.each(|index| self.digest(index), &|_| {})?;
        let contents: Vec<ContentDigest> = files.iter().map(|file| self.with_crop(file)).collect();
        let cache_dir = options.cache_dir.as_deref();
        let Some(plan) = self.plan(candidates, (&files, &contents), cache_dir)? else { return Ok(None) };
        let frame = |index: usize| {
            let (image, crop) = self.picture_and_crop(index, Some(&files[index]))?;
            let beside = pack(crop.data(), crop.width_px())?;
            Ok(Source { image, beside })
        };
        let job = Job { plan, contents: &contents, cache_dir, threads: threads() };
        let Loaded { set, cache_problem, .. } = load_or_build(job, frame, progress).map_err(Box::new)?;
        if let Some(problem) = cache_problem {
            tell(&problem);
        }
        let pictures = Pictures::Templates { set: Box::new(set), on_demand: Arc::clone(&options.on_demand) };
        Ok(Some((pictures, files)))
    }

    /// The plan the cache has, or else the one that suits these frames.
    fn plan(
        &self,
        candidates: Vec<TemplatePlan>,
        (files, contents): (&[ContentDigest], &[ContentDigest]),
        cache_dir: Option<&Path>,
    ) -> Result<Option<TemplatePlan>, FrameStoreError> {
        let cached = |plan: &&TemplatePlan| cache_dir.is_some_and(|dir| is_cached(plan, contents, dir));
        if let Some(plan) = candidates.iter().find(cached) {
            return Ok(Some(plan.clone()));
        }
        let count = contents.len();
        let mut samples: Vec<usize> = (0..SAMPLES).map(|part| part * count / SAMPLES).collect();
        samples.dedup();
        let samples = samples.into_iter().map(|index| Ok(self.picture_and_crop(index, Some(&files[index]))?.0));
        let samples = samples.collect::<Result<Vec<_>, FrameStoreError>>()?;
        Ok(TemplatePlan::within_growth(candidates, &samples)?)
    }

    /// `work` for every frame, on all cores, in order of the frames; stops at the first error, in that order.
    fn each<T: Send>(
        &self,
        work: impl Fn(usize) -> Result<T, FrameStoreError> + Sync,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<T>, FrameStoreError> {
        let count = self.bundle.frames.len();
        let made = Mutex::new((0..count).map(|_| None).collect::<Vec<Option<T>>>());
        let done = AtomicUsize::new(0);
        let one = |(): &mut (), index: usize| {
            let value = work(index)?;
            made.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(value);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok::<_, FrameStoreError>(())
        };
        crew::in_turn(threads(), count, || Ok(()), one)?;
        Ok(made.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect())
    }

    fn digest(&self, index: usize) -> Result<ContentDigest, FrameStoreError> {
        Ok(content_digest(&read_file(&self.bundle.frames[index])?))
    }

    /// The crop lies beside the template, so what shapes it is content, too.
    fn with_crop(&self, file: &ContentDigest) -> ContentDigest {
        let mut content = file.to_vec();
        content.extend_from_slice(&(self.geometry.crop_side_px() as u64).to_le_bytes());
        content.push(self.geometry.interpolation() as u8);
        content_digest(&content)
    }

    /// Frame `index` decoded and cut, if its file still has the `content` it had, where that is known.
    fn picture_and_crop(
        &self,
        index: usize,
        content: Option<&ContentDigest>,
    ) -> Result<(Image, Image), FrameStoreError> {
        let path = &self.bundle.frames[index];
        let picture = match content {
            Some(content) => decode_unchanged(path, content)?,
            None => decode_file(path)?,
        };
        let got = (picture.width_px(), picture.height_px());
        if got != self.size_px {
            return Err(FrameStoreError::Size { path: path.clone(), got, expected: self.size_px });
        }
        let crop = cut_crop(picture.view(), self.bundle.boxes[index], self.geometry)
            .map_err(|source| FrameStoreError::Crop { path: path.clone(), index, source })?;
        Ok((picture, crop))
    }
}

/// The picture at `path`, if the file has this `content`.
///
/// # Errors
/// [`DecodeError::Changed`] if it has not, and those of [`decode_file`].
pub(super) fn decode_unchanged(path: &Path, content: &ContentDigest) -> Result<Image, DecodeError> {
    let file = read_file(path)?;
    if content_digest(&file) != *content {
        return Err(DecodeError::Changed { path: path.into() });
    }
    decode_bytes(&file).map_err(|source| DecodeError::File { path: path.into(), source: Box::new(source) })
}

/// One line in the log: a warning, but of files that an older lipsyncd left.
fn tell(problem: &CacheProblem) {
    match problem {
        CacheProblem::Replaced { path, source: source @ CacheError::Foreign } => {
            tracing::info!("template_cache: {} has been made anew: {}", path.display(), sentence(source));
        }
        CacheProblem::Replaced { path, source } => {
            tracing::warn!("template_cache: {} has been made anew: {}", path.display(), sentence(source));
        }
        CacheProblem::Missing { path, source } => tracing::warn!(
            "template_cache: {}: {}; the pictures are kept in memory alone: let the daemon's user write to that folder, or unset \
             `template_cache`",
            path.display(),
            sentence(source)
        ),
    }
}

fn threads() -> NonZero<usize> {
    std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}
