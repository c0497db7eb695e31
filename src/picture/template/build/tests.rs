use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::picture::template::{PatchEncoder, content_digest, index_segments, splice};
use crate::picture::{JpegSettings, Quality, Rect};

const FRAMES: usize = 7;
const SIZE_PX: (usize, usize) = (150, 70);

fn frame(index: usize) -> Image {
    let (w, h) = SIZE_PX;
    let data = (0..w * h * 3).map(|i| ((i + index * 77).wrapping_mul(2_654_435_761) >> 12) as u8);
    Image::from_bgr(w, h, data.collect()).unwrap()
}

fn plan() -> TemplatePlan {
    let boxes: Vec<Rect> = (0..FRAMES).map(|i| Rect::new(20 + i * 3, 10 + i, 60 + i * 3, 50 + i)).collect();
    let settings = JpegSettings { quality: Quality::DEFAULT, restart_interval_mcus: 2 };
    TemplatePlan::new(SIZE_PX, &boxes, settings).unwrap()
}

fn contents() -> Vec<ContentDigest> {
    (0..FRAMES).map(|i| content_digest(frame(i).data())).collect()
}

fn load(cache_dir: Option<&Path>) -> Loaded {
    let contents = contents();
    let job = Job { plan: plan(), contents: &contents, cache_dir, threads: NonZero::new(3).unwrap() };
    load_or_build(job, |i| Ok::<_, Infallible>(frame(i)), |_| {}).unwrap()
}

#[test]
fn what_one_thread_builds_is_built_by_the_one_that_asks() {
    let (contents, here) = (contents(), std::thread::current().id());
    let job = Job { plan: plan(), contents: &contents, cache_dir: None, threads: NonZero::<usize>::MIN };
    let ours = |i| {
        assert_eq!(std::thread::current().id(), here);
        Ok::<_, Infallible>(frame(i))
    };
    assert_same(&load_or_build(job, ours, |_| {}).unwrap().set, &load(None).set);
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("lipsyncd-templates-{name}-{}", std::process::id())))
    }

    fn only_file(&self) -> PathBuf {
        let mut files = fs::read_dir(&self.0).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "more than one file in the cache");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn assert_same(a: &TemplateSet, b: &TemplateSet) {
    assert_eq!((a.len(), b.len()), (FRAMES, FRAMES));
    for i in 0..FRAMES {
        let (a, b) = (a.template(i).unwrap(), b.template(i).unwrap());
        assert_eq!(a.layout(), b.layout());
        assert!(a.jpeg() == b.jpeg());
        assert_eq!(a.segment_span(a.layout().frame_segments() - 1), b.segment_span(b.layout().frame_segments() - 1));
        let strip = |t: &crate::picture::template::Template<'_>| {
            let (w, h) = t.layout().strip_px();
            let mut strip = Image::black(w, h).unwrap();
            t.lay_margin(&mut strip.view_mut()).unwrap();
            strip
        };
        assert!(strip(&a) == strip(&b));
    }
}

#[test]
fn the_cache_serves_what_was_built() {
    let folder = Folder::new("serves");
    let built = load(Some(&folder.0));
    assert_eq!(built.origin, Origin::Built);
    assert!(built.cache_problem.is_none(), "{:?}", built.cache_problem);
    folder.only_file();
    let contents = contents();
    let job = Job { plan: plan(), contents: &contents, cache_dir: Some(&folder.0), threads: NonZero::<usize>::MIN };
    let decode = |_| -> Result<Image, Infallible> { panic!("the cache must serve without decoding") };
    let cached = load_or_build(job, decode, |_| panic!("and without progress")).unwrap();
    assert_eq!(cached.origin, Origin::Cache);
    assert_same(&built.set, &cached.set);
    assert_same(&built.set, &load(None).set);
}

#[test]
fn templates_do_not_depend_on_the_number_of_threads() {
    let contents = contents();
    let with = |threads| {
        let job = Job { plan: plan(), contents: &contents, cache_dir: None, threads: NonZero::new(threads).unwrap() };
        load_or_build(job, |i| Ok::<_, Infallible>(frame(i)), |_| {}).unwrap().set
    };
    assert_same(&with(1), &with(5));
}

#[test]
fn progress_counts_every_frame_in_order() {
    let contents = contents();
    let job = Job { plan: plan(), contents: &contents, cache_dir: None, threads: NonZero::new(4).unwrap() };
    let seen = Mutex::new(Vec::new());
    load_or_build(job, |i| Ok::<_, Infallible>(frame(i)), |done| seen.lock().unwrap().push(done)).unwrap();
    assert_eq!(seen.into_inner().unwrap(), (1..=FRAMES).collect::<Vec<_>>());
}

