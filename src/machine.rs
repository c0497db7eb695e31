//! What this machine has to give.

use std::fs;

/// Bytes of memory that this process may still take without anybody's swapping: what the kernel calls available, or what its control
/// group has left where that is less (proc_meminfo(5), cgroup v2). `None` where neither says.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let read = |path| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| kib_after(&text, "MemAvailable:")).map(|kib| kib << 10);
    let number = |path| read(path)?.trim().parse::<u64>().ok();
    // "max" where the group has no bound.
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    machine.into_iter().chain(group).min()
}

/// The number of the line that begins with `key`.
fn kib_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "MemTotal:       24689816 kB\nMemFree:         123 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(kib_after(text, "MemAvailable:"), Some(20_000_000));
        assert_eq!(kib_after("MemTotal: 1 kB\n", "MemAvailable:"), None);
        assert!(available_memory().is_some_and(|bytes| bytes > 0));
    }
}
