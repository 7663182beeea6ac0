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

/// Bytes in pages that the allocator gave back and the kernel has not taken yet.
pub fn muzzy() -> u64 {
    let pages = stats_of_all_arenas(b"pmuzzy");
    pages * rustix::param::page_size() as u64
}

/// A number of type `size_t` of all arenas together.
fn stats_of_all_arenas(name: &[u8]) -> u64 {
    // jemalloc's MALLCTL_ARENAS_ALL.
    let key = [b"stats.arenas.4096.", name, b"\0"].concat();
    // SAFETY: the key ends with a zero byte; the statistics asked for here are of type size_t.
    unsafe { tikv_jemalloc_ctl::raw::read::<usize>(&key) }.map_or(0, |n| n as u64)
}

/// The allocator's name and version.
pub fn allocator() -> String {
    let version = tikv_jemalloc_ctl::version::read().unwrap_or_default();
    format!("jemalloc-{}", version.split('-').next().unwrap_or_default())
}

/// The allocator's own report on itself.
pub fn allocator_report() -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = tikv_jemalloc_ctl::stats_print::stats_print(&mut text, tikv_jemalloc_ctl::stats_print::Options::default());
    text
}

/// Has the allocator give the pages back that it does not use.
pub fn purge() {
    // SAFETY: the name ends with a zero byte; this control neither reads nor writes a value.
    unsafe {
        tikv_jemalloc_sys::mallctl(
            c"arena.4096.purge".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        );
    }
}

/// A control of the allocator as a number, whatever its size; `None` when there is none of that name.
pub fn control(name: &[u8]) -> Option<i64> {
    let key = [name, b"\0"].concat();
    if key[..name.len()].contains(&0) {
        return None;
    }
    // SAFETY: the key ends with a zero byte; the allocator refuses to read into a value of another size than its own.
    unsafe {
        tikv_jemalloc_ctl::raw::read::<i64>(&key)
            .or_else(|_| tikv_jemalloc_ctl::raw::read::<i32>(&key).map(i64::from))
            .or_else(|_| tikv_jemalloc_ctl::raw::read::<u8>(&key).map(i64::from))
            .ok()
    }
}
