//! The one clock that leases are counted by.

use valkey_repl_engine::observe::Millis;

/// Milliseconds since boot, with the time that the machine was suspended (CLOCK_BOOTTIME).
pub fn boottime_ms() -> Millis {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1_000 + nanoseconds / 1_000_000
}
