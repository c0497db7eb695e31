//! Compiles the kernels to a fat binary for each unit where nvcc is found, and keeps what nvcc said of the registers they need. Where it is
//! not, empty files are embedded in their place, and the program compiles the sources with NVRTC when it first needs them.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is compiled together, the name of its image, and that of the compiler's words.
const UNITS: [(&str, &str, &str); 2] =
    [("kernels/all.cu", "frames.fatbin", "frames.usage"), ("kernels/native/all.cu", "native.fatbin", "native.usage")];

/// The GPUs it is compiled for; their oldest also as PTX, from which a driver makes code for any newer
/// one, and so is [`EARLY_LAUNCHES`].
const ARCHITECTURES: &str = "kernels/architectures";

/// The first with all that our kernels make use of: launches that begin early, copies and matrix loads into shared memory.
const EARLY_LAUNCHES: &str = "90";

/// Where `make kernels` puts nvcc.
const FETCHED: &str = ".cache/nvcc/bin/nvcc";

pub fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=kernels");
    println!("cargo:rerun-if-changed=build/kernels.rs");
    println!("cargo:rerun-if-env-changed=LIPSYNCD_NVCC");
    let folder = PathBuf::from(std::env::var("OUT_DIR")?);
    let chosen = std::env::var_os("LIPSYNCD_NVCC").filter(|path| !path.is_empty());
    let cuda = match (compile(chosen.as_ref().unwrap_or(&find()), &folder), chosen) {
        (Ok(cuda), _) => cuda,
        (Err(error), Some(nvcc)) => {
            let nvcc = nvcc.display();
            return Err(
                format!("LIPSYNCD_NVCC={nvcc}: {error}; name an nvcc of CUDA 12.8 or later, or unset it").into()
            );
        }
        (Err(error), None) => {
            if error.downcast_ref::<std::io::Error>().is_none_or(|error| error.kind() != std::io::ErrorKind::NotFound) {
                println!(
                    "cargo:warning=no kernels are built in, they will be compiled at first start ({error}); set LIPSYNCD_NVCC to \
                     an nvcc of CUDA 12.8 or later to change that"
                );
            }
            for (_, image, usage) in UNITS {
                fs::write(folder.join(image), [])?;
                fs::write(folder.join(usage), [])?;
            }
            String::new()
        }
    };
    println!("cargo:rustc-env=LIPSYNCD_KERNELS_CUDA={cuda}");
    Ok(())
}

/// The fetched nvcc, or whichever the system finds.
fn find() -> OsString {
    if Path::new(FETCHED).exists() { FETCHED.into() } else { "nvcc".into() }
}

/// Writes the fat binaries and gives the version of CUDA that made them.
fn compile(nvcc: &OsString, folder: &Path) -> Result<String, Box<dyn Error>> {
    let version = run(Command::new(nvcc).arg("--version"))?;
    let cuda = version.split("release ").nth(1).and_then(|rest| rest.split(',').next()).ok_or("it tells no version")?;
    let architectures = fs::read_to_string(ARCHITECTURES)?;
    let oldest = architectures.split_whitespace().next().ok_or("kernels/architectures is empty")?;
    let kept = kept(folder, &version)?;
    for (source, image, usage) in UNITS {
        if [usage, image].iter().all(|name| fs::copy(kept.join(name), folder.join(name)).is_ok()) {
            continue;
        }
        let mut command = Command::new(nvcc);
        // Older drivers cannot unpack a compressed one. Products and sums are rounded apart, as on the host.
        command.args([
            "-fatbin",
            "-O3",
            "--fmad=false",
            "--no-compress",
            "--resource-usage",
            "--threads",
            "0",
            "-I",
            "kernels",
        ]);
        for sm in architectures.split_whitespace() {
            command.arg(format!("-gencode=arch=compute_{sm},code=sm_{sm}"));
        }
        for sm in [oldest, EARLY_LAUNCHES] {
            command.arg(format!("-gencode=arch=compute_{sm},code=compute_{sm}"));
        }
        let said = run(command.arg("-o").arg(folder.join(image)).arg(source))?;
        fs::write(folder.join(usage), said)?;
        for name in [usage, image] {
            // Renamed when complete: another build may look for it at the same time.
            let part = kept.join(format!("{name}.{}", std::process::id()));
            fs::copy(folder.join(name), &part)?;
            fs::rename(part, kept.join(name))?;
        }
    }
    Ok(cuda.trim().to_owned())
}

/// Where images are kept for builds with other features or of another profile, each of which would take a minute for the same: a folder
/// beside the profiles' that is named by all they are made of.
fn kept(folder: &Path, version: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    (version, fs::read_to_string("build/kernels.rs")?).hash(&mut hasher);
    hash_files(Path::new("kernels"), &mut hasher)?;
    // From target/debug/build/lipsyncd-0123/out.
    let target = folder.ancestors().nth(4).ok_or("OUT_DIR is no folder of cargo's")?;
    let kept = target.join("kernels").join(format!("{:016x}", hasher.finish()));
    fs::create_dir_all(&kept)?;
    Ok(kept)
}

fn hash_files(folder: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        path.hash(hasher);
        if path.is_dir() {
            hash_files(&path, hasher)?;
        } else {
            fs::read(&path)?.hash(hasher);
        }
    }
    Ok(())
}

/// What the command wrote to either of its outputs.
fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &said);
    }
    Err(said.lines().next().unwrap_or("nvcc failed without a word").to_owned().into())
}
