//! `lipsyncd engine build`, the program itself. With the feature `tensorrt-rtx` it builds real plans of the demo avatar, which
//! needs TensorRT-RTX's libraries (`make tensorrt-test` fetches them) and no GPU.

#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
#[path = "common/c.rs"]
mod c;

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
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    use std::time::Duration;

    use lipsyncd::avatar::onnx::Edges;
    use lipsyncd::backend::cuda::plan::{BatchRange, PlanKey, PlanOptions, Precision};

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

    /// However it ends: an order that nobody waits for any more is given up.
    #[test]
    fn the_process_that_builds_a_plan_ends_with_the_one_that_wants_it() {
        let options = PlanOptions {
            precision: Precision::Fp16,
            edges: Edges::Half,
            batch: BatchRange::up_to(8),
            workspace_mib: 1,
        };
        let key = PlanKey::new(b"network", "TensorRT".to_owned(), "sm_89".to_owned(), options);
        // It waits for a network that does not come.
        let script = "\"$0\" \"$@\" <&3 & echo $!; wait";
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("exec 3<&0; {script}"), env!("CARGO_BIN_EXE_lipsyncd"), "engine", "build-one"]);
        shell.args(["--sm", "89", "--plan", "plan", "--tensorrt", "folder", "--key"]);
        shell.arg(serde_json::to_string(&key).unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        // Held open, beyond the shell.
        let network = shell.stdin.take();
        let mut child = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut child).unwrap();
        let of_child = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.trim()));
        // It has begun.
        eventually(|| of_child("oom_score_adj").is_ok_and(|score| score.trim() == "500"));
        shell.kill().unwrap();
        shell.wait().unwrap();
        let ended = || of_child("stat").map_or(true, |stat| stat.contains(") Z "));
        eventually(ended);
        drop(network);
    }

    fn eventually(mut done: impl FnMut() -> bool) {
        for _ in 0..3000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it did not happen within a minute");
    }

    /// Of another major version, or older than the headers this program was built with: classes are laid out otherwise there.
    #[test]
    fn a_library_of_another_version_is_refused_by_it() {
        let versions = if cfg!(feature = "tensorrt") { [[10, 9], [11, 3], [12, 4]] } else { [[0, 9], [1, 6], [2, 7]] };
        for [major, minor] in versions {
            let (out, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (source, library) = (folder.path().join("tensorrt.c"), folder.path().join(NAME));
            let parts = [("Major", major), ("Minor", minor), ("Patch", 8), ("Build", 77)];
            let functions = parts.map(|(part, n)| format!("int getInferLib{part}Version(void) {{ return {n}; }}\n"));
            std::fs::write(&source, functions.concat()).unwrap();
            c::compile(&source, &library, &[]).unwrap_or_else(|said| panic!("{said}"));
            let output = build(out.path(), folder.path(), &["--sm", "89"]);
            assert_eq!(output.status.code(), Some(1));
            for part in [library.display().to_string(), format!(" {major}.{minor}.8.77; this program needs ")] {
                assert!(said(&output).contains(&part), "{part} is missing: {}", said(&output));
            }
        }
    }
}

#[cfg(all(feature = "tensorrt-rtx", not(feature = "tensorrt")))]
mod with_tensorrt_rtx {
    use std::collections::BTreeSet;
    use std::fs::File;

    use lipsyncd::avatar::Bundle;
    use lipsyncd::backend::cuda::CudaOptions;
    use lipsyncd::backend::cuda::engine::{NetworkFile, Ports};
    use lipsyncd::backend::cuda::plan::{PlanFile, Precision, read_plan};
    use lipsyncd::backend::cuda::ports::{encoder_ports, generator_ports};
    use lipsyncd::backend::cuda::tensorrt::{Library, Lookup, TensorRtEngine};
    use lipsyncd::cuda::Gpu;

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

