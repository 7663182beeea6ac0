//! Memory figures, from the allocator.

use std::cell::Cell;

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
use tikv_jemalloc_ctl::{epoch, stats};

thread_local! {
    static OWN: Own = Own::new();
}

/// What a thread knows of the memory in use without asking the allocator.
struct Own {
    /// Bytes that this thread has allocated, and freed, in all.
    counters: Option<(ThreadLocal<u64>, ThreadLocal<u64>)>,
    /// What the program used when it last asked, and the balance of its own counters then.
    asked: Cell<Option<(u64, i64)>>,
}

impl Own {
    fn new() -> Self {
        Own { counters: allocatedp::read().ok().zip(deallocatedp::read().ok()), asked: Cell::new(None) }
    }

    fn balance(&self) -> i64 {
        self.counters.map_or(0, |(allocated, freed)| allocated.get().wrapping_sub(freed.get()) as i64)
    }
}

/// Bytes allocated by the program (`used_memory`).
pub fn used() -> u64 {
    // What this thread has freed and the allocator keeps for it would count as used.
    act(c"thread.tcache.flush");
    // The allocator's figures are a snapshot, taken anew by advancing its epoch.
    if epoch::advance().is_err() {
        return 0;
    }
    let used = stats::allocated::read().map_or(0, |n| n as u64);
    OWN.with(|own| own.asked.set(Some((used, own.balance()))));
    used
}

/// As [`used`], for next to no time: exact as to the calling thread, but what others did since it last called `used` is not seen.
pub fn used_lately() -> u64 {
    OWN.with(|own| match own.asked.get() {
        Some((used, then)) if own.counters.is_some() => used.saturating_add_signed(own.balance().wrapping_sub(then)),
        _ => used(),
    })
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
    act(c"arena.4096.purge");
}

/// Has the allocator do something that takes and returns no value.
fn act(name: &std::ffi::CStr) {
    // SAFETY: the name ends with a zero byte; the controls named here neither read nor write a value.
    unsafe {
        tikv_jemalloc_sys::mallctl(name.as_ptr(), std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut(), 0);
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
