//! What this machine has to give.

use std::fs;

/// Bytes of memory that this process may still take without anybody's swapping: what the kernel calls available, or what its control
/// group has left where that is less (proc_meminfo(5), cgroup v2). `None` where neither says.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let read = |path| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| number_after(&text, "MemAvailable:")).map(|kib| kib << 10);
    let number = |path| read(path)?.trim().parse::<u64>().ok();
    // "max" where the group has no bound.
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    machine.into_iter().chain(group).min()
}

/// Descriptors that this process may have open at once (proc_pid_limits(5)). `None` where the kernel does not say, or sets no bound.
#[must_use]
pub fn most_descriptors() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    number_after(&limits, "Max open files").and_then(|most| usize::try_from(most).ok())
}

/// The number that follows `key` in the line that begins with it.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "MemTotal:       24689816 kB\nMemFree:         123 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(number_after(text, "MemAvailable:"), Some(20_000_000));
        assert_eq!(number_after("MemTotal: 1 kB\n", "MemAvailable:"), None);
        assert!(available_memory().is_some_and(|bytes| bytes > 0));
        assert!(most_descriptors().is_some_and(|most| most > 0));
    }
}
