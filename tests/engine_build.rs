//! `lipsyncd engine build`, the program itself. With the feature `tensorrt-rtx` it builds real plans of the demo avatar, which
//! needs TensorRT-RTX's libraries (`make tensorrt-test` fetches them) and no GPU.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("avatars/demo")
}

/// Runs `engine build` on the demo avatar.
fn build(out: &Path, tensorrt: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lipsyncd"));
    command.args(["engine", "build", "--avatar"]).arg(demo()).arg("--out").arg(out);
    command.arg("--tensorrt").arg(tensorrt).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[cfg(not(any(feature = "tensorrt", feature = "tensorrt-rtx")))]
#[test]
fn a_build_without_tensorrt_says_how_to_get_one() {
    let out = tempfile::tempdir().unwrap();
    let output = build(out.path(), out.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--features tensorrt"), "{}", said(&output));
}

#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
mod with_tensorrt {
    use super::*;

    /// What this program looks for.
    const NAME: &str = if cfg!(feature = "tensorrt") { "libnvinfer.so.11" } else { "libtensorrt_rtx.so.1" };

    #[test]
    fn a_library_that_is_none_is_named() {
        let (out, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let output = build(out.path(), folder.path(), &["--sm", "89"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("LIPSYNCD_TENSORRT"), "{}", said(&output));
        let library = folder.path().join(NAME);
        std::fs::write(&library, "not a library").unwrap();
        let output = build(out.path(), folder.path(), &["--sm", "89"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&library.display().to_string()), "{}", said(&output));
    }

    #[test]
    fn another_library_under_the_name_is_refused() {
        let (out, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let libm = ["/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib64/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"];
        let libm = libm.into_iter().find(|path| Path::new(path).exists()).expect("no libm on this machine");
        std::os::unix::fs::symlink(libm, folder.path().join(NAME)).unwrap();
        let output = build(out.path(), folder.path(), &["--sm", "89"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("getInferLibMajorVersion"), "{}", said(&output));
    }
}

#[cfg(all(feature = "tensorrt-rtx", not(feature = "tensorrt")))]
mod with_tensorrt_rtx {
    use super::*;

    /// The folder `make tensorrt-test` fills.
    fn tensorrt() -> PathBuf {
        let folder = std::env::var_os("LIPSYNCD_TENSORRT").map(PathBuf::from);
        folder.expect("set LIPSYNCD_TENSORRT to the folder of TensorRT-RTX's libraries, or run `make tensorrt-test`")
    }

    fn plans(folder: &Path) -> Vec<PathBuf> {
        let mut plans: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        plans.sort();
        plans
    }

    #[test]
    fn plans_are_built_without_a_gpu_kept_and_mended() {
        let out = tempfile::tempdir().unwrap();
        let sms = ["--sm", "89,120"];
        let output = build(out.path(), &tensorrt(), &sms);
        assert!(output.status.success(), "{}", said(&output));
        let made = plans(out.path());
        assert_eq!(made.len(), 2, "{made:?}");
        let bytes = std::fs::read(&made[1]).unwrap();
        // Half precision: less than the float32 network of 7.5 MB.
        assert!((1 << 20..7 << 20).contains(&bytes.len()), "{} bytes", bytes.len());

        let again = build(out.path(), &tensorrt(), &sms);
        assert_eq!(String::from_utf8_lossy(&again.stdout).matches("there already").count(), 2);

        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(&made[1], &damaged).unwrap();
        let mended = build(out.path(), &tensorrt(), &sms);
        assert!(said(&mended).contains("damaged"), "{}", said(&mended));
        assert_ne!(std::fs::read(&made[1]).unwrap(), damaged);
        assert_eq!(plans(out.path()), made);
    }

    #[test]
    fn each_batch_its_own_plan_in_single_precision_too() {
        let out = tempfile::tempdir().unwrap();
        let output = build(out.path(), &tensorrt(), &["--sm", "120", "--batches", "1,8", "--precision", "fp32"]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(plans(out.path()).len(), 4);
    }

    #[test]
    fn a_gpu_it_does_not_build_for_is_named() {
        let out = tempfile::tempdir().unwrap();
        let output = build(out.path(), &tensorrt(), &["--sm", "90"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("sm_90"), "{}", said(&output));
        assert!(plans(out.path()).is_empty());
    }
}
