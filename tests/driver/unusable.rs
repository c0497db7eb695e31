//! Drivers that cannot be used: the program says why and what to do, and serves on the CPU unless it is told not to.

use std::process::{Command, Output};

use lipsyncd::onnxruntime::OnnxRuntime;

use crate::common::avatars_dir;
use crate::common::program::Program;
use crate::stand_in::StandIn;

/// A driver, and what is said of it.
struct Case {
    driver: StandIn,
    environment: &'static [(&'static str, &'static str)],
    said: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    let case = |environment, said| Case { driver: StandIn::new(), environment, said };
    let missing: &[_] = &["there is no NVIDIA driver here", "libcuda.so.1 cannot be loaded", "install the driver"];
    let compiler: &[_] =
        &["the kernels are not built into", "libnvrtc.so.13", "LIPSYNCD_NVRTC", "pip install nvidia-cuda-nvrtc"];
    let refuses_kernels = case(&[("LIPSYNCD_NVRTC", "/nowhere")], compiler);
    // CUDA_ERROR_NO_BINARY_FOR_GPU.
    refuses_kernels.driver.tell("cuModuleLoadData", 209);
    vec![
        Case { driver: StandIn::unloadable(), environment: &[], said: missing },
        case(&[("DRIVER_INIT", "999")], &["the NVIDIA driver cannot be used", "cuInit", "999", "nvidia-smi"]),
        case(&[("DRIVER_INIT", "100")], &["the NVIDIA driver knows no GPU", "CUDA_VISIBLE_DEVICES"]),
        case(&[("DRIVER_GPUS", "0")], &["the NVIDIA driver knows no GPU", "CUDA_VISIBLE_DEVICES"]),
        case(&[("DRIVER_VERSION", "11080")], &["is for CUDA 11.8", "for CUDA 12.0 or later"]),
        case(&[("DRIVER_TAKEN", "0")], &["GPU 0 cannot be used", "cuDevicePrimaryCtxRetain", "46"]),
        refuses_kernels,
    ]
}

/// ONNX Runtime of this machine, by its path: the caches of these programs are others.
pub fn onnxruntime() -> String {
    let library = std::env::var_os("LIPSYNCD_ONNXRUNTIME");
    let runtime = OnnxRuntime::load(library.as_deref().map(AsRef::as_ref)).unwrap_or_else(|error| panic!("{error}"));
    runtime.info().path.to_str().unwrap().to_owned()
}

/// Runs a command of the program to its end, which is to come within a minute: what is not over by then is killed, and has no exit code of its own.
pub fn run(command: &str, driver: &StandIn, environment: &[(&str, &str)]) -> Output {
    run_with(&[command], driver, environment)
}

/// The same with arguments.
pub fn run_with(command: &[&str], driver: &StandIn, environment: &[(&str, &str)]) -> Output {
    run_for("60", command, driver, environment)
}

/// The same within so many seconds.
pub fn run_for(seconds: &str, command: &[&str], driver: &StandIn, environment: &[(&str, &str)]) -> Output {
    let mut program = Command::new("timeout");
    program
        .args([seconds, env!("CARGO_BIN_EXE_lipsyncd")])
        .args(command)
        .env("LIPSYNCD_LISTEN", "127.0.0.1:0")
        .env("LIPSYNCD_AVATARS", avatars_dir());
    program.envs(driver.environment(environment)).output().unwrap()
}

#[test]
fn where_the_gpu_was_insisted_on_the_program_ends_and_says_why() {
    for Case { driver, environment, said } in cases() {
        let output = run("serve", &driver, environment);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{log}");
        for part in said.iter().chain(&["backend = \"cuda\" was asked for"]) {
            assert!(log.contains(part), "{part} is missing: {log}");
        }
        assert!(!log.contains("listening"), "{log}");
    }
}

#[test]
fn what_was_asked_of_a_gpu_and_is_not_there_is_named() {
    let runtime = onnxruntime();
    let no_provider = [("LIPSYNCD_GPU_ENGINE", "onnxruntime"), ("LIPSYNCD_ONNXRUNTIME", runtime.as_str())];
    let no_runtime = [("LIPSYNCD_GPU_ENGINE", "onnxruntime"), ("LIPSYNCD_ONNXRUNTIME", "/nowhere/libonnxruntime.so")];
    let cases: [(&[_], _, &[_]); 5] = [
        (&[("LIPSYNCD_GPUS", "0,1")], 1, &["GPU 1 cannot be used", "cuDeviceGet"]),
        (
            &[("LIPSYNCD_JPEG", "nvjpeg"), ("LIPSYNCD_NVJPEG", "/nowhere")],
            1,
            &["jpeg = \"nvjpeg\" was asked for", "libnvjpeg.so.13 in /nowhere", "pip install nvidia-nvjpeg"],
        ),
        (&no_provider, 1, &["GPU 0 (stand-in 0) is there", "nothing to run networks on it", &runtime]),
        // Paths that were set and lead nowhere: another start meets the same.
        (&no_runtime, 2, &["/nowhere/libonnxruntime.so", "correct `onnxruntime` (LIPSYNCD_ONNXRUNTIME"]),
        (
            &[("LIPSYNCD_GPU_ENGINE", "tensorrt"), ("LIPSYNCD_TENSORRT", "/nowhere")],
            2,
            &["/nowhere is not a folder", "correct `tensorrt` (LIPSYNCD_TENSORRT"],
        ),
    ];
    for (environment, code, said) in cases {
        let output = run("serve", &StandIn::new(), environment);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{log}");
        for part in said {
            assert!(log.contains(part), "{part} is missing: {log}");
        }
    }
}

