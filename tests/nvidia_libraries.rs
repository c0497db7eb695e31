//! NVIDIA's libraries that are opened at run time, as far as they go without a GPU. Those that are ignored want the real ones,
//! which `make nvidia-test` fetches; the others want them absent or wrong.

#[path = "common/c.rs"]
mod c;

use std::fs;
use std::path::{Path, PathBuf};

use lipsyncd::backend::cuda::kernels::{KernelImage, Nvrtc, Origin, Target, Unit, names};
use lipsyncd::backend::cuda::native;
use lipsyncd::backend::cuda::nvjpeg::{Library, NvJpeg, NvJpegError};

const H200: Target = Target { sm: 90, driver: 13000 };

/// The folder that the variable names.
fn folder(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    folder.unwrap_or_else(|| panic!("set {variable} to the library's folder, or run `make nvidia-test`"))
}

/// A folder with another library under `name`.
fn imposter(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let libm = ["/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib64/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"];
    let libm = libm.into_iter().find(|path| Path::new(path).exists()).expect("no libm on this machine");
    std::os::unix::fs::symlink(libm, folder.path().join(name)).unwrap();
    folder
}

#[test]
fn nvrtc_absent_broken_or_another_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = KernelImage::compile(Unit::Frames, H200, Some(empty.path()), None).unwrap_err();
    assert!(error.is_missing_library());
    for part in ["libnvrtc.so.13", "LIPSYNCD_NVRTC", "`pip install nvidia-cuda-nvrtc`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let library = empty.path().join("libnvrtc.so.12");
    fs::write(&library, "not a library").unwrap();
    let error = KernelImage::compile(Unit::Frames, H200, Some(empty.path()), None).unwrap_err();
    assert!(!error.is_missing_library());
    assert!(error.to_string().contains(&library.display().to_string()), "{error}");
    let other = imposter("libnvrtc.so.13");
    let error = KernelImage::compile(Unit::Frames, H200, Some(other.path()), None).unwrap_err().to_string();
    assert!(error.contains("nvrtcGetErrorString") && error.contains("libnvrtc.so.13"), "{error}");
}

/// Code of a CUDA newer than the driver cannot be loaded, so that compiler is not even looked at.
#[test]
fn an_nvrtc_newer_than_the_driver_is_not_taken() {
    let newer = imposter("libnvrtc.so.13");
    let target = Target { driver: 12040, ..H200 };
    let error = KernelImage::compile(Unit::Frames, target, Some(newer.path()), None).unwrap_err().to_string();
    assert!(error.contains("libnvrtc.so.12") && error.contains("nvidia-cuda-nvrtc-cu12"), "{error}");
    let target = Target { driver: 11080, ..H200 };
    let error = KernelImage::compile(Unit::Frames, target, Some(newer.path()), None).unwrap_err().to_string();
    assert!(error.contains("the driver has CUDA 11; update it to one of CUDA 12 or later"), "{error}");
}

#[test]
fn what_is_built_in_is_for_drivers_of_its_cuda_and_later() {
    // Whether this program was built with nvcc or without, both answers are right; never one for an older driver.
    for unit in [Unit::Frames, Unit::Native] {
        assert!(KernelImage::built_in(unit, Target { sm: 90, driver: 11080 }).is_none());
        if let Some(image) = KernelImage::built_in(unit, Target { sm: 90, driver: 99000 }) {
            assert!(matches!(image.origin(), Origin::BuiltIn(_)));
            assert_holds_all(unit, image.bytes());
            // A fat binary's magic number.
            assert_eq!(image.bytes()[..4], 0xBA55_ED50_u32.to_le_bytes());
        }
    }
}

fn assert_holds_all(unit: Unit, image: &[u8]) {
    let names = match unit {
        Unit::Frames => names::ALL.to_vec(),
        Unit::Native => native::kernels::names().collect(),
    };
    for name in names {
        let name = name.to_bytes();
        assert!(image.windows(name.len()).any(|part| part == name), "{} is missing", name.escape_ascii());
    }
}

#[test]
#[ignore = "needs NVRTC: make nvidia-test"]
fn nvrtc_compiles_for_every_architecture_what_is_quick_and_for_some_the_rest() {
    let nvrtc = Nvrtc::load(13000, Some(&folder("LIPSYNCD_NVRTC"))).unwrap();
    let architectures: Vec<u32> =
        include_str!("../kernels/architectures").split_whitespace().map(|sm| sm.parse().unwrap()).collect();
    // The engine's kernels take a quarter of a minute each, and nvcc has compiled them for all: NVRTC is tried with the oldest and the
    // newest, between whose conditions all others are.
    let thorough = [architectures[0], architectures[architectures.len() - 1]];
    let compile = |&sm: &u32| {
        let units: &[Unit] = if thorough.contains(&sm) { &[Unit::Frames, Unit::Native] } else { &[Unit::Frames] };
        for &unit in units {
            let image = nvrtc.compile(unit, sm).unwrap();
            assert_eq!(&image[..4], b"\x7fELF", "sm_{sm}");
            assert_holds_all(unit, &image);
        }
    };
    let (some, others) = architectures.split_at(architectures.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| some.iter().for_each(compile));
        others.iter().for_each(compile);
    });
}

