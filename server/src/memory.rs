//! Memory figures, from the allocator.

use tikv_jemalloc_ctl::{epoch, stats};

/// Bytes allocated by the program (`used_memory`).
pub fn used() -> u64 {
    // The allocator's figures are a snapshot, taken anew by advancing its epoch.
    if epoch::advance().is_err() {
        return 0;
    }
    stats::allocated::read().map_or(0, |n| n as u64)
}

/// Bytes in pages that the allocator uses, and bytes resident: the difference to `used` is fragmentation.
pub fn active_and_resident() -> (u64, u64) {
    (stats::active::read().map_or(0, |n| n as u64), stats::resident::read().map_or(0, |n| n as u64))
}
