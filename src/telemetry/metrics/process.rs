//! The process as the kernel sees it, under the names every Prometheus client library uses.

use std::fmt;
use std::fs;

use super::encode::Encoder;

/// Ticks of `/proc/self/stat` in a second: `USER_HZ`, fixed by the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

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
    match read("/proc/self/limits").and_then(|text| number_after(&text, "Max open files")) {
        Some(most) => to.gauge("process_max_fds", "Most file descriptors that may be open", most),
        None => Ok(()),
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The first number of the line that begins with `key`.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Fields of `/proc/self/stat`, proc_pid_stat(5).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_s: f64,
    threads: u64,
    /// After the machine's start.
    start_s: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets and may hold anything, brackets too.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
        Some(Self { cpu_s: seconds(field(14)? + field(15)?), threads: field(20)?, start_s: seconds(field(22)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat =
            "7 (a ) S 1) R 1 7 7 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 9 0 12345 1000000 500 18446744073709551615";
        assert_eq!(Stat::parse(stat), Some(Stat { cpu_s: 3.0, threads: 9, start_s: 123.45 }));
        assert_eq!(Stat::parse("7 (cut"), None);
        assert_eq!(Stat::parse("7 (cut) R 1"), None);
    }

    #[test]
    fn numbers_are_read_by_the_name_of_their_line() {
        let text = "Name:\tx\nVmRSS:\t    1234 kB\nMax open files            1024                 4096   files\n";
        assert_eq!(number_after(text, "VmRSS:"), Some(1234));
        assert_eq!(number_after(text, "Max open files"), Some(1024));
        assert_eq!(number_after(text, "VmSize:"), None);
        assert_eq!(number_after("Max open files            unlimited", "Max open files"), None);
    }
}
