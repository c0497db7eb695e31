//! What this machine has to give.

use std::fs;
use std::path::Path;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, fixed by the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes of memory that this process may still take without anybody's swapping: what the kernel calls available, or what its control
/// group or one above has left where that is less (proc_meminfo(5), cgroups(7)). `None` where none of them says.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| number_after(&text, "MemAvailable:")).map(|kib| kib << 10);
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    machine.into_iter().chain(left_of_groups(&groups, Path::new("/sys/fs/cgroup"))).min()
}

/// What each control group has left that bounds memory: the process's, by its line in `groups`, and those above it. A container may see its own
/// as the root, under a path of its host's.
fn left_of_groups(groups: &str, mounted: &Path) -> impl Iterator<Item = u64> {
    let own = groups.lines().filter_map(move |line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some((mounted.to_owned(), path, ["memory.max", "memory.current", "inactive_file "])),
            _ if controllers.split(',').any(|one| one == "memory") => {
                let files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "];
                Some((mounted.join("memory"), path, files))
            }
            _ => None,
        }
    });
    own.flat_map(|(root, path, files)| {
        let folders: Vec<_> = Path::new(path).ancestors().map(|path| root.join(path)).collect();
        folders.into_iter().filter_map(move |folder| left_of_group(&folder, files))
    })
}

/// Of one group: nothing where it has no bound. Files that were read and can be read again give way.
fn left_of_group(folder: &Path, [most, used, inactive]: [&str; 3]) -> Option<u64> {
    let number = |name: &str| read(folder.join(name))?.trim().parse::<u64>().ok();
    let most = number(most)?;
    let cached = read(folder.join("memory.stat")).and_then(|text| number_after(&text, inactive)).unwrap_or(0);
    Some(most.saturating_sub(number(used).unwrap_or(0).saturating_sub(cached)))
}

/// Descriptors that this process may have open at once (proc_pid_limits(5)). `None` where the kernel does not say, or sets no bound.
#[must_use]
pub fn most_descriptors() -> Option<usize> {
    number_after(&read("/proc/self/limits")?, "Max open files").and_then(|most| usize::try_from(most).ok())
}

/// Fields of `/proc/PID/stat`, proc_pid_stat(5).
#[derive(Debug, PartialEq)]
pub(crate) struct Stat {
    /// Processor time of all threads, in user and system mode.
    pub cpu_s: f64,
    pub threads: u64,
    /// After the machine's start.
    pub start_s: f64,
}

impl Stat {
    pub fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets and may hold anything, brackets too.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
        Some(Self { cpu_s: seconds(field(14)? + field(15)?), threads: field(20)?, start_s: seconds(field(22)?) })
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The first number behind `key` in the line that begins with it.
pub(crate) fn number_after(text: &str, key: &str) -> Option<u64> {
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

    #[test]
    fn numbers_are_read_by_the_name_of_their_line() {
        let text = "Name:\tx\nVmRSS:\t    1234 kB\nMax open files            1024                 4096   files\n";
        assert_eq!(number_after(text, "VmRSS:"), Some(1234));
        assert_eq!(number_after(text, "Max open files"), Some(1024));
        assert_eq!(number_after(text, "VmSize:"), None);
        assert_eq!(number_after("Max open files            unlimited", "Max open files"), None);
    }

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat =
            "7 (a ) S 1) R 1 7 7 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 9 0 12345 1000000 500 18446744073709551615";
        assert_eq!(Stat::parse(stat), Some(Stat { cpu_s: 3.0, threads: 9, start_s: 123.45 }));
        assert_eq!(Stat::parse("7 (cut"), None);
        assert_eq!(Stat::parse("7 (cut) R 1"), None);
    }

    #[test]
    fn the_tightest_group_above_a_process_counts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("system.slice/memory.max", "1000\n");
        write("system.slice/memory.current", "900\n");
        write("system.slice/memory.stat", "anon 100\nactive_file 1\ninactive_file 50\n");
        write("system.slice/one.service/memory.max", "max\n");
        write("memory/docker/memory.limit_in_bytes", "500\n");
        write("memory/docker/memory.usage_in_bytes", "100\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let left = |groups: &str| left_of_groups(groups, dir.path()).min();
        assert_eq!(left("0::/system.slice/one.service\n"), Some(150));
        assert_eq!(left("5:cpu,memory:/docker/f00\n4:pids:/docker\n"), Some(400));
        assert_eq!(left("0::/user.slice\n"), None);
        assert_eq!(left(""), None);
    }
}
