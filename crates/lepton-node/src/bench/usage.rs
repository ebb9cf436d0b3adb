//! CPU time and memory of this process.

use std::time::Duration;

/// CPU time that all threads of this process have used; zero where the system does not tell.
pub(super) fn cpu() -> Duration {
    #[cfg(unix)]
    {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(spent.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(spent.tv_nsec).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_nanos(nanos)
    }
    #[cfg(not(unix))]
    Duration::ZERO
}

/// Adds to `total` the CPU time that `work` takes.
pub(super) fn charge<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let before = cpu();
    let result = work();
    *total += cpu().saturating_sub(before);
    result
}

/// The most memory this process has held so far, in bytes; `None` where the system does not tell (elsewhere than on Linux).
pub(super) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
