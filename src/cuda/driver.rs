//! libcuda, if there is one, and the GPUs it knows.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cudarc::driver::{result, sys};

use super::error::{CudaError, at};
use super::waits::Waits;

/// Why there is no GPU to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverMissing {
    /// No libcuda.
    #[error("there is no NVIDIA driver here (libcuda.so.1 cannot be loaded); install the driver of the GPU")]
    Library,
    /// A driver that cannot be used.
    #[error("the NVIDIA driver cannot be used: {0}; see what nvidia-smi says")]
    Init(CudaError),
    /// Older than the interface this program was written for.
    #[error(
        "the NVIDIA driver is for CUDA {found}; this program needs a driver for CUDA {OLDEST} or later (525 and up)"
    )]
    Old {
        /// What it is for.
        found: CudaVersion,
    },
    /// A driver, but nothing to drive.
    #[error("the NVIDIA driver knows no GPU; see CUDA_VISIBLE_DEVICES and what nvidia-smi says")]
    NoGpu,
}

/// A version of the driver's interface, such as 12.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion(i32);

impl CudaVersion {
    /// As `cuDriverGetVersion` gives it: 13000 for 13.0.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::try_from(self.0).unwrap_or_default()
    }
}

const OLDEST: CudaVersion = CudaVersion(12_000);

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

/// Threads that wait for the driver to start.
static STARTING: Waits = Waits::new();

/// How long one of them has been waiting, while somebody looked every [`super::GLANCE`].
pub(super) fn starting() -> Duration {
    STARTING.look(Instant::now())
}

/// The driver, initialised for this process.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    version: CudaVersion,
    gpus: u32,
}

/// One GPU as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its number among those that are visible.
    pub ordinal: u32,
    /// Its name, such as "NVIDIA H100 80GB HBM3".
    pub name: String,
    /// Compute capability as one number, such as 90.
    pub sm: u32,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of its memory.
    pub memory_bytes: u64,
    /// Its UUID, which names it whatever its number is.
    pub uuid: String,
}

impl Driver {
    /// Loads and initialises the driver. Where there is none, that is found without a panic.
    ///
    /// # Errors
    /// [`DriverMissing`].
    pub fn load() -> Result<Self, DriverMissing> {
        STARTING.during(Self::load_in_sight)
    }

    fn load_in_sight() -> Result<Self, DriverMissing> {
        // The driver's own first use is not documented as safe from two threads.
        static FIRST_USE: Mutex<()> = Mutex::new(());
        let _alone = FIRST_USE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: loading libcuda runs its initialisers; a driver that the system has installed is trusted.
        if !unsafe { sys::is_culib_present() } {
            return Err(DriverMissing::Library);
        }
        result::init().map_err(at("cuInit")).map_err(|error| match sys::CUresult::CUDA_ERROR_NO_DEVICE as u32 {
            none if error.code() == none => DriverMissing::NoGpu,
            _ => DriverMissing::Init(error),
        })?;
        let mut number = 0;
        // SAFETY: the call writes one integer.
        unsafe { sys::cuDriverGetVersion(&raw mut number) }
            .result()
            .map_err(at("cuDriverGetVersion"))
            .map_err(DriverMissing::Init)?;
        let version = CudaVersion(number);
        if version < OLDEST {
            return Err(DriverMissing::Old { found: version });
        }
        let gpus = result::device::get_count().map_err(at("cuDeviceGetCount")).map_err(DriverMissing::Init)?;
        match u32::try_from(gpus) {
            Ok(gpus @ 1..) => Ok(Self { version, gpus }),
            _ => Err(DriverMissing::NoGpu),
        }
    }

    /// The newest CUDA it can run.
    #[must_use]
    pub fn version(&self) -> CudaVersion {
        self.version
    }

    /// GPUs that are visible to this process.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        self.gpus
    }

    /// Describes GPU `ordinal`.
    ///
    /// # Errors
    /// [`CudaError`] when there is no such GPU.
    pub fn gpu(&self, ordinal: u32) -> Result<Gpu, CudaError> {
        let device = device(ordinal)?;
        let attribute = |which| {
            // SAFETY: `device` came from cuDeviceGet.
            unsafe { result::device::get_attribute(device, which) }.map_err(at("cuDeviceGetAttribute"))
        };
        use sys::CUdevice_attribute as Attribute;
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let multiprocessors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let name = result::device::get_name(device).map_err(at("cuDeviceGetName"))?;
        let uuid = result::device::get_uuid(device).map_err(at("cuDeviceGetUuid"))?;
        // SAFETY: `device` came from cuDeviceGet.
        let memory_bytes = unsafe { result::device::total_mem(device) }.map_err(at("cuDeviceTotalMem"))? as u64;
        Ok(Gpu {
            ordinal,
            name,
            sm: u32::try_from(10 * major + minor).unwrap_or_default(),
            multiprocessors: u32::try_from(multiprocessors).unwrap_or_default(),
            memory_bytes,
            uuid: uuid.bytes.iter().map(|byte| format!("{:02x}", *byte as u8)).collect(),
        })
    }
}

pub(super) fn device(ordinal: u32) -> Result<sys::CUdevice, CudaError> {
    let number = i32::try_from(ordinal).unwrap_or(i32::MAX);
    result::device::get(number).map_err(at("cuDeviceGet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_nvidia_writes_them() {
        assert_eq!(CudaVersion(12_040).to_string(), "12.4");
        assert_eq!(CudaVersion(13_000).to_string(), "13.0");
        assert!(CudaVersion(11_080) < OLDEST);
    }

    /// On a machine with a GPU its figures must make sense, on one without the reason must be given; neither may panic.
    #[test]
    fn a_driver_is_found_or_its_absence_is_said() {
        match Driver::load() {
            Ok(driver) => {
                let gpu = driver.gpu(0).unwrap();
                assert!(gpu.sm >= 50 && gpu.memory_bytes > 1 << 28 && gpu.multiprocessors > 0, "{gpu:?}");
                assert!(driver.gpu(driver.gpus()).is_err());
            }
            Err(missing) => assert!(missing.to_string().contains("NVIDIA driver"), "{missing}"),
        }
    }
}