#[test]
fn other_content_does_not_use_the_cache() {
    let folder = Folder::new("content");
    load(Some(&folder.0));
    let mut contents = contents();
    contents[3][0] ^= 1;
    let job = Job { plan: plan(), contents: &contents, cache_dir: Some(&folder.0), threads: NonZero::<usize>::MIN };
    let loaded = load_or_build(job, |i| Ok::<_, Infallible>(frame(i)), |_| {}).unwrap();
    assert_eq!(loaded.origin, Origin::Built);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
}

#[test]
fn bad_frames_are_named() {
    let contents = contents();
    let job = |contents| Job { plan: plan(), contents, cache_dir: None, threads: NonZero::new(2).unwrap() };
    let missing = |i| if i == 4 { Err(std::io::Error::other("no such frame")) } else { Ok(frame(i)) };
    let error = load_or_build(job(&contents), missing, |_| {}).unwrap_err();
    assert!(matches!(error, BuildError::Frame { frame: 4, .. }), "{error}");
    let small = |i| Ok::<_, Infallible>(if i == 2 { Image::black(64, 64).unwrap() } else { frame(i) });
    let error = load_or_build(job(&contents), small, |_| {}).unwrap_err();
    assert!(matches!(error, BuildError::Size { frame: 2, got: (64, 64), .. }), "{error}");
    let error = load_or_build(job(&contents[1..]), small, |_| {}).unwrap_err();
    assert!(matches!(error, BuildError::Digests { expected: FRAMES, .. }), "{error}");
}

#[test]
fn an_unwritable_cache_costs_nothing_but_the_cache() {
    let folder = Folder::new("unwritable");
    fs::write(&folder.0, b"a file where the folder should be").unwrap();
    let loaded = load(Some(&folder.0));
    assert_eq!(loaded.origin, Origin::Built);
    let Some(CacheProblem::Missing { path, source: CacheError::Write(_) }) = loaded.cache_problem else {
        panic!("{:?}", loaded.cache_problem)
    };
    assert_eq!(path.parent(), Some(&*folder.0));
    assert_same(&loaded.set, &load(None).set);
    fs::remove_file(&folder.0).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any damage is noticed, the templates are built again, and the file is whole afterwards.
    #[test]
    fn damaged_caches_are_rebuilt(
        at in any::<prop::sample::Index>(),
        change in 1u8..,
        cut in prop::option::weighted(0.4, any::<prop::sample::Index>()),
    ) {
        let folder = Folder::new("damaged");
        let good = load(Some(&folder.0));
        let path = folder.only_file();
        let mut bytes = fs::read(&path).unwrap();
        let whole = bytes.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // Replaced, not overwritten: `good` still maps the old file.
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes).unwrap();
        let again = load(Some(&folder.0));
        prop_assert_eq!(again.origin, Origin::Built);
        let replaced = matches!(&again.cache_problem, Some(CacheProblem::Replaced { path: of, .. }) if *of == path);
        prop_assert!(replaced, "{:?}", again.cache_problem);
        assert_same(&good.set, &again.set);
        prop_assert!(fs::read(folder.only_file()).unwrap() == whole);
    }

    /// Damage that a matching checksum covers up is still no way out of the file, nor of the output.
    #[test]
    fn forged_caches_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_the_table: bool,
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let key = CacheKey::new(&plan(), &contents()).unwrap();
        let mut bytes = build(&plan(), &key, NonZero::<usize>::MIN, |i| Ok::<_, Infallible>(frame(i)), |_| {}).unwrap();
        bytes.truncate(bytes.len() - 32);
        for (at, byte) in changes {
            let from = if in_the_table { bytes.len() - FRAMES * 12 } else { 0 };
            let at = from + at.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let checksum = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
        bytes.extend(checksum);
        if let Ok(set) = TemplateSet::new(plan(), &key, Store::Memory(bytes)) {
            let mut patcher = PatchEncoder::new(&set).ok();
            let mut out = vec![0; set.max_frame_len()];
            for i in 0..set.len() {
                let template = set.template(i).unwrap();
                let segments = template.layout().frame_segments();
                prop_assert!(template.segment_span(segments - 1).end + 2 == template.jpeg().len());
                // What is spliced into damaged coefficients may be refused; it is never written past the buffer's end.
                let Some(patcher) = &mut patcher else { continue };
                let (width, height) = template.layout().strip_px();
                let strip = Image::black(width, height).unwrap();
                let patch = patcher.encode(template.layout(), strip.view()).unwrap();
                if let Ok(len) = splice(&template, &patch, &mut out) {
                    let mut ends = Vec::new();
                    prop_assert!(index_segments(&out[..len], segments, &mut ends).is_ok());
                }
            }
        }
    }
}