    /// TensorRT as a daemon uses it for batches of up to `max_batch`, on a GPU that is not here.
    fn engine(plans: &Path, precision: Precision, max_batch: usize) -> TensorRtEngine {
        let library = Library::load(Some(&tensorrt())).unwrap();
        let options =
            CudaOptions { precision, max_batch, plans: Some(plans.to_owned()), ..CudaOptions::of_gpu(0, None) };
        let plans = library.plans(&options).unwrap();
        let (name, uuid) = ("NVIDIA L4".to_owned(), "GPU-0".to_owned());
        let gpu = Gpu { ordinal: 0, name, sm: 89, multiprocessors: 58, memory_bytes: 24 << 30, uuid };
        TensorRtEngine::new(library, gpu, plans)
    }

    fn lookup(engine: &TensorRtEngine, path: &Path, ports: &Ports) -> Lookup {
        engine.lookup(NetworkFile { path, content: &std::fs::read(path).unwrap(), ports }).unwrap()
    }

    /// Runs the process that `engine build` starts.
    fn build_one(network: &Path, plan: &PlanFile) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lipsyncd"));
        command.args(["engine", "build-one", "--sm", "89", "--plan"]).arg(&plan.path);
        command.arg("--key").arg(serde_json::to_string(&plan.key).unwrap());
        command.arg("--tensorrt").arg(tensorrt()).stdin(File::open(network).unwrap()).output().unwrap()
    }

    #[test]
    fn what_is_built_is_what_a_daemon_looks_up() {
        let bundle = Bundle::open(&demo()).unwrap();
        // However few frames a batch may hold, sound comes in batches of up to 32 windows: the plans for 8 are those for 32. In single
        // precision other edges are asked for, not other batches.
        let half = [("8", 32, 0), ("32", 32, 2), ("64", 64, 0)];
        for (precision, name, batches) in [(Precision::Fp16, "fp16", &half[..]), (Precision::Fp32, "fp32", &half[..1])]
        {
            let out = tempfile::tempdir().unwrap();
            let mut expected = BTreeSet::new();
            for &(max_batch, largest, there) in batches {
                let more = ["--sm", "89", "--precision", name, "--max-batch", max_batch];
                let output = build(out.path(), &tensorrt(), &more);
                assert!(output.status.success(), "{}", said(&output));
                let found = String::from_utf8_lossy(&output.stdout).matches("there already").count();
                assert_eq!(found, there, "{name}, {max_batch}");

                let engine = engine(out.path(), precision, largest);
                let networks = [
                    (&bundle.generator.path, generator_ports(&bundle, precision)),
                    (&bundle.audio_encoder.path, encoder_ports(&bundle)),
                ];
                expected.extend(networks.map(|(path, ports)| lookup(&engine, path, &ports).ahead.path));
                assert_eq!(BTreeSet::from_iter(plans(out.path())), expected, "{name}, {max_batch}");
            }
        }
    }

    #[test]
    fn another_network_has_no_plan_under_the_key() {
        let (out, bundle) = (tempfile::tempdir().unwrap(), Bundle::open(&demo()).unwrap());
        let engine = engine(out.path(), Precision::Fp16, 32);
        let old = lookup(&engine, &bundle.generator.path, &generator_ports(&bundle, Precision::Fp16)).ahead;
        let output = build_one(&bundle.audio_encoder.path, &old);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("not the one that the plan was asked for of"), "{}", said(&output));
        assert!(plans(out.path()).is_empty());
    }

    #[test]
    fn a_network_that_runs_one_by_one_has_a_plan_too() {
        let out = tempfile::tempdir().unwrap();
        let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx/encoder_folded.onnx");
        let found =
            lookup(&engine(out.path(), Precision::Fp16, 32), &network, &Ports { inputs: vec![], outputs: vec![] });
        assert!(found.one_by_one);
        let output = build_one(&network, &found.ahead);
        assert!(output.status.success(), "{}", said(&output));
        read_plan(&found.ahead.path, &found.ahead.key).unwrap();
    }

    #[test]
    fn plans_are_built_without_a_gpu_kept_and_mended() {
        let out = tempfile::tempdir().unwrap();
        let sms = ["--sm", "89"];
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
    fn each_sm_has_plans_of_its_own() {
        let out = tempfile::tempdir().unwrap();
        let output = build(out.path(), &tensorrt(), &["--sm", "89,120,89"]);
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