/// A driver makes code of it for a GPU that this compiler has not heard of.
#[test]
#[ignore = "needs NVRTC: make nvidia-test"]
fn newer_gpus_get_ptx_and_older_ones_a_reason() {
    let nvrtc = Nvrtc::load(13000, Some(&folder("LIPSYNCD_NVRTC"))).unwrap();
    let ptx = nvrtc.compile(Unit::Frames, 999).unwrap();
    assert!(ptx.ends_with(b"\0") && ptx.windows(8).any(|part| part == b".version"));
    assert_holds_all(Unit::Frames, &ptx);
    let error = nvrtc.compile(Unit::Frames, 52).unwrap_err().to_string();
    assert!(error.contains("sm_52") && error.contains("older NVRTC"), "{error}");
}

#[test]
#[ignore = "needs NVRTC: make nvidia-test"]
fn compiled_kernels_are_kept_and_mended() {
    let (nvrtc, cache) = (folder("LIPSYNCD_NVRTC"), tempfile::tempdir().unwrap());
    let compile =
        |target| KernelImage::compile(Unit::Frames, target, Some(&nvrtc), Some(&cache.path().join("kernels"))).unwrap();
    let first = compile(H200);
    assert!(matches!(first.origin(), Origin::Compiled { nvrtc } if nvrtc.starts_with("NVRTC 1")));
    let second = compile(H200);
    let Origin::Cached(path) = second.origin().clone() else { panic!("{second:?}") };
    assert_eq!(first.bytes(), second.bytes());
    // Another GPU has a file of its own.
    assert!(matches!(compile(Target { sm: 75, ..H200 }).origin(), Origin::Compiled { .. }));
    fs::write(&path, "damaged").unwrap();
    assert!(matches!(compile(H200).origin(), Origin::Compiled { .. }));
    assert!(matches!(compile(H200).origin(), Origin::Cached(_)));
}

#[test]
fn nvjpeg_absent_broken_or_another_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = Library::load(13000, Some(empty.path())).unwrap_err().to_string();
    for part in ["libnvjpeg.so.13", "LIPSYNCD_NVJPEG", "`pip install nvidia-nvjpeg`"] {
        assert!(error.contains(part), "{error}");
    }
    let error = Library::load(12080, Some(empty.path())).unwrap_err().to_string();
    assert!(error.contains("libnvjpeg.so.12") && error.contains("`pip install nvidia-nvjpeg-cu12`"), "{error}");
    let library = empty.path().join("libnvjpeg.so.12");
    fs::write(&library, "not a library").unwrap();
    let error = Library::load(13000, Some(empty.path())).unwrap_err().to_string();
    assert!(error.contains(&library.display().to_string()), "{error}");
    let other = imposter("libnvjpeg.so.13");
    let error = Library::load(13000, Some(other.path())).unwrap_err().to_string();
    assert!(error.contains("nvjpegGetProperty") && error.contains("libnvjpeg.so.13"), "{error}");
}

/// What a library says of itself counts, not what it is called.
#[test]
fn an_nvjpeg_of_another_version_than_its_name_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("nvjpeg.c"), folder.path().join("libnvjpeg.so.13"));
    for (major, is_taken) in [(11, false), (12, true), (13, true), (14, false)] {
        let property = format!(
            "int nvjpegGetProperty(int which, int *value) {{ *value = which == 0 ? {major} : 4 + which; return 0; }}\n"
        );
        let others = [
            "CreateSimple",
            "Destroy",
            "EncoderStateCreate",
            "EncoderStateDestroy",
            "EncoderParamsCreate",
            "EncoderParamsDestroy",
            "EncoderParamsSetQuality",
            "EncoderParamsSetOptimizedHuffman",
            "EncoderParamsSetSamplingFactors",
            "EncodeGetBufferSize",
            "EncodeYUV",
            "EncodeRetrieveBitstream",
        ];
        let others: String = others.iter().map(|name| format!("int nvjpeg{name}(void) {{ return 1; }}\n")).collect();
        fs::write(&source, property + &others).unwrap();
        // The loader knows a file it has open by more than its name.
        let _ = fs::remove_file(&library);
        c::compile(&source, &library, &[]).unwrap_or_else(|said| panic!("{said}"));
        match Library::load(13000, Some(folder.path())) {
            Ok(loaded) => assert!(is_taken && loaded.version().to_string() == format!("{major}.5.6"), "{major}"),
            Err(error) => {
                assert!(!is_taken && matches!(error, NvJpegError::Version { .. }), "{error}");
                let said = error.to_string();
                let library = library.display().to_string();
                for part in [library.as_str(), &format!("nvJPEG {major}.5.6"), "CUDA 12 or 13", "LIPSYNCD_NVJPEG"] {
                    assert!(said.contains(part), "{part} is missing: {said}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs nvJPEG: make nvidia-test"]
fn nvjpeg_tells_its_version() {
    let folder = folder("LIPSYNCD_NVJPEG");
    let library = Library::load(13000, Some(&folder)).unwrap();
    assert_eq!(library.path(), folder.join("libnvjpeg.so.13"));
    assert_eq!(library.version().to_string(), "13.3.2");
}

/// On a machine with a GPU it starts, on one without it says what it needs.
#[test]
#[ignore = "needs nvJPEG: make nvidia-test"]
fn nvjpeg_starts_or_says_what_it_needs() {
    let library = Library::load(13000, Some(&folder("LIPSYNCD_NVJPEG"))).unwrap();
    match NvJpeg::new(library) {
        Ok(_) => assert!(Path::new("/proc/driver/nvidia/version").exists()),
        Err(error) => {
            assert!(matches!(error, NvJpegError::Start { .. }), "{error}");
            assert!(error.to_string().contains("a driver of CUDA 13 or later"), "{error}");
        }
    }
}
