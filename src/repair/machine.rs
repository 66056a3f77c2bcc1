//! What the machine has left: memory and room on the disk.

use std::{fs, path::Path};

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Files that can still be made; some file systems do not count them and say 0 of 0.
    pub files: Option<u64>,
}

/// The room where a path is; `None` if the system does not tell.
pub fn room(path: &Path) -> Option<Room> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Room {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

/// Whether this user may write in a folder. Nothing is written.
pub fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

/// Whether others than its owner may read a file.
pub fn others_can_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0)
}

/// The memory that programs can still get, in bytes: of the machine, or of this control group if it has less. `None` where
/// the system does not tell, as outside Linux.
pub fn memory() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = available(&read("/proc/meminfo")?)?;
    let group = || {
        let limit: u64 = read("/sys/fs/cgroup/memory.max")?.trim().parse().ok()?;
        let used: u64 = read("/sys/fs/cgroup/memory.current")?.trim().parse().ok()?;
        Some(left_in_group(limit, used, &read("/sys/fs/cgroup/memory.stat").unwrap_or_default()))
    };
    Some(group().map_or(machine, |group| group.min(machine)))
}

/// The memory that this process has, in bytes.
pub fn own_memory() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// `MemAvailable` of `/proc/meminfo` (proc_meminfo(5)).
fn available(meminfo: &str) -> Option<u64> {
    kilobytes(meminfo, "MemAvailable:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// What a control group may still take: files that are cached without need count as free
/// (<https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files>).
fn left_in_group(limit: u64, used: u64, stat: &str) -> u64 {
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse().ok());
    limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_files_are_free_memory() {
        let meminfo = "MemTotal:       16000000 kB\nMemFree:  100 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(meminfo), Some(2048 * 1024));
        assert_eq!(available("MemTotal: 1 kB"), None);
        assert_eq!(left_in_group(1000, 900, "anon 500\ninactive_file 300\n"), 400);
        assert_eq!(left_in_group(1000, 900, ""), 100);
    }

    #[test]
    fn a_folder_has_room_and_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(room(folder.path()).unwrap().free > 0);
        assert!(is_writable(folder.path()));
        assert!(!is_writable(&folder.path().join("none")));
    }
}
