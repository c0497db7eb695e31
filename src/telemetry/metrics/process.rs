//! The process as the kernel sees it, under the names every Prometheus client library uses.

use std::fmt;
use std::fs;

use super::encode::Encoder;
use crate::machine::{Stat, most_descriptors, number_after, read};

/// Writes what can be read; a figure that cannot be is left out.
pub(super) fn encode(to: &mut Encoder) -> fmt::Result {
    if let Some(stat) = read("/proc/self/stat").and_then(|text| Stat::parse(&text)) {
        to.counter("process_cpu_seconds", "CPU time, of all threads, in user and system mode", stat.cpu_s)?;
        to.gauge("process_threads", "Threads", stat.threads)?;
        if let Some(boot_s) = read("/proc/stat").and_then(|text| number_after(&text, "btime ")) {
            to.gauge(
                "process_start_time_seconds",
                "When the process started, Unix time",
                boot_s as f64 + stat.start_s,
            )?;
        }
    }
    if let Some(status) = read("/proc/self/status") {
        let bytes = |key| number_after(&status, key).map(|kib| kib * 1024);
        if let (Some(resident), Some(virtual_bytes)) = (bytes("VmRSS:"), bytes("VmSize:")) {
            to.gauge("process_resident_memory_bytes", "Physical memory in use", resident)?;
            to.gauge("process_virtual_memory_bytes", "Address space in use", virtual_bytes)?;
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder being read.
        to.gauge("process_open_fds", "Open file descriptors", entries.count().saturating_sub(1) as u64)?;
    }
    match most_descriptors() {
        Some(most) => to.gauge("process_max_fds", "Most file descriptors that may be open", most as u64),
        None => Ok(()),
    }
}