/// Lines of a log that speak of GPUs, their driver, or what serves instead.
fn of_gpus(log: &str) -> Vec<&str> {
    let words = ["GPU", "NVIDIA", "serving on the CPU"];
    log.lines().filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

#[test]
fn where_it_was_not_the_cpu_serves_and_one_line_says_why() {
    let runtime = onnxruntime();
    for Case { driver, environment, said } in cases() {
        let more = [environment, &[("LIPSYNCD_BACKEND", "auto"), ("LIPSYNCD_ONNXRUNTIME", &runtime)]].concat();
        let mut program = Program::start(&avatars_dir(), &driver.environment(&more));
        let lines = of_gpus(program.log());
        assert_eq!(lines.len(), 1, "{lines:#?}");
        for part in said.iter().chain(&["serving on the CPU", "INFO"]) {
            assert!(lines[0].contains(part), "{part} is missing: {}", lines[0]);
        }
        assert_eq!(program.stop(), Some(0));
    }
}

#[test]
fn of_several_gpus_none_of_which_can_be_used_each_has_its_reason_in_that_line() {
    let (driver, runtime) = (StandIn::new(), onnxruntime());
    driver.tell("cuDevicePrimaryCtxRetain", 2);
    let more = [("DRIVER_GPUS", "3"), ("LIPSYNCD_BACKEND", "auto"), ("LIPSYNCD_ONNXRUNTIME", &runtime)];
    let mut program = Program::start(&avatars_dir(), &driver.environment(&more));
    let lines = of_gpus(program.log());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in ["serving on the CPU: ", "GPU 0 cannot be used", "GPU 1 cannot be used", "GPU 2 cannot be used"] {
        assert!(lines[0].contains(part), "{part} is missing: {}", lines[0]);
    }
    assert_eq!(program.stop(), Some(0));
}

#[test]
fn a_gpu_that_cannot_be_used_is_left_out_with_a_warning_while_another_serves_named_or_not() {
    let taken: &[_] = &[("DRIVER_GPUS", "2"), ("DRIVER_TAKEN", "0")];
    let cases: [(&[_], _, _, _); 4] = [
        (taken, "", ("GPU 0", "cuDevicePrimaryCtxRetain"), "GPU 1, stand-in 1"),
        (taken, "0,1", ("GPU 0", "cuDevicePrimaryCtxRetain"), "GPU 1, stand-in 1"),
        (
            &[("DRIVER_GPUS", "2"), ("DRIVER_TAKEN", "1")],
            "0,1",
            ("GPU 1", "cuDevicePrimaryCtxRetain"),
            "GPU 0, stand-in 0",
        ),
        (&[("DRIVER_GPUS", "1")], "0,5", ("GPU 5", "cuDeviceGet"), "GPU 0, stand-in 0"),
    ];
    for (environment, named, (left_out, why), serves) in cases {
        let driver = StandIn::new();
        let mut more = [environment, &[("LIPSYNCD_BACKEND", "auto")]].concat();
        if !named.is_empty() {
            more.push(("LIPSYNCD_GPUS", named));
        }
        let mut program = Program::start(&avatars_dir(), &driver.environment(&more));
        let warnings: Vec<_> = program.log().lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        for part in [left_out, "is left out", why] {
            assert!(warnings[0].contains(part), "{named}: {}", warnings[0]);
        }
        assert!(program.log().contains(&format!("on {serves}")), "{named}: {}", program.log());
        assert!(!program.log().contains("serving on the CPU"), "{named}: {}", program.log());
        assert_eq!(program.stop(), Some(0));

        let output = run("doctor", &driver, &more);
        let report = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{report}");
        let backends: Vec<_> = report.lines().filter(|line| line.starts_with("backend")).collect();
        assert_eq!(backends.len(), 2, "{report}");
        assert!(backends[0].contains(&format!("not {left_out}: ")) && backends[0].contains(why), "{report}");
        assert!(backends[1].contains(serves), "{report}");
    }
}

#[test]
fn doctor_says_it_too_and_whether_the_cpu_would_serve() {
    let runtime = onnxruntime();
    let runtime: &[_] = &[("LIPSYNCD_ONNXRUNTIME", runtime.as_str())];
    for Case { driver, environment, said } in cases() {
        for (backend, code, last) in [("auto", 0, "cpu ("), ("cuda", 1, "none")] {
            let output = run("doctor", &driver, &[environment, runtime, &[("LIPSYNCD_BACKEND", backend)]].concat());
            let report = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(code), "{report}");
            for part in said {
                assert!(report.contains(part), "{part} is missing: {report}");
            }
            let words = report.lines().last().unwrap().strip_prefix("backend").map(str::trim_start);
            assert!(words.is_some_and(|words| words.starts_with(last)), "{report}");
        }
    }
    let output = run("doctor", &StandIn::new(), runtime);
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report.contains("GPU 0, stand-in 0") && !report.contains("cpu, "), "{report}");
}
