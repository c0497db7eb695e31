//! What the driver says, and what it means for the process.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

/// How far a failure reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The call alone: there was no memory for it.
    OutOfMemory,
    /// The call alone, for another reason.
    Call,
    /// The context: every later call on this GPU fails, whatever it is, until the process ends ("sticky" errors, CUDA C++
    /// Programming Guide, error checking).
    Lost,
}

/// A call of the driver that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CudaError {
    call: &'static str,
    code: CUresult,
}

impl CudaError {
    pub(crate) fn new(call: &'static str, code: CUresult) -> Self {
        Self { call, code }
    }

    /// The driver's number for what went wrong.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.code as u32
    }

    /// How far it reaches.
    #[must_use]
    pub fn severity(&self) -> Severity {
        use CUresult as Code;
        match self.code {
            Code::CUDA_ERROR_OUT_OF_MEMORY => Severity::OutOfMemory,
            Code::CUDA_ERROR_ILLEGAL_ADDRESS
            | Code::CUDA_ERROR_LAUNCH_FAILED
            | Code::CUDA_ERROR_LAUNCH_TIMEOUT
            | Code::CUDA_ERROR_ASSERT
            | Code::CUDA_ERROR_HARDWARE_STACK_ERROR
            | Code::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | Code::CUDA_ERROR_MISALIGNED_ADDRESS
            | Code::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | Code::CUDA_ERROR_INVALID_PC
            | Code::CUDA_ERROR_ECC_UNCORRECTABLE
            | Code::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | Code::CUDA_ERROR_CONTAINED
            | Code::CUDA_ERROR_TENSOR_MEMORY_LEAK
            | Code::CUDA_ERROR_MPS_CLIENT_TERMINATED
            | Code::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | Code::CUDA_ERROR_DEINITIALIZED
            | Code::CUDA_ERROR_NO_DEVICE
            | Code::CUDA_ERROR_DEVICE_UNAVAILABLE
            | Code::CUDA_ERROR_SYSTEM_NOT_READY
            | Code::CUDA_ERROR_EXTERNAL_DEVICE
            | Code::CUDA_ERROR_UNKNOWN => Severity::Lost,
            _ => Severity::Call,
        }
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn words(text: Result<&CStr, DriverError>) -> Cow<'_, str> {
            text.map_or(Cow::Borrowed("unknown to this driver"), CStr::to_string_lossy)
        }
        let error = DriverError(self.code);
        let (name, meaning) = (words(error.error_name()), words(error.error_string()));
        write!(f, "{}: {meaning} ({name}, {})", self.call, self.code())
    }
}

impl fmt::Debug for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the driver's own words: a test prints this where there is no driver.
        write!(f, "CudaError({}, {})", self.call, self.code())
    }
}

impl std::error::Error for CudaError {}

/// Names the call in which `cudarc` failed.
pub(crate) fn at(call: &'static str) -> impl FnOnce(DriverError) -> CudaError {
    move |DriverError(code)| CudaError { call, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_the_context_is_told_from_what_ends_a_call() {
        let severity = |code| CudaError::new("cuLaunchKernel", code).severity();
        assert_eq!(severity(CUresult::CUDA_ERROR_OUT_OF_MEMORY), Severity::OutOfMemory);
        assert_eq!(severity(CUresult::CUDA_ERROR_INVALID_VALUE), Severity::Call);
        assert_eq!(severity(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED), Severity::Call);
        assert_eq!(severity(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS), Severity::Lost);
        assert_eq!(severity(CUresult::CUDA_ERROR_ECC_UNCORRECTABLE), Severity::Lost);
        assert_eq!(severity(CUresult::CUDA_ERROR_CONTAINED), Severity::Lost);
        assert_eq!(severity(CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK), Severity::Lost);
        assert_eq!(severity(CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED), Severity::Lost);
    }
}
