//! What the system says of this process.

use std::fs;

/// What the process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Process {
    /// Memory that is in use, in bytes.
    pub resident_bytes: u64,
    /// Milliseconds of CPU since the start, over all cores.
    pub cpu_ms: u64,
    /// Open files and sockets.
    pub open_files: u64,
}

impl Process {
    /// Reads it; `None` where there is no `/proc`. Takes some microseconds.
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or(0);
        let millis = u64::try_from(cpu.tv_nsec).unwrap_or(0) / 1_000_000;
        let open_files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Some(Self {
            resident_bytes: kilobytes * 1024,
            cpu_ms: seconds * 1000 + millis,
            open_files: u64::try_from(open_files).unwrap_or(u64::MAX),
        })
    }
}
