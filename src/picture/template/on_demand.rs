//! Templates at other qualities than an avatar's own: made for single frames when a client first asks, in bounded memory.

use std::collections::HashMap;
use std::error::Error;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::build::{BuildError, Job, load_or_build};
use super::key::{CacheKey, ContentDigest};
use super::plan::TemplatePlan;
use super::set::TemplateSet;
use crate::picture::image::Image;
use crate::picture::jpeg::{JpegSettings, Quality};

/// How long a template is there for its next use though another finds no room. In a loop the one used longest ago is the next to be used:
/// given up for the one at hand, all of a loop that does not fit would be built again and again. So, what fits of it stays.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Sets of one template each, of those not used for a minute the least recently used given up first. Shared by all threads and avatars.
#[derive(Debug)]
pub struct OnDemandTemplates {
    budget_bytes: usize,
    kept_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<EntryKey, Entry>,
    bytes: usize,
}

type EntryKey = (CacheKey, usize, Quality);

#[derive(Debug)]
struct Entry {
    set: Arc<TemplateSet>,
    used: Instant,
}

impl OnDemandTemplates {
    /// Keeps at most `budget_bytes` of templates.
    pub fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, kept_for: KEPT_FOR, state: Mutex::default() }
    }

    /// The template of the avatar's `frame` at `quality`, as a set of this one (its template 0), with the avatar's restart
    /// interval. Where it is not kept, `decode` gives the frame's pixels and it is built by the calling thread; two
    /// threads that miss at once both build, and one result is kept. `None` when the avatar has no such frame.
    ///
    /// # Errors
    /// [`BuildError`] when the frame cannot be decoded or encoded.
    pub fn get_or_build<E: Error + Send + 'static>(
        &self,
        avatar: &TemplateSet,
        frame: usize,
        quality: Quality,
        decode: impl Fn() -> Result<Image, E> + Sync,
    ) -> Result<Option<Arc<TemplateSet>>, BuildError<E>> {
        let Some(layout) = avatar.layouts().get(frame) else { return Ok(None) };
        let key = (*avatar.key(), frame, quality);
        if let Some(set) = self.get(&key) {
            return Ok(Some(set));
        }
        let settings = JpegSettings { quality, ..avatar.settings() };
        let plan = TemplatePlan::from_layouts(layout.frame_px(), settings, vec![*layout]);
        // Nothing is cached on the disk, so the content needs no name of its own.
        let contents = [ContentDigest::default()];
        let job = Job { plan, contents: &contents, cache_dir: None, threads: NonZero::<usize>::MIN };
        let set = Arc::new(load_or_build(job, |_| decode(), |_| {})?.set);
        self.keep(key, Arc::clone(&set));
        Ok(Some(set))
    }

    /// Bytes kept now.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn get(&self, key: &EntryKey) -> Option<Arc<TemplateSet>> {
        let mut state = self.lock();
        let entry = state.entries.get_mut(key)?;
        entry.used = Instant::now();
        Some(Arc::clone(&entry.set))
    }

    fn keep(&self, key: EntryKey, set: Arc<TemplateSet>) {
        let bytes = set.resident_bytes();
        if bytes > self.budget_bytes {
            return;
        }
        let (mut state, now) = (self.lock(), Instant::now());
        if let Some(double) = state.entries.remove(&key) {
            state.bytes -= double.set.resident_bytes();
        }
        while state.bytes + bytes > self.budget_bytes {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used);
            let unused = oldest.filter(|(_, entry)| now.saturating_duration_since(entry.used) >= self.kept_for);
            let Some(entry) = unused.map(|(key, _)| *key).and_then(|key| state.entries.remove(&key)) else { return };
            state.bytes -= entry.set.resident_bytes();
        }
        state.bytes += bytes;
        state.entries.insert(key, Entry { set, used: now });
    }

    /// No operation under the lock leaves the state half changed, so a panic elsewhere in its holder does not spoil it.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::picture::Rect;
    use crate::picture::template::content_digest;

    fn frame(_: usize) -> Image {
        Image::from_bgr(96, 64, (0..96 * 64 * 3).map(|i| (i % 239) as u8).collect()).unwrap()
    }

    fn avatar() -> TemplateSet {
        let area = Rect::new(20, 20, 40, 40);
        let settings = JpegSettings { restart_interval_mcus: 3, ..JpegSettings::default() };
        let plan = TemplatePlan::new((96, 64), &[area; 3], settings).unwrap();
        let contents = [content_digest(frame(0).data()); 3];
        let job = Job { plan, contents: &contents, cache_dir: None, threads: NonZero::<usize>::MIN };
        load_or_build(job, |i| Ok::<_, Infallible>(frame(i)), |_| {}).unwrap().set
    }

    fn quality(quality: u32) -> Quality {
        Quality::new(quality).unwrap()
    }

    #[test]
    fn each_is_built_once_and_differs_by_quality() {
        let (avatar, cache) = (avatar(), OnDemandTemplates::new(1 << 20));
        let built = AtomicUsize::new(0);
        let get = |index, q| {
            let decode = || {
                built.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(frame(index))
            };
            cache.get_or_build(&avatar, index, quality(q), decode).unwrap()
        };
        let first = get(0, 40).unwrap();
        assert!(Arc::ptr_eq(&first, &get(0, 40).unwrap()));
        assert_eq!(first.settings().restart_interval_mcus, 3);
        let better = get(0, 90).unwrap();
        assert!(better.template(0).unwrap().jpeg().len() > first.template(0).unwrap().jpeg().len());
        get(1, 40).unwrap();
        assert_eq!(built.load(Ordering::Relaxed), 3);
        assert!(get(3, 40).is_none());
        let own = get(2, 75).unwrap();
        assert!(own.template(0).unwrap().jpeg() == avatar.template(2).unwrap().jpeg());
    }

    /// Bytes of a template at quality 40.
    fn size(avatar: &TemplateSet) -> usize {
        let cache = OnDemandTemplates::new(1 << 20);
        cache.get_or_build(avatar, 0, quality(40), || Ok::<_, Infallible>(frame(0))).unwrap();
        cache.bytes()
    }

    #[test]
    fn what_fits_of_a_loop_is_not_built_again_though_the_rest_is() {
        let avatar = avatar();
        let cache = OnDemandTemplates::new(size(&avatar) * 5 / 2);
        let builds = AtomicUsize::new(0);
        let decode = || {
            builds.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(frame(0))
        };
        for index in (0..3).cycle().take(5 * 3) {
            cache.get_or_build(&avatar, index, quality(40), decode).unwrap().unwrap();
        }
        assert_eq!(builds.load(Ordering::Relaxed), 2 + 5);
    }

    #[test]
    fn the_budget_holds_and_the_least_recent_of_those_unused_goes() {
        let avatar = avatar();
        let size = size(&avatar);
        let cache = OnDemandTemplates { kept_for: Duration::ZERO, ..OnDemandTemplates::new(size * 2 + size / 2) };
        let builds = AtomicUsize::new(0);
        let get = |index| {
            let decode = || {
                builds.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(frame(index))
            };
            cache.get_or_build(&avatar, index, quality(40), decode).unwrap().unwrap();
            assert!(cache.bytes() <= size * 2 + size / 2);
            builds.load(Ordering::Relaxed)
        };
        assert_eq!((get(0), get(1), get(0)), (1, 2, 2));
        // 1 is the least recent: it makes room, 0 stays.
        assert_eq!((get(2), get(0), get(1)), (3, 3, 4));
        let none = OnDemandTemplates::new(size - 1);
        none.get_or_build(&avatar, 0, quality(40), || Ok::<_, Infallible>(frame(0))).unwrap();
        assert_eq!(none.bytes(), 0);
    }
}
